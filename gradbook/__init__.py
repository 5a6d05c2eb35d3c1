"""Measure, predict and repair the gradients of deep networks.

The package behind the book *Gradients That Flow*.  What readers call stands
at the top (``gb.probe``, ``gb.adam``, ``gb.chi``, ``gb.digits``), and in the module that is named after
its subject (``gb.probes.probe``, ``gb.rules.adam``, ``gb.theory.chi``, ``gb.data.digits``).

``import gradbook`` costs next to nothing: a module, and what it needs, is imported when first used.
"""

from difflib import get_close_matches
from importlib import import_module
from os import environ

__version__ = "0.1.0"

_MODULES = ("activations", "backprop", "callbacks", "checks", "curvature", "data", "descents", "devices", "diagnosis", "differences", "exercises", "explorer", "formats", "grids",
            "initializations", "links", "listing", "meanfield", "measuring", "modern", "nets", "optimizers", "plot", "probes", "profiles", "quadratics", "rates", "record", "remedies", "replication",
            "rules", "schedules", "schemes", "shattering", "surfaces", "sweeps", "theory", "tuning", "views", "watching")
_VERBS = {name: module for module, names in {
    "sweeps": "sweep", "probes": "probe", "watching": "watch", "diagnosis": "diagnose", "curvature": "sharpness jacobian_spectrum",
    "tuning": "lr_range gradient_noise", "optimizers": "as_torch", "backprop": "gradient_check", "exercises": "check", "devices": "device",
    "listing": "source", "explorer": "Explorer", "views": "Lines Path Heat",
    "rules": "Rule chain descend scale trace weight_decay l1 clip_value clip_norm clip_adaptive noise sgd heavy_ball nesterov adagrad "
             "rmsprop adadelta adam adamw amsgrad adamax nadam radam signsgd lion shampoo muon schedule_free sam",
    "schedules": "constant step multistep exponential polynomial linear cosine warm_restarts one_cycle inverse_sqrt "
                 "warmup_stable_decay warmup plateau",
    "nets": "mlp normalized residual dense recurrent lstm batch_norm layer_norm group_norm rms_norm lsuv gain activation initialization",
    "theory": "length_map correlation_map fixed_point fixed_correlation chi edge_of_chaos depth_scale gradient_profile residual_growth "
              "batch_norm_growth dropout_growth lyapunov_exponent convergence_rate stability_limit best_step sgd_variance format_depth",
    "data": "digits mnist line plane adding recall", "surfaces": "quadratic rosenbrock beale double_well saddle",
}.items() for name in names.split()}
__all__ = [*_MODULES, *_VERBS]


def __getattr__(name):
    if name in _MODULES:
        return import_module(f"gradbook.{name}")
    if name in _VERBS:
        return getattr(import_module(f"gradbook.{_VERBS[name]}"), name)
    near = get_close_matches(name, __all__, 3)
    raise AttributeError(f"gradbook has no {name!r}; " + (f"did you mean {' or '.join(near)}?" if near else "dir(gradbook) lists what it has"))


def __dir__():
    return sorted(__all__)


if environ.get("GRADBOOK_SEED_OFFSET"):
    from .checks import whole_variable
    from .replication import move_seeds

    move_seeds(whole_variable("GRADBOOK_SEED_OFFSET", 1000))
