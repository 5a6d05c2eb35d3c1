"""What the size of a mini-batch does to training: at equal numbers of examples, and to a goal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

from .. import nets
from ..checks import check_positive, check_whole
from ..data.sets import digits
from ..kinds import Numbers, Whole
from ..record import describe, spread
from ..sweeps import batches, draw_weights, in_words, side_by_side, sweep
from ..sweeps.grids import axis, several
from ..sweeps.training import batch_loss

__all__ = ["batch_sizes", "steps_to"]


def batch_sizes(
    batch: Whole,
    lr: Numbers,
    *,
    examples: int = 2688,
    width: int = 64,
    seed: Sequence[int] = range(4),
) -> xr.Dataset:
    """Train one hidden layer of ReLU on the digits, for every batch size and learning rate, until
    ``examples`` of them were seen.

    Returns over (batch, lr): ``accuracy``, the mean over ``seed`` on the test digits in percent;
    ``loss`` (share of the examples seen, in 12 places), the median with ``_low`` and ``_high``;
    ``steps`` (batch); ``verdict`` in words.

    >>> found = gb.experiments.batch_sizes([32, 64], 0.1, examples=640)
    >>> found.steps.values.tolist(), found.verdict.values.tolist()
    ([20, 10], [['it learns in part'], ['it learns in part']])
    """
    check_whole(examples=examples)
    sizes, rates, seeds = several(batch), axis("lr", lr), axis("seed", seed)
    if not sizes:
        raise ValueError("batch is empty; give one size or a sequence of at least one")
    check_whole(1, examples, **{f"batch[{i}]": size for i, size in enumerate(sizes)})
    places = np.linspace(0, 1, 12)

    def train(size):
        steps = examples // size
        run = sweep(
            depth=1,
            width=width,
            activation="relu",
            sigma_w=2**0.5,
            lr=rates,
            seed=seeds,
            batch=size,
            steps=steps,
            record_every=max(1, steps // 44),
            progress=False,
        )
        loss = run.loss.assign_coords(step=run.step / steps)
        near = loss.sel(step=places, method="nearest").assign_coords(step=100 * places)
        out = spread(near.rename(step="seen").to_dataset(name="loss"))
        accuracy, diverged = (100 * run.accuracy).mean("seed"), run.diverged.any("seed")
        return out.assign(accuracy=accuracy, verdict=in_words(accuracy, diverged))

    data = xr.concat(list(side_by_side(train, sizes)), xr.Variable("batch", sizes))
    data["steps"] = "batch", [examples // size for size in sizes]
    for name, label in {
        "batch": "batch size",
        "lr": "learning rate",
        "seen": "% of the examples seen",
        "accuracy": "% of the test digits right",
        "loss": "loss of the batch",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def steps_to(
    target: float,
    batch: int,
    lr: Numbers,
    *,
    width: int = 64,
    seed: Sequence[int] = range(4),
    limit: int = 1000,
) -> tuple[float, float]:
    """(steps, rate): the fewest steps of gradient descent, over the rates ``lr``, after which the
    loss on all training digits is at most ``target``, and the rate at which it is so.

    One hidden layer of ReLU with He's weights; the median over ``seed``.  Steps are inf where no
    rate comes there within ``limit`` steps.

    >>> steps, rate = gb.experiments.steps_to(1.0, batch=64, lr=[0.1, 0.5], seed=[0, 1])
    >>> 1 < steps < 30, rate
    (True, 0.5)
    """
    check_whole(batch=batch, width=width, limit=limit)
    check_positive(target=np.array(target))
    data, rates, seeds = digits(), axis("lr", lr), axis("seed", seed)
    x, y = torch.from_numpy(data.x_train), torch.from_numpy(data.y_train)
    sizes = nets.layer_sizes(nets.mlp, x.shape[1], 1, width, data.classes)
    each = [s for s in seeds for _ in rates]  # every seed with every rate
    (W1, W2), (b1, b2) = draw_weights(
        "normal", sizes, each, [2**0.5] * len(each), [0.0] * len(each), "cpu"
    )
    params, eta = (
        [W1, W2, b1, b2],
        torch.tensor(rates * len(seeds), dtype=torch.float32).reshape(-1, 1, 1),
    )

    def losses(rows):
        z = nets.mlp(x[rows], params[:2], params[2:], torch.relu)[-1]
        return batch_loss(z, y[rows])

    everything = torch.arange(len(x)).expand(len(each), -1)
    arrived = np.full(len(each), np.inf)
    for step, rows in enumerate(batches(each, len(x), batch, limit), 1):
        grads = torch.autograd.grad(losses(rows).sum(), params)
        with torch.no_grad():
            for p, g in zip(params, grads):
                p -= eta * g
            if step % max(1, step // 20) == 0:  # to five per cent
                there = (losses(everything) <= target).numpy()
                arrived[there & np.isinf(arrived)] = step
        median = np.median(arrived.reshape(len(seeds), -1), 0)
        if step > 2 * median.min():
            break
    return median.min().item(), float(rates[median.argmin()])
