"""The grid against sweep."""

import math

import numpy as np
import pytest

import gradbook as gb
from gradbook import experiments


def test_trainability_is_what_sweep_trains():
    made = experiments.trainability(
        [2, 12], "tanh", [0.5, 1.3], sigma_b=0.2, seed=[0, 3], width=16, steps=20, places=4
    )
    net = gb.sweep(
        depth=12,
        activation="tanh",
        sigma_w=1.3,
        sigma_b=0.2,
        seed=[0, 3],
        width=16,
        lr=0.03,
        steps=20,
        record_every=10,
    )
    here = made.sel(depth=12, sigma_w=1.3, activation="tanh")
    assert here.accuracy.item() == pytest.approx(100 * net.accuracy.mean().item(), abs=0.06)
    np.testing.assert_allclose(here.loss_high, net.loss.max("seed"), rtol=1e-5)
    assert here.scale.item() == pytest.approx(
        1 / abs(math.log(gb.chi("tanh", 1.3, 0.2)))
    ) and here.limit.item() == pytest.approx(6 * here.scale.item())
    ratio = (net.signal.isel(step=0).sel(layer=1) / net.signal.isel(step=0).sel(layer=12)).median()
    assert here.signal[0].item() == pytest.approx(
        ratio.item(), rel=1e-5
    ) and here.layer.values.tolist() == [1, 5, 8, 12]
    assert made.verdict.sel(depth=12, sigma_w=0.5).item() == "does not learn"
