"""Profiles against the sweep and the theory that they are made of."""

import numpy as np
import pytest

import gradbook as gb
from gradbook import experiments


def test_profiles_are_the_sweeps():
    made = experiments.gradient_profiles(
        [3, 30], "tanh", [1.0, 1.5], seed=range(3), width=32, batch=8, places=10
    )
    assert dict(made.signal.sizes) == {"activation": 1, "depth": 2, "sigma_w": 2, "place": 10}
    net = gb.sweep(depth=30, activation="tanh", sigma_w=1.5, seed=range(3), width=32, batch=8).isel(
        step=0
    )
    ratio = np.sort(net.signal.sel(layer=1) / net.signal.sel(layer=30))
    here = made.sel(activation="tanh", depth=30, sigma_w=1.5)
    np.testing.assert_allclose(
        [here.signal_low[0], here.signal[0], here.signal_high[0]], ratio, rtol=1e-5
    )
    assert here.layer.values[[0, -1]].tolist() == [1, 30]
    assert np.isnan(made.sel(depth=3).signal.isel(place=5)).all()


def test_theory_knows_the_biases():
    made = experiments.gradient_profiles(
        20, "tanh", 1.2, sigma_b=0.6, width=256, seed=range(4), batch=8
    )
    assert made.growth_theory.item() == pytest.approx(made.growth.item(), rel=0.02)
    with pytest.raises(ValueError, match="places is 1"):
        experiments.gradient_profiles(20, "tanh", 1.2, places=1)
