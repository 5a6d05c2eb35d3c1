"""What normalization does to a layer's pre-activations z (…, examples, units)."""

from __future__ import annotations

from ..kinds import Array

__all__ = ["batch_norm", "layer_norm", "group_norm", "rms_norm", "standardize"]


def standardize(z: Array, axes: int | tuple[int, ...], eps: float) -> Array:
    """z to mean 0 and variance 1 over ``axes``, but for ``eps``.

    >>> import numpy as np
    >>> z = np.array([[1.0, 20.0], [3.0, 60.0]])
    >>> gb.nets.standardize(z, axes=0, eps=0.0).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    z = z - z.mean(axes, keepdims=True)
    return z / ((z * z).mean(axes, keepdims=True) + eps) ** 0.5


def batch_norm(z: Array, gain: Array = 1.0, bias: Array = 0.0, eps: float = 1e-5) -> Array:
    """Every unit to mean 0 and variance 1 over the batch, z (…, examples, units)
    (Ioffe & Szegedy 2015).

    >>> import numpy as np
    >>> z = np.array([[1.0, 20.0], [3.0, 60.0]])
    >>> gb.batch_norm(z).round(3).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    return gain * standardize(z, -2, eps) + bias


def layer_norm(z: Array, gain: Array = 1.0, bias: Array = 0.0, eps: float = 1e-5) -> Array:
    """Every example to mean 0 and variance 1 over the units  (Ba et al. 2016).

    >>> import numpy as np
    >>> z = np.array([[1.0, 20.0], [3.0, 60.0]])
    >>> gb.layer_norm(z).round(3).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    return gain * standardize(z, -1, eps) + bias


def group_norm(
    z: Array, groups: int, gain: Array = 1.0, bias: Array = 0.0, eps: float = 1e-5
) -> Array:
    """Layer normalization of each of ``groups`` blocks of units  (Wu & He 2018).

    >>> import numpy as np
    >>> z = np.array([[1.0, 3.0, 20.0, 60.0]])
    >>> gb.group_norm(z, groups=2).round(3).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    if z.shape[-1] % groups:
        raise ValueError(f"groups is {groups}; it must divide the {z.shape[-1]} units")
    blocks = standardize(z.reshape(*z.shape[:-1], groups, -1), -1, eps)
    return gain * blocks.reshape(z.shape) + bias


def rms_norm(z: Array, gain: Array = 1.0, eps: float = 1e-5) -> Array:
    """Every example divided by the root mean square of its units  (Zhang & Sennrich 2019).

    >>> import numpy as np
    >>> gb.rms_norm(np.array([[3.0, -3.0]])).round(3).tolist()
    [[1.0, -1.0]]
    """
    return gain * z / ((z * z).mean(-1, keepdims=True) + eps) ** 0.5
