"""The vocabulary of everything measured, and the packing of data sets for the web.

Results are xarray data sets whose axes and quantities have the names below; ``describe`` gives each
its label.  ``pack`` turns a data set into a small JSON value and ``unpack`` brings it back.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr

XArray = TypeVar("XArray", xr.Dataset, xr.DataArray)

__all__ = [
    "LABELS",
    "describe",
    "spread",
    "relative_to_top",
    "growth_per_layer",
    "keep_places",
    "pack",
    "unpack",
]

#: The vocabulary of axes and quantities, with their names in words.
#:
#: >>> gb.record.LABELS["signal"]
#: 'backpropagated signal |δ|'
LABELS = {
    "activation": "activation φ",
    "init": "initialization",
    "depth": "hidden layers L",
    "width": "units per layer n",
    "sigma_w": "weight scale σ_w",
    "sigma_b": "bias scale σ_b",
    "lr": "learning rate",
    "seed": "seed",
    "step": "step",
    "layer": "layer l (1 = next to the input)",
    "loss": "training loss",
    "accuracy": "accuracy",
    "signal": "backpropagated signal |δ|",
    "grad_norm": "weight gradient |∂L/∂W|",
    "example_grad_norm": "weight gradient of one example",
    "signal_in_time": "gradient of the state |∂L/∂h_t|",
    "input_signal_in_time": "gradient of the input |∂L/∂x_t|",
    "time": "time step t",
    "update_ratio": "update ratio |ΔW|/|W|",
    "activation_rms": "root mean square of h",
    "overflow_layer": "first layer with a value that is not finite (0: none)",
    "diverged": "loss is not finite",
}


def describe(data: XArray) -> XArray:
    """``data`` with a ``long_name`` on every axis and quantity of the vocabulary that has none.

    >>> import xarray as xr
    >>> gb.record.describe(xr.Dataset({"signal": ("layer", [0.5, 1.0])})).signal.long_name
    'backpropagated signal |δ|'
    """
    for name in data.variables:
        data[name].attrs.setdefault("long_name", LABELS.get(str(name), str(name)))
    return data


def spread(data: xr.Dataset, over: str = "seed") -> xr.Dataset:
    """Median of every quantity over the axis ``over``, with ``…_low`` and ``…_high``, the least and
    the largest.

    Values that are not finite take part: a diverged network pulls ``high`` to inf, and NaN counts
    as inf.

    >>> import xarray as xr
    >>> s = gb.record.spread(xr.Dataset({"loss": ("seed", [1.0, 2.0, 9.0])}))
    >>> s.loss.item(), s.loss_low.item(), s.loss_high.item()
    (2.0, 1.0, 9.0)
    """
    if over not in data.dims:
        raise ValueError(
            f"axis {over!r} is not in the data, whose axes are {', '.join(map(str, data.dims))}"
        )
    out = {}
    for name, value in data.data_vars.items():
        if over not in value.dims:
            out[name] = value
            continue
        ranked = value.astype(float).fillna(np.inf).where(~value.isnull().all(over))
        out[name] = ranked.median(over, keep_attrs=True)
        out[f"{name}_low"], out[f"{name}_high"] = ranked.min(over), ranked.max(over)
    return describe(xr.Dataset(out, attrs=data.attrs))


def relative_to_top(quantity: xr.DataArray, depth: int | None = None) -> xr.DataArray:
    """``quantity`` (…, layer) of the hidden layers, divided by its value in the last of them.

    >>> import xarray as xr
    >>> signal = xr.DataArray([1.0, 2.0, 4.0], {"layer": [1, 2, 3]})
    >>> gb.record.relative_to_top(signal, depth=3).values.tolist()
    [0.25, 0.5, 1.0]
    """
    depth = quantity.depth if depth is None else depth
    top = quantity.where(quantity.layer == depth).sum("layer", skipna=True, min_count=1)
    return (quantity / top).where(quantity.layer <= depth)


def growth_per_layer(profile: xr.DataArray) -> xr.DataArray:
    """Geometric mean of profile(l)/profile(l+1): the factor per layer on the way back to the input.

    Steps from or to 0, infinity or NaN are left out.

    >>> import xarray as xr
    >>> signal = xr.DataArray([1.0, 2.0, 4.0], {"layer": [1, 2, 3]})
    >>> float(gb.record.growth_per_layer(signal))
    0.5
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(profile)
        step = log.shift(layer=1) - log
    return np.exp(step.where(np.isfinite(step)).mean("layer"))


