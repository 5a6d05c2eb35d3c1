"""The gradient of every layer at initialization, and what training makes of it: measured over seeds, with mean-field theory beside it."""

import numpy as np
import xarray as xr

from . import theory
from .data import digits
from .record import describe, spread
from .sweeps import sweep

__all__ = ["relative_to_top", "growth_per_layer", "gradient_profiles", "trainability"]

LABELS = {
    "signal": "backpropagated signal |δ|", "signal_theory": "mean-field theory",
    "example_grad_norm": "weight gradient of one example", "example_grad_norm_theory": "mean-field theory",
}


def relative_to_top(quantity, depth=None):
    """``quantity`` (…, layer) of the hidden layers, divided by its value in the last of them."""
    depth = quantity.depth if depth is None else depth
    top = quantity.where(quantity.layer == depth).sum("layer", skipna=True, min_count=1)
    return (quantity / top).where(quantity.layer <= depth)


def growth_per_layer(profile):
    """Geometric mean of profile(l)/profile(l+1): the factor per layer on the way back to the input.

    Steps from or to 0, infinity or NaN are left out.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(profile)
        step = log.shift(layer=1) - log
    return np.exp(step.where(np.isfinite(step)).mean("layer"))


def gradient_profiles(depth, activation, sigma_w, *, sigma_b=0.0, seed=range(5), width=128, batch=32, places=20,
                      device=None, progress=True):
    """What the book's emblem shows: the gradient layer by layer, for every combination of the sequences given.

    Signal and one example's weight gradient are relative to the last hidden layer: median over ``seed``,
    with ``_low`` and ``_high``.  At most ``places`` layers are kept (``layer`` (depth, place)).
    ``…_theory`` is :func:`gradbook.theory.gradient_profile` for 64 of the digits; ``growth`` is the factor
    per layer of the signal.  The other arguments are those of :func:`gradbook.sweeps.sweep`.
    """
    if places < 2:
        raise ValueError(f"places is {places!r}; at least 2 layers, the first and the last, must be kept")
    grid = {name: list(np.atleast_1d(value).tolist()) for name, value in
            dict(activation=activation, depth=depth, sigma_w=sigma_w).items()}
    net = sweep(**grid, sigma_b=sigma_b, seed=list(seed), width=width, batch=batch, device=device,
                progress=progress).isel(step=0)
    predicted = _predict(grid, net.layer, sigma_b)
    out = {}
    for name in ("signal", "example_grad_norm"):
        profile = relative_to_top(net[name])
        out |= spread(profile.to_dataset(name=name)).data_vars
        out[f"{name}_theory"] = predicted[name]
        if name == "signal":
            out |= spread(growth_per_layer(profile).to_dataset(name="growth")).data_vars
            total = profile.sel(layer=1).median("seed")
            out["zero_up_to"] = (profile == 0).where(net.layer <= net.depth).sum("layer").median("seed")
    out["growth_theory"] = growth_per_layer(predicted["signal"])
    out["overflow_layer"] = net.overflow_layer.max("seed")
    out["trend"] = xr.where(out["overflow_layer"] > 0, "overflows on the way forward, so that nothing comes back",
                   xr.where(total > 10, "explodes on its way back to the first layer",
                   xr.where(total < 0.1, "vanishes on its way back to the first layer",
                            "stays within a factor of 10 on its way back")))
    data = keep_places(xr.Dataset(out), grid["depth"], places)
    for name, label in LABELS.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def trainability(depth, activation, sigma_w, *, sigma_b=0.0, seed=(0, 1), width=40, lr=0.03, steps=100, batch=32,
                 record_every=10, places=12, device=None, progress=True):
    """Which networks learn: every combination of the sequences given is trained, by gradient descent on mini-batches of the digits.

    Returns, over ``seed``, the mean of ``accuracy`` on the test digits, in percent, and medians of ``loss`` (step) with
    ``_low`` and ``_high`` and of the initial ``signal`` (place), relative to the last hidden layer, with ``signal_theory``;
    ``scale``, the depth scale ξ = 1/|ln χ₁| of the gradient, and ``limit`` = 6ξ (Schoenholz et al. 2017 use six scales of the
    correlation, which are the same where χ₁ < 1); ``verdict``: learns (above 50 %), hardly learns (above 20 %), does not learn,
    or overflows: the loss of some seed was not finite at a recorded step, and ``accuracy`` is NaN.
    """
    grid = {name: list(np.atleast_1d(value).tolist()) for name, value in
            dict(activation=activation, depth=depth, sigma_w=sigma_w).items()}
    net = sweep(**grid, sigma_b=sigma_b, seed=list(seed), width=width, lr=lr, steps=steps, batch=batch,
                record_every=record_every, device=device, progress=progress)
    accuracy = 100 * net.accuracy.where(~net.diverged).mean("seed", skipna=False)
    first = relative_to_top(net.signal.isel(step=0, drop=True))
    out = {"accuracy": accuracy.round(1), **spread(net.loss.to_dataset(name="loss")).data_vars,
           "signal": first.median("seed"), "signal_theory": _predict(grid, net.layer, sigma_b)["signal"]}
    scale = [[theory.depth_scale(phi, s, sigma_b) for s in grid["sigma_w"]] for phi in grid["activation"]]
    out["scale"] = (("activation", "sigma_w"), np.array(scale))
    out["limit"] = 6 * xr.DataArray(out["scale"][1], dims=out["scale"][0])
    out["verdict"] = xr.where(net.diverged.any("seed"), "overflows", xr.where(accuracy > 50, "learns", xr.where(accuracy > 20, "hardly learns", "does not learn")))
    data = keep_places(xr.Dataset(out), grid["depth"], places)
    for name, label in {**LABELS, "accuracy": "% of the test digits right", "scale": "depth scale ξ", "limit": "six depth scales 6ξ"}.items():
        if name in data:
            data[name].attrs["long_name"] = label
    return describe(data)


def _predict(grid, layer, sigma_b):
    """Mean-field signal and weight gradient over the axes of ``grid`` and ``layer``."""
    lengths = np.square(digits().x_train[:64].astype(float)).mean(1)
    values = np.full((2, *(len(axis) for axis in grid.values()), len(layer)), np.nan)
    for i, phi in enumerate(grid["activation"]):
        for k, s in enumerate(grid["sigma_w"]):
            profiles = theory.gradient_profile(grid["depth"], phi, s, sigma_b, q1=s**2 * lengths + sigma_b**2)
            for j, (L, profile) in enumerate(zip(grid["depth"], profiles)):
                values[:, i, j, k, :L] = profile
    dims = [*grid, "layer"]
    return xr.Dataset({"signal": (dims, values[0]), "example_grad_norm": (dims, values[1])}, {**grid, "layer": layer})


def keep_places(data, depths, places):
    """Replace the axis ``layer`` by ``places`` layers, evenly spaced, for each depth."""
    rows = []
    for L in depths:
        layers = np.unique(np.linspace(1, L, min(L, places)).round().astype(int))
        here = data.sel(depth=[L], layer=layers).rename(layer="place")
        here["layer"] = (("depth", "place"), layers[None].astype(float))
        rows.append(here.assign_coords(place=np.arange(len(layers))))
    return xr.concat(rows, "depth", join="outer", data_vars="minimal", coords="minimal", compat="override")
