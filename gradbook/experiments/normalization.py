"""The signal through deep networks with each normalization, before training, beside its
prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import xarray as xr

from .. import nets, theory
from ..checks import check_whole
from ..data.sets import digits
from ..kinds import Names, Whole
from ..record import describe, keep_places, relative_to_top, spread
from ..sweeps.grids import several
from ..sweeps.sweep import sweep

__all__ = ["NORMALIZATIONS", "compare_normalizations"]

#: Perceptrons with each normalization, and with none.
#:
#: >>> list(gb.experiments.NORMALIZATIONS)[:2]
#: ['none', 'batch']
NORMALIZATIONS = {
    "none": nets.mlp,
    "batch": nets.normalized,
    "layer": partial(nets.normalized, norm=nets.layer_norm),
    "group": partial(nets.normalized, norm=partial(nets.group_norm, groups=4)),
    "RMS": partial(nets.normalized, norm=nets.rms_norm),
}


def compare_normalizations(
    depth: Whole,
    activation: Names,
    *,
    width: int = 128,
    batch: int = 128,
    seed: Sequence[int] = range(3),
    places: int = 12,
) -> xr.Dataset:
    """The signal of every layer at initialization, relative to the last hidden layer's, with each
    of NORMALIZATIONS and with none.

    Median over ``seed`` with ``signal_low`` and ``signal_high``, ``signal_theory``, ``growth`` of
    |δ|² per layer predicted, and ``total``, the first layer's signal.  Weights have σ_w = √2 for
    ReLU and 1 otherwise; with a normalization their scale does not matter.

    >>> c = gb.experiments.compare_normalizations([20], ["relu"], seed=[0])
    >>> bool(c.total.sel(normalization="batch") > 10 * c.total.sel(normalization="layer"))
    True
    """
    check_whole(width=width, batch=batch, places=places)
    depths, phis = several(depth), several(activation)
    names = list(NORMALIZATIONS)
    found = []
    for phi in phis:
        net = sweep(
            depth=depths,
            activation=[phi],
            net=NORMALIZATIONS,
            sigma_w=_scale(phi),
            seed=list(seed),
            width=width,
            batch=batch,
            progress=False,
        )
        found.append(spread(relative_to_top(net.signal.isel(step=0)).to_dataset(name="signal")))
    data = (
        xr.concat(found, "activation", join="outer", coords="minimal", compat="override")
        .rename(net="normalization")
        .drop_vars("sigma_w", errors="ignore")
    )
    growth = np.array(
        [
            [
                theory.chi(phi, _scale(phi))
                if name == "none"
                else theory.normalized_growth(name, phi)
                for name in names
            ]
            for phi in phis
        ]
    )
    data["growth"] = (("activation", "normalization"), growth)
    theory_lines = (
        (data.growth ** ((data.depth - data.layer) / 2))
        .where(data.layer <= data.depth)
        .transpose("depth", "activation", "normalization", "layer")
    )
    q = np.square(digits().x_train.astype(float)).mean()
    # without a normalization the variance has a way to go to its fixed point
    for i, L in enumerate(depths):
        for j, phi in enumerate(phis):
            q1 = _scale(phi) ** 2 * q
            [(signal, _)] = theory.gradient_profile([L], phi, _scale(phi), q1=q1)
            theory_lines[i, j, names.index("none"), :L] = signal
    data["signal_theory"] = theory_lines
    data["total"] = data.signal.sel(layer=1)
    data = keep_places(data, depths, places)
    for name, label in {
        "normalization": "normalization",
        "signal": "|δ|, last hidden layer = 1",
        "signal_theory": "predicted",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def _scale(phi):
    return 2**0.5 if phi == "relu" else 1.0
