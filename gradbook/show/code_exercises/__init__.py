"""Exercises whose answer is a function: on what it is tried, and with what it is compared."""

from . import (
    clipping,
    descent,
    formats,
    optimizers,
    practice,
    recurrence,
    remedies,
    signals,
    structure,
)
from .trial import CodeExercise, verdict

__all__ = ["EXERCISES", "CodeExercise", "verdict"]

EXERCISES: dict[str, CodeExercise] = (
    descent.EXERCISES
    | signals.EXERCISES
    | recurrence.EXERCISES
    | formats.EXERCISES
    | remedies.EXERCISES
    | structure.EXERCISES
    | clipping.EXERCISES
    | optimizers.EXERCISES
    | practice.EXERCISES
)
