"""Train and measure many networks at once, as one stack of matrices.

Networks that differ in numbers only (σ_w, σ_b, learning rate, seed) share every matrix product:
their weights stand along a leading axis, and ``loss.mean(1).sum()`` gives each its own gradient.
"""

import itertools
import math
import os
from functools import lru_cache
from numbers import Real

import numpy as np
import torch
import xarray as xr
from tqdm.auto import tqdm

from . import nets, rules
from .data import digits
from .devices import device as find_device
from .record import describe

__all__ = ["sweep"]

STACK = 40  # networks in one stack: enough to keep two cores busy, few enough to stay in their cache
STACK_BYTES = 100e6  # of weights in one stack; gradients and copies take a few times as much
SHAPES = ("activation", "init", "depth", "width")  # networks that differ here cannot share a matrix product
NUMBERS = ("sigma_w", "sigma_b", "lr", "seed")


def sweep(*, depth=10, width=64, activation="relu", init="normal", sigma_w=1.0, sigma_b=0.0, lr=0.1, seed=0,
          rule=rules.sgd, data=None, steps=0, batch=32, record_every=1, device=None, progress=True):
    """Measure, and with ``steps`` train, a perceptron for every combination of what is given as a sequence.

    Each argument in the first line may be one value or a sequence; a sequence becomes an axis of the
    result.  ``depth`` counts hidden layers of ``width`` units; the linear readout is layer depth + 1.
    A network draws its weights and its mini-batches (with replacement) from its own ``seed``: networks
    of one seed see the same batches and the same standard normals, scaled by their σ_w.

    Returns an ``xarray.Dataset``.  At step 0, record_every, 2·record_every, … and the last:

    - ``loss`` (…, step): cross-entropy of the mini-batch, before the step;
    - ``signal`` (…, step, layer): |∂loss_a/∂z^l| for the loss of one example a, root mean square over a;
    - ``example_grad_norm``: the same for that example's weight gradient, |h^{l−1}||δ^l|;
    - ``grad_norm``: Frobenius norm of ∂loss/∂W^l, the loss being the mini-batch's mean;
    - ``activation_rms``: root mean square of the layer's input h^{l−1};
    - ``overflow_layer`` (…, step): the first layer whose z is not finite, 0 if there is none;

    and ``diverged`` (…): the loss was not finite at some step that was kept; and, with steps,
    ``accuracy`` (…) on ``data.x_test`` after the last one.  Networks are float32; norms are summed
    in float64, so that 1e-30 does not become 0.  Raises ValueError for an argument out of its range.
    """
    given = dict(activation=activation, init=init, depth=depth, width=width,
                 sigma_w=sigma_w, sigma_b=sigma_b, lr=lr, seed=seed)
    axes = {name: _axis(name, value) for name, value in given.items()}
    for name, value, least in (("steps", steps, 0), ("batch", batch, 1), ("record_every", record_every, 1)):
        _whole(name, value, least)
    kept = sorted({*range(0, steps + 1, record_every), steps})
    data = digits() if data is None else data
    device = find_device(device)
    grid = [len(axis) for axis in axes.values()]
    layers = max(axes["depth"]) + 1
    out = {}
    jobs = [(shape, stack) for shape in np.ndindex(*grid[:4])
            for stack in _stacks(np.ndindex(*grid[4:]), axes["depth"][shape[2]] * axes["width"][shape[3]] ** 2 * 4)]
    quiet = not progress or bool(os.environ.get("TQDM_DISABLE"))  # tqdm itself overlooks it in notebooks
    for shape, stack in tqdm(jobs, desc="sweep", leave=False, delay=1, disable=quiet):
        one = {name: axes[name][i] for name, i in zip(SHAPES, shape)}
        many = {name: [axes[name][i] for i in indices] for name, indices in zip(NUMBERS, zip(*stack))}
        place = (*shape, *np.array(stack).T)
        for name, value in _train(**one, **many, rule=rule, data=data, kept=kept, batch=batch, device=device).items():
            dims = (*axes, "step", "layer")[:len(axes) + value.ndim - 1]
            if name not in out:
                size = [*grid, len(kept), layers][:len(dims)]
                out[name] = (dims, np.full(size, math.nan if value.dtype.kind == "f" else 0, value.dtype))
            index = (*place, slice(None), slice(value.shape[-1])) if value.ndim == 3 else place
            out[name][1][index] = value
    result = xr.Dataset(out, {**axes, "step": kept, "layer": np.arange(1, layers + 1)})
    return describe(result.squeeze([name for name, value in given.items() if np.ndim(value) == 0]))


