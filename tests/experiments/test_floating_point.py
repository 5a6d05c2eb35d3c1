"""Weights in a format against torch's own, and the layers at which signals leave one."""

import numpy as np
import pytest
import torch

from gradbook import data, experiments, nets, sweeps, theory
from gradbook.experiments import floating_point


def losses_by_torch(lr, seed, steps, dtype):
    """A network of modules whose parameters are written back in ``dtype`` after each step."""
    weights, _ = sweeps.draw_weights(
        "normal", [(64, 64), (64, 10)], [seed], [2**0.5] * 1, [0.0], torch.device("cpu")
    )
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    with torch.no_grad():
        for layer, W in zip(net[::2], weights):
            layer.weight.copy_(W[0].T.to(dtype))
            layer.bias.zero_()
    d = data.digits()
    x, y = torch.from_numpy(d.x_train), torch.from_numpy(d.y_train)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    for rows in sweeps.batches([seed], len(x), 32, steps):
        loss = torch.nn.functional.cross_entropy(net(x[rows[0]]), y[rows[0]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(p.to(dtype))
        yield loss.item()


@pytest.mark.parametrize("way, dtype", [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_weights_are_kept_as_torch_would(way, dtype):
    found = experiments.keep_weights(way, 0.05, steps=12, seed=[3, 5])
    for seed in (3, 5):
        theirs = list(losses_by_torch(0.05, seed, 12, dtype))
        np.testing.assert_allclose(found.loss.sel(seed=seed), theirs, rtol=2e-2)
        np.testing.assert_allclose(found.loss.sel(seed=seed)[:3], theirs[:3], rtol=1e-4)


def test_only_rounding_to_the_nearest_stands_still():
    unmoved = {
        way: experiments.keep_weights(way, 1e-3, steps=300, seed=[0]).unmoved.item()
        for way in floating_point.WAYS
    }
    assert unmoved["bfloat16"] > 75 > 40 > max(unmoved["stochastic"], unmoved["float32"])
    assert unmoved["compensated"] < 40


@pytest.mark.parametrize("activation, sigma_w", [("sigmoid", 1.0), ("tanh", 0.6), ("relu", 2.5)])
def test_signals_leave_a_format_where_they_are_predicted_to(activation, sigma_w):
    found = experiments.leaving(["float16", "float64"], activation, sigma_w, depth=60, every=1)
    forward, back = experiments.layer_factors(activation, sigma_w)
    predicted = min(theory.format_depth(f, "float16") for f in (forward, back))
    assert abs(found.left.sel(format="float16").item() - 1 - predicted) <= 2
    assert (found.sel(format="float64")[["forward", "backward"]].to_array() == 0).all()
    assert found.verdict.sel(format="float64").item() == "the format holds everything"


def test_factors_are_those_of_a_wide_network():
    rng = np.random.default_rng(0)
    for name, sigma_w in (("relu", 1.9), ("tanh", 0.7), ("sigmoid", 1.5)):
        h = rng.normal(size=(50, 1000))
        sizes = []
        for _ in range(12):
            z = h @ (sigma_w * rng.normal(size=(1000, 1000)) / 1000**0.5)
            sizes.append(np.sqrt((z**2).mean()))
            h = nets.activation(name)(z)
        assert sizes[-1] / sizes[-2] == pytest.approx(
            experiments.layer_factors(name, sigma_w)[0], rel=0.05
        )


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: experiments.keep_weights("fp16", 0.1), "way is 'fp16'; choose from float32"),
        (lambda: experiments.keep_weights("float32", 0.0), "lr"),
        (lambda: experiments.keep_weights("float32", 0.1, seed=[]), "seed is empty"),
        (lambda: experiments.leaving("float8_e4m3fn", "tanh", 1.0), "has no infinity"),
        (lambda: experiments.leaving("half", "tanh", 1.0), "format has"),
        (lambda: experiments.leaving("float16", "tanh", 1.0, depth=1), "depth"),
        (lambda: experiments.leaving("float16", "tanh", []), "sigma_w is empty"),
        (lambda: experiments.leaving("float16", "step", 1.0), "step"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
