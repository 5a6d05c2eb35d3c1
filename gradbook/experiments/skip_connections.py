"""Skip connections: which depth trains with which scale, and what a network loses with a block."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import xarray as xr

from .. import nets, rules, sweeps, theory
from ..checks import check_positive, check_whole
from ..data.sets import digits
from ..kinds import Names, Numbers, Whole
from ..record import describe, keep_places, spread
from ..sweeps.grids import axis, several
from ..sweeps.training import batch_loss, descend

__all__ = ["SCALES", "branch_scales", "delete_blocks"]

#: Scales of the branches, as functions of the depth.
#:
#: >>> gb.experiments.SCALES["1/√L"](25)
#: 0.2
SCALES = {
    "0": lambda depth: 0.0,
    "1/L": lambda depth: 1 / depth,
    "1/√L": lambda depth: depth**-0.5,
    "½": lambda depth: 0.5,
    "1": lambda depth: 1.0,
}


def branch_scales(
    depth: Whole,
    scale: Names = tuple(SCALES),
    lr: Numbers = (0.03, 0.1, 0.3),
    *,
    width: int = 32,
    steps: int = 100,
    batch: int = 32,
    seed: Sequence[int] = range(3),
    record_every: int = 5,
    places: int = 12,
) -> xr.Dataset:
    """Train residual ReLU networks with He's weights on the digits, for every depth, scale of the
    branches (one or several of SCALES) and learning rate.

    Returns over (depth, scale, lr): ``accuracy``, the mean over ``seed`` on the test digits in
    percent; ``loss`` (step), the median with ``_low`` and ``_high``, inf where not finite;
    ``verdict`` in words.  Over (depth, scale): ``signal`` (place) before training, relative to the
    last hidden layer, with ``_low`` and ``_high``, and ``signal_theory``.

    >>> found = gb.experiments.branch_scales([20], ["0", "1"], 0.1, steps=60, seed=[0])
    >>> found.verdict.squeeze().values.tolist()
    ['it learns', 'it blows up for some seed']
    """
    depths, names, rates = several(depth), several(scale), axis("lr", lr)
    if unknown := set(names) - set(SCALES):
        raise ValueError(f"scale has {sorted(unknown)}; choose from {', '.join(SCALES)}")
    check_positive(lr=np.array(rates))
    jobs = [(L, name) for L in depths for name in names]

    def train(job):
        L, name = job
        net = sweeps.sweep(
            depth=[L],
            net=partial(nets.residual, scale=SCALES[name](L)),
            activation="relu",
            sigma_w=2**0.5,
            lr=rates,
            seed=list(seed),
            width=width,
            batch=batch,
            steps=steps,
            record_every=record_every,
            progress=False,
        ).squeeze("depth", drop=True)
        signal = net.signal.isel(step=0, lr=0, layer=slice(L), drop=True)
        loss = net.loss.fillna(np.inf)
        out = xr.Dataset({"loss": loss, "signal": signal / signal.sel(layer=L)})
        growth = theory.residual_growth("relu", 2**0.5, SCALES[name](L))
        mean = 100 * net.accuracy.mean("seed")
        return spread(out).assign(
            signal_theory=growth ** ((L - out.layer) / 2),
            accuracy=mean,
            verdict=sweeps.in_words(mean, net.diverged.any("seed")),
        )

    found = list(sweeps.side_by_side(train, jobs))
    rows = [
        xr.concat(found[i : i + len(names)], xr.Variable("scale", names))
        for i in range(0, len(found), len(names))
    ]
    data = xr.concat(rows, xr.Variable("depth", depths), join="outer")
    data = keep_places(data, depths, places)
    for name, label in {
        "scale": "scale of the branches",
        "lr": "learning rate",
        "depth": "layers",
        "loss": "loss of the mini-batch",
        "signal": "|δ| before training, last layer = 1",
        "signal_theory": "predicted",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def delete_blocks(
    scale: float | None,
    depth: int = 20,
    *,
    activation: str = "relu",
    init: str = "normal",
    sigma_w: float = 2**0.5,
    width: int = 32,
    lr: float = 0.3,
    steps: int = 300,
    batch: int = 32,
    draws: int = 3,
    frozen: bool = False,
    seed: Sequence[int] = range(8),
) -> xr.Dataset:
    """Train a residual network on the digits (a plain one where ``scale`` is None), then leave
    blocks out of it, without training again.

    ``init="identity"`` begins with W = I in all hidden layers but the first.  If ``frozen``, these
    stay as they began, and only the first layer and the readout are trained.

    Returns over (seed): ``loss``, the mean of the last twenty mini-batches; and in percent of the
    test digits: ``accuracy``; ``without_one`` (block) for
    every block, that is hidden layers 2 … depth; ``without`` (deleted), 0 … depth − 1 blocks that
    are chosen by chance, the mean of ``draws`` choices.

    >>> found = gb.experiments.delete_blocks(0.3, 6, steps=60, seed=[0])
    >>> dict(found.without_one.sizes), dict(found.without.sizes)
    ({'block': 5, 'seed': 1}, {'deleted': 6, 'seed': 1})
    """
    check_whole(2, depth=depth)
    check_whole(width=width, steps=steps, batch=batch, draws=draws)
    check_positive(lr=np.array(lr))
    seeds, data, blocks = axis("seed", seed), digits(), np.arange(1, depth)
    each = len(seeds)
    x, y, x_test, y_test = (torch.from_numpy(a) for a in data)
    sizes = nets.layer_sizes(nets.mlp, x.shape[1], depth, width, data.classes)
    identity, phi = init == "identity", nets.activation(activation)
    weights, biases = sweeps.draw_weights(
        "normal" if identity else init, sizes, seeds, [sigma_w] * each, [0.0] * each, x.device
    )
    if identity:
        weights[1:-1] = [torch.eye(width).repeat(each, 1, 1).requires_grad_() for _ in blocks]
    params = [weights[0], weights[-1], biases[-1]] if frozen else [*weights, *biases]
    rule, state, losses = rules.sgd(lr), None, []

    def logits(x, left_out=()):
        if scale is None:
            kept = [l for l in range(depth + 1) if l not in left_out]
            return nets.mlp(x, [weights[l] for l in kept], [biases[l] for l in kept], phi)[-1]
        scales = [0.0 if l in left_out else scale for l in range(1, depth)]
        return nets.residual(x, weights, biases, phi, scales)[-1]

    for rows in sweeps.batches(seeds, len(x), batch, steps):
        loss = batch_loss(logits(x[rows]), y[rows])
        state = descend(rule, torch.autograd.grad(loss.sum(), params), state, params)
        losses.append(loss.detach())

    @torch.no_grad()
    def right(left_out=()):
        found = logits(x_test.expand(each, *x_test.shape), left_out).argmax(-1) == y_test
        return 100 * found.double().mean(1).numpy()

    rng = np.random.default_rng(0)

    def by_chance(k):
        return np.mean([right(rng.choice(blocks, k, replace=False)) for _ in range(draws)], 0)

    return describe(
        xr.Dataset(
            {
                "loss": ("seed", torch.stack(losses[-20:]).mean(0).numpy()),
                "accuracy": ("seed", right()),
                "without_one": (("block", "seed"), np.stack([right([k]) for k in blocks])),
                "without": (("deleted", "seed"), np.stack([by_chance(k) for k in range(depth)])),
            },
            {"seed": seeds, "block": blocks + 1, "deleted": np.arange(depth)},
        )
    )
