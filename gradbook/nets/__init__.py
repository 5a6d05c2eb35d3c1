"""Networks as functions of arrays.

Activations, initializations, forward passes, and backpropagation by hand.

They run on NumPy, on PyTorch, and on a stack of networks.  Nothing here trains; that is in
``sweeps``.
"""

from . import backprop
from .activations import ACTIVATIONS, Activation, activation, prelu
from .architectures import dense, gru, layer_sizes, lstm, mlp, normalized, recurrent, residual
from .initializations import INITIALIZATIONS, LSUV, gain, initialization, lsuv
from .normalizations import batch_norm, group_norm, layer_norm, rms_norm, standardize
from .rounding import round_stochastically, round_to, spacing

__all__ = [
    "Activation",
    "ACTIVATIONS",
    "activation",
    "prelu",
    "INITIALIZATIONS",
    "initialization",
    "gain",
    "lsuv",
    "LSUV",
    "layer_sizes",
    "mlp",
    "normalized",
    "residual",
    "dense",
    "recurrent",
    "lstm",
    "gru",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "rms_norm",
    "standardize",
    "round_to",
    "round_stochastically",
    "spacing",
    "backprop",
]
