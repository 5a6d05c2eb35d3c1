"""Remedy × failure.

Which remedy lets which failing network train, each at its own best learning rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import xarray as xr

from .. import nets, rules
from ..checks import check_positive, check_whole
from ..kinds import Array, Function, Names, Numbers
from ..record import describe, keep_places, relative_to_top, spread
from ..rules import chain, clip_norm
from ..sweeps.grids import several
from ..sweeps.sweep import side_by_side, sweep

__all__ = ["FAILURES", "REMEDIES", "dropout", "remedy_matrix"]

#: Networks that do not learn the digits, as arguments for sweep; biases are 0.
#:
#: >>> gb.experiments.FAILURES["sigmoid"]
#: {'activation': 'sigmoid', 'sigma_w': 1.0}
FAILURES = {
    "sigmoid": {"activation": "sigmoid", "sigma_w": 1.0},
    "ReLU, PyTorch's weights": {"activation": "relu", "init": "torch_default"},
    "tanh, σ_w = 3": {"activation": "tanh", "sigma_w": 3.0},
    "ReLU, unscaled skips": {"activation": "relu", "init": "he", "net": nets.residual},
    "ReLU, 6 units wide": {"activation": "relu", "init": "he", "width": 6},
}
# the initialization made for an activation
OWN = {"sigmoid": "xavier", "tanh": "xavier", "relu": "he", "leaky_relu": "he"}


def _normalize(norm):
    def remedy(given, depth):
        same = given.get("net", nets.mlp) is nets.residual
        return given | {"net": partial(nets.residual if same else nets.normalized, norm=norm)}

    return remedy


def _follow(rule):
    return lambda given, depth: given | {"rule": rule}


def _drop_out(given, depth):
    return given | {
        "net": partial(
            dropout, net=given.get("net", nets.mlp), rng=torch.Generator().manual_seed(0)
        )
    }


def dropout(
    x: Array,
    weights: Sequence[Array],
    biases: Sequence[Array],
    phi: Function,
    net: Function,
    rng: torch.Generator,
    p: float = 0.2,
) -> list[Array]:
    """``net`` with a share p of every layer's activations set to 0 while it is trained, and the
    rest divided by 1 − p.

    >>> import torch
    >>> x, rng = torch.ones(1000, 1), torch.Generator().manual_seed(0)
    >>> one = [torch.ones(1, 1)] * 2
    >>> zs = gb.experiments.dropout(x, one, [torch.zeros(1)] * 2, torch.relu, gb.mlp, rng)
    >>> sorted(set(zs[1].ravel().tolist()))
    [0.0, 1.25]
    """

    def thinned(z):
        h = phi(z)
        return (
            h * (torch.rand(h.shape, generator=rng) > p).to(h.device) / (1 - p)
            if torch.is_grad_enabled()
            else h
        )

    return net(x, weights, biases, thinned)


#: What may help them: (sweep's arguments, depth) → sweep's arguments.
#:
#: >>> list(gb.experiments.REMEDIES)[5]
#: 'batch normalization'
REMEDIES = {
    "none": lambda given, depth: given,
    "initialization of its own": lambda given, depth: (
        given | {"init": OWN[given["activation"]], "sigma_w": 1.0}
    ),
    "orthogonal weights": lambda given, depth: (
        given | {"init": "orthogonal", "sigma_w": 2**0.5 if "relu" in given["activation"] else 1.0}
    ),
    "ReLU with He": lambda given, depth: (
        given | {"activation": "relu", "init": "he", "sigma_w": 1.0}
    ),
    "leaky ReLU with He": lambda given, depth: (
        given | {"activation": "leaky_relu", "init": "he", "sigma_w": 1.0}
    ),
    "batch normalization": _normalize(nets.batch_norm),
    "layer normalization": _normalize(nets.layer_norm),
    "skips with 1/√L": lambda given, depth: (
        given | {"net": partial(nets.residual, scale=depth**-0.5)}
    ),
    "Adam": _follow(lambda lr: rules.adam(lr / 10)),
    "Nesterov": _follow(lambda lr: rules.nesterov(lr / 10)),
    "clipping at norm 1": _follow(lambda lr: chain(clip_norm(1.0), rules.sgd(lr))),
    "L2, strength 0.1": _follow(partial(rules.sgd, weight_decay=0.1)),
    "dropout, 20 %": _drop_out,
}


def remedy_matrix(
    failure: Names = tuple(FAILURES),
    remedy: Names = tuple(REMEDIES),
    lr: Numbers = (0.01, 0.1, 1.0),
    *,
    depth: int = 20,
    width: int = 32,
    steps: int = 100,
    batch: int = 32,
    seed: Sequence[int] = range(5),
    record_every: int = 10,
    places: int = 8,
) -> xr.Dataset:
    """Train every failing network with every remedy, one at a time, on the digits.

    Learning rates of Adam and Nesterov are a tenth of ``lr``.  Returns over (failure, remedy, lr):
    ``accuracy`` (seed) on the test digits in percent; ``loss`` (step) and the initial ``signal``
    (place) relative to the last hidden layer's, medians over the seeds with ``_low`` and ``_high``;
    ``mean``; over (failure, remedy): ``best_lr``, the rate at which that loss ends lowest, so that
    the test digits do not choose, and there ``best``, the mean accuracy, with ``least`` and
    ``most`` over the seeds; and ``verdict``: a network trains if ``best`` is above 50.

    >>> matrix = gb.experiments.remedy_matrix
    >>> matrix(["sigmoid"], ["none"], [0.1], depth=10, steps=20, seed=[0]).verdict.item()
    'does not train'
    """
    check_whole(depth=depth, width=width, steps=steps)
    rates, seeds = list(map(float, several(lr))), list(seed)
    check_positive(lr=np.array(rates))
    names = {"failure": several(failure), "remedy": several(remedy)}
    for axis, known in (("failure", FAILURES), ("remedy", REMEDIES)):
        if unknown := set(names[axis]) - set(known):
            raise ValueError(f"{axis} has {sorted(unknown)}; choose from {', '.join(known)}")

    def train(given):
        net = sweep(
            **given,
            depth=depth,
            lr=rates,
            seed=seeds,
            steps=steps,
            batch=batch,
            record_every=record_every,
            progress=False,
        )
        first = relative_to_top(net.signal.isel(step=0, drop=True), depth)
        out = spread(xr.Dataset({"loss": net.loss, "signal": first}).drop_vars(["depth"]))
        return out.assign(accuracy=100 * net.accuracy.drop_vars("depth")).drop_vars(
            ["width", "init", "activation", "sigma_w", "sigma_b"], errors="ignore"
        )

    # unless something else is given
    alike = {"width": width, "init": "normal", "sigma_w": 1.0, "net": nets.mlp, "rule": rules.sgd}
    wanted = [
        alike | REMEDIES[r](FAILURES[f], depth) for f in names["failure"] for r in names["remedy"]
    ]
    different = [given for i, given in enumerate(wanted) if given not in wanted[:i]]
    trained = list(side_by_side(train, different))
    found = [trained[different.index(given)] for given in wanted]
    count = len(names["remedy"])
    rows = [
        xr.concat(found[i : i + count], xr.Variable("remedy", names["remedy"]))
        for i in range(0, len(found), count)
    ]
    data = xr.concat(rows, xr.Variable("failure", names["failure"]))
    data["mean"] = data.accuracy.mean("seed")
    best = data.loss.isel(step=-1, drop=True).fillna(np.inf).argmin("lr")
    data["best_lr"], data["best"] = data.lr[best], data["mean"].isel(lr=best)
    data["least"], data["most"] = (
        getattr(data.accuracy.isel(lr=best), f)("seed") for f in ("min", "max")
    )
    data["verdict"] = xr.where(data.best > 50, "trains", "does not train")
    data = keep_places(data.expand_dims(depth=[depth]), [depth], places).squeeze("depth", drop=True)
    for name, label in {
        "failure": f"the network, {depth} layers",
        "remedy": "remedy",
        "lr": "learning rate",
        "loss": "loss of the mini-batch",
        "signal": "signal at the start, last hidden layer = 1",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)
