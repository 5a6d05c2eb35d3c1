"""A mark of how a machine adds, and twins that differ in one bit."""

import pytest
import torch

import gradbook as gb


def test_a_fingerprint_repeats_and_sees_a_nudge(monkeypatch):
    mark = gb.experiments.fingerprint()
    assert mark == gb.experiments.fingerprint() and len(mark) == 8
    monkeypatch.setenv("GRADBOOK_NUDGE", "1")
    assert gb.experiments.fingerprint() != mark


def test_twins_without_the_bit_stay_equal_and_one_bit_is_one_bit():
    given = dict(seed=range(2), depth=3, width=16, steps=5)
    assert gb.experiments.twins(bits=0, **given).distance.max() == 0
    first = gb.experiments.twins(**given).distance.isel(step=0)
    assert (
        (first.sel(layer=1) > 0).all()
        and first.sel(layer=1).max() < 2**-23
        and first.sel(layer=slice(2, None)).max() == 0
    )


def test_the_bit_is_never_on_a_pixel_that_is_always_0():
    """Seed 10's largest weight is on one."""
    assert (
        gb.experiments.twins([10], depth=2, width=64, steps=30, lr=0.3)
        .distance.isel(step=-1)
        .sel(layer=3)
        > 0
    )


def test_twins_cannot_be_farther_apart_than_both_have_gone():
    run = gb.experiments.twins(range(2), depth=3, width=16, steps=40, lr=1.0)
    assert run.moved.isel(step=0).max() == 0 < run.moved.isel(step=-1).min()
    assert (run.distance <= 2.1 * run.moved.max("seed") + 1e-6).all()


def test_twins_train_as_torch_does():
    """The first twin is the network that PyTorch trains from the same weights on the same rows: the
    same answers on the test digits.
    """
    from gradbook import nets, sweeps

    depth, width, steps, lr = 2, 16, 40, 0.1
    found = gb.experiments.twins([5], depth=depth, width=width, steps=steps, lr=lr, sigma_b=0.0)
    d = gb.digits()
    sizes = nets.layer_sizes(nets.mlp, 64, depth, width, 10)
    weights, _ = sweeps.draw_weights("normal", sizes, [5], [1.3], [0.0], "cpu")
    model = torch.nn.Sequential(
        *[part for i, o in sizes for part in (torch.nn.Linear(i, o), torch.nn.Tanh())][:-1]
    )
    with torch.no_grad():
        for layer, W in zip(model[::2], weights):
            layer.weight.copy_(W[0].T)
            layer.bias.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for rows in list(sweeps.batches([5], len(d.x_train), 32, steps)):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(
            model(torch.from_numpy(d.x_train[rows[0]])), torch.from_numpy(d.y_train[rows[0]])
        ).backward()
        optimizer.step()
    right = (model(torch.from_numpy(d.x_test)).argmax(1).numpy() == d.y_test).mean()
    assert abs(found.accuracy.sel(twin=0).item() - right) < 0.01  # sums are in another order


def test_strangers_are_as_far_apart_as_independent_vectors():
    first = gb.experiments.twins(range(4), depth=3, width=128, steps=0).strangers
    assert abs(first - 2**0.5).max() < 0.05


@pytest.mark.parametrize(
    "wrong", [{"bits": -1}, {"steps": 1.5}, {"depth": 0}, {"activation": "sine"}]
)
def test_twins_refuse(wrong):
    with pytest.raises(ValueError, match="must be|does not exist|unknown|choose"):
        gb.experiments.twins(**{"seed": [0], "steps": 1} | wrong)
