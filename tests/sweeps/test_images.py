"""Convolutional networks in a stack against one module and its own training."""

import numpy as np
import pytest
import torch
from torch import nn

from gradbook import data, sweeps
from gradbook.sweeps.images import _ImageNet


def test_they_have_the_layers_that_they_say():
    x = torch.randn(2, 64)
    for kind, readout in (("plain", 4), ("residual", 4), ("dense", 4 * 4)):
        model = _ImageNet(kind, 4, 4, 0.5)
        z = model.first(x.view(2, 1, 8, 8))
        for layer in model.layers:
            new = layer(torch.relu(z))
            if kind == "residual":
                z = z + new / 2
            else:
                z = new if kind == "plain" else torch.cat([z, new], 1)
        assert model.readout.in_features == readout
        assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == 4
        torch.testing.assert_close(model(x), model.readout(torch.relu(z).flatten(2).mean(2)))
        if kind == "residual":
            alone = model.readout(torch.relu(model.first(x.view(2, 1, 8, 8))).flatten(2).mean(2))
            torch.testing.assert_close(model(x, branches=False), alone)


@pytest.mark.parametrize("frozen", [False, True])
def test_training_is_that_of_one_module(frozen):
    options = {"scale": 0.5, "channels": 4, "lr": 0.03, "steps": 80}
    found = sweeps.image_networks("residual", 3, **options, frozen=frozen, seed=[5, 6])
    x, y, x_test, y_test = map(torch.from_numpy, data.digits())
    torch.manual_seed(6)
    model = _ImageNet("residual", 3, 4, 0.5)
    model.layers.requires_grad_(not frozen)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for rows in sweeps.batches([6], len(x), 32, 80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows[0]]), y[rows[0]]).backward()
        optimizer.step()
    for name, how in (("accuracy", {}), ("without", {"branches": False})):
        right = 100 * (model(x_test, **how).argmax(1) == y_test).double().mean().item()
        assert found[name].sel(seed=6).item() == pytest.approx(right, abs=1.0)
    assert found.accuracy.mean() > 15


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: sweeps.image_networks("deep"), "choose from plain, residual, dense"),
        (lambda: sweeps.image_networks("plain", channels=0), "channels is 0"),
        (lambda: sweeps.image_networks("plain", lr=0.0), "lr"),
        (lambda: sweeps.image_networks("plain", seed=[]), "seed is empty"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_only_residual_networks_have_branches_to_take_out():
    found = sweeps.image_networks("dense", 2, channels=2, steps=1, seed=[0])
    assert "without" not in found and np.isfinite(found.accuracy).all()
