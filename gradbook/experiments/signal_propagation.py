"""Which networks can be trained.

Depth, activation and weight scale on a grid, beside the depth scale of mean-field theory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..data.sets import digits
from ..kinds import Names, Numbers, Whole
from ..record import describe, keep_places, relative_to_top, spread
from ..sweeps.sweep import sweep
from ..theory.correlations import depth_scale
from ..theory.profiles import predicted_profiles

if TYPE_CHECKING:
    import torch

from ..sweeps.grids import several

__all__ = ["trainability"]


def trainability(
    depth: Whole,
    activation: Names,
    sigma_w: Numbers,
    *,
    sigma_b: float = 0.0,
    seed: Sequence[int] = (0, 1),
    width: int = 40,
    lr: float = 0.03,
    steps: int = 100,
    batch: int = 32,
    record_every: int = 10,
    places: int = 12,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Which networks learn.

    Every combination of the sequences given is trained, by gradient descent on mini-batches of the
    digits.

    Returns, over ``seed``, the mean of ``accuracy`` on the test digits, in percent, and medians of
    ``loss`` (step) with ``_low`` and ``_high`` and of the initial ``signal`` (place), relative to
    the last hidden layer, with ``signal_theory``; ``scale``, the depth scale ξ = 1/|ln χ₁| of the
    gradient, and ``limit`` = 6ξ (Schoenholz et al. 2017 use six scales of the correlation, which
    are the same where χ₁ < 1); ``verdict``: learns (above 50 %), hardly learns (above 20 %), does
    not learn, or overflows: the loss of some seed was not finite at a recorded step, and
    ``accuracy`` is NaN.

    >>> t = gb.experiments.trainability([2], ["tanh"], [1.0], steps=50, progress=False)
    >>> t.verdict.item()
    'learns'
    """
    axes = {"activation": activation, "depth": depth, "sigma_w": sigma_w}
    grid = {name: several(value) for name, value in axes.items()}
    net = sweep(
        **grid,
        sigma_b=sigma_b,
        seed=list(seed),
        width=width,
        lr=lr,
        steps=steps,
        batch=batch,
        record_every=record_every,
        device=device,
        progress=progress,
    )
    accuracy = 100 * net.accuracy.where(~net.diverged).mean("seed", skipna=False)
    mean_square = np.square(digits().x_train[:64].astype(float)).mean(1)
    first = relative_to_top(net.signal.isel(step=0, drop=True))
    out = {
        "accuracy": accuracy.round(1),
        **spread(net.loss.to_dataset(name="loss")).data_vars,
        "signal": first.median("seed"),
        "signal_theory": predicted_profiles(
            **grid, sigma_b=sigma_b, mean_square=mean_square
        ).signal,
    }
    scale = [[depth_scale(phi, s, sigma_b) for s in grid["sigma_w"]] for phi in grid["activation"]]
    out["scale"] = (("activation", "sigma_w"), np.array(scale))
    out["limit"] = 6 * xr.DataArray(out["scale"][1], dims=out["scale"][0])
    out["verdict"] = xr.where(
        net.diverged.any("seed"),
        "overflows",
        xr.where(
            accuracy > 50, "learns", xr.where(accuracy > 20, "hardly learns", "does not learn")
        ),
    )
    data = keep_places(xr.Dataset(out), grid["depth"], places)
    for name, label in {
        "signal": "backpropagated signal |δ|",
        "signal_theory": "mean-field theory",
        "accuracy": "% of the test digits right",
        "scale": "depth scale ξ",
        "limit": "six depth scales 6ξ",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)
