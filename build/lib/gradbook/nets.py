"""Activations, initializations and the multilayer perceptron, for one network and for a stack of N.

Layer l computes z = h W + b and h' = φ(z), with W of shape (fan_in, fan_out) or (N, fan_in, fan_out).
Weights have variance σ_w²/fan_in and biases variance σ_b², the convention of mean-field theory
(Poole et al. 2016), so σ_w = 1 is LeCun's initialization and σ_w = √2 is He's.
"""

import math
import sys
from dataclasses import dataclass
from typing import Callable

import numpy as np

__all__ = ["Activation", "ACTIVATIONS", "activation", "INITIALIZATIONS", "initialization", "mlp"]

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017


@dataclass(frozen=True)
class Activation:
    """A nonlinearity φ.

    ``activation(x)`` works on NumPy arrays (by ``phi``) and on torch tensors (by torch's own
    function of the same name); ``slope`` is φ' on NumPy arrays; ``lipschitz`` is max |φ'|.
    """

    name: str
    phi: Callable
    slope: Callable
    lipschitz: float

    def __call__(self, x):
        if type(x).__module__.startswith("torch"):
            return x if self.name == "linear" else getattr(sys.modules["torch"].nn.functional, self.name)(x)
        return self.phi(np.asarray(x))


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


ACTIVATIONS = {a.name: a for a in [
    Activation("linear", lambda x: x, np.ones_like, 1.0),
    Activation("sigmoid", _sigmoid, _sigmoid_slope, 0.25),
    Activation("tanh", np.tanh, lambda x: 1 - np.tanh(x) ** 2, 1.0),
    Activation("relu", lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, 1.0),
    Activation("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1, 0.01), 1.0),
    Activation("elu", lambda x: np.where(x > 0, x, _expm1_below(x)),
               lambda x: np.exp(np.minimum(x, 0)), 1.0),
    Activation("selu", lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * _expm1_below(x)),
               lambda x: SELU_SCALE * np.where(x > 0, 1, SELU_ALPHA * np.exp(np.minimum(x, 0))),
               SELU_SCALE * SELU_ALPHA),
    Activation("gelu", lambda x: x * _normal_cdf(x), lambda x: _normal_cdf(x) + x * _normal_pdf(x), 1.1290),
    Activation("silu", lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) + x * _sigmoid_slope(x), 1.0999),
]}


def activation(name):
    """The activation called ``name`` (or ``name`` itself if it is an :class:`Activation`).

    >>> activation("tanh").lipschitz
    1.0
    """
    known = ACTIVATIONS.get(name.name if isinstance(name, Activation) else str(name))
    if known is None or isinstance(name, Activation) and name is not known:
        raise ValueError(f"activation {name!r} does not exist; choose from {', '.join(ACTIVATIONS)}")
    return known


def _normal(rng, fan_in, fan_out):
    return rng.standard_normal((fan_in, fan_out), dtype=np.float32) / math.sqrt(fan_in)


def _uniform(rng, fan_in, fan_out):
    bound = math.sqrt(3 / fan_in)  # a uniform variable on ±a has variance a²/3
    return rng.uniform(-bound, bound, (fan_in, fan_out)).astype(np.float32)


def _orthogonal(rng, fan_in, fan_out):
    q, r = np.linalg.qr(rng.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out))))
    q = q * np.sign(np.diag(r))  # makes the distribution uniform (Mezzadri 2007)
    return (q if fan_in >= fan_out else q.T).astype(np.float32)


INITIALIZATIONS = {"normal": _normal, "uniform": _uniform, "orthogonal": _orthogonal}


def initialization(name):
    """``init(rng, fan_in, fan_out) -> W`` at σ_w = 1; multiply by σ_w.

    ``normal`` and ``uniform`` have variance 1/fan_in; ``orthogonal`` has orthonormal rows or columns.
    """
    if str(name) not in INITIALIZATIONS:
        raise ValueError(f"init {name!r} does not exist; choose from {', '.join(INITIALIZATIONS)}")
    return INITIALIZATIONS[name]


def mlp(x, weights, biases, phi):
    """Pre-activations [z¹, …, z^{L+1}] of a perceptron with L hidden layers and a linear readout.

    x (…, examples, features); weights[l] (…, fan_in, fan_out); biases[l] broadcasts against z.
    The last z is the logits.
    """
    h, zs = x, []
    for W, b in zip(weights, biases):
        zs.append(h @ W + b)
        h = phi(zs[-1])
    return zs
