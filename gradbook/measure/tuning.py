"""How large a step and a batch may be.

The learning-rate range test and the gradient noise scale.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr

from ..kinds import Function
from ..progress import bar
from ..record import describe
from .layers import check_model, untouched

__all__ = ["lr_range", "gradient_noise", "GradientNoise"]


def lr_range(
    model: torch.nn.Module,
    loss: Callable[[], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
    progress: bool = True,
) -> xr.Dataset:
    """Train while the learning rate rises from ``low`` to ``high``, and suggest one.

    Model and optimizer are put back.

    ``loss`` is a function of no arguments that draws a mini-batch and returns its mean loss; all of
    ``optimizer``'s groups get the same rate.  It stops where the loss is not finite or, smoothed,
    four times its least.  Returns a data set over ``lr``: ``loss`` and ``smoothed``, the median of
    five neighbors, so that one spike neither stops it nor makes the suggestion.  Attributes:
    ``suggestion``, a third of the rate at which the smoothed loss is least, NaN if it fell by less
    than six times its median deviation from the smoothed; ``reason`` in words.  The test is Smith's
    (2017); where the loss falls *fastest* is lost in the noise of the mini-batches (the chapter on
    learning rates compares the two).

    >>> import torch
    >>> d = gb.digits()
    >>> x, y = torch.from_numpy(d.x_train[:256]), torch.from_numpy(d.y_train[:256])
    >>> model = torch.nn.Linear(64, 10)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> loss = lambda: torch.nn.functional.cross_entropy(model(x), y)
    >>> 0.01 < gb.lr_range(model, loss, optimizer, progress=False).suggestion < 10
    True
    """
    check_model(model)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer is a {type(optimizer).__name__}; it must be a torch.optim.Optimizer"
        )
    if not 0 < low < high < math.inf:
        raise ValueError(
            f"low is {low!r} and high {high!r}; they must be finite with 0 < low < high"
        )
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 10:
        raise ValueError(f"steps is {steps!r}; it must be a whole number from 10 on")
    before = (
        copy.deepcopy(model.state_dict()),
        copy.deepcopy(optimizer.state_dict()),
        [p.grad for p in model.parameters()],
    )
    rates, losses = np.geomspace(low, high, steps), []
    try:
        for lr in bar(rates, "lr_range", quiet=not progress):
            for group in optimizer.param_groups:
                group["lr"] = float(lr)
            optimizer.zero_grad()
            value = loss()
            losses.append(float(value.detach()))
            if (
                not math.isfinite(losses[-1])
                or len(losses) >= 5
                and np.median(losses[-5:]) > 4 * max(np.min(_smooth(losses)), 1e-12)
            ):
                break
            value.backward()
            optimizer.step()
    finally:
        model.load_state_dict(before[0])
        optimizer.load_state_dict(before[1])
        for p, g in zip(model.parameters(), before[2]):
            p.grad = g
    smoothed = _smooth(losses)
    suggestion, reason = _suggest(rates, np.array(losses), smoothed)
    return describe(
        xr.Dataset(
            {"loss": ("lr", losses), "smoothed": ("lr", smoothed)},
            {"lr": rates[: len(losses)]},
            {"suggestion": suggestion, "reason": reason},
        )
    )


class GradientNoise(NamedTuple):
    """|G|², the squared gradient; tr Σ, one example's variance around it; the noise scale.

    The noise scale is tr Σ/|G|².

    >>> noise = gb.measure.GradientNoise(square=4.0, variance=200.0, scale=50.0)
    >>> noise.variance / noise.square == noise.scale
    True
    """

    square: float
    variance: float
    scale: float


def gradient_noise(model: torch.nn.Module, loss: Function, batches: Iterable[Any]) -> GradientNoise:
    """The gradient noise scale tr Σ/|G|².

    The batch size at which noise and gradient are of one size  (McCandlish et al. 2018).

    ``batches`` are at least two batches of one size, tensors or tuples of tensors (examples, …);
    ``loss(batch)`` is the mean loss of one.  Both estimates are unbiased; where |G|² comes out
    negative, the noise drowned it, and the scale is inf.  ``.grad`` and batch norm's averages are
    left alone.

    >>> import torch
    >>> w = torch.nn.Linear(1, 1, bias=False)
    >>> batches = torch.randn(50, 8, 1, generator=torch.Generator().manual_seed(0)) + 3
    >>> # the gradient is x: mean 3, variance 1
    >>> noise = gb.gradient_noise(w, lambda x: w(x).mean(), batches)
    >>> round(noise.square), round(noise.variance)
    (9, 1)
    """
    check_model(model)
    params = [p for p in model.parameters() if p.requires_grad]
    gradients, sizes = [], set()
    for batch in batches:
        sizes.add(len(batch if isinstance(batch, torch.Tensor) else batch[0]))
        with untouched(model):
            grads = torch.autograd.grad(loss(batch), params, allow_unused=True)
        gradients.append(
            torch.cat(
                [
                    (torch.zeros_like(p) if g is None else g).reshape(-1).double()
                    for p, g in zip(params, grads)
                ]
            )
        )
    n = len(gradients)
    if n < 2 or len(sizes) != 1:
        raise ValueError(
            f"there are {n} batches of sizes {sorted(sizes)}; it takes at least two of one size"
        )
    gradients = torch.stack(gradients)
    # a batch's variance is one example's over the batch size
    of_batch = gradients.var(0).sum().item()
    square = gradients.mean(0).square().sum().item() - of_batch / n
    variance = sizes.pop() * of_batch
    return GradientNoise(square, variance, variance / square if square > 0 else math.inf)


def _smooth(losses):
    """The median of five neighbors; what is not finite counts as infinite."""
    padded = np.pad(np.where(np.isfinite(losses), losses, np.inf), 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)


def _suggest(rates, losses, smoothed):
    finite = np.isfinite(smoothed)
    if finite.sum() < 10:
        return (
            math.nan,
            f"the loss was finite at {int(finite.sum())} rates only; begin lower than {rates[0]:g}",
        )
    end = int(np.argmin(np.where(finite, smoothed, np.inf)))
    fall = smoothed[:10].mean() - smoothed[end]
    both = finite & np.isfinite(losses)
    noise = 1.5 * np.median(abs(losses[both] - smoothed[both])) + 1e-12  # a spike does not count
    if end < 3 or fall < 4 * noise:
        return (
            math.nan,
            f"the loss fell by {max(fall, 0):.3g} only, and its noise is {noise:.2g}: "
            f"nothing was learned between {rates[0]:g} and {rates[len(losses) - 1]:g}",
        )
    if end >= len(rates) - 3:
        return (
            float(rates[end] / 3),
            f"a third of {rates[end]:.2g}, the end of the "
            f"test: the loss was still falling; raise high",
        )
    return float(rates[end] / 3), f"a third of {rates[end]:.2g}, where the loss is least"
