"""Remedy × failure against single sweeps, and dropout against torch's."""

from functools import partial

import numpy as np
import pytest
import torch

from gradbook import experiments, nets, sweeps

SMALL = dict(depth=4, width=16, steps=20, seed=range(2), lr=[0.1, 0.3], record_every=20)


def test_a_cell_is_a_sweep():
    made = experiments.remedy_matrix(
        "tanh, σ_w = 3", ["none", "initialization of its own", "L2, strength 0.1"], **SMALL
    ).squeeze("failure")
    plain = sweeps.sweep(activation="tanh", sigma_w=3.0, **SMALL)
    np.testing.assert_allclose(made.accuracy.sel(remedy="none"), 100 * plain.accuracy, atol=1e-12)
    own = sweeps.sweep(activation="tanh", init="xavier", sigma_w=1.0, **SMALL)
    np.testing.assert_allclose(
        made.accuracy.sel(remedy="initialization of its own"), 100 * own.accuracy, atol=1e-12
    )
    chosen = own.loss.isel(step=-1).median("seed").idxmin("lr").item()
    here = made.sel(remedy="initialization of its own")
    assert here.best_lr.item() == chosen
    assert here.best.item() == pytest.approx(100 * own.accuracy.sel(lr=chosen).mean().item())
    assert here.least <= here.best <= here.most


def test_twice_the_same():
    one, two = (experiments.remedy_matrix("sigmoid", "dropout, 20 %", **SMALL) for _ in range(2))
    assert one.identical(two)


def test_dropout_has_torchs_moments_and_stops_for_tests():
    x = torch.ones(4, 500, 30)
    weights, biases = [torch.eye(30), torch.eye(30)], [torch.zeros(1, 30)] * 2
    net = partial(experiments.dropout, net=nets.mlp, rng=torch.Generator().manual_seed(0), p=0.3)
    ours = net(x, weights, biases, nets.activation("relu"))[-1]
    theirs = torch.nn.functional.dropout(x, 0.3)
    assert sorted(ours.unique().tolist()) == pytest.approx(sorted(theirs.unique().tolist()))
    assert ours.mean().item() == pytest.approx(
        1, abs=0.01
    ) and ours.square().mean().item() == pytest.approx(1 / 0.7, abs=0.02)
    with torch.no_grad():
        assert torch.equal(net(x, weights, biases, nets.activation("relu"))[-1], x)


def test_skips_are_the_remedy_of_deep_sigmoids():
    made = experiments.remedy_matrix(
        "sigmoid",
        ["none", "skips with 1/√L", "clipping at norm 1"],
        depth=12,
        seed=range(2),
        lr=[1.0],
        steps=60,
    ).squeeze()
    assert made.verdict.values.tolist() == ["does not train", "trains", "does not train"]


@pytest.mark.parametrize(
    "bad, says",
    [
        ({"failure": "relu"}, "choose from sigmoid"),
        ({"remedy": "none of them"}, "choose from none"),
        ({"lr": [0.0]}, "lr is"),
        ({"depth": 0}, "depth is 0"),
    ],
)
def test_bad_input(bad, says):
    with pytest.raises(ValueError, match=says):
        experiments.remedy_matrix(**{"failure": "sigmoid", "remedy": "none", **bad})
