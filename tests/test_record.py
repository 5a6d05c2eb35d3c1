"""Packing there and back, and what is said of spreads and of layers."""

import json
import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gradbook as gb
from gradbook import record

numbers = st.floats(-1e307, 1e307) | st.just(math.nan) | st.just(math.inf) | st.just(0.0)


@given(
    hnp.arrays(
        float, hnp.array_shapes(min_dims=0, max_dims=3, max_side=5, min_side=0), elements=numbers
    )
)
def test_packing_keeps_numbers(values):
    dims = [f"axis{i}" for i in range(values.ndim)]
    data = xr.Dataset({"v": (dims, values)}, {d: np.arange(n) for d, n in zip(dims, values.shape)})
    back = record.unpack(json.loads(json.dumps(record.pack(data)))).v.values
    finite = np.isfinite(values)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
    np.testing.assert_array_equal(np.isposinf(back), np.isposinf(values))
    if finite.any():
        packed = record.pack(data)["values"]["v"]
        if packed["log"]:
            np.testing.assert_array_equal(back[finite] == 0, values[finite] == 0)
            some = finite & (values > 0)
            np.testing.assert_allclose(
                np.log(back[some]), np.log(values[some]), atol=packed["span"] / 65530
            )
        else:
            reach = np.ptp(values[finite])
            np.testing.assert_allclose(
                back[finite], values[finite], atol=reach / 65530 + 1e-12 * abs(values[finite]).max()
            )


def test_packing_keeps_whole_numbers_words_and_labels():
    data = xr.Dataset(
        {"n": ("x", [1, 57, 100]), "word": ("x", ["vanishes", "explodes", "σ"])},
        {"x": [0.5, 1.0, 2.0]},
    )
    back = record.unpack(json.loads(json.dumps(record.pack(record.describe(data)))))
    assert back.n.values.tolist() == [1.0, 57.0, 100.0] and back.word.values.tolist() == [
        "vanishes",
        "explodes",
        "σ",
    ]
    assert back.n.attrs["long_name"] == "n" and back.x.values.tolist() == [0.5, 1.0, 2.0]


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(ValueError, match="a range below"):
        record.pack(xr.Dataset({"v": ("x", [-1.7e308, 1.7e308])}, {"x": [0, 1]}))
    with pytest.raises(ValueError, match="−inf"):
        record.pack(xr.Dataset({"v": ("x", [-math.inf])}, {"x": [0]}))


def test_spread_is_the_median_and_the_range_with_diverged_networks_on_top():
    data = xr.Dataset(
        {"loss": (("x", "seed"), [[3.0, 1.0, 2.0], [1.0, math.nan, 2.0], [math.nan] * 3])},
        {"seed": [0, 1, 2]},
    )
    made = record.spread(data)
    assert made.loss.values[:2].tolist() == [2.0, 2.0]
    assert made.loss_low.values[:2].tolist() == [1.0, 1.0] and made.loss_high.values[
        :2
    ].tolist() == [3.0, math.inf]
    assert np.isnan(made.loss.values[2])
    with pytest.raises(ValueError, match="axis 'run' is not in the data"):
        record.spread(data, over="run")


def test_growth_is_a_geometric_mean_without_zeros():
    net = gb.sweep(depth=6, width=8, seed=[0]).isel(step=0)
    profile = record.relative_to_top(net.signal).copy(
        data=np.array([[0, 0, 0.125, 0.25, 0.5, 1.0, np.nan]])
    )
    assert record.growth_per_layer(profile).item() == pytest.approx(0.5)
