"""Forward passes, for one network and for a stack of N.

Layer l computes z = h W + b and h' = φ(z), with W of shape (fan_in, fan_out) or (N, fan_in,
fan_out). Weights have variance σ_w²/fan_in and biases variance σ_b², the convention of mean-field
theory (Poole et al. 2016), so σ_w = 1 is LeCun's initialization and σ_w = √2 is He's.

Every network is a function ``net(x, weights, biases, phi)`` that returns its pre-activations
[z¹, …, z^{L+1}], the last of which are the logits; options come after, for ``functools.partial``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ..kinds import Array, Function
from ..rules.arithmetic import library
from .activations import activation
from .normalizations import batch_norm

__all__ = ["layer_sizes", "mlp", "normalized", "residual", "dense", "recurrent", "lstm", "gru"]


def affine(h, W, b):
    """h W + b."""
    if hasattr(W, "baddbmm") and h.ndim == W.ndim == getattr(b, "ndim", 0) == 3:
        return b.baddbmm(h, W)  # torch's single pass over a stack
    return h @ W + b


def mlp(x: Array, weights: Sequence[Array], biases: Sequence[Array], phi: Function) -> list[Array]:
    """Pre-activations [z¹, …, z^{L+1}] of a perceptron with L hidden layers and a linear readout.

    x (…, examples, features); weights[l] (…, fan_in, fan_out); biases[l] broadcasts against z.
    The last z is the logits.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> sizes = gb.nets.layer_sizes(gb.mlp, 64, 3, 16, 10)
    >>> weights = [rng.standard_normal(size) / 4 for size in sizes]
    >>> x, biases = gb.digits().x_train, [np.zeros(1)] * 4
    >>> [z.shape for z in gb.mlp(x, weights, biases, np.tanh)]
    [(1347, 16), (1347, 16), (1347, 16), (1347, 10)]
    """
    h, zs = x, []
    for W, b in zip(weights, biases):
        zs.append(affine(h, W, b))
        h = phi(zs[-1])
    return zs


def normalized(
    x: Array,
    weights: Sequence[Array],
    biases: Sequence[Array],
    phi: Function,
    norm: Function = batch_norm,
) -> list[Array]:
    """A perceptron with ``norm`` (batch normalization) in every hidden layer: z = norm(h W) + b.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> sizes = gb.nets.layer_sizes(gb.normalized, 64, 3, 16, 10)
    >>> weights = [rng.standard_normal(size) / 4 for size in sizes]
    >>> x, biases = gb.digits().x_train, [np.zeros(1)] * 4
    >>> [z.shape for z in gb.normalized(x, weights, biases, np.tanh)]
    [(1347, 16), (1347, 16), (1347, 16), (1347, 10)]
    """
    h, zs = x, []
    for W, b in zip(weights[:-1], biases):
        zs.append(norm(h @ W) + b)
        h = phi(zs[-1])
    return [*zs, affine(h, weights[-1], biases[-1])]


def residual(
    x: Array,
    weights: Sequence[Array],
    biases: Sequence[Array],
    phi: Function,
    scale: float | Sequence[float] = 1.0,
    norm: Function | None = None,
    post: bool = False,
) -> list[Array]:
    """A residual network.

    Z¹ = x W¹ + b¹, then z ← z + scale·(φ(z) W + b), then the readout of φ(z)  (He et al. 2016).

    ``scale`` is one number, or one for every branch.  ``norm`` stands before φ in every branch, or
    with ``post`` after every sum.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> sizes = gb.nets.layer_sizes(gb.residual, 64, 3, 16, 10)
    >>> weights = [rng.standard_normal(size) / 4 for size in sizes]
    >>> x, biases = gb.digits().x_train, [np.zeros(1)] * 4
    >>> [z.shape for z in gb.residual(x, weights, biases, np.tanh)]
    [(1347, 16), (1347, 16), (1347, 16), (1347, 10)]
    """
    before = norm if norm and not post else (lambda z: z)
    after = norm if norm and post else (lambda z: z)
    zs = [affine(x, weights[0], biases[0])]
    scales = scale if isinstance(scale, Sequence) else [scale] * (len(weights) - 2)
    for W, b, s in zip(weights[1:-1], biases[1:-1], scales, strict=True):
        zs.append(after(zs[-1] + s * affine(phi(before(zs[-1])), W, b)))
    return [*zs, affine(phi(before(zs[-1])), weights[-1], biases[-1])]


def dense(
    x: Array, weights: Sequence[Array], biases: Sequence[Array], phi: Function
) -> list[Array]:
    """Every layer sees all that came before it: zˡ = [x, h¹, …, hˡ⁻¹] Wˡ + bˡ
    (DenseNet, Huang et al. 2017).

    fan_in of layer l is features + (l − 1)·width; :func:`layer_sizes` knows.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> sizes = gb.nets.layer_sizes(gb.dense, 64, 3, 16, 10)
    >>> weights = [rng.standard_normal(size) / 4 for size in sizes]
    >>> x, biases = gb.digits().x_train, [np.zeros(1)] * 4
    >>> [z.shape for z in gb.dense(x, weights, biases, np.tanh)]
    [(1347, 16), (1347, 16), (1347, 16), (1347, 10)]
    """
    seen, zs = x, []
    for W, b in zip(weights, biases):
        zs.append(affine(seen, W, b))
        seen = library(x).concatenate([seen, phi(zs[-1])], -1)
    return zs


def layer_sizes(
    net: Function, features: int, depth: int, width: int, classes: int
) -> list[tuple[int, int]]:
    """(fan_in, fan_out) of each of ``net``'s depth + 1 layers.

    >>> gb.nets.layer_sizes(gb.mlp, 64, 2, 16, 10), gb.nets.layer_sizes(gb.dense, 64, 2, 16, 10)
    ([(64, 16), (16, 16), (16, 10)], [(64, 16), (80, 16), (96, 10)])
    """
    sizes = [features, *[width] * depth, classes]
    if getattr(net, "func", net) is dense:
        return list(zip(itertools.accumulate(sizes[:-1]), sizes[1:]))
    return list(itertools.pairwise(sizes))


# -------- through time


def recurrent(
    x: Array, W_x: Array, W_h: Array, b: Array, phi: Function, h: Array | None = None
) -> list[Array]:
    """Pre-activations [z₁, …, z_T] of h_t = φ(z_t), z_t = x_t W_x + h_{t−1} W_h + b  (Elman 1990).

    x (time, …, examples, features); W_x (…, features, units); W_h (…, units, units); h begins with
    0.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = gb.adding(length=50)
    >>> W_x, W_h, b = rng.standard_normal((2, 8)), rng.standard_normal((8, 8)) / 3, np.zeros(8)
    >>> zs = gb.recurrent(x, W_x, W_h, b, np.tanh)
    >>> len(zs), zs[-1].shape
    (50, (100, 8))
    """
    zs = []
    for x_t in x:
        z = x_t @ W_x + b
        zs.append(z if h is None else z + h @ W_h)
        h = phi(zs[-1])
    return zs


def lstm(
    x: Array, W_x: Array, W_h: Array, b: Array, state: tuple[Array, Array] | None = None
) -> list[tuple[Array, Array]]:
    """States [(h₁, c₁), …] of a long short-term memory
    (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    c_t = f·c_{t−1} + i·g and h_t = o·tanh(c_t); the four gates stand side by side in the columns of
    W_x, W_h and b, in torch's order i, f, g, o.  Shapes as in :func:`recurrent`, with 4·units
    columns; ``state`` (h₀, c₀) begins with 0.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = gb.adding(length=50)
    >>> W_x, W_h, b = rng.standard_normal((2, 32)), rng.standard_normal((8, 32)) / 3, np.zeros(32)
    >>> states = gb.lstm(x, W_x, W_h, b)
    >>> h, c = states[-1]
    >>> len(states), h.shape, c.shape
    (50, (100, 8), (100, 8))
    """
    sigmoid, tanh = activation("sigmoid"), activation("tanh")
    states, n = [], W_h.shape[-2]
    h, c = state or (0, 0)
    for x_t in x:
        z = x_t @ W_x + b + (h @ W_h if states or state else 0)
        i, f, g, o = (z[..., k * n : (k + 1) * n] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        states.append((h, c))
    return states


def gru(x: Array, W_x: Array, W_h: Array, b: Array, h: Array | None = None) -> list[Array]:
    """States [h₁, …] of a gated recurrent unit  (Cho et al. 2014).

    h_t = u·h_{t−1} + (1 − u)·g, where g = tanh(x_t W_x + b + r·(h_{t−1} W_h)); r, u and g stand
    side by side in the columns, torch's order.  The update gate u *keeps* the state, as in torch,
    Keras and the paper; Chung et al. (2014) let it replace the state.  Shapes as in
    :func:`recurrent`, with 3·units columns.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = gb.adding(length=50)
    >>> W_x, W_h, b = rng.standard_normal((2, 24)), rng.standard_normal((8, 24)) / 3, np.zeros(24)
    >>> states = gb.gru(x, W_x, W_h, b)
    >>> len(states), states[-1].shape
    (50, (100, 8))
    """
    sigmoid, tanh = activation("sigmoid"), activation("tanh")
    states, n = [], W_h.shape[-2]
    for x_t in x:
        z = x_t @ W_x + b
        s = 0 * z if h is None else h @ W_h
        r, u = (sigmoid((z + s)[..., k * n : (k + 1) * n]) for k in range(2))
        g = tanh(z[..., 2 * n :] + r * s[..., 2 * n :])
        h = (1 - u) * g if h is None else u * h + (1 - u) * g
        states.append(h)
    return states
