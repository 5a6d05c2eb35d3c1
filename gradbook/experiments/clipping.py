"""What clipping does: which rates a recurrent network learns with, and which gradient is left."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product

import numpy as np
import torch
import xarray as xr
from torch import nn
from torch.nn import functional as F

from .. import rules, sweeps
from ..checks import check_positive, check_whole
from ..data.sets import digits
from ..kinds import Array, Function, Numbers
from ..record import describe
from ..sweeps.grids import axis

__all__ = ["clipped_descent", "clipped_means", "clipping_map"]


def clipped_descent(max_norm: float) -> Function:
    """Gradient descent with all gradients together clipped to ``max_norm``: a rule of its rate.

    >>> import numpy as np
    >>> rule = gb.experiments.clipped_descent(5.0)(0.1)
    >>> path = gb.descend(rule, lambda x: np.array([30.0, 40.0]), np.zeros(2), steps=1)
    >>> path[1].round(4).tolist()
    [-0.3, -0.4]
    """
    link = rules.clip_norm(max_norm)
    return lambda lr: rules.chain(link, rules.sgd(lr))


def clipping_map(
    max_norm: Numbers,
    lr: Numbers,
    *,
    gain: Numbers = (1.5, 3.0),
    length: int = 10,
    units: int = 16,
    steps: int = 200,
    seed: Sequence[int] = range(4),
) -> xr.Dataset:
    """Train *tanh* networks to recall the first of ``length`` symbols by gradient descent, clipped
    to each ``max_norm``.

    Returns over (gain, max_norm, lr): ``loss`` (step), the mean over ten steps, the median over
    ``seed``; ``end``, that of the last 20 steps, and ``verdict`` in words; ``cut``, the share of
    the steps in percent whose gradient was longer than the threshold.

    >>> found = gb.experiments.clipping_map([1.0, 100.0], 1.0, gain=1.5, seed=[0, 1])
    >>> found.verdict.squeeze().values.tolist()
    ['it learns', 'it does not learn']
    """
    thresholds, rates, gains = axis("max_norm", max_norm), axis("lr", lr), axis("gain", gain)
    check_positive(max_norm=np.array(thresholds), lr=np.array(rates))
    check_whole(20, steps=steps)
    jobs = list(product(thresholds, rates))

    def train(job):
        found = sweeps.learn_sequences(
            "Gaussian",
            length,
            gain=gains,
            units=units,
            lr=job[1],
            rule=clipped_descent(job[0]),
            steps=steps,
            seed=seed,
        ).squeeze("bias", drop=True)
        loss = found.loss.fillna(np.inf).assign_coords(step=np.arange(steps))
        return xr.Dataset(
            {
                "loss": loss.coarsen(step=10, boundary="trim").mean().median("seed"),
                "end": loss.isel(step=slice(-20, None)).mean("step").median("seed"),
                "cut": 100 * (found.grad_norm > job[0]).mean(["seed", "step"]),
            }
        )

    found = list(sweeps.side_by_side(train, jobs))
    rows = [
        xr.concat(found[i : i + len(rates)], xr.Variable("lr", rates))
        for i in range(0, len(found), len(rates))
    ]
    data = xr.concat(rows, xr.Variable("max_norm", thresholds))
    words = xr.where(data.end < 0.9 * np.log(4), "it learns in part", "it does not learn")
    data["verdict"] = xr.where(data.end < 0.3 * np.log(4), "it learns", words)
    for name, label in {
        "max_norm": "threshold",
        "lr": "learning rate",
        "gain": "gain of the recurrent weights",
        "end": "loss at the end",
        "cut": "% of the steps clipped",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def clipped_means(
    at: Sequence[int] = (0, 100, 1000),
    *,
    batch: int = 32,
    width: int = 32,
    lr: float = 0.1,
    seed: Sequence[int] = range(4),
) -> xr.Dataset:
    """What is left of the digits' gradient if each example's, or each mini-batch's, is clipped to
    the median of their norms before the mean is taken.

    One hidden layer of ReLU, by descent on mini-batches; looked at after the steps ``at``.  Returns
    over (of, step, seed), ``of`` being *each example* or *each mini-batch* (of ``batch`` examples,
    a thousand of them): ``cosine`` between the mean of clipped gradients and the gradient, and
    ``length``, their quotient; and over (step, seed) the training ``loss``.

    >>> found = gb.experiments.clipped_means([0], seed=[0])
    >>> bool((found.cosine > 0.9).all()), bool((found.length < 1).all())
    (True, True)
    """
    steps, seeds = sorted(axis("step", list(at))), axis("seed", seed)
    check_whole(batch=batch, width=width)
    check_positive(lr=np.array(lr))
    x, y = (torch.from_numpy(a) for a in digits()[:2])
    cosine, length, losses = [], [], []
    for s in seeds:
        torch.manual_seed(s)
        model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
        optimizer, chance = torch.optim.SGD(model.parameters(), lr=lr), np.random.default_rng(s)
        draw = partial(chance.integers, len(x))
        for step in range(steps[-1] + 1):
            if step in steps:
                each = _each_gradient(model, x, y)
                batches = each[torch.from_numpy(draw(size=(1000, batch)))].mean(1)
                left = [_left(g, each.mean(0)) for g in (each, batches)]
                cosine.append([c for c, _ in left])
                length.append([n for _, n in left])
                losses.append(F.cross_entropy(model(x), y).item())
            rows = torch.from_numpy(draw(size=batch))
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    shape, dims = (len(seeds), len(steps), 2), ("seed", "step", "of")
    data = xr.Dataset(
        {
            "cosine": (dims, np.reshape(cosine, shape)),
            "length": (dims, np.reshape(length, shape)),
            "loss": (dims[:2], np.reshape(losses, shape[:2])),
        },
        {"seed": seeds, "step": steps, "of": ["each example", "each mini-batch"]},
    )
    return describe(data.transpose("of", "step", "seed"))


def _each_gradient(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Every example's gradient of all parameters, (examples, parameters)."""
    params = {name: p.detach() for name, p in model.named_parameters()}

    def loss(p, x, y):
        return F.cross_entropy(torch.func.functional_call(model, p, (x[None],)), y[None])

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(params, x, y)
    return torch.cat([g.flatten(1) for g in gradients.values()], 1)


def _left(gradients: torch.Tensor, true: torch.Tensor) -> Array:
    """Cosine and quotient of lengths: the mean of gradients clipped to their median norm, and
    ``true``.
    """
    norms = gradients.norm(dim=1)
    kept = (norms.median() / norms).clamp(max=1)
    mean = (gradients * kept[:, None]).mean(0)
    cosine = torch.nn.functional.cosine_similarity(mean, true, dim=0)
    return np.array([cosine.item(), (mean.norm() / true.norm()).item()])
