"""Measure, predict and repair the gradients of deep networks.

The package behind the book *Gradients That Flow*.  What readers call stands at the top
(``gb.probe``, ``gb.adam``, ``gb.chi``, ``gb.digits``), and in the room where it lives
(``gb.measure.probe``, ``gb.rules.adam``, ``gb.theory.chi``, ``gb.data.digits``).  Each room imports
only those before it: data, rules, nets, theory, sweeps, measure, show, experiments.

``import gradbook`` costs next to nothing: a room, and what it needs, is imported when first used.
"""

from importlib import import_module
from os import environ

__version__ = "0.1.0"

with open(
    __file__ + "i", encoding="utf-8"
) as stub:  # __init__.pyi, from which editors know the names, too
    _lines = [line.split() for line in stub if line.startswith("from .")]
_HOME = {name: home for _, home, _, name, *_ in _lines}
__all__ = list(_HOME)


def __getattr__(name):
    if name in _HOME:
        home = _HOME[name]
        return (
            import_module("." + name, __name__)
            if home == "."
            else getattr(import_module(home, __name__), name)
        )
    from difflib import get_close_matches

    near = get_close_matches(name, __all__, 3)
    raise AttributeError(
        f"gradbook has no {name!r}; "
        + (f"did you mean {' or '.join(near)}?" if near else "dir(gradbook) lists what it has")
    )


def __dir__():
    return sorted([*__all__, "__version__"])


if environ.get("GRADBOOK_SEED_OFFSET"):
    from .checks import whole_variable
    from .seeds import move_seeds

    move_seeds(whole_variable("GRADBOOK_SEED_OFFSET", 1000))
