"""Train and measure many networks at once, as one stack of matrices.

Networks that differ in numbers only (σ_w, σ_b, learning rate, seed) share every matrix product:
their weights stand along a leading axis, and ``loss.mean(1).sum()`` gives each its own gradient.
"""

from __future__ import annotations

import builtins
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from .. import nets, rules
from ..checks import check_whole
from ..data.sets import Classification, digits
from ..devices import device as find_device
from ..kinds import Function, Names, Numbers, Whole
from ..progress import bar
from ..record import describe
from .grids import Results, axis, jobs_of, name_of
from .training import train

if TYPE_CHECKING:
    from ..nets.activations import Activation


__all__ = ["sweep", "in_words", "side_by_side"]


def sweep(
    *,
    depth: Whole = 10,
    width: Whole = 64,
    activation: Names | Activation | Sequence[Activation] = "relu",
    init: Names = "normal",
    net: Function | dict[str, Function] = nets.mlp,
    rule: Function | dict[str, Function] = rules.sgd,
    sigma_w: Numbers = 1.0,
    sigma_b: Numbers = 0.0,
    lr: Numbers = 0.1,
    seed: Whole = 0,
    data: Classification | None = None,
    steps: int = 0,
    batch: int = 32,
    record_every: int = 1,
    device: str | torch.device | None = None,
    map: Function | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Measure, and with ``steps`` train, a network for every combination of what is given as a
    sequence.

    Each argument from ``depth`` to ``seed`` may be one value or a sequence; a sequence becomes an
    axis of the result.  Several ``net`` or ``rule`` are given by name: ``rule={"SGD": gb.sgd,
    "Adam": gb.adam}``. ``net`` is a function of :mod:`gradbook.nets` (its options by
    ``functools.partial``), ``rule`` a function ``rule(lr) -> Rule``.  ``depth`` counts hidden
    layers of ``width`` units; the readout is layer depth + 1. ``init`` is a name of
    ``gradbook.nets.INITIALIZATIONS``, or ``lsuv`` on the first mini-batch, from orthogonal
    weights (``lsuv_normal``: from Gaussian ones). A network draws its weights and its mini-batches
    (with replacement) from its own ``seed``: networks of one seed see the same batches and the same
    standard normals, scaled by their σ_w.

    Returns an ``xarray.Dataset``.  At step 0, record_every, 2·record_every, … and the last:

    - ``loss`` (…, step): cross-entropy of the mini-batch, before the step;
    - ``signal`` (…, step, layer): |∂loss_a/∂z^l| for the loss of one example a, root mean square
      over a;
    - ``example_grad_norm``: the same for that example's weight gradient, |h^{l−1}||δ^l| (``mlp``
      only);
    - ``grad_norm``: Frobenius norm of ∂loss/∂W^l, the loss being the mini-batch's mean;
    - ``activation_rms``: root mean square of φ(z^{l−1}), the layer's input; for layer 1 of the
      data;
    - ``overflow_layer`` (…, step): the first layer whose z is not finite, 0 if there is none;

    and ``diverged`` (…): the loss was not finite at some step that was kept; and, with steps,
    ``accuracy`` (…) on ``data.x_test`` after the last one.  Networks are float32; norms are summed
    in float64, so that 1e-30 does not become 0.  Raises ValueError for an argument out of its
    range.

    On a CPU, stacks of networks run side by side, one on each core (or on OMP_NUM_THREADS of them).
    ``map`` may be an executor's instead, to spread them over processes or machines:
    ``concurrent.futures.ProcessPoolExecutor().map``, or ``lambda f, xs: client.gather(client.map(f,
    xs))`` for Dask.  Interrupted (Ctrl-C), it warns and returns what is there; what is missing has
    a loss of NaN.

    >>> names = ["tanh", "sigmoid"]
    >>> data = gb.sweep(depth=[5, 30], activation=names, seed=range(3), progress=False)
    >>> dict(data.signal.sizes)
    {'activation': 2, 'depth': 2, 'seed': 3, 'step': 1, 'layer': 31}
    >>> first = data.signal.sel(depth=30, layer=1).mean("seed").squeeze()
    >>> bool(first.sel(activation="sigmoid") < 1e-6 * first.sel(activation="tanh"))
    True
    """
    given = dict(
        activation=activation,
        init=init,
        net=net,
        rule=rule,
        depth=depth,
        width=width,
        sigma_w=sigma_w,
        sigma_b=sigma_b,
        lr=lr,
        seed=seed,
    )
    axes = {name: axis(name, value) for name, value in given.items()}
    check_whole(0, steps=steps)
    check_whole(batch=batch, record_every=record_every)
    kept = sorted({*range(0, steps + 1, record_every), steps})
    functions = {
        name: value if isinstance(value, dict) else {name_of(value): value}
        for name, value in (("net", net), ("rule", rule))
    }
    if data is not None and not (
        isinstance(data, Classification)
        and data.x_train.dtype == np.float32
        and data.y_train.dtype == np.int64
    ):
        raise ValueError(
            "data must be a gradbook.data.Classification with "
            "float32 inputs and int64 labels, as gb.digits() returns"
        )
    device = find_device(device)
    map = map or (side_by_side if device.type == "cpu" else builtins.map)
    on_data = partial(
        train, data=digits() if data is None else data, kept=kept, batch=batch, device=device
    )
    jobs = list(jobs_of(axes, functions, device.type))
    results = Results(
        [*axes], [len(axis) for axis in axes.values()], len(kept), max(axes["depth"]) + 1
    )
    try:
        done = map(on_data, [job for _, job in jobs])
        for (place, _), found in zip(jobs, bar(done, "sweep", len(jobs), quiet=not progress)):
            results.put(place, found)
    except KeyboardInterrupt:
        if not results.count:
            raise
        warnings.warn(
            f"sweep was interrupted after {results.count} of "
            f"{len(jobs)} stacks; the loss of the rest is NaN",
            stacklevel=2,
        )
    result = xr.Dataset(
        results.arrays, {**axes, "step": kept, "layer": np.arange(1, results.layers + 1)}
    )
    alone = [
        name
        for name, value in given.items()
        if isinstance(value, str) or not hasattr(value, "__len__")
    ]
    return describe(
        result.squeeze(alone).drop_vars([name for name in ("net", "rule") if name in alone])
    )


def in_words(accuracy: xr.DataArray, diverged: xr.DataArray) -> xr.DataArray:
    """What an accuracy in percent says of a network; ``diverged``: some seed's loss was not finite.

    >>> import xarray as xr
    >>> some = xr.DataArray([95.0, 60.0, 10.0, 95.0])
    >>> said = gb.sweeps.in_words(some, xr.DataArray([False, False, False, True]))
    >>> said.values[:3].tolist(), said.values[3].item()
    (['it learns', 'it learns in part', 'it does not learn'], 'it blows up for some seed')
    """
    learns = xr.where(accuracy > 20, "it learns in part", "it does not learn")
    learns = xr.where(accuracy > 80, "it learns", learns)
    return xr.where(diverged, "it blows up for some seed", learns)


def side_by_side(train: Function, jobs: Sequence[Any]) -> Iterator[Any]:
    """``map``, but each core has a job of its own.

    Networks need not wait for each other at every product.

    >>> list(gb.sweeps.side_by_side(lambda n: n**2, [1, 2, 3]))
    [1, 4, 9]
    """
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
