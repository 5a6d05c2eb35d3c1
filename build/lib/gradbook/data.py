"""Data sets that ship with the package."""

from importlib.resources import files
from typing import NamedTuple

import numpy as np

__all__ = ["Classification", "digits"]


class Classification(NamedTuple):
    """Inputs (examples, features) in float32 and labels (examples,) in int64, split in two."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def classes(self):
        return int(self.y_train.max()) + 1


def digits(n_train=1347, seed=0):
    """1,797 handwritten digits of 8×8 pixels, standardized with the training part's mean and deviation.

    ``n_train`` of them (1 to 1796) are drawn by ``seed`` for training; the rest is the test part.
    Pixels that never change in the training part are 0.  Source: Alpaydin & Kaynak, *Optical
    Recognition of Handwritten Digits*, UCI Machine Learning Repository (1998), CC BY 4.0, test part,
    as in scikit-learn.

    >>> d = digits()
    >>> d.x_train.shape, d.x_test.shape, d.classes
    ((1347, 64), (450, 64), 10)
    """
    if not isinstance(n_train, int) or not 1 <= n_train < 1797:
        raise ValueError(f"n_train is {n_train!r}; it must be a whole number from 1 to 1796")
    with (files("gradbook") / "digits.npz").open("rb") as file, np.load(file) as stored:
        x, y = stored["x"].astype(np.float32), stored["y"].astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[:n_train], order[n_train:]
    mean, std = x[train].mean(0), x[train].std(0)
    x = np.where(std > 0, (x - mean) / np.where(std > 0, std, 1), 0).astype(np.float32)
    return Classification(x[train], y[train], x[test], y[test])
