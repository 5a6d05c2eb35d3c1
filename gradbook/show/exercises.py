"""Exercises that answer back."""

from __future__ import annotations

import base64
import difflib
import math
import tomllib
import zlib
from importlib.resources import files
from typing import Any, NamedTuple

from .code_exercises import EXERCISES, verdict

__all__ = ["Reply", "check"]


class Reply(NamedTuple):
    """What :func:`check` says to an answer.

    >>> gb.check("loss-of-linear-chain", "a word").right
    False
    """

    right: bool
    text: str

    def __repr__(self) -> str:
        return ("✓ " if self.right else "✗ ") + self.text


def check(name: str, answer: Any) -> Reply:
    """The reply to ``answer`` in the exercise ``name``.

    Right, a mistake that is often made, or neither.

    Numbers count as equal within the exercise's ``rtol`` (2 % unless it says otherwise), words
    without regard to case and spaces. Where the exercise asks for code, ``answer`` is a function,
    which is tried on examples.

    >>> gb.check("loss-of-linear-chain", ...)
    ✗ No answer yet: put yours in place of the three dots.
    """
    exercises = _exercises()
    if name not in exercises:
        near = difflib.get_close_matches(name, exercises)
        meant = (
            f"did you mean {' or '.join(map(repr, near))}?" if near else "see the chapters' ends"
        )
        raise ValueError(f"exercise {name!r} does not exist; {meant}")
    exercise = exercises[name]
    if answer is ...:
        return Reply(False, "No answer yet: put yours in place of the three dots.")
    if name in EXERCISES:
        return _reply_to_code(name, exercise, answer)
    numeric = not isinstance(exercise["answer"], str)
    answer = answer.item() if getattr(answer, "size", 0) == 1 else answer  # an array with one entry
    try:
        if isinstance(answer, bool):
            raise TypeError
        answer = float(answer) if numeric else "".join(str(answer).lower().split())
    except (TypeError, ValueError):
        return Reply(False, f"The answer is one number; {answer!r} is not.")
    if numeric and not math.isfinite(answer):
        return Reply(
            False,
            f"{answer} is not a finite number. Look for a "
            f"division by zero or an overflow on the way.",
        )

    def same(value, rtol=0.02):
        if numeric:
            return math.isclose(answer, value, rel_tol=rtol)
        return answer == "".join(value.lower().split())

    if same(exercise["answer"], exercise.get("rtol", 0.02)):
        return Reply(True, exercise["right"])
    for mistake in exercise.get("mistakes", []):
        if same(mistake["answer"]):
            return Reply(False, mistake["reply"])
    return Reply(False, exercise["otherwise"])


def _reply_to_code(name: str, exercise: dict[str, Any], answer: Any) -> Reply:
    if not callable(answer):
        return Reply(False, f"The answer is a function; {answer!r} is not.")
    found = verdict(EXERCISES[name], answer)
    replies = {mistake["like"]: mistake["reply"] for mistake in exercise["mistakes"]}
    texts = {"right": exercise["right"], "otherwise": exercise["otherwise"], **replies}
    return Reply(found == "right", texts.get(found, found))


def _exercises():
    """exercises.toml, which a class gets packed, so that nobody reads an answer by accident."""
    found = tomllib.loads((files("gradbook.show") / "exercises.toml").read_text("utf-8"))
    if "packed" not in found:
        return found
    return tomllib.loads(zlib.decompress(base64.b85decode(found["packed"])).decode())