def keep_places(data: xr.Dataset, depths: Sequence[int], places: int) -> xr.Dataset:
    """Replace the axis ``layer`` by ``places`` layers, evenly spaced, for each depth.

    >>> data = gb.sweep(depth=[30], progress=False)
    >>> gb.record.keep_places(data, [30], places=4).layer.values.tolist()
    [[1.0, 11.0, 20.0, 30.0]]
    """
    rows = []
    for L in depths:
        layers = np.unique(np.linspace(1, L, min(L, places)).round().astype(int))
        here = data.sel(depth=[L], layer=layers).rename(layer="place")
        here["layer"] = (("depth", "place"), layers[None].astype(float))
        rows.append(here.assign_coords(place=np.arange(len(layers))))
    return xr.concat(
        rows, "depth", join="outer", data_vars="minimal", coords="minimal", compat="override"
    )


TOP, ZERO, INF, NAN = 65530, 65531, 65532, 65533  # codes above TOP are not on the scale


def pack(data: xr.Dataset) -> dict[str, Any]:
    """``data`` as a JSON value; numbers keep about 5 digits of their range, or of its logarithm.

    Quantities that span more than a factor of 100 are kept on a logarithmic scale.  Text quantities
    and axes are kept exactly.

    >>> import xarray as xr
    >>> loss = xr.DataArray([2.3, 0.1, 0.0], {"step": [0, 10, 20]})
    >>> packed = gb.record.pack(xr.Dataset({"loss": loss}))
    >>> gb.record.unpack(packed).loss.values.round(3).tolist()
    [2.3, 0.1, 0.0]
    """

    def one(variable):
        if variable.dtype.kind in "UOT":
            words = sorted(set(variable.values.reshape(-1).tolist()))
            codes = [words.index(v) for v in variable.values.reshape(-1).tolist()]
            return {"dims": list(variable.dims), "words": words, "codes": codes}
        return {"dims": list(variable.dims), **_encode(variable.values)}

    axes = {str(d): data[d].values.tolist() for d in data.dims}
    labels = {
        str(v): data[v].attrs["long_name"]
        for v in [*data.dims, *data.data_vars]
        if "long_name" in data[v].attrs
    }
    return {
        "axes": axes,
        "labels": labels,
        "values": {str(k): one(v) for k, v in data.data_vars.items()},
    }


def unpack(packed: dict[str, Any]) -> xr.Dataset:
    """The data set that :func:`pack` made ``packed`` from.

    >>> import xarray as xr
    >>> data = xr.Dataset({"loss": ("step", [2.0, 1.0])}, {"step": [0, 10]})
    >>> gb.record.unpack(gb.record.pack(data)).loss.values.tolist()
    [2.0, 1.0]
    """
    axes = packed["axes"]
    values = {}
    for name, p in packed["values"].items():
        shape = [len(axes[d]) for d in p["dims"]]
        flat = (
            np.array(p["words"])[p["codes"]].reshape(shape) if "words" in p else _decode(p, shape)
        )
        values[name] = (p["dims"], flat)
    data = xr.Dataset(values, axes)
    for name, label in packed["labels"].items():
        data[name].attrs["long_name"] = label
    return data


def _encode(values):
    """Numbers as uint16 on a linear or logarithmic scale, with codes of their own for 0, ∞ and
    NaN.
    """
    values = np.asarray(values, float).reshape(-1)
    finite = values[np.isfinite(values)]
    size = abs(finite[finite != 0])
    log = bool(size.size and (finite >= 0).all() and size.max() / 100 > size.min())
    kept = np.log(size) if log else finite
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (0.0, 0.0)
    if not math.isfinite(high / 2 - low / 2) or abs(high / 2 - low / 2) > 8e307:
        raise ValueError(
            f"a quantity runs from {low:g} to {high:g}; pack() needs a range below 1.6e308"
        )
    span = high - low if high > low else 1.0
    if not log and span <= TOP and (kept == kept.round()).all():
        span = TOP  # whole numbers stay whole
    with np.errstate(divide="ignore", invalid="ignore"):
        place = ((np.log(values) if log else values) - low) / span * TOP
    codes = np.where(np.isfinite(place), place, 0).round().clip(0, TOP).astype("<u2")
    codes[np.isnan(values)] = NAN
    codes[np.isposinf(values)] = INF
    if np.isneginf(values).any():
        raise ValueError("a quantity is −inf; pack() keeps finite numbers, 0, inf and NaN")
    if log:
        codes[values == 0] = ZERO
    # all low bytes, then all high bytes: packs better
    halves = codes.view(np.uint8).reshape(-1, 2).T
    return {
        "log": log,
        "low": low,
        "span": span,
        "data": base64.b64encode(zlib.compress(halves.tobytes(), 9)).decode(),
    }


def _decode(packed, shape):
    halves = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), np.uint8)
    codes = np.ascontiguousarray(halves.reshape(2, -1).T).view("<u2").reshape(shape)
    values = packed["low"] + packed["span"] * (codes.astype(float) / TOP)
    with np.errstate(over="ignore"):
        values = np.exp(values) if packed["log"] else values
    for code, value in ((ZERO, 0.0), (INF, math.inf), (NAN, math.nan)):
        values = np.where(codes == code, value, values)
    return values