def _stacks(indices, bytes_each):
    size = max(1, min(STACK, int(STACK_BYTES // bytes_each)))
    indices = iter(indices)
    return iter(lambda: list(itertools.islice(indices, size)), [])


def _whole(name, value, least):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {least} on")


def _axis(name, value):
    """``value`` as a list of checked values of the axis ``name``."""
    values = list(value) if np.ndim(value) or isinstance(value, range) else [value]
    if not values:
        raise ValueError(f"{name} is empty; give one value or a sequence of at least one")
    for v in values:
        if name == "activation":
            nets.activation(v)
        elif name == "init":
            nets.initialization(v)
        elif name in ("depth", "width", "seed"):
            _whole(name, v, 0 if name == "seed" else 1)
        elif isinstance(v, bool) or not isinstance(v, Real) or not math.isfinite(v) or v < 0:
            raise ValueError(f"{name} is {v!r}; it must be a finite number, not negative")
    if len({str(v) for v in values}) < len(values):
        raise ValueError(f"{name} is {value!r}; each value of an axis may stand in it once")
    return [v.name if isinstance(v, nets.Activation) else v for v in values]


@lru_cache(maxsize=8)
def _draw(init, sizes, seed):
    """One network's weights and biases at σ = 1."""
    draw, rng = nets.initialization(init), np.random.default_rng(seed)
    return [(draw(rng, i, o), rng.standard_normal((1, o), dtype=np.float32)) for i, o in sizes]


def _weights(init, sizes, seeds, sigma_w, sigma_b, device):
    """One (N, fan_in, fan_out) and one (N, 1, fan_out) for every layer; a seed's draws serve all its σ."""
    drawn = {seed: _draw(init, tuple(sizes), seed) for seed in set(seeds)}
    sigma_w, sigma_b = (torch.tensor(s, dtype=torch.float32).reshape(-1, 1, 1) for s in (sigma_w, sigma_b))
    stacked = [[torch.from_numpy(np.stack([drawn[s][l][k] for s in seeds])) for l in range(len(sizes))] for k in (0, 1)]
    return ([(sigma_w * W).to(device).requires_grad_() for W in stacked[0]],
            [(sigma_b * b).to(device).requires_grad_() for b in stacked[1]])


def _train(*, activation, init, depth, width, sigma_w, sigma_b, lr, seed, rule, data, kept, batch, device):
    """Train one stack of N networks; arrays with N in front."""
    x, y, x_test, y_test = (torch.from_numpy(a).to(device) for a in data)
    sizes = list(itertools.pairwise([x.shape[1], *[width] * depth, data.classes]))
    weights, biases = _weights(init, sizes, seed, sigma_w, sigma_b, device)
    params = [*weights, *biases]
    step_rule = rule(torch.tensor(lr, dtype=torch.float32, device=device).reshape(-1, 1, 1))
    state = step_rule.init(params)
    phi = nets.activation(activation)
    batches = [np.random.default_rng([s, 1]) for s in seed]  # a stream of its own: depth does not change the batches
    records = []
    for step in range(kept[-1] + 1):
        rows = torch.from_numpy(np.stack([rng.integers(len(x), size=batch) for rng in batches])).to(device)
        h, target = x[rows], y[rows]
        zs = nets.mlp(h, weights, biases, phi)
        losses = torch.nn.functional.cross_entropy(zs[-1].flatten(0, 1), target.flatten(), reduction="none")
        loss = losses.view(target.shape).mean(1)
        measured = zs if step in kept else []
        grads = torch.autograd.grad(loss.sum(), [*measured, *params])
        if measured:
            records.append(_measure(h, zs, phi, loss, grads[:len(zs)], grads[len(zs):len(zs) + len(weights)]))
        if step < kept[-1]:
            with torch.no_grad():
                updates, state = step_rule.update(grads[len(measured):], state, params)
                for p, u in zip(params, updates):
                    p += u
    out = {name: np.stack([record[name] for record in records], 1) for name in records[0]}
    out["diverged"] = ~np.isfinite(out["loss"]).all(1)
    if kept[-1]:
        with torch.no_grad():
            logits = nets.mlp(x_test.expand(len(seed), *x_test.shape), weights, biases, phi)[-1]
            out["accuracy"] = (logits.argmax(-1) == y_test).double().mean(1).cpu().numpy()
    return out


def _measure(x, zs, phi, loss, signals, grads):
    """What one forward and backward pass shows: N, or N and layer, as NumPy arrays."""
    with torch.no_grad():
        inputs = [_norm(h) for h in (x, *(phi(z) for z in zs[:-1]))]  # |h^{l−1}|, N × examples
        # the loss is a mean over the batch; one example's own gradient is larger by the batch size
        deltas = [_norm(d) * x.shape[1] for d in signals]
        rows = {"signal": [_rms(d) for d in deltas],
                "example_grad_norm": [_rms(h * d) for h, d in zip(inputs, deltas)],
                "grad_norm": [_norm(g.flatten(1)) for g in grads],
                "activation_rms": [_rms(h) / math.sqrt(W.shape[1]) for h, W in zip(inputs, grads)]}
        finite = torch.stack([z.isfinite().flatten(1).all(1) for z in zs], 1).cpu().numpy()
        return {"loss": loss.double().cpu().numpy(), **{k: torch.stack(v, 1).cpu().numpy() for k, v in rows.items()},
                "overflow_layer": np.where(finite.all(1), 0, finite.argmin(1) + 1)}


def _norm(t):
    return torch.linalg.vector_norm(t, dim=-1, dtype=torch.float64)


def _rms(t):
    return t.square().mean(1).sqrt()
