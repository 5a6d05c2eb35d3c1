"""Data sets.

Digits that ship with the package, the sources' regressions, MNIST.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from ..checks import check_whole, whole_variable
from ..kinds import Array

__all__ = ["Classification", "Regression", "digits", "mnist", "line", "plane", "nudged"]


class Classification(NamedTuple):
    """Inputs (examples, features) in float32 and labels (examples,) in int64, split in two.

    >>> x, y, x_test, y_test = gb.digits()
    >>> x.dtype.name, y[:5].tolist()
    ('float32', [6, 6, 6, 2, 5])
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def classes(self) -> int:
        return int(self.y_train.max()) + 1

    def held_out(self, examples: int = 300) -> Classification:
        """The last ``examples`` of the training part stand where the test part stood.

        Choose there (a learning rate, a schedule, when to stop), and report on the test part, which
        then had no say in the choice.  Pixels stay as they are: :func:`digits` standardized them
        with the mean and deviation of the whole training part.

        >>> choose = gb.digits().held_out()
        >>> choose.x_train.shape, choose.x_test.shape
        ((1047, 64), (300, 64))
        """
        check_whole(1, len(self.x_train) - 1, examples=examples)
        x, y = self.x_train, self.y_train
        return self._replace(
            x_train=x[:-examples], y_train=y[:-examples], x_test=x[-examples:], y_test=y[-examples:]
        )


class Regression(NamedTuple):
    """Inputs (examples, features), targets (examples, 1), and what the targets were made of.

    >>> x, y, weights, bias = gb.plane()
    >>> bool(abs(x @ weights + bias - y).max() < 1e-5)
    True
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    bias: float


def digits(n_train: int = 1347, seed: int = 0, size: int = 8) -> Classification:
    """1,797 handwritten digits of 8×8 pixels, standardized with the training part's mean and
    deviation.

    ``n_train`` of them (1 to 1796) are drawn by ``seed`` for training; the rest is the test part.
    ``size=28`` enlarges them (bilinear) to 784 inputs, which hold no more than the 64 did. Pixels
    that never change in the training part are 0.  Source: Alpaydin & Kaynak, *Optical Recognition
    of Handwritten Digits*, UCI Machine Learning Repository (1998), CC BY 4.0, test part, as in
    scikit-learn.

    >>> d = gb.digits()
    >>> d.x_train.shape, d.x_test.shape, d.classes
    ((1347, 64), (450, 64), 10)
    """
    check_whole(1, 1796, n_train=n_train)
    check_whole(8, 64, size=size)
    x, y = _pixels(size)
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[:n_train], order[n_train:]
    return _standardized(x[train], y[train], x[test], y[test])


def nudged(x: Array) -> Array:
    """``x``.

    With ``$GRADBOOK_NUDGE``, each entry but 0 becomes its neighbor in its number format, up or down
    by chance.

    Another order of additions does the same: the last bit is another one.  The variable's number is
    the seed of the chance.

    >>> import numpy as np
    >>> gb.data.nudged(np.ones(3)).tolist()  # as they are, unless GRADBOOK_NUDGE is set
    [1.0, 1.0, 1.0]
    """
    seed = whole_variable("GRADBOOK_NUDGE", 1)
    if not seed:
        return x
    up = np.random.Generator(np.random.PCG64(seed)).random(x.shape) < 0.5
    return np.where(x == 0, x, np.nextafter(x, np.where(up, np.inf, -np.inf).astype(x.dtype)))


def mnist() -> Classification:
    """MNIST's 60,000 + 10,000 digits of 28×28 pixels, standardized.

    Downloaded once from OpenML by scikit-learn.

    Raises RuntimeError without scikit-learn, or without network and a copy from before.

    >>> gb.mnist().x_train.shape  # doctest: +SKIP
    (60000, 784)
    """
    try:
        from sklearn.datasets import fetch_openml

        x, y = fetch_openml(
            "mnist_784", version=1, as_frame=False, parser="liac-arff", return_X_y=True
        )
    except (ImportError, OSError) as error:
        raise RuntimeError(
            f"mnist() needs scikit-learn and, the first time, the network ({error}); "
            "offline, digits(size=28) has the same 784 inputs and 10 classes"
        ) from error
    x, y = x.astype(np.float32), y.astype(np.int64)
    return _standardized(x[:60_000], y[:60_000], x[60_000:], y[60_000:])


def line(examples: int = 100, seed: int = 1) -> Regression:
    """The regression of source 001: y = 3x + 2 + ½·N(0, 1), x standard normal.

    >>> d = gb.line()
    >>> d.x.shape, d.y.shape
    ((100, 1), (100, 1))
    """
    check_whole(examples=examples)
    rng = np.random.default_rng(seed)
    x = nudged(rng.standard_normal((examples, 1)))
    return Regression(
        x, 3 * x + 2 + 0.5 * rng.standard_normal((examples, 1)), np.array([[3.0]]), 2.0
    )


def plane(examples: int = 100, features: int = 10, seed: int = 0) -> Regression:
    """The regression of source 000: y = X w without noise, X and w uniform on [0, 1].

    >>> d = gb.plane(examples=50, features=3)
    >>> d.x.shape, d.y.shape, d.bias
    ((50, 3), (50, 1), 0.0)
    """
    check_whole(examples=examples, features=features)
    rng = np.random.default_rng(seed)
    x, w = nudged(rng.uniform(size=(examples, features))), rng.uniform(size=(features, 1))
    return Regression(x, x @ w, w, 0.0)


@lru_cache(maxsize=2)
def _pixels(size):
    """All digits (1797, size²) and their labels, in the order of the file."""
    with (files("gradbook.data") / "digits.npz").open("rb") as file, np.load(file) as stored:
        x, y = stored["x"].astype(np.float32), stored["y"].astype(np.int64)
    if size != 8:
        from scipy.ndimage import zoom

        x = zoom(x.reshape(-1, 8, 8), (1, size / 8, size / 8), order=1).reshape(len(x), -1)
    return x, y


def _standardized(x_train, y_train, x_test, y_test):
    mean, std = x_train.mean(0), x_train.std(0)
    scale = np.where(std > 0, 1 / np.where(std > 0, std, 1), 0)
    return Classification(
        *(
            nudged((x - mean) * scale) if x.ndim > 1 else x
            for x in (x_train, y_train, x_test, y_test)
        )
    )
