"""Residual networks in a stack against torch's modules and optimizer."""

import numpy as np
import pytest
import torch
from torch import nn

from gradbook import data, experiments, sweeps


class Block(nn.Module):
    def __init__(self, width, scale):
        super().__init__()
        self.linear, self.scale = nn.Linear(width, width), scale

    def forward(self, z):
        branch = self.linear(torch.relu(z))
        return branch if self.scale is None else z + self.scale * branch


def trained_by_torch(scale, depth, width, seed, lr, steps):
    """A module that begins with our weights and sees our batches."""
    x, y, *_ = map(torch.from_numpy, data.digits())
    sizes = [(64, width), *[(width, width)] * (depth - 1), (width, 10)]
    weights, _ = sweeps.draw_weights("normal", sizes, [seed], [2**0.5], [0.0], torch.device("cpu"))
    blocks = [Block(width, scale) for _ in range(depth - 1)]
    model = nn.Sequential(nn.Linear(64, width), *blocks, nn.ReLU(), nn.Linear(width, 10))
    linear = [model[0], *(b.linear for b in blocks), model[-1]]
    for layer, W in zip(linear, weights):
        layer.weight.data, layer.bias.data = W[0].detach().T.clone(), torch.zeros(W.shape[-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for rows in sweeps.batches([seed], len(x), 32, steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows[0]]), y[rows[0]]).backward()
        optimizer.step()
    return model


def right(model):
    _, _, x, y = map(torch.from_numpy, data.digits())
    return 100 * (model(x).argmax(1) == y).double().mean().item()


@pytest.mark.parametrize("scale", [0.4, None])
def test_blocks_are_left_out_as_of_a_torch_module(scale):
    options = {"width": 16, "lr": 0.1, "steps": 40}
    found = experiments.delete_blocks(scale, 5, **options, seed=[3, 4])
    for seed in (3, 4):
        model, here = trained_by_torch(scale, 5, seed=seed, **options), found.sel(seed=seed)
        assert here.accuracy.item() == pytest.approx(right(model), abs=0.5)
        for block in range(2, 6):
            layers = [m for k, m in enumerate(model) if k != block - 1]
            expected = right(nn.Sequential(*layers))
            assert here.without_one.sel(block=block).item() == pytest.approx(expected, abs=0.5)
        first = nn.Sequential(model[0], *model[-2:])
        assert here.without.isel(deleted=-1).item() == pytest.approx(right(first), abs=0.5)
        assert here.without.isel(deleted=0).item() == pytest.approx(here.accuracy.item())


def test_a_map_of_scales_is_made_of_sweeps():
    found = experiments.branch_scales([4, 12], ["0", "1/L", "1"], [0.1, 0.3], steps=30, seed=[0, 1])
    assert dict(found.accuracy.sizes) == {"depth": 2, "scale": 3, "lr": 2}
    model = trained_by_torch(1 / 12, 12, 32, 1, 0.3, 30)
    alone = experiments.branch_scales([12], ["1/L"], 0.3, steps=30, seed=[1])
    assert alone.accuracy.item() == pytest.approx(right(model), abs=0.5)
    np.testing.assert_allclose(found.signal.sel(scale="0", depth=12).dropna("place"), 1, rtol=1e-5)
    ends = found.signal_theory.sel(depth=12).isel(place=0)
    np.testing.assert_allclose(ends, [1, (1 + 1 / 144) ** 5.5, 2**5.5])


def test_frozen_branches_stay_as_they_began():
    found = experiments.delete_blocks(0.4, 5, width=16, lr=0.1, steps=40, frozen=True, seed=[3])
    free = experiments.delete_blocks(0.4, 5, width=16, lr=0.1, steps=40, seed=[3])
    assert found.accuracy.item() > 30 and found.loss.item() > 1.02 * free.loss.item()
    alone = experiments.delete_blocks(0.0, 5, width=16, lr=0.1, steps=40, seed=[3])
    still = experiments.delete_blocks(0.0, 5, width=16, lr=0.1, steps=40, frozen=True, seed=[3])
    # with branches of scale 0 only the first layer's bias makes a difference
    assert alone.loss.item() == pytest.approx(still.loss.item(), rel=0.05)


def test_an_identity_start_passes_what_comes_in():
    found = experiments.delete_blocks(
        None, 5, activation="linear", init="identity", steps=1, lr=1e-9
    )
    np.testing.assert_allclose(found.without_one, np.broadcast_to(found.accuracy, (4, 8)))
    np.testing.assert_allclose(found.without.isel(deleted=-1), found.accuracy)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: experiments.branch_scales(5, "2"), "scale has"),
        (lambda: experiments.branch_scales(5, lr=0.0), "lr"),
        (lambda: experiments.delete_blocks(0.1, 1), "depth is 1"),
        (lambda: experiments.delete_blocks(0.1, seed=[]), "seed is empty"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
