"""Train recurrent cells as one stack, on sequences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal, TypeAlias

import numpy as np
import torch
import xarray as xr

from .. import data, nets, rules
from ..checks import check_positive, check_whole
from ..kinds import Function, Numbers
from ..record import describe
from .grids import axis, several
from .training import batch_loss, descend

__all__ = ["CELLS", "Cell", "learn_sequences"]

Cell: TypeAlias = Literal["Gaussian", "orthogonal", "identity", "LSTM", "GRU"]
#: Gates that stand side by side.  The first three cells differ by W_h, and the third has ReLU.
CELLS = {"Gaussian": 1, "orthogonal": 1, "identity": 1, "LSTM": 4, "GRU": 3}


def learn_sequences(
    cell: Cell,
    length: int,
    *,
    task: Function = data.recall,
    gain: Numbers = 1.0,
    bias: Numbers = 0.0,
    drive: float = 1.0,
    units: int = 16,
    lr: float = 0.01,
    rule: Function | None = None,
    steps: int = 300,
    batch: int = 16,
    back: int | None = None,
    seed: Sequence[int] = range(8),
) -> xr.Dataset:
    """Train recurrent networks to answer at the end of a sequence, with new ones at every step.

    ``task(length, examples=…, seed=…)`` gives x (time, examples, features) and y: classes
    (examples,), those of the last few steps (examples, steps), or targets (examples, outputs) of
    a squared error, as ``recall``, ``copying`` and ``adding`` of :mod:`gradbook.data` do.

    W_x has the standard deviation ``drive``, W_h ``gain``/√units (or it is ``gain`` times an
    orthogonal matrix, or the identity); ``bias`` is that of the gate that keeps the state (f of an
    LSTM, u of a GRU), all others are 0.  ``rule(lr)`` is an update rule (None: Adam, clipped to a
    norm of 1).  The gradient goes ``back`` that many steps of time (None: all).

    Returns over (gain, bias, seed): ``loss`` (step), of the step's batch, ``grad_norm`` (step), of
    all gradients together and before clipping, and ``signal`` (lag), |∂L/∂x_t| before training,
    ``lag`` steps before the last, root mean square over the batch and relative to lag 0.

    >>> found = gb.sweeps.learn_sequences("GRU", 5, bias=[1.0, 3.0], steps=20, seed=[0])
    >>> dict(found.loss.sizes), dict(found.signal.sizes)["lag"]
    ({'gain': 1, 'bias': 2, 'seed': 1, 'step': 20}, 5)
    """
    if cell not in CELLS:
        raise ValueError(f"cell is {cell!r}; choose from {', '.join(CELLS)}")
    check_whole(2, length=length)
    check_whole(units=units, steps=steps, batch=batch)
    check_whole(1, length, back=length if back is None else back)
    check_positive(lr=np.array(lr), drive=np.array(drive))
    gains, seeds = axis("gain", gain), axis("seed", seed)
    biases = several(bias)
    if not biases or not np.isfinite(biases).all():
        raise ValueError(f"bias is {bias!r}; give a finite number, or several")
    each = list(product(gains, biases, range(len(seeds))))
    made = [task(length, examples=steps * batch, seed=s) for s in seeds]
    x, y = (torch.from_numpy(np.stack(a, k)) for a, k in zip(zip(*made), (1, 0)))
    outputs = y.shape[-1] if y.is_floating_point() else int(y.max()) + 1
    params = _draw(cell, each, seeds, (x.shape[-1], units, outputs), drive)
    whose = torch.tensor([s for _, _, s in each])  # sequences
    clipped = rules.chain(rules.clip_norm(1.0), rules.adam(lr))
    update, state, losses, norms = rule(lr) if rule else clipped, None, [], []
    for step in range(steps):
        now = slice(step * batch, (step + 1) * batch)
        inputs = [x_t.requires_grad_(step == 0) for x_t in x[:, whose, now]]
        states = _states(cell, inputs, params, back or length)
        loss = _loss(states, params[3:], y[whose, now])
        if step == 0:
            signal = _signal(loss, inputs[-(back or length) :])
        grads = torch.autograd.grad(loss.sum(), params)
        state = descend(update, grads, state, params)
        losses.append(loss.detach())
        norms.append(sum(g.double().square().flatten(1).sum(1) for g in grads).sqrt())
    shape, over = (len(gains), len(biases), len(seeds), -1), ["gain", "bias", "seed"]
    found = xr.Dataset(
        {
            "loss": ([*over, "step"], torch.stack(losses, 1).numpy().reshape(shape)),
            "grad_norm": ([*over, "step"], torch.stack(norms, 1).numpy().reshape(shape)),
            "signal": ([*over, "lag"], signal.reshape(shape)),
        },
        {"gain": gains, "bias": biases, "seed": seeds},
    )
    found["lag"] = "lag", np.arange(found.lag.size)
    found["gain"].attrs["long_name"] = "gain of the recurrent weights"
    found["lag"].attrs["long_name"] = "steps back"
    return describe(found)


def _draw(cell, each, seeds, sizes, drive):
    """W_x, W_h, b, and W and b of the readout, (networks, …) each."""
    features, units, outputs = sizes
    gates = CELLS[cell]
    stacks = []
    for gain, bias, place in each:
        rng = np.random.default_rng(seeds[place])
        W_x = drive * rng.standard_normal((features, gates * units))
        W_h = gain * rng.standard_normal((units, gates * units)) / units**0.5
        if cell == "orthogonal":
            W_h = gain * nets.initialization("orthogonal")(rng, units, units)
        if cell == "identity":
            W_h = gain * np.eye(units)
        b = np.zeros((1, gates * units))
        if gates > 1:
            b[:, units : 2 * units] = bias
        W = rng.standard_normal((units, outputs)) / units**0.5
        stacks.append((W_x, W_h, b, W, np.zeros((1, outputs))))
    return [torch.from_numpy(np.stack(p)).float().requires_grad_() for p in zip(*stacks)]


def _states(cell, x, params, back):
    """[h_t] of the last ``back`` times; what was before is not differentiated."""
    run = {"LSTM": nets.lstm, "GRU": nets.gru}.get(cell) or _plain(
        torch.relu if cell == "identity" else torch.tanh
    )
    before, start = x[: len(x) - back], None
    if len(before):
        with torch.no_grad():
            start = run(before, *params[:3])[-1]
    states = run(x[len(before) :], *params[:3], start)
    return [h for h, _ in states] if cell == "LSTM" else states


def _plain(phi):
    def run(x, W_x, W_h, b, h=None):
        states = []

        def kept(z):
            states.append(phi(z))
            return states[-1]

        nets.recurrent(x, W_x, W_h, b, kept, h)
        return states

    return run


def _loss(states, readout, y):
    """Of each network's batch: squared error (y is real), or cross-entropy of the answers."""
    W, b = readout
    if y.is_floating_point():
        return (states[-1] @ W + b - y).square().mean((1, 2))
    y = y.view(*y.shape[:2], -1)
    answers = range(y.shape[2])
    logits = [states[k - len(answers)] @ W + b for k in answers]
    return torch.stack([batch_loss(logits[k], y[..., k]) for k in answers]).mean(0)


def _signal(loss, inputs):
    """Root mean square over the batch of |∂L/∂x_t|, (networks, lag), relative to lag 0."""
    deltas = torch.autograd.grad(loss.sum(), inputs, retain_graph=True)
    sizes = torch.stack([d.double().square().sum(-1).mean(-1).sqrt() for d in deltas[::-1]], 1)
    return (sizes / sizes[:, :1]).numpy()
