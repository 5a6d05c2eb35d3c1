"""The gradient of every layer at initialization, measured over seeds, with mean-field theory beside
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.sets import digits
from ..kinds import Names, Numbers, Whole
from ..record import describe, growth_per_layer, keep_places, relative_to_top, spread
from ..sweeps.sweep import sweep
from ..theory.profiles import predicted_profiles

if TYPE_CHECKING:
    import torch

from ..sweeps.grids import several

__all__ = ["gradient_profiles"]

LABELS = {
    "signal": "backpropagated signal |δ|",
    "signal_theory": "mean-field theory",
    "example_grad_norm": "weight gradient of one example",
    "example_grad_norm_theory": "mean-field theory",
}


def gradient_profiles(
    depth: Whole,
    activation: Names,
    sigma_w: Numbers,
    *,
    sigma_b: float = 0.0,
    seed: Sequence[int] = range(5),
    width: int = 128,
    batch: int = 32,
    places: int = 20,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """What the book's emblem shows.

    The gradient layer by layer, for every combination of the sequences given.

    Signal and one example's weight gradient are relative to the last hidden layer: median over
    ``seed``, with ``_low`` and ``_high``.  At most ``places`` layers are kept (``layer`` (depth,
    place)). ``…_theory`` is :func:`gradbook.theory.gradient_profile` for 64 of the digits;
    ``growth`` is the factor per layer of the signal.  The other arguments are those of
    :func:`gradbook.sweeps.sweep`.

    >>> p = gb.experiments.gradient_profiles([30], ["sigmoid"], [1.0], seed=[0], progress=False)
    >>> round(float(p.growth.squeeze()), 2)
    0.23
    """
    if places < 2:
        raise ValueError(
            f"places is {places!r}; at least 2 layers, the first and the last, must be kept"
        )
    axes = {"activation": activation, "depth": depth, "sigma_w": sigma_w}
    grid = {name: several(value) for name, value in axes.items()}
    net = sweep(
        **grid,
        sigma_b=sigma_b,
        seed=list(seed),
        width=width,
        batch=batch,
        device=device,
        progress=progress,
    ).isel(step=0)
    mean_square = np.square(digits().x_train[:64].astype(float)).mean(1)
    predicted = predicted_profiles(**grid, sigma_b=sigma_b, mean_square=mean_square)
    out = {}
    for name in ("signal", "example_grad_norm"):
        profile = relative_to_top(net[name])
        out |= spread(profile.to_dataset(name=name)).data_vars
        out[f"{name}_theory"] = predicted[name]
        if name == "signal":
            out |= spread(growth_per_layer(profile).to_dataset(name="growth")).data_vars
            total = profile.sel(layer=1).median("seed")
            out["zero_up_to"] = (
                (profile == 0).where(net.layer <= net.depth).sum("layer").median("seed")
            )
    out["growth_theory"] = growth_per_layer(predicted["signal"])
    out["overflow_layer"] = net.overflow_layer.max("seed")
    out["trend"] = xr.where(
        out["overflow_layer"] > 0,
        "overflows on the way forward, so that nothing comes back",
        xr.where(
            total > 10,
            "explodes on its way back to the first layer",
            xr.where(
                total < 0.1,
                "vanishes on its way back to the first layer",
                "stays within a factor of 10 on its way back",
            ),
        ),
    )
    data = keep_places(xr.Dataset(out), grid["depth"], places)
    for name, label in LABELS.items():
        data[name].attrs["long_name"] = label
    return describe(data)
