"""How weights begin: ``init(rng, fan_in, fan_out) -> W`` of shape (fan_in, fan_out), in float32.

Multiply W by σ_w, or by :func:`gain`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..kinds import Activations, Array, Function, Initializations
from .activations import activation as find

if TYPE_CHECKING:
    from .activations import Activation


__all__ = ["INITIALIZATIONS", "LSUV", "initialization", "gain", "lsuv"]


def zeros(rng, fan_in, fan_out):
    return np.zeros((fan_in, fan_out), np.float32)


def constant(rng, fan_in, fan_out):
    """1/fan_in everywhere: every unit is the mean of its inputs."""
    return np.full((fan_in, fan_out), 1 / fan_in, np.float32)


def normal_with(variance):
    """Normal weights of variance ``variance(fan_in, fan_out)``."""

    def draw(rng, fan_in, fan_out):
        return rng.standard_normal((fan_in, fan_out), dtype=np.float32) * np.float32(
            math.sqrt(variance(fan_in, fan_out))
        )

    return draw


def uniform_with(variance):
    """Uniform weights on ±a, whose variance a²/3 is ``variance(fan_in, fan_out)``."""

    def draw(rng, fan_in, fan_out):
        a = math.sqrt(3 * variance(fan_in, fan_out))
        return rng.uniform(-a, a, (fan_in, fan_out)).astype(np.float32)

    return draw


def orthogonal(rng, fan_in, fan_out):
    """Orthonormal rows or columns, whichever are fewer  (Saxe et al. 2014)."""
    q, r = np.linalg.qr(rng.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out))))
    q = q * np.sign(np.diag(r))  # makes the distribution uniform (Mezzadri 2007)
    return (q if fan_in >= fan_out else q.T).astype(np.float32)


def lecun(fan_in, fan_out):
    return 1 / fan_in  # LeCun et al. 1998


def xavier(fan_in, fan_out):
    return 2 / (fan_in + fan_out)  # Glorot & Bengio 2010


def he(fan_in, fan_out):
    return 2 / fan_in  # He et al. 2015


#: Every function (rng, fan_in, fan_out) → W by its name.
#:
#: >>> sorted(gb.nets.INITIALIZATIONS)[:3]
#: ['constant', 'he', 'he_uniform']
INITIALIZATIONS = {
    "zeros": zeros,
    "constant": constant,
    "orthogonal": orthogonal,
    "normal": normal_with(lecun),
    "uniform": uniform_with(lecun),
    "lecun": normal_with(lecun),
    "lecun_uniform": uniform_with(lecun),
    "xavier": normal_with(xavier),
    "xavier_uniform": uniform_with(xavier),
    "he": normal_with(he),
    "he_uniform": uniform_with(he),
    # torch.nn.Linear: ±1/√fan_in
    "torch_default": uniform_with(lambda fan_in, fan_out: 1 / (3 * fan_in)),
}


def initialization(name: Initializations) -> Function:
    """``init(rng, fan_in, fan_out) -> W``; the mean square of W is the name's variance.

    ``normal``, ``uniform``, ``lecun…``: 1/fan_in.  ``xavier…``: 2/(fan_in + fan_out).  ``he…``:
    2/fan_in. ``torch_default``: 1/(3·fan_in).  ``orthogonal``, ``constant`` and ``zeros`` are what
    they say.

    >>> import numpy as np
    >>> gb.initialization("orthogonal")(np.random.default_rng(0), 3, 2).shape
    (3, 2)
    """
    if str(name) not in INITIALIZATIONS:
        raise ValueError(f"init {name!r} does not exist; choose from {', '.join(INITIALIZATIONS)}")
    return INITIALIZATIONS[name]


def gain(activation: Activations | Activation) -> float:
    """The factor on W that goes with an activation.

    Torch.nn.init.calculate_gain's, where torch has one.

    Elsewhere 1/√E[φ(z)²] for a standard normal z, which keeps the mean square of h at that of z.

    >>> gb.gain("relu") == 2**0.5, round(gb.gain("gelu"), 3)
    (True, 1.534)
    """
    phi = find(activation)
    known = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "selu": 0.75,
        "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
        "prelu": math.sqrt(2 / (1 + 0.25**2)),
    }
    if phi.name in known:
        return known[phi.name]
    z, w = np.polynomial.hermite_e.hermegauss(150)
    return float((w @ phi(z) ** 2 / math.sqrt(2 * math.pi)) ** -0.5)


#: Names of layer-sequential unit variance, and the weights that each begins with.
#:
#: >>> gb.nets.LSUV["lsuv"]
#: 'orthogonal'
LSUV = {"lsuv": "orthogonal", "lsuv_normal": "normal"}


def lsuv(x: Array, weights: Sequence[Array], biases: Sequence[Array], phi: Function) -> list[Array]:
    """``weights`` of a perceptron, each divided by the deviation of h W on the batch ``x``
    (Mishkin & Matas 2016).

    Begin with orthogonal ones.  Shapes as in :func:`gradbook.nets.mlp`; a network's deviation is
    its own. Raises ValueError for a layer whose h W does not vary, which no factor can mend.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> sizes = gb.nets.layer_sizes(gb.mlp, 64, 3, 16, 10)
    >>> weights = [rng.standard_normal(size) / 4 for size in sizes]
    >>> x, biases = gb.digits().x_train, [np.zeros(1)] * 4
    >>> better = gb.lsuv(x, weights, biases, np.tanh)
    >>> [round(float(z.std()), 3) for z in gb.mlp(x, better, biases, np.tanh)]
    [1.0, 1.0, 1.0, 1.0]
    """
    h, scaled = x, []
    for l, (W, b) in enumerate(zip(weights, biases), 1):
        z = h @ W
        deviation = ((z - z.mean((-2, -1), keepdims=True)) ** 2).mean(
            (-2, -1), keepdims=True
        ) ** 0.5
        if not (deviation > 0).all():
            raise ValueError(
                f"h W of layer {l} is constant on this batch; no factor gives it variance 1"
            )
        scaled.append(W / deviation)
        h = phi(z / deviation + b)
    return scaled
