"""Train one stack of networks, and measure it on the way."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial

import numpy as np
import torch

from .. import nets, rules
from .grids import STACK

__all__ = ["train", "draw_weights", "batches"]

BLOCK = 64  # steps whose mini-batches are drawn at once


def train(job, *, data, kept, batch, device):
    """Train one stack of N networks; arrays with N in front."""
    x, y, x_test, y_test = (torch.from_numpy(a).to(device) for a in data)
    sizes = nets.layer_sizes(job["net"], x.shape[1], job["depth"], job["width"], data.classes)
    weights, biases = draw_weights(
        job["init"], sizes, job["seed"], job["sigma_w"], job["sigma_b"], device
    )
    forward = partial(job["net"], phi=nets.activation(job["activation"]))
    step_rule = job["rule"](
        torch.tensor(job["lr"], dtype=torch.float32, device=device).reshape(-1, 1, 1)
    )
    records, state = [], None
    for step, rows in enumerate(batches(job["seed"], len(x), batch, kept[-1] + 1)):
        h, target = x[rows.to(device)], y[rows.to(device)]
        if step == 0 and job["init"] in nets.LSUV:
            weights = [
                W.detach().requires_grad_()
                for W in nets.lsuv(h, weights, biases, forward.keywords["phi"])
            ]
        params = [*weights, *biases]
        zs = forward(h, weights, biases)
        loss = batch_loss(zs[-1], target)
        measured = zs if step in kept else []
        grads = torch.autograd.grad(loss.sum(), [*measured, *params])
        if measured:
            records.append(
                _measure(
                    h, zs, forward, loss, grads[: len(zs)], grads[len(zs) : len(zs) + len(weights)]
                )
            )
        if step < kept[-1]:
            state = descend(step_rule, grads[len(measured) :], state, params)
    out = {name: np.stack([record[name] for record in records], 1) for name in records[0]}
    out["diverged"] = ~np.isfinite(out["loss"]).all(1)
    if kept[-1]:
        out["accuracy"] = _accuracy(forward, weights, biases, x_test, y_test)
    return out


def draw_weights(
    init: str,
    sizes: Sequence[tuple[int, int]],
    seeds: Sequence[int],
    sigma_w: Sequence[float],
    sigma_b: Sequence[float],
    device: torch.device,
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """One (N, fan_in, fan_out) and one (N, 1, fan_out) for every layer.

    A seed's draws serve all its σ.

    >>> import torch
    >>> cpu, sizes = torch.device("cpu"), [(64, 16), (16, 10)]
    >>> weights, biases = gb.sweeps.draw_weights("he", sizes, [0, 1], [1.0, 2.0], [0.0, 0.0], cpu)
    >>> [tuple(W.shape) for W in weights]
    [(2, 64, 16), (2, 16, 10)]
    """
    drawn = {seed: _draw(init, tuple(sizes), seed) for seed in set(seeds)}
    sigma_w, sigma_b = (
        torch.tensor(s, dtype=torch.float32).reshape(-1, 1, 1) for s in (sigma_w, sigma_b)
    )
    stacked = [
        [torch.from_numpy(np.stack([drawn[s][l][k] for s in seeds])) for l in range(len(sizes))]
        for k in (0, 1)
    ]
    return (
        [(sigma_w * W).to(device).requires_grad_() for W in stacked[0]],
        [(sigma_b * b).to(device).requires_grad_() for b in stacked[1]],
    )


def batches(seeds: Sequence[int], examples: int, batch: int, steps: int) -> Iterator[torch.Tensor]:
    """Rows of the training data, (N, batch) for every step.

    A stream of its own, so that depth does not change it.

    >>> [rows.shape for rows in gb.sweeps.batches([0, 1, 2], examples=1000, batch=32, steps=2)]
    [torch.Size([3, 32]), torch.Size([3, 32])]
    """
    streams = {seed: np.random.default_rng([seed, 1]) for seed in seeds}
    for start in range(0, steps, BLOCK):
        size = (min(BLOCK, steps - start), batch)
        drawn = {seed: rng.integers(examples, size=size) for seed, rng in streams.items()}
        yield from torch.from_numpy(np.stack([drawn[seed] for seed in seeds], 1))


def batch_loss(logits, y):
    """Cross-entropy of each network's batch, N; logits (N, batch, classes), y (N, batch)."""
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
    return losses.view(y.shape).mean(1)


@torch.no_grad()
def _accuracy(forward, weights, biases, x, y):
    """Share of examples read right, N.  A few networks at a time.

    A forward pass keeps what every layer gave.
    """
    few = max(1, STACK[x.device.type] // 5)
    right = []
    for some in zip(*(p.split(few) for p in [*weights, *biases])):
        logits = forward(
            x.expand(len(some[0]), *x.shape), some[: len(weights)], some[len(weights) :]
        )[-1]
        right.append((logits.argmax(-1) == y).double().mean(1))
    return torch.cat(right).cpu().numpy()


@torch.no_grad()
def descend(rule, grads, state, params):
    """One step in place; the new state.  Array by array, where the rule allows.

    Less memory is in flight.
    """
    if rule.joint:
        params = rules.Stack(params)
        updates, state = rule.update(
            rules.Stack(grads), rule.init(params) if state is None else state, params
        )
        for p, u in zip(params, updates):
            p += u
        return state
    state = [rule.init(p) for p in params] if state is None else state
    for i, (p, g) in enumerate(zip(params, grads)):
        update, state[i] = rule.update(g, state[i], p)
        p += update
    return state


def _measure(x, zs, forward, loss, signals, grads):
    """What one forward and backward pass shows: N, or N and layer, as NumPy arrays."""
    with torch.no_grad():
        inputs = [x, *map(forward.keywords["phi"], zs[:-1])]
        sizes = [_norm(h) for h in inputs]  # |h^{l−1}|, N × examples
        # the loss is a mean over the batch; one example's own gradient is larger by the batch size
        deltas = [_norm(d) * x.shape[1] for d in signals]
        rows = {
            "signal": [_rms(d) for d in deltas],
            "grad_norm": [_norm(g.flatten(1)) for g in grads],
            "activation_rms": [_rms(s) / math.sqrt(h.shape[-1]) for s, h in zip(sizes, inputs)],
        }
        if forward.func is nets.mlp:
            rows["example_grad_norm"] = [_rms(s * d) for s, d in zip(sizes, deltas)]
        finite = torch.stack([z.isfinite().flatten(1).all(1) for z in zs], 1).cpu().numpy()
        return {
            "loss": loss.double().cpu().numpy(),
            **{k: torch.stack(v, 1).cpu().numpy() for k, v in rows.items()},
            "overflow_layer": np.where(finite.all(1), 0, finite.argmin(1) + 1),
        }


def _norm(t):
    return torch.linalg.vector_norm(t, dim=-1, dtype=torch.float64)


def _rms(t):
    return t.square().mean(1).sqrt()


@lru_cache(maxsize=8)
def _draw(init, sizes, seed):
    """One network's weights and biases at σ = 1."""
    draw = nets.initialization(nets.LSUV.get(init, init))
    rng = np.random.default_rng(seed)
    return [(draw(rng, i, o), rng.standard_normal((1, o), dtype=np.float32)) for i, o in sizes]
