"""Measure, predict and repair the gradients of deep networks.

The package behind the book *Gradients That Flow*.  Verbs stand at the top
(``gb.sweep``, ``gb.probe``, ``gb.Explorer``, ``gb.check``); everything else stands in the module
that is named after it (``gb.nets.mlp``, ``gb.theory.chi``, ``gb.data.digits``).

``import gradbook`` costs next to nothing: a module, and what it needs, is imported when first used.
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULES = ("data", "devices", "exercises", "explorer", "links", "listing", "nets", "optimizers", "plot", "probes", "profiles", "record",
            "rules", "schedules", "sweeps", "theory")
_VERBS = {"sweep": "sweeps", "probe": "probes", "Explorer": "explorer", "Lines": "explorer", "Heat": "explorer",
          "check": "exercises", "device": "devices", "source": "listing", "as_torch": "optimizers"}
__all__ = [*_MODULES, *_VERBS]


def __getattr__(name):
    if name in _MODULES:
        return import_module(f"gradbook.{name}")
    if name in _VERBS:
        return getattr(import_module(f"gradbook.{_VERBS[name]}"), name)
    raise AttributeError(f"gradbook has no {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted(__all__)
