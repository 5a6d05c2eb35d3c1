"""Gradients of neighboring inputs against closed forms, mean-field theory and autograd."""

import math

import numpy as np
import pytest
import torch

from gradbook import experiments
from gradbook.experiments import measuring_gradients
from gradbook.nets import activation
from gradbook.theory import correlations


def test_one_layer_is_the_share_of_common_units():
    angle = np.linspace(0, np.pi, 7)
    np.testing.assert_allclose(
        experiments.gradient_correlation(angle, 1), 1 - angle / np.pi, atol=1e-12
    )


def test_it_is_the_slope_of_the_correlation_map():
    c, product = 0.3, 1.0
    for _ in range(4):
        product *= correlations._correlation_slope(c, activation("relu"), 2**0.5, 0.0, 1.0)
        c = correlations.correlation_map(c, "relu", 2**0.5, q=1.0)
    assert experiments.gradient_correlation(math.acos(0.3), 4) == pytest.approx(product, rel=1e-6)


def test_branches_without_weight_do_nothing_and_heavy_ones_are_plain():
    angle = np.linspace(0, 3, 5)
    np.testing.assert_allclose(
        experiments.gradient_correlation(angle, 9, branch=0.0),
        experiments.gradient_correlation(angle, 1),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        experiments.gradient_correlation(angle, 6, branch=1e9),
        experiments.gradient_correlation(angle, 6),
        rtol=1e-6,
    )


@pytest.mark.parametrize("net", ["plain", "residual", "residual, branches 1/√L"])
def test_wide_networks_do_as_predicted(net):
    made = experiments.shattered_gradients(
        [1, 6], net, width=600, points=90, lags=20, seed=range(4)
    )
    assert abs(made.correlation - made.correlation_theory).max() < 0.07
    np.testing.assert_allclose(made.correlation_low.isel(lag=0), 1, rtol=1e-12)
    assert (
        made.half.sel(depth=6).item() < made.half.sel(depth=1).item() == pytest.approx(90, abs=0.2)
    )


def test_gradients_are_differences_of_the_network():
    angles = np.array([0.3, 0.3 + 1e-6])
    rng = np.random.default_rng(5)
    sizes = [64, 20, 20, 20, 1]
    weights = [
        torch.from_numpy(rng.normal(size=s) * (2 / s[0]) ** 0.5) for s in zip(sizes, sizes[1:])
    ]
    across = torch.linalg.qr(torch.from_numpy(rng.normal(size=(64, 2))))[0].T * 8
    x = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], 1)) @ across
    h = x
    for W in weights[:-1]:
        h = torch.relu(h @ W)
    rise = (h @ weights[-1]).diff(dim=0).item()
    gradient = measuring_gradients._input_gradients(angles, 3, None, 20, 5)
    assert (gradient[0] @ (x[1] - x[0]).numpy()).item() == pytest.approx(rise, rel=1e-4)


@pytest.mark.parametrize(
    "bad, says",
    [
        ({"depth": 0}, "depth is 0"),
        ({"net": "dense"}, "choose from plain"),
        ({"width": 0}, "width is 0"),
        ({"lags": 0}, "lags is 0"),
        ({"lags": 9, "points": 8}, "lags is 9"),
        ({"points": 1}, "points is 1"),
    ],
)
def test_bad_input(bad, says):
    with pytest.raises(ValueError, match=says):
        experiments.shattered_gradients(**{"depth": 2, **bad})


def test_as_many_lags_as_points():
    made = experiments.shattered_gradients(2, "plain", width=8, points=12, lags=12, seed=[0])
    assert made.gradient.dims == ("depth", "net", "angle") and made.correlation.dims == (
        "depth",
        "net",
        "lag",
    )
