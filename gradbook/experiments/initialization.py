"""Ways of drawing the first weights side by side.

Sizes forward and gradients backward, with theory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from .. import theory
from ..checks import check_whole
from ..data.sets import digits
from ..kinds import Names, Whole
from ..nets.activations import activation as find
from ..record import describe, keep_places, relative_to_top, spread
from ..sweeps.grids import several
from ..sweeps.sweep import sweep

__all__ = ["SCHEMES", "compare_schemes"]

#: (init, σ_w as a function of the width n), for layers of n inputs and n outputs.
#:
#: >>> list(gb.experiments.SCHEMES)[1]
#: "PyTorch's default"
SCHEMES = {
    "small: std 0.01": ("normal", lambda n: 0.01 * math.sqrt(n)),
    "PyTorch's default": ("torch_default", lambda n: 1.0),
    "Xavier": ("xavier", lambda n: 1.0),
    "He": ("he", lambda n: 1.0),
    "orthogonal": ("orthogonal", lambda n: 1.0),
    "LSUV": ("lsuv", lambda n: 1.0),
    "std √(dᵢ/dₒ)": ("normal", lambda n: math.sqrt(n)),
}
SCALE = {"torch_default": 3**-0.5, "he": 2**0.5}  # σ_w of the init itself, where it is not 1


def compare_schemes(
    depth: Whole,
    activation: Names,
    scheme: Names = tuple(SCHEMES),
    *,
    width: int = 64,
    seed: Sequence[int] = range(3),
    batch: int = 64,
    places: int = 12,
) -> xr.Dataset:
    """Every scheme for every depth and activation, before training.

    Returns medians over ``seed``, with ``_low`` and ``_high``, of ``activation_rms``, of the
    layer's *output* h, and of ``signal``, relative to the last hidden layer's, for ``places``
    layers; ``…_theory``, mean field for the digits; and ``total``, the signal of the first hidden
    layer over the last one's.  Biases are 0.

    >>> c = gb.experiments.compare_schemes([20], ["relu"], ["Xavier", "He"])
    >>> [round(float(v), 1) for v in c.activation_rms_theory.squeeze()[:, -1]]
    [0.0, 1.0]
    """
    check_whole(width=width, places=places)
    depths, phis, names = several(depth), several(activation), several(scheme)
    if unknown := set(names) - set(SCHEMES):
        raise ValueError(f"scheme has {sorted(unknown)}; choose from {', '.join(SCHEMES)}")
    found = []
    for name in names:
        init, scale = SCHEMES[name]
        net = sweep(
            depth=depths,
            activation=phis,
            init=init,
            sigma_w=scale(width),
            seed=list(seed),
            width=width,
            batch=batch,
            progress=False,
        ).isel(step=0)
        h = net.activation_rms.shift(layer=-1).where(net.layer <= net.depth)
        found.append(
            spread(
                xr.Dataset({"activation_rms": h, "signal": relative_to_top(net.signal)})
            ).drop_vars("sigma_w", errors="ignore")
        )
    data = xr.concat(
        found, xr.Variable("scheme", names), coords="minimal", compat="override", join="outer"
    )
    data = data.assign(
        {
            q: (("scheme", "depth", "activation", "layer"), v)
            for q, v in _predict(depths, phis, names, width, data.layer).items()
        }
    )
    data["total"] = data.signal.sel(layer=1)
    data = keep_places(data, depths, places)
    for name, label in {
        "scheme": "initialization",
        "activation_rms": "size of h, root mean square",
        "signal": "|δ|, last hidden layer = 1",
        "activation_rms_theory": "mean-field theory",
        "signal_theory": "mean-field theory",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def _predict(depths, phis, names, width, layer):
    """Mean-field size of h and signal over (scheme, depth, activation, layer)."""
    out = np.full((2, len(names), len(depths), len(phis), len(layer)), np.nan)
    for i, j, k in np.ndindex(len(names), len(depths), len(phis)):
        init, scale = SCHEMES[names[i]]
        sigma = scale(width) * SCALE.get(init, 1.0)
        predict = _unit_variance if init == "lsuv" else _mean_field
        out[:, i, j, k, : depths[j]] = predict(depths[j], find(phis[k]), sigma)
    return {"activation_rms_theory": out[0], "signal_theory": out[1]}


def _unit_variance(depth, phi, sigma):
    """Size of h and signal of every layer, where every pre-activation has variance 1."""
    kept, slopes = _mean_square(phi, 1.0), _mean_square(phi.slope, 1.0)
    layers_above = depth - np.arange(1, depth + 1)
    return np.full(depth, kept**0.5), (slopes / kept) ** (0.5 * layers_above)


def _mean_field(depth, phi, sigma):
    """Size of h and signal of every layer, for the digits and weights of variance σ²/n."""
    q = sigma**2 * np.square(digits().x_train.astype(float)).mean()
    signal, size = theory.gradient_profile([depth], phi, sigma, q1=q)[0][0], []
    for _ in range(depth):
        square = _mean_square(phi, q)
        size.append(square**0.5)
        q = sigma**2 * square
    return size, signal


def _mean_square(f, q):
    """E[f(√q z)²]."""
    return float(theory.gaussian_mean(lambda z: f(z) ** 2, q))
