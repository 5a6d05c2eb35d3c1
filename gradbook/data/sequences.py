"""Sequences with long memory: tasks on which a recurrent network must keep something."""

from __future__ import annotations

import numpy as np

from ..checks import check_whole
from .sets import nudged

__all__ = ["adding", "copying", "recall"]


def adding(length: int, examples: int = 100, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The adding problem: sum the two numbers that are marked, one in each half
    (Hochreiter & Schmidhuber 1997; in this form Arjovsky et al. 2016).

    Returns x (length, examples, 2), values on [0, 1] and marks, and the sums y (examples, 1), in
    float32. Always answering 1 has mean squared error 1/6.

    >>> x, y = gb.adding(length=50)
    >>> values, marks = x[:, 0, 0], x[:, 0, 1]
    >>> float(marks.sum()), bool(abs((values * marks).sum() - y[0, 0]) < 1e-6)
    (2.0, True)
    """
    check_whole(2, length=length)
    check_whole(examples=examples)
    rng, every = np.random.default_rng(seed), np.arange(examples)
    x = np.zeros((length, examples, 2), np.float32)
    x[..., 0] = rng.uniform(size=(length, examples))
    x = nudged(x)
    for marked in (
        rng.integers(length // 2, size=examples),
        rng.integers(length // 2, length, size=examples),
    ):
        x[marked, every, 1] = 1
    return x, (x[..., 0] * x[..., 1]).sum(0)[:, None]


def recall(
    length: int, symbols: int = 4, examples: int = 100, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Name the first symbol of a sequence after ``length`` − 1 others.

    Returns x, one-hot (length, examples, symbols), and y (examples,).

    The gradient of the answer has ``length`` − 1 steps to travel.

    >>> x, y = gb.recall(length=50)
    >>> x.shape, bool((x[0].argmax(-1) == y).all())
    ((50, 100, 4), True)
    """
    check_whole(length=length)
    check_whole(2, symbols=symbols)
    check_whole(examples=examples)
    shown = np.random.default_rng(seed).integers(symbols, size=(length, examples))
    return np.eye(symbols, dtype=np.float32)[shown], shown[0]


def copying(
    length: int, keep: int = 5, symbols: int = 4, examples: int = 100, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Copy memory: read ``keep`` symbols, wait, then write them down in their order
    (Hochreiter & Schmidhuber 1997; in this form Arjovsky et al. 2016).

    Returns x, one-hot (length, examples, symbols + 2), and y (examples, keep), what the last
    ``keep`` steps shall answer.  The two further inputs say *wait* and *now*.

    >>> x, y = gb.copying(length=8, keep=2, examples=3)
    >>> codes = x.argmax(-1)
    >>> bool((codes[:2].T == y).all()), codes[2:, 0].tolist()
    (True, [4, 4, 4, 4, 5, 4])
    """
    check_whole(keep=keep, examples=examples)
    check_whole(2 * keep, length=length)
    check_whole(2, symbols=symbols)
    answers = np.random.default_rng(seed).integers(symbols, size=(examples, keep))
    codes = np.full((length, examples), symbols)
    codes[:keep], codes[-keep] = answers.T, symbols + 1
    return np.eye(symbols + 2, dtype=np.float32)[codes], answers
