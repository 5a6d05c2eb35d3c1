"""Which learning rate trains which depth.

Networks trained on a grid of both, beside what the curvature at the start allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import nn

from .. import nets
from ..checks import check_positive, check_whole
from ..data.sets import digits
from ..kinds import Activations, Array, Function, Names, Numbers, Schedule, Whole
from ..measure.curvature import sharpness
from ..record import describe, spread
from ..sweeps import draw_weights, in_words, side_by_side, sweep

if TYPE_CHECKING:
    from ..nets.activations import Activation

from ..sweeps.grids import several

__all__ = ["NETWORKS", "learning_rates", "first_sharpness", "small_transformers"]

#: (The network as a function of its depth, σ_w), with ReLU.
#:
#: >>> list(gb.experiments.NETWORKS)[0]
#: 'plain, He'
NETWORKS = {
    "plain, He": (lambda depth: nets.mlp, 2**0.5),
    "residual, branches 1/√L": (lambda depth: partial(nets.residual, scale=depth**-0.5), 2**0.5),
    "batch normalization": (lambda depth: nets.normalized, 1.0),
}


def learning_rates(
    depth: Whole,
    lr: Numbers,
    net: Names = tuple(NETWORKS),
    *,
    width: int = 40,
    steps: int = 100,
    batch: int = 32,
    seed: Sequence[int] = (0, 1),
    record_every: int = 10,
) -> xr.Dataset:
    """Train a ReLU network on the digits, by gradient descent on mini-batches, for every depth,
    learning rate and kind of network.

    ``net`` names one or several of NETWORKS.  Returns over (net, depth, lr): ``accuracy``, the mean
    over ``seed`` on the test digits in percent; ``loss`` (step), the median with ``_low`` and
    ``_high``, inf where a seed's was not finite; ``verdict`` in words.  Over (net, depth):
    ``limit``, 2 over the median of :func:`first_sharpness` over the seeds; ``best``, the rate with
    the best accuracy.

    >>> t = gb.experiments.learning_rates([2], [0.1], ["plain, He"], steps=50)
    >>> t.verdict.item()
    'it learns'
    """
    depths, rates, names = several(depth), list(map(float, several(lr))), several(net)
    if unknown := set(names) - set(NETWORKS):
        raise ValueError(f"net has {sorted(unknown)}; choose from {', '.join(NETWORKS)}")
    check_positive(lr=np.array(rates))
    seeds, pairs = list(seed), [(name, L) for name in names for L in depths]

    def train(pair):
        (build, sigma), L = NETWORKS[pair[0]], pair[1]
        run = sweep(
            depth=[L],
            lr=rates,
            net=build(L),
            activation="relu",
            sigma_w=sigma,
            seed=seeds,
            width=width,
            steps=steps,
            batch=batch,
            record_every=record_every,
            progress=False,
        )[["accuracy", "loss", "diverged"]]
        start = [first_sharpness(build(L), L, sigma, width=width, seed=s) for s in seeds]
        return run.drop_vars("sigma_w", errors="ignore").assign(
            limit=("depth", [2 / np.median(start)])
        )

    found = list(side_by_side(train, pairs))
    rows = [
        xr.concat(found[i : i + len(depths)], "depth") for i in range(0, len(found), len(depths))
    ]
    runs = xr.concat(rows, xr.Variable("net", names))
    accuracy = (100 * runs.accuracy).mean("seed").round(1)
    data = spread(runs.loss.where(np.isfinite(runs.loss)).to_dataset(name="loss"))
    data["accuracy"], data["limit"] = accuracy, runs.limit
    data["share"], data["best"] = accuracy.lr / runs.limit, accuracy.idxmax("lr")
    data["verdict"] = in_words(accuracy, runs.diverged.any("seed"))
    for name, label in {
        "accuracy": "% of the test digits right",
        "limit": "2/λₘₐₓ at the start",
        "net": "network",
        "lr": "learning rate",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def first_sharpness(
    net: Function,
    depth: int,
    sigma_w: float,
    *,
    activation: Activations | Activation = "relu",
    width: int = 40,
    examples: int = 200,
    seed: int = 0,
) -> float:
    """The largest eigenvalue of the Hessian, at the start, of the mean cross-entropy of the first
    training digits, to 2 %.

    Weights are those that :func:`gradbook.sweeps.sweep` draws for this ``seed``, with biases of 0.

    >>> bool(1 < gb.experiments.first_sharpness(gb.mlp, 2, 2**0.5) < 100)
    True
    """
    check_whole(depth=depth, width=width, examples=examples)
    data = digits()
    sizes = nets.layer_sizes(net, 64, depth, width, data.classes)
    drawn = draw_weights("normal", sizes, [seed], [sigma_w], [0.0], "cpu")
    weights, biases = ([p.detach()[0] for p in some] for some in drawn)
    x, y = torch.from_numpy(data.x_train[:examples]), torch.from_numpy(data.y_train[:examples])
    params, phi = torch.nn.ParameterList([*weights, *biases]), nets.activation(activation)

    def loss():
        return torch.nn.functional.cross_entropy(
            net(x, [*params[: len(sizes)]], [*params[len(sizes) :]], phi)[-1], y
        )

    return sharpness(params, loss, tolerance=0.02)


class _Reader(nn.Module):
    """A transformer for which the eight rows of a digit are eight tokens."""

    def __init__(self, layers: int, width: int, norm_first: bool):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(0.5 * torch.randn(8, width))
        block = partial(
            nn.TransformerEncoderLayer, width, 2, 2 * width, dropout=0.0, batch_first=True
        )
        self.blocks = nn.Sequential(*(block(norm_first=norm_first) for _ in range(layers)))
        self.readout = nn.Linear(width, 10)

    def forward(self, x):
        tokens = self.embed(x.unflatten(1, (8, 8))) + self.position
        return self.readout(self.blocks(tokens).mean(1))


def small_transformers(
    rate: Schedule,
    *,
    norm_first: bool = False,
    layers: int = 4,
    width: int = 16,
    steps: int = 100,
    batch: int = 32,
    seed: Sequence[int] = range(8),
) -> Array:
    """Percent of the test digits that transformers read, one for each ``seed``, after ``steps`` of
    Adam on mini-batches, step t with the learning rate ``rate(t)``.

    The tokens are the eight rows of a digit.  Blocks are torch's, with two heads and a layer
    normalization after each branch, or before it if ``norm_first`` is true (Xiong et al. 2020).

    >>> bool(gb.experiments.small_transformers(gb.constant(0.01), layers=1, seed=[0])[0] > 30)
    True
    """
    check_whole(layers=layers, width=width, steps=steps, batch=batch)
    data, models = digits(), []
    x, y, x_test, y_test = (torch.from_numpy(part) for part in data)
    for s in seed:
        torch.manual_seed(s)
        models.append(_Reader(layers, width, norm_first))
    params, _ = torch.func.stack_module_state(models)
    draws = [torch.Generator().manual_seed(s) for s in seed]

    def answers(p, rows):
        return torch.func.functional_call(models[0], p, (rows,))

    def loss(p, rows, labels):
        return nn.functional.cross_entropy(answers(p, rows), labels)

    gradients = torch.func.vmap(torch.func.grad(loss))
    optimizer = torch.optim.Adam(params.values())
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):  # which vmap can take apart
        for t in range(steps):
            optimizer.param_groups[0]["lr"] = rate(t)
            rows = torch.stack([torch.randint(len(x), (batch,), generator=g) for g in draws])
            for p, g in zip(params.values(), gradients(params, x[rows], y[rows]).values()):
                p.grad = g
            optimizer.step()
        with torch.no_grad():
            found = torch.func.vmap(lambda p: answers(p, x_test))(params)
    return 100 * (found.argmax(-1) == y_test).double().mean(1).numpy()
