"""Activations φ with their slopes φ', for NumPy and torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..kinds import Activations, Array

__all__ = ["Activation", "ACTIVATIONS", "activation", "prelu"]

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017


@dataclass(frozen=True)
class Activation:
    """A nonlinearity φ.

    ``activation(x)`` works on NumPy arrays (by ``phi``) and on torch tensors (by torch's own
    function of the same name); ``slope`` is φ' on NumPy arrays; ``lipschitz`` is max |φ'|.

    >>> import numpy as np
    >>> relu = gb.activation("relu")
    >>> relu(np.array([-1.0, 2.0])).tolist(), relu.slope(np.array([-1.0, 2.0])).tolist()
    ([0.0, 2.0], [0.0, 1.0])
    """

    name: str
    phi: Callable
    slope: Callable
    lipschitz: float

    def __call__(self, x: Array) -> Array:
        if not type(x).__module__.startswith("torch"):
            return self.phi(np.asarray(x))
        return (
            self.phi(x)
            if self.name in ("linear", "prelu")
            else getattr(sys.modules["torch"].nn.functional, self.name)(x)
        )


def prelu(x: Array, a: Array = 0.25) -> Array:
    """x where it is positive, else a·x; ``a`` is learned, from torch's start 0.25
    (He et al. 2015).

    >>> import numpy as np
    >>> gb.nets.prelu(np.array([-1.0, 2.0])).tolist()
    [-0.25, 2.0]
    """
    return x * (x > 0) + a * x * (x <= 0)


def _sigmoid(x):
    e = np.exp(-abs(x))  # never overflows
    return np.where(x >= 0, 1, e) / (1 + e)


def _sigmoid_slope(x):
    e = np.exp(-abs(x))
    return e / (1 + e) ** 2


def _normal_cdf(x):
    from scipy.special import ndtr

    return ndtr(x)


def _normal_pdf(x):
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _expm1_below(x):
    return np.expm1(np.minimum(x, 0))


#: Every :class:`gradbook.nets.Activation` by its name.
#:
#: >>> list(gb.nets.ACTIVATIONS)[:4]
#: ['linear', 'sigmoid', 'tanh', 'relu']
ACTIVATIONS = {
    a.name: a
    for a in [
        Activation("linear", lambda x: x, np.ones_like, 1.0),
        Activation("sigmoid", _sigmoid, _sigmoid_slope, 0.25),
        Activation("tanh", np.tanh, lambda x: 1 - np.tanh(x) ** 2, 1.0),
        Activation("relu", lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, 1.0),
        Activation(
            "leaky_relu",
            lambda x: np.where(x > 0, x, 0.01 * x),
            lambda x: np.where(x > 0, 1, 0.01),
            1.0,
        ),
        Activation("prelu", prelu, lambda x: np.where(x > 0, 1, 0.25), 1.0),
        Activation(
            "elu",
            lambda x: np.where(x > 0, x, _expm1_below(x)),
            lambda x: np.exp(np.minimum(x, 0)),
            1.0,
        ),
        Activation(
            "selu",
            lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * _expm1_below(x)),
            lambda x: SELU_SCALE * np.where(x > 0, 1, SELU_ALPHA * np.exp(np.minimum(x, 0))),
            SELU_SCALE * SELU_ALPHA,
        ),
        Activation(
            "gelu",
            lambda x: x * _normal_cdf(x),
            lambda x: _normal_cdf(x) + x * _normal_pdf(x),
            1.1290,
        ),
        Activation(
            "silu", lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) + x * _sigmoid_slope(x), 1.0999
        ),
    ]
}


def activation(name: Activations | Activation) -> Activation:
    """The activation called ``name`` (or ``name`` itself if it is an :class:`Activation`).

    >>> gb.activation("tanh").lipschitz
    1.0
    """
    known = ACTIVATIONS.get(name.name if isinstance(name, Activation) else str(name))
    if known is None or isinstance(name, Activation) and name is not known:
        raise ValueError(
            f"activation {name!r} does not exist; choose from {', '.join(ACTIVATIONS)}"
        )
    return known
