"""The figures of a report: one pass, layer by layer; a run, layer by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ..show import plot
from ..show.explorer import Explorer
from ..show.views import Lines

__all__ = ["pass_figure", "run_figure", "run_explorer"]

FEW = 16  # layers that can be named on an axis
CELLS = 20_000  # layers × steps that a page holds


def pass_figure(data: xr.Dataset) -> Figure:
    """Gradients over the layers, and beside them how far a step moves, or how much is dead."""
    fig, (left, right) = plot.axes(2, height=3.6, xlabel="layer")
    layers = places(data)
    for name, label in (("signal", "signal |δ|"), ("grad_norm", "weight gradient |∂L/∂W|")):
        left.plot(layers, positive(data[name]), "o", label=label, c=plot.COLORS[name])
    left.set(yscale="log", ylabel="size")
    left.legend()
    if "update_ratio" in data:
        right.plot(layers, positive(data.update_ratio), "o", c=plot.COLORS["activation_rms"])
        right.set(yscale="log", ylabel="update ratio |ΔW|/|W|")
    else:
        for name in ("dead", "saturation"):
            if data[name].notnull().any():
                right.plot(layers, 100 * data[name].values, "o", label=name)
                right.legend()
        right.set(ylabel="% of what feeds the layer", ylim=(-3, 103))
    for ax in (left, right):
        name_layers(ax.xaxis, data)
    return fig


def run_figure(data: xr.Dataset) -> Figure:
    """The loss, over a map of the signal, layer by step; what happened is marked in both."""
    ratios = {"height_ratios": (1, 1.6)}
    fig, (above, below) = plot.axes(nrows=2, width=7.4, height=5, sharex=True, gridspec_kw=ratios)
    if "seen" in data.dims:
        above.plot(data.seen.values, data.loss.values, c=plot.COLORS["signal"])
        finite = data.loss.values[np.isfinite(data.loss.values)]
        if finite.size and finite.min() > 0 and finite.max() > 100 * finite[0]:
            above.set(yscale="log")
    above.set(ylabel="loss")
    signal = np.ma.log10(np.ma.masked_invalid(positive(data.signal).T))
    mesh = below.pcolormesh(data.step.values, places(data), signal, cmap="cividis", rasterized=True)
    fig.colorbar(mesh, ax=below, label="log₁₀ of the signal |δ|")
    below.set(xlabel="step", ylabel="layer")
    below.invert_yaxis()
    below.grid(visible=False)
    name_layers(below.yaxis, data)
    for n, (label, step) in enumerate(events(data).items()):
        for ax in (above, below):
            ax.axvline(step, ls=(":", "--", "-.")[n % 3], c=plot.COLORS["exploding"], label=label)
        above.legend()
    return fig


def events(data: xr.Dataset) -> dict[str, Any]:
    """{what happened first: its step}."""
    found = {}
    broken = (data.not_finite > 0).any("layer").values
    if broken.any():
        found["not finite"] = data.step.values[broken][0]
    if skipped := data.attrs.get("skipped"):
        found["skipped by the scaler"] = skipped[0]
    if len(kept := data.attrs.get("kept") or []) > 1:
        found["gradients kept"] = kept[0]
    return found


def run_explorer(data: xr.Dataset) -> Explorer:
    """The layers at every step, to move through; thinned where there are many."""
    layers, every = data.sizes["layer"], -(-data.sizes["layer"] * data.sizes["step"] // CELLS)
    kept = data.isel(step=slice(None, None, every))
    names = data.layer.values.astype(str)
    filled = kept.signal.fillna(-1).values
    at = {"step": kept.step.values, "layer": np.arange(1, layers + 1)}
    shown = xr.Dataset(
        {
            **{q: (("step", "layer"), kept[q].values.astype(float)) for q in QUANTITIES},
            "highest": ("step", names[filled.argmax(1)]),
            "most": ("step", filled.max(1)),
        },
        at,
    )
    caption = ["At step {step} the signal is largest in layer {highest}: {most}."]
    if "seen" in data.dims:
        loss = np.interp(kept.step.values, data.seen.values, data.loss.values)
        shown["loss"] = ("step", loss)
        caption.append("The loss is {loss}.")
    if every > 1:
        caption.append(f"Of the steps measured, one in {every} is shown.")
    return Explorer(
        shown,
        [
            Lines("layer", ("signal", "grad_norm"), yscale="log", xlabel="layer", ylabel="size"),
            Lines("layer", ("update_ratio",), yscale="log", xlabel="layer", ylabel="|ΔW|/|W|"),
        ],
        name="run",
        title="Step by step",
        caption=caption,
        play="step",
    )


QUANTITIES = ("signal", "grad_norm", "update_ratio")


def places(data):
    return np.arange(1, data.sizes["layer"] + 1)


def positive(values):
    """What a logarithmic axis can show."""
    values = values.values.astype(float)
    return np.where(values > 0, values, np.nan)


def name_layers(axis, data):
    """The layers' names where there are few, else their numbers."""
    if data.sizes["layer"] <= FEW:
        axis.set_ticks(places(data), [str(name)[-14:] for name in data.layer.values])
        if axis.axis_name == "x":
            axis.set_tick_params(rotation=90)
