"""What number formats do to training: steps that are rounded away, signals that leave a format."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal, TypeAlias

import numpy as np
import torch
import xarray as xr

from .. import nets, sweeps
from ..checks import check_positive, check_whole
from ..data.sets import digits
from ..kinds import Names, Numbers
from ..nets import round_stochastically, round_to
from ..record import describe
from ..sweeps.grids import axis, several
from ..sweeps.training import batch_loss
from ..theory import FORMATS, chi, fixed_point, format_depth

__all__ = ["WAYS", "Way", "keep_weights", "layer_factors", "leaving"]

Way: TypeAlias = Literal["float32", "bfloat16", "stochastic", "compensated"]
#: How :func:`keep_weights` keeps them; the last two in bfloat16, too.
WAYS = ("float32", "bfloat16", "stochastic", "compensated")


def keep_weights(
    way: Way,
    lr: float,
    *,
    steps: int = 600,
    width: int = 64,
    batch: int = 32,
    seed: Sequence[int] = range(8),
) -> xr.Dataset:
    """Train one hidden layer of ReLU on the digits, its weights kept in a number format.

    Gradients and steps are computed in float32; then the weights are rounded to bfloat16, to the
    nearest number or stochastically.  *compensated* (Kahan 1965) adds to each step what rounding
    took from the steps before, and keeps that remainder in bfloat16.

    Returns over (seed): ``loss`` (step), ``accuracy`` on the test digits in percent, and
    ``unmoved``, the share of the weights that are in the end where they began, in percent.

    >>> found = gb.experiments.keep_weights("bfloat16", 1e-3, steps=40, seed=[0])
    >>> found.unmoved.item() > 50
    True
    """
    if way not in WAYS:
        raise ValueError(f"way is {way!r}; choose from {', '.join(WAYS)}")
    check_positive(lr=np.array(lr))
    check_whole(steps=steps, width=width, batch=batch)
    seeds, data, chance = axis("seed", seed), digits(), torch.Generator().manual_seed(0)
    x, y, x_test, y_test = (torch.from_numpy(a) for a in data)
    sizes = nets.layer_sizes(nets.mlp, 64, 1, width, data.classes)
    each = len(seeds)
    drawn = sweeps.draw_weights("normal", sizes, seeds, [2**0.5] * each, [0.0] * each, x.device)
    params = [p.detach() for some in drawn for p in some]
    if way != "float32":
        params = [round_to(p, "bfloat16") for p in params]
    first, rest, losses = params, [torch.zeros_like(p) for p in params], []
    for rows in sweeps.batches(seeds, len(x), batch, steps):
        params = [p.requires_grad_() for p in params]
        z = nets.mlp(x[rows], params[:2], params[2:], torch.relu)[-1]
        loss = batch_loss(z, y[rows])
        losses.append(loss.detach())
        updates = [-lr * g for g in torch.autograd.grad(loss.sum(), params)]
        with torch.no_grad():
            params = [p.detach() for p in params]
            if way == "float32":
                params = [p + u for p, u in zip(params, updates)]
            elif way == "bfloat16":
                params = [round_to(p + u, "bfloat16") for p, u in zip(params, updates)]
            elif way == "stochastic":
                params = [round_stochastically(p + u, chance) for p, u in zip(params, updates)]
            else:
                wanted = [round_to(u + r, "bfloat16") for u, r in zip(updates, rest)]
                sums = [round_to(p + u, "bfloat16") for p, u in zip(params, wanted)]
                rest = [round_to(u - (s - p), "bfloat16") for s, p, u in zip(sums, params, wanted)]
                params = sums
    z = nets.mlp(x_test.expand(each, *x_test.shape), params[:2], params[2:], torch.relu)[-1]
    still = torch.cat([(p == q).flatten(1) for p, q in zip(params[:2], first[:2])], 1)
    found = xr.Dataset(
        {
            "loss": (("seed", "step"), torch.stack(losses, 1).numpy()),
            "accuracy": ("seed", 100 * (z.argmax(-1) == y_test).double().mean(1).numpy()),
            "unmoved": ("seed", 100 * still.double().mean(1).numpy()),
        },
        {"seed": seeds},
    )
    return describe(found)


def leaving(
    format: Names,
    activation: Names,
    sigma_w: Numbers,
    *,
    depth: int = 100,
    width: int = 64,
    batch: int = 16,
    seed: Sequence[int] = range(2),
    every: int = 2,
) -> xr.Dataset:
    """At which layer signals leave a number format: every z, φ(z) and δ of a random network is
    computed in float64 and rounded to it.

    Returns over (format, activation, sigma_w): ``forward`` and ``backward`` (layer: how many layers
    the signal has passed), means over ``seed``, the share in percent of the z, and of the δ, that
    are 0 or not finite, though without rounding they are neither.  The way back has the slopes of
    the network without rounding.  ``forward_theory`` and ``backward_theory`` are 0 or 100, by
    :func:`~gradbook.theory.format_depth` with :func:`layer_factors`; ``left``, the layer at which
    one of the two is first above 50 % (``depth`` where none is), and ``verdict`` in words.

    >>> found = gb.experiments.leaving("float16", "sigmoid", 1.0, depth=20, seed=[0])
    >>> found.verdict.item()
    'the gradient becomes 0'
    """
    formats, names, sigmas = several(format), several(activation), axis("sigma_w", sigma_w)
    if unknown := set(formats) - (held := set(FORMATS) - {"float8_e4m3fn"}):
        raise ValueError(
            f"format has {sorted(unknown)}; choose from {', '.join(sorted(held))} "
            "(float8_e4m3fn has no infinity: what is too large is NaN or stays at 448)"
        )
    check_whole(2, depth=depth)
    check_whole(width=width, batch=batch, every=every)
    seeds, kept = axis("seed", seed), np.arange(0, depth, every)
    jobs = list(product(formats, names, sigmas))
    passes = sweeps.side_by_side(lambda job: _rounded(*job, depth, width, batch, seeds), jobs)
    shape = (len(formats), len(names), len(sigmas))
    forward, backward, end = (np.stack(a).reshape(*shape, -1) for a in zip(*passes))
    lasts = np.array([_predicted(*job) for job in jobs]).reshape(*shape, 2, 1)
    theory = 100.0 * (np.arange(1, depth + 1) > lasts)
    bad = np.maximum(forward, backward) > 50
    left = np.where(bad.any(-1), bad.argmax(-1) + 1, depth)
    first = np.take_along_axis(forward, left[..., None] - 1, -1)[..., 0] > 50
    what = np.where(first, "the signal", "the gradient")
    how = np.where(np.where(first, end[..., 0], end[..., 1]), "becomes infinite", "becomes 0")
    verdict = np.char.add(np.char.add(what, " "), how)
    verdict = np.where(bad.any(-1), verdict, "the format holds everything")
    over = ("format", "activation", "sigma_w")
    found = {"forward": forward, "backward": backward}
    found |= {"forward_theory": theory[..., 0, :], "backward_theory": theory[..., 1, :]}
    data = xr.Dataset(
        {name: ((*over, "layer"), values[..., kept]) for name, values in found.items()}
        | {"left": (over, left), "verdict": (over, verdict)},
        {"format": formats, "activation": names, "sigma_w": sigmas, "layer": kept + 1},
    )
    for name, label in {
        "layer": "layers passed",
        "forward": "% of z lost, forward",
        "backward": "% of δ lost, backward",
        "forward_theory": "predicted",
        "backward_theory": "predicted",
        "left": "layers until half is lost",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def layer_factors(activation: str, sigma_w: float) -> tuple[float, float]:
    """By which factor a layer multiplies |z| forward and |δ| backward, without biases.

    Forward: of ReLU σ_w/√2, of tanh σ_w below 1, and 1 where z settles at a variance above 0.
    Backward: √χ₁.

    >>> [round(f, 2) for f in gb.experiments.layer_factors("relu", 3.0)]
    [2.12, 2.12]
    """
    settles = fixed_point(activation, sigma_w) > 0
    forward = 1.0 if settles else chi(activation, sigma_w, q=1e-12) ** 0.5
    if activation == "relu":
        forward = sigma_w / 2**0.5
    return float(forward), float(chi(activation, sigma_w) ** 0.5)


def _rounded(format, activation, sigma_w, depth, width, batch, seeds):
    """Shares of lost z and δ in percent, by layers passed, means over the seeds; and whether what
    is lost last is infinite.
    """
    phi = nets.activation(activation)
    sizes = [(64, width), *[(width, width)] * (depth - 1)]
    drawn = sweeps.draw_weights(
        "normal", sizes, seeds, [sigma_w] * len(seeds), [0.0] * len(seeds), torch.device("cpu")
    )
    exact = [W.detach().double() for W in drawn[0]]
    weights = [round_to(W, format) for W in exact]
    x = torch.from_numpy(digits().x_train[:batch]).double().expand(len(seeds), -1, -1)
    h, g, zs, rounded = x, x, [], []
    for W, V in zip(exact, weights):
        zs.append(h @ W)
        rounded.append(round_to(g @ V, format))
        h, g = phi(zs[-1]), round_to(phi(rounded[-1]), format)
    chance = torch.Generator().manual_seed(0)
    delta = torch.randn(h.shape, generator=chance, dtype=h.dtype)
    small, deltas = round_to(delta, format), []
    for k in reversed(range(depth)):
        slope = torch.from_numpy(phi.slope(zs[k].numpy()))
        delta, small = delta * slope, round_to(small * slope, format)
        deltas.append((small, delta))
        delta, small = delta @ exact[k].mT, round_to(small @ weights[k].mT, format)

    def lost(a, true):
        there = (true != 0) & true.isfinite()
        gone = (a == 0) | ~a.isfinite()
        return 100 * (gone & there).sum() / there.sum()

    forward = [lost(z, true).item() for z, true in zip(rounded, zs)]
    backward = [lost(d, true).item() for d, true in deltas]
    infinite = [~a.isfinite().all() for a in (rounded[-1], deltas[-1][0])]
    return np.array(forward), np.array(backward), np.array(infinite)


def _predicted(format, activation, sigma_w):
    """After how many layers z and δ leave the format; inf for never."""
    return [format_depth(f, format) for f in layer_factors(activation, sigma_w)]
