"""Recurrent networks in a stack against torch's modules, autograd and optimizer."""

from functools import partial

import numpy as np
import pytest
import torch

from gradbook import data, measure, sweeps
from gradbook.sweeps.cells import _draw

MODULES = {"Gaussian": torch.nn.RNN, "orthogonal": torch.nn.RNN, "identity": torch.nn.RNN}
MODULES |= {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}
UNITS, BATCH = 6, 16


def modules(cell, features, outputs, seed):
    """A layer and a readout that begin as the experiment's do, for gain 0.9 and bias 2."""
    drawn = _draw(cell, [(0.9, 2.0, 0)], [seed], (features, UNITS, outputs), 1.0)
    W_x, W_h, b, W, c = (p[0].detach() for p in drawn)
    options = {"nonlinearity": "relu"} if cell == "identity" else {}
    layer, readout = MODULES[cell](features, UNITS, **options), torch.nn.Linear(UNITS, outputs)
    with torch.no_grad():
        for p, value in zip(layer.parameters(), (W_x.T, W_h.T, b[0], torch.zeros_like(b[0]))):
            p.copy_(value)
        readout.weight.copy_(W.T)
        readout.bias.copy_(c[0])
    layer.bias_hh_l0.requires_grad_(False)  # torch's second bias
    return layer, readout


def losses_by_torch(cell, length, task, seed, steps, back=None):
    x, y = map(torch.from_numpy, task(length, examples=steps * BATCH, seed=seed))
    real, answers = y.is_floating_point(), y.shape[1] if y.ndim > 1 else 1
    layer, readout = modules(cell, x.shape[-1], 1 if real else 4, seed)
    params = [p for p in [*layer.parameters(), *readout.parameters()] if p.requires_grad]
    optimizer = torch.optim.Adam(params, lr=0.01)
    for some, target in zip(x.split(BATCH, 1), y.split(BATCH)):
        state = None
        if back:
            with torch.no_grad():
                state = layer(some[:-back])[1]
        states = layer(some[-(back or length) :], state)[0]
        if real:
            loss = torch.nn.functional.mse_loss(readout(states[-1]), target)
        else:
            answer = readout(states[-answers:]).flatten(0, 1)
            loss = torch.nn.functional.cross_entropy(answer, target.t().flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        yield loss.item()


@pytest.mark.parametrize("cell", MODULES)
@pytest.mark.parametrize(
    "task, back",
    [
        (data.recall, None),
        (data.adding, None),
        (partial(data.copying, keep=3), None),
        (data.recall, 3),
    ],
)
def test_training_is_that_of_torch(cell, task, back):
    found = sweeps.learn_sequences(
        cell, 7, task=task, gain=0.9, bias=2.0, steps=15, units=UNITS, back=back, seed=[3, 4]
    )
    for seed in (3, 4):
        theirs = list(losses_by_torch(cell, 7, task, seed, 15, back))
        ours = found.loss.sel(seed=seed).squeeze()
        np.testing.assert_allclose(ours, theirs, rtol=5e-4)


@pytest.mark.parametrize("cell", MODULES)
def test_the_signal_is_what_the_probe_sees(cell):
    found = sweeps.learn_sequences(
        cell, 7, gain=[0.5, 0.9], bias=[2.0, 1.0], steps=1, units=UNITS, seed=[0, 3]
    )
    x, y = map(torch.from_numpy, data.recall(7, examples=BATCH, seed=3))
    layer, readout = modules(cell, 4, 4, 3)
    model = torch.nn.ModuleDict({"layer": layer, "readout": readout})
    seen = measure.probe(
        model, lambda: torch.nn.functional.cross_entropy(readout(layer(x)[0][-1]), y)
    )
    theirs = seen.input_signal_in_time.sel(layer="layer").values[::-1]
    ours = found.signal.sel(gain=0.9, bias=2.0, seed=3)
    np.testing.assert_allclose(ours, theirs / theirs[0], rtol=1e-4)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: sweeps.learn_sequences("lstm", 5), "cell is 'lstm'; choose from Gaussian"),
        (lambda: sweeps.learn_sequences("GRU", 1), "length"),
        (lambda: sweeps.learn_sequences("GRU", 5, back=6), "back"),
        (lambda: sweeps.learn_sequences("GRU", 5, back=0), "back"),
        (lambda: sweeps.learn_sequences("GRU", 5, lr=0), "lr"),
        (lambda: sweeps.learn_sequences("GRU", 5, drive=-1.0), "drive"),
        (lambda: sweeps.learn_sequences("GRU", 5, seed=[]), "seed is empty"),
        (lambda: sweeps.learn_sequences("GRU", 5, gain=[]), "gain is empty"),
        (lambda: sweeps.learn_sequences("GRU", 5, bias=float("nan")), "bias"),
        (lambda: sweeps.learn_sequences("GRU", 5, bias=[]), "bias"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
