"""Update rules and learning-rate schedules, in arithmetic that NumPy, PyTorch and plain numbers
understand.

Rules are built from links with ``chain``.  ``as_torch``, the only part that needs PyTorch, is not
imported with the others.
"""

from .adam_family import adam, adam_direction, adamax, adamw, amsgrad, moments, nadam, radam
from .adaptive import adadelta, adagrad, rmsprop
from .algebra import Rule, Stack, chain, descend, down, l1, scale, stateless, trace, weight_decay
from .clipping import clip_adaptive, clip_norm, clip_value, noise
from .first_order import heavy_ball, lion, nesterov, sgd, signsgd
from .modern import muon, orthogonalize, sam, schedule_free, shampoo
from .schedules import (
    constant,
    cosine,
    exponential,
    inverse_sqrt,
    linear,
    multistep,
    one_cycle,
    plateau,
    polynomial,
    step,
    warm_restarts,
    warmup,
    warmup_stable_decay,
)

__all__ = [
    "Rule",
    "Stack",
    "chain",
    "descend",
    "scale",
    "down",
    "stateless",
    "trace",
    "weight_decay",
    "l1",
    "clip_value",
    "clip_norm",
    "clip_adaptive",
    "noise",
    "sgd",
    "heavy_ball",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adadelta",
    "moments",
    "adam_direction",
    "adam",
    "adamw",
    "amsgrad",
    "adamax",
    "nadam",
    "radam",
    "signsgd",
    "lion",
    "shampoo",
    "muon",
    "orthogonalize",
    "schedule_free",
    "sam",
    "constant",
    "step",
    "multistep",
    "exponential",
    "polynomial",
    "linear",
    "cosine",
    "warm_restarts",
    "one_cycle",
    "inverse_sqrt",
    "warmup_stable_decay",
    "warmup",
    "plateau",
]
