"""How a function that answers an exercise is tried, and with what it is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

__all__ = ["CodeExercise", "verdict"]


@dataclass(frozen=True)
class CodeExercise:
    """``wanted`` does what is asked for; each of ``mistakes`` what is often written instead.

    Both are called, like the reader's function, with every tuple of arguments that ``tries()``
    makes anew, since a function may change what it is given.
    """

    tries: Callable[[], Iterable[tuple]]
    wanted: Callable
    mistakes: dict[str, Callable]
    rtol: float = 1e-6
    atol: float = 1e-9


def verdict(exercise: CodeExercise, answer: Callable) -> str:
    """What an exercise calls this answer: right, a mistake's name, or otherwise; or why it
    could not be tried.
    """
    try:
        found = _called(answer, exercise)
    except Exception as error:
        return f"Your function raised {type(error).__name__}: {error}"
    if any(part is ... for value in found for part in _parts(value)):
        return "No answer yet: put yours in place of the three dots."
    wanted = _called(exercise.wanted, exercise)
    try:
        found = [_arrays(value, right) for value, right in zip(found, wanted)]
    except (TypeError, ValueError, RuntimeError):
        return "Your function did not return numbers: a number or an array of numbers is right."
    for value, right in zip(found, wanted):
        shapes, others = ([np.shape(part) for part in v] for v in (value, _parts(right)))
        if shapes != others:
            here, there = (" and ".join(map(str, each)) for each in (shapes, others))
            return f"Your function returned the shape {here}; {there} is right."
    for name, function in {"right": exercise.wanted, **exercise.mistakes}.items():
        expected = _called(function, exercise)
        if all(
            np.allclose(a, b, rtol=exercise.rtol, atol=exercise.atol)
            for value, right in zip(found, expected)
            for a, b in zip(value, _parts(right))
        ):
            return name
    return "otherwise"


def _parts(value):
    return value if isinstance(value, tuple) else (value,)


def _arrays(value, right):
    """An answer's parts as arrays of numbers; where a tuple is wanted, a list will do."""
    parts = value if isinstance(right, tuple) and isinstance(value, (tuple, list)) else (value,)
    arrays = [np.asarray(p.detach() if hasattr(p, "detach") else p) for p in parts]
    if any(array.dtype.kind not in "biuf" for array in arrays):
        raise TypeError("not numbers")
    return arrays


def _called(function, exercise):
    return [function(*arguments) for arguments in exercise.tries()]
