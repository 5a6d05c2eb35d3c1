"""What units do to update rules: five of them on the digits as they are, in odd units, rotated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from .. import rules
from ..checks import check_whole
from ..data.sets import Classification, digits
from ..kinds import Whole
from ..record import describe
from ..sweeps import sweep

__all__ = ["RULES", "compare_rules", "in_odd_units"]

#: A rule as a function of its learning rate, under its name.
#:
#: >>> list(gb.experiments.RULES)
#: ['SGD', 'momentum', 'AdaGrad', 'RMSProp', 'Adam']
RULES = {
    "SGD": rules.sgd,
    "momentum": lambda lr: rules.sgd(lr, momentum=0.9),
    "AdaGrad": rules.adagrad,
    "RMSProp": rules.rmsprop,
    "Adam": rules.adam,
}


def in_odd_units(draw: Whole = 0, *, rotated: bool = False) -> Classification:
    """The digits, each pixel multiplied by a factor of its own between 0.03 and 30, drawn by
    ``draw``; then, if wanted, all pixels rotated among each other.

    >>> d = gb.experiments.in_odd_units()
    >>> bool(abs(d.x_train).max() > 10)
    True
    """
    check_whole(0, draw=draw)
    rng, data = np.random.default_rng(draw), digits()
    units = 10 ** rng.uniform(-1.5, 1.5, 64).astype(np.float32)
    rotation = np.linalg.qr(rng.normal(size=(64, 64)))[0].astype(np.float32)
    change = units[:, None] * (rotation if rotated else np.eye(64, dtype=np.float32))
    return data._replace(x_train=data.x_train @ change, x_test=data.x_test @ change)


def compare_rules(
    data: Classification,
    *,
    steps: int = 150,
    seed: Sequence[int] = range(3),
    record_every: int = 10,
) -> xr.Dataset:
    """Train one hidden layer of 32 ReLU units by each of ``RULES``, at its best of ten rates.

    Returns over rule: ``loss`` (step), the mean over ``seed`` of the loss of mini-batches of 64;
    ``best``, the rate whose loss over the last 40 steps is least, and that loss, ``least``.

    >>> d = gb.experiments.compare_rules(gb.digits(), steps=100, seed=[0])
    >>> bool(d.least.max() < 0.5)
    True
    """
    check_whole(50, steps=steps)
    runs = sweep(
        depth=1,
        width=32,
        activation="relu",
        sigma_w=2**0.5,
        data=data,
        rule=RULES,
        lr=[10 ** (k / 2) for k in range(-8, 2)],
        seed=list(seed),
        steps=steps,
        batch=64,
        record_every=record_every,
        progress=False,
    ).loss
    late = runs.where(runs.step > steps - 40, drop=True).mean(["step", "seed"])
    best = late.idxmin("lr")
    found = xr.Dataset({"loss": runs.mean("seed").sel(lr=best).drop_vars("lr"), "best": best})
    return describe(found.assign(least=late.min("lr")))
