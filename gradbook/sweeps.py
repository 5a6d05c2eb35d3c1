"""Train and measure many networks at once, as one stack of matrices.

Networks that differ in numbers only (σ_w, σ_b, learning rate, seed) share every matrix product:
their weights stand along a leading axis, and ``loss.mean(1).sum()`` gives each its own gradient.
"""

import builtins
import math
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial

import numpy as np
import torch
import xarray as xr
from tqdm.auto import tqdm

from . import nets, rules
from .checks import check_whole
from .data import Classification, digits
from .devices import device as find_device
from .grids import STACK, Results, axis, jobs_of, name_of
from .record import describe

__all__ = ["sweep"]

BLOCK = 64  # steps whose mini-batches are drawn at once


def sweep(*, depth=10, width=64, activation="relu", init="normal", net=nets.mlp, rule=rules.sgd, sigma_w=1.0, sigma_b=0.0,
          lr=0.1, seed=0, data=None, steps=0, batch=32, record_every=1, device=None, map=None, progress=True):
    """Measure, and with ``steps`` train, a network for every combination of what is given as a sequence.

    Each argument from ``depth`` to ``seed`` may be one value or a sequence; a sequence becomes an axis of
    the result.  Several ``net`` or ``rule`` are given by name: ``rule={"SGD": gb.sgd, "Adam": gb.adam}``.
    ``net`` is a function of :mod:`gradbook.nets` (its options by ``functools.partial``), ``rule`` a function
    ``rule(lr) -> Rule``.  ``depth`` counts hidden layers of ``width`` units; the readout is layer depth + 1.
    ``init`` is a name of ``gradbook.nets.INITIALIZATIONS``, or ``lsuv`` on the first mini-batch.
    A network draws its weights and its mini-batches (with replacement) from its own ``seed``: networks
    of one seed see the same batches and the same standard normals, scaled by their σ_w.

    Returns an ``xarray.Dataset``.  At step 0, record_every, 2·record_every, … and the last:

    - ``loss`` (…, step): cross-entropy of the mini-batch, before the step;
    - ``signal`` (…, step, layer): |∂loss_a/∂z^l| for the loss of one example a, root mean square over a;
    - ``example_grad_norm``: the same for that example's weight gradient, |h^{l−1}||δ^l| (``mlp`` only);
    - ``grad_norm``: Frobenius norm of ∂loss/∂W^l, the loss being the mini-batch's mean;
    - ``activation_rms``: root mean square of φ(z^{l−1}), the layer's input; for layer 1 of the data;
    - ``overflow_layer`` (…, step): the first layer whose z is not finite, 0 if there is none;

    and ``diverged`` (…): the loss was not finite at some step that was kept; and, with steps,
    ``accuracy`` (…) on ``data.x_test`` after the last one.  Networks are float32; norms are summed
    in float64, so that 1e-30 does not become 0.  Raises ValueError for an argument out of its range.

    On a CPU, stacks of networks run side by side, one on each core (or on OMP_NUM_THREADS of them).  ``map`` may be an
    executor's instead, to spread them over processes or machines:
    ``concurrent.futures.ProcessPoolExecutor().map``, or ``lambda f, xs: client.gather(client.map(f, xs))`` for
    Dask.  Interrupted (Ctrl-C), it warns and returns what is there; what is missing has a loss of NaN.
    """
    given = dict(activation=activation, init=init, net=net, rule=rule, depth=depth, width=width,
                 sigma_w=sigma_w, sigma_b=sigma_b, lr=lr, seed=seed)
    axes = {name: axis(name, value) for name, value in given.items()}
    check_whole(0, steps=steps)
    check_whole(batch=batch, record_every=record_every)
    kept = sorted({*range(0, steps + 1, record_every), steps})
    functions = {name: value if isinstance(value, dict) else {name_of(value): value} for name, value in (("net", net), ("rule", rule))}
    if data is not None and not (isinstance(data, Classification) and data.x_train.dtype == np.float32 and data.y_train.dtype == np.int64):
        raise ValueError("data must be a gradbook.data.Classification with float32 inputs and int64 labels, as gb.digits() returns")
    device = find_device(device)
    map = map or (side_by_side if device.type == "cpu" else builtins.map)
    train = partial(_train, data=digits() if data is None else data, kept=kept, batch=batch, device=device)
    jobs = list(jobs_of(axes, functions, device.type))
    results = Results([*axes], [len(axis) for axis in axes.values()], len(kept), max(axes["depth"]) + 1)
    quiet = not progress or bool(os.environ.get("TQDM_DISABLE"))  # tqdm itself overlooks it in notebooks
    try:
        done = map(train, [job for _, job in jobs])
        for (place, _), found in zip(jobs, tqdm(done, total=len(jobs), desc="sweep", leave=False, delay=1, disable=quiet)):
            results.put(place, found)
    except KeyboardInterrupt:
        if not results.count:
            raise
        warnings.warn(f"sweep was interrupted after {results.count} of {len(jobs)} stacks; the loss of the rest is NaN", stacklevel=2)
    result = xr.Dataset(results.arrays, {**axes, "step": kept, "layer": np.arange(1, results.layers + 1)})
    alone = [name for name, value in given.items() if isinstance(value, str) or not hasattr(value, "__len__")]
    return describe(result.squeeze(alone).drop_vars([name for name in ("net", "rule") if name in alone]))


