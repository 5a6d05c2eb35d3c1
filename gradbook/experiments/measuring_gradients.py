"""How alike are the gradients of neighboring inputs?  Measured along a circle of inputs, and
predicted  (Balduzzi et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import xarray as xr

from .. import nets
from ..checks import check_whole
from ..kinds import Array, Names, Whole
from ..nets.activations import activation
from ..record import describe
from ..sweeps.grids import several

__all__ = ["gradient_correlation", "shattered_gradients"]

NETS = {
    "plain": None,
    "residual": lambda depth: 1.0,
    "residual, branches 1/√L": lambda depth: depth**-0.5,
}


def gradient_correlation(angle: Array, depth: int, branch: float | None = None) -> Array:
    """Correlation of ∂f/∂x at two inputs ``angle`` apart, for wide ReLU networks with He's weights
    and no biases.

    ``branch`` is the residual branches' scale s, None for a plain network.  Per layer, with c the
    cosine of two pre-activations, κ₁(c) = (√(1 − c²) + (π − arccos c) c)/π and κ₀(c) = (π − arccos
    c)/π  (Cho & Saul 2009): c ← κ₁(c) and the gradient's correlation ← · κ₀(c); with a skip (c +
    s²κ₁)/(1 + s²) and · (1 + s²κ₀)/(1 + s²).

    >>> import numpy as np
    >>> gb.experiments.gradient_correlation(np.pi / 2, 1)  # half of the units are on for both
    0.5
    """
    check_whole(depth=depth)
    c, together = np.cos(angle), 1.0
    for layer in range(depth):
        apart = np.arccos(np.clip(c, -1, 1))
        k0 = (np.pi - apart) / np.pi
        k1 = np.sqrt(np.clip(1 - c * c, 0, None)) / np.pi + k0 * c
        if branch is None or layer == depth - 1:  # the readout sees φ(z), without a skip
            c, together = k1, together * k0
        else:
            s2 = branch**2
            c, together = (c + s2 * k1) / (1 + s2), together * (1 + s2 * k0) / (1 + s2)
    return float(together) if np.ndim(together) == 0 else together


def shattered_gradients(
    depth: Whole,
    net: Names = tuple(NETS),
    *,
    width: int = 200,
    points: int = 180,
    lags: int = 30,
    seed: Sequence[int] = range(3),
) -> xr.Dataset:
    """The input gradient of random ReLU networks, along half a circle of inputs.

    Returns for every ``depth`` and ``net`` (of plain; residual; residual, branches 1/√L)
    ``gradient`` (angle), one entry of ∂f/∂x of the first seed's network, relative to its root mean
    square; ``correlation`` (lag), of ∂f/∂x at two inputs that far apart, mean over places and
    seeds, with ``_low`` and ``_high`` over the seeds; ``correlation_theory``,
    :func:`gradient_correlation`; and ``half``, the angle in degrees at which the prediction has
    fallen to one half.

    >>> s = gb.experiments.shattered_gradients([10], ["plain"], points=36, lags=6, seed=[0])
    >>> round(float(s.half.squeeze()))
    13
    """
    depths, names = several(depth), several(net)
    seeds = list(seed)
    if not seeds:
        raise ValueError("seed is empty; give at least one, such as range(3)")
    check_whole(2, points=points)
    check_whole(width=width)
    check_whole(1, points, lags=lags)
    if unknown := set(names) - set(NETS):
        raise ValueError(f"net has {sorted(unknown)}; choose from {', '.join(NETS)}")
    angles, apart = np.linspace(0, np.pi, points), np.arange(lags) * np.pi / (points - 1)
    out = {}
    for i, name in np.ndindex(len(depths), len(names)):
        L, label = depths[i], names[name]
        check_whole(depth=L)
        branch = NETS[label] and NETS[label](L)
        gradients = np.stack([_input_gradients(angles, L, branch, width, s) for s in seeds])
        norm = np.sqrt((gradients**2).sum(-1).mean(-1))[:, None, None]
        gradients = gradients / norm
        measured = np.stack(
            [(gradients[:, : points - k] * gradients[:, k:]).sum(-1).mean(-1) for k in range(lags)],
            -1,
        )
        fine = np.linspace(0, np.pi, 2001)
        theory = gradient_correlation(fine, L, branch)
        first = gradients[0, :, 0]
        found = {
            "gradient": first / np.sqrt((first**2).mean()),
            "correlation": measured.mean(0),
            "correlation_low": measured.min(0),
            "correlation_high": measured.max(0),
            "correlation_theory": gradient_correlation(apart, L, branch),
            "half": np.degrees(fine[np.argmax(theory < 0.5)]) if (theory < 0.5).any() else np.nan,
        }
        for quantity, value in found.items():
            out.setdefault(quantity, np.empty((len(depths), len(names), *np.shape(value))))[
                i, name
            ] = value
    along = {"gradient": ["angle"], "half": []}
    data = xr.Dataset(
        {q: (["depth", "net", *along.get(q, ["lag"])], v) for q, v in out.items()},
        {"depth": depths, "net": names, "angle": np.degrees(angles), "lag": np.degrees(apart)},
    )
    for name, label in {
        "net": "network",
        "angle": "place on the circle, in degrees",
        "lag": "distance of two inputs, in degrees",
        "gradient": "one entry of ∂f/∂x",
        "correlation": "correlation of the two gradients",
        "correlation_theory": "predicted",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def _input_gradients(angles, depth, branch, width, seed):
    """∂f/∂x (points, 64) of one random network at the inputs of a circle of radius √64."""
    rng = np.random.default_rng(seed)
    sizes = [64, *[width] * depth, 1]
    weights = [
        torch.from_numpy(rng.normal(size=s) * (2 / s[0]) ** 0.5) for s in zip(sizes, sizes[1:])
    ]
    biases = [torch.zeros(o, dtype=torch.float64) for o in sizes[1:]]
    across = torch.linalg.qr(torch.from_numpy(rng.normal(size=(64, 2))))[0].T * 8
    x = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], 1)) @ across
    x.requires_grad_()
    net = nets.mlp if branch is None else partial(nets.residual, scale=branch)
    return torch.autograd.grad(net(x, weights, biases, activation("relu"))[-1].sum(), x)[0].numpy()
