"""Batch sizes against a single sweep; steps to a goal against torch's own optimizer."""

import numpy as np
import pytest
import torch

from gradbook import data, experiments, sweeps


def test_a_cell_is_a_sweep():
    found = experiments.batch_sizes([16, 32], [0.1, 0.2], examples=640, seed=[0, 3])
    assert dict(found.loss.sizes) == {"batch": 2, "lr": 2, "seen": 12}
    assert found.steps.values.tolist() == [40, 20]
    alone = sweeps.sweep(
        depth=1,
        width=64,
        activation="relu",
        sigma_w=2**0.5,
        lr=[0.1, 0.2],
        seed=[0, 3],
        batch=32,
        steps=20,
        progress=False,
    )
    here = found.sel(batch=32)
    np.testing.assert_allclose(here.accuracy, 100 * alone.accuracy.mean("seed"), rtol=1e-6)
    ends = alone.loss.isel(step=[0, -1]).median("seed").transpose("lr", "step")
    np.testing.assert_allclose(
        here.loss.isel(seen=[0, -1]).transpose("lr", "seen"), ends, rtol=1e-5
    )


def test_a_rate_far_too_large_is_said_so():
    found = experiments.batch_sizes(1, [0.05, 30.0], examples=300, seed=[0])
    assert found.verdict.sel(lr=30.0).item() in ("it blows up for some seed", "it does not learn")


def by_torch(target, batch, lr, seed):
    """The first step at which a network of modules is there, with the same draws."""
    cpu, sizes = torch.device("cpu"), [(64, 64), (64, 10)]
    weights, _ = sweeps.draw_weights("normal", sizes, [seed], [2**0.5], [0.0], cpu)
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    with torch.no_grad():
        for layer, W in zip(net[::2], weights):
            layer.weight.copy_(W[0].T)
            layer.bias.zero_()
    d = data.digits()
    x, y = torch.from_numpy(d.x_train), torch.from_numpy(d.y_train)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    for step, rows in enumerate(sweeps.batches([seed], len(x), batch, 100), 1):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x[rows[0]]), y[rows[0]]).backward()
        optimizer.step()
        with torch.no_grad():
            if torch.nn.functional.cross_entropy(net(x), y) <= target:
                return step
    return np.inf


def test_steps_are_those_of_torch():
    for seed in (0, 4):
        each = {lr: by_torch(1.0, 64, lr, seed) for lr in (0.1, 0.4)}
        best = min(each, key=each.get)
        found = experiments.steps_to(1.0, 64, [0.1, 0.4], seed=[seed])
        assert found == (each[best], pytest.approx(best))


def test_a_goal_out_of_reach_takes_for_ever():
    steps, _ = experiments.steps_to(1e-6, 32, [0.01], seed=[0], limit=5)
    assert steps == np.inf


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: experiments.batch_sizes(0, 0.1), "batch"),
        (lambda: experiments.batch_sizes(4000, 0.1), "batch"),
        (lambda: experiments.batch_sizes(4, -0.1), "lr"),
        (lambda: experiments.batch_sizes(4, []), "lr is empty"),
        (lambda: experiments.batch_sizes([], 0.1), "batch is empty"),
        (lambda: experiments.batch_sizes(4, 0.1, examples=0), "examples"),
        (lambda: experiments.steps_to(0.5, 4, []), "lr is empty"),
        (lambda: experiments.steps_to(0.5, 4, 0.1, seed=[]), "seed is empty"),
        (lambda: experiments.steps_to(0.0, 4, [0.1]), "target"),
        (lambda: experiments.steps_to(0.5, 0, [0.1]), "batch"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