def side_by_side(train, jobs):
    """``map``, but each core has a job of its own: networks need not wait for each other at every product."""
    threads, workers = torch.get_num_threads(), cores()
    if workers == 1 or len(jobs) == 1:
        yield from map(train, jobs)
        return
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(train, jobs)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def cores():
    """How many cores this process may use: those it is bound to, or fewer by OMP_NUM_THREADS."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(here, int(limit)) if limit.isdecimal() and int(limit) else here


@lru_cache(maxsize=8)
def _draw(init, sizes, seed):
    """One network's weights and biases at σ = 1."""
    draw, rng = nets.initialization("orthogonal" if init == "lsuv" else init), np.random.default_rng(seed)
    return [(draw(rng, i, o), rng.standard_normal((1, o), dtype=np.float32)) for i, o in sizes]


def draw_weights(init, sizes, seeds, sigma_w, sigma_b, device):
    """One (N, fan_in, fan_out) and one (N, 1, fan_out) for every layer; a seed's draws serve all its σ."""
    drawn = {seed: _draw(init, tuple(sizes), seed) for seed in set(seeds)}
    sigma_w, sigma_b = (torch.tensor(s, dtype=torch.float32).reshape(-1, 1, 1) for s in (sigma_w, sigma_b))
    stacked = [[torch.from_numpy(np.stack([drawn[s][l][k] for s in seeds])) for l in range(len(sizes))] for k in (0, 1)]
    return ([(sigma_w * W).to(device).requires_grad_() for W in stacked[0]],
            [(sigma_b * b).to(device).requires_grad_() for b in stacked[1]])


def batches(seeds, examples, batch, steps):
    """Rows of the training data, (N, batch) for every step; a stream of its own, so that depth does not change it."""
    streams = {seed: np.random.default_rng([seed, 1]) for seed in seeds}
    for start in range(0, steps, BLOCK):
        size = (min(BLOCK, steps - start), batch)
        drawn = {seed: rng.integers(examples, size=size) for seed, rng in streams.items()}
        yield from torch.from_numpy(np.stack([drawn[seed] for seed in seeds], 1))


def _train(job, *, data, kept, batch, device):
    """Train one stack of N networks; arrays with N in front."""
    x, y, x_test, y_test = (torch.from_numpy(a).to(device) for a in data)
    sizes = nets.layer_sizes(job["net"], x.shape[1], job["depth"], job["width"], data.classes)
    weights, biases = draw_weights(job["init"], sizes, job["seed"], job["sigma_w"], job["sigma_b"], device)
    forward = partial(job["net"], phi=nets.activation(job["activation"]))
    step_rule = job["rule"](torch.tensor(job["lr"], dtype=torch.float32, device=device).reshape(-1, 1, 1))
    records, state = [], None
    for step, rows in enumerate(batches(job["seed"], len(x), batch, kept[-1] + 1)):
        h, target = x[rows.to(device)], y[rows.to(device)]
        if step == 0 and job["init"] == "lsuv":
            weights = [W.detach().requires_grad_() for W in nets.lsuv(h, weights, biases, forward.keywords["phi"])]
        params = [*weights, *biases]
        zs = forward(h, weights, biases)
        losses = torch.nn.functional.cross_entropy(zs[-1].flatten(0, 1), target.flatten(), reduction="none")
        loss = losses.view(target.shape).mean(1)
        measured = zs if step in kept else []
        grads = torch.autograd.grad(loss.sum(), [*measured, *params])
        if measured:
            records.append(_measure(h, zs, forward, loss, grads[:len(zs)], grads[len(zs):len(zs) + len(weights)]))
        if step < kept[-1]:
            state = _descend(step_rule, grads[len(measured):], state, params)
    out = {name: np.stack([record[name] for record in records], 1) for name in records[0]}
    out["diverged"] = ~np.isfinite(out["loss"]).all(1)
    if kept[-1]:
        out["accuracy"] = _accuracy(forward, weights, biases, x_test, y_test)
    return out


@torch.no_grad()
def _accuracy(forward, weights, biases, x, y):
    """Share of examples read right, N.  A few networks at a time: a forward pass keeps what every layer gave."""
    few = max(1, STACK[x.device.type] // 5)
    right = []
    for some in zip(*(p.split(few) for p in [*weights, *biases])):
        logits = forward(x.expand(len(some[0]), *x.shape), some[:len(weights)], some[len(weights):])[-1]
        right.append((logits.argmax(-1) == y).double().mean(1))
    return torch.cat(right).cpu().numpy()


@torch.no_grad()
def _descend(rule, grads, state, params):
    """One step in place; the new state.  Array by array, where the rule allows: less memory is in flight."""
    if rule.joint:
        params = rules.Stack(params)
        updates, state = rule.update(rules.Stack(grads), rule.init(params) if state is None else state, params)
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
        rows = {"signal": [_rms(d) for d in deltas],
                "grad_norm": [_norm(g.flatten(1)) for g in grads],
                "activation_rms": [_rms(s) / math.sqrt(h.shape[-1]) for s, h in zip(sizes, inputs)]}
        if forward.func is nets.mlp:
            rows["example_grad_norm"] = [_rms(s * d) for s, d in zip(sizes, deltas)]
        finite = torch.stack([z.isfinite().flatten(1).all(1) for z in zs], 1).cpu().numpy()
        return {"loss": loss.double().cpu().numpy(), **{k: torch.stack(v, 1).cpu().numpy() for k, v in rows.items()},
                "overflow_layer": np.where(finite.all(1), 0, finite.argmin(1) + 1)}


def _norm(t):
    return torch.linalg.vector_norm(t, dim=-1, dtype=torch.float64)


def _rms(t):
    return t.square().mean(1).sqrt()
