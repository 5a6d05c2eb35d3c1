"""Train small convolutional networks as one stack, on the digits as images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
import xarray as xr
from torch import nn
from torch.nn import functional as F

from ..checks import check_positive, check_whole
from ..data.sets import digits
from ..record import describe
from .grids import axis
from .training import batch_loss, batches

__all__ = ["Image", "image_networks"]

Image: TypeAlias = Literal["plain", "residual", "dense"]


class _ImageNet(nn.Module):
    """``depth`` 3×3 convolutions, the mean over all places, a readout."""

    def __init__(self, kind, depth, channels, scale):
        super().__init__()
        self.kind, self.scale = kind, scale
        seen = [channels * (l if kind == "dense" else 1) for l in range(1, depth + 1)]
        self.first = nn.Conv2d(1, channels, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv2d(n, channels, 3, padding=1) for n in seen[:-1])
        self.readout = nn.Linear(seen[-1], 10)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x, branches=True):
        z = self.first(x.unflatten(-1, (1, 8, 8)))
        for layer in self.layers if branches else []:
            new = layer(F.relu(z))
            if self.kind == "residual":
                z = z + self.scale * new
            else:
                z = new if self.kind == "plain" else torch.cat([z, new], 1)
        return self.readout(F.relu(z).mean((-1, -2)))


def image_networks(
    kind: Image,
    depth: int = 20,
    *,
    scale: float = 1.0,
    channels: int = 8,
    lr: float = 0.01,
    steps: int = 300,
    batch: int = 32,
    frozen: bool = False,
    seed: Sequence[int] = range(4),
) -> xr.Dataset:
    """Train convolutional networks with Adam to read the digits.

    ``depth`` 3×3 convolutions.  In a *residual* network (He et al. 2016) each but the first adds
    ``scale`` times its output, in a *dense* one (Huang et al. 2017) it appends ``channels``
    channels to what it got.  The readout sees the mean over all places.  If ``frozen``, all but the
    first convolution and the readout stay as they began.

    Returns over (seed), in percent of the test digits: ``accuracy``; and of a residual network
    ``without``, after all branches have been taken out of what was trained.

    >>> found = gb.sweeps.image_networks("plain", 2, lr=0.03, steps=60, seed=[0])
    >>> bool(found.accuracy[0] > 20)
    True
    """
    if kind not in ("plain", "residual", "dense"):
        raise ValueError(f"kind is {kind!r}; choose from plain, residual, dense")
    check_whole(depth=depth, channels=channels, steps=steps, batch=batch)
    check_positive(lr=np.array(lr))
    seeds, models = axis("seed", seed), []
    x, y, x_test, y_test = (torch.from_numpy(a) for a in digits())
    for s in seeds:
        torch.manual_seed(s)
        models.append(_ImageNet(kind, depth, channels, scale))
    params, _ = torch.func.stack_module_state(models)

    def answers(x, **how):
        call = torch.func.functional_call
        return torch.func.vmap(lambda p, x: call(models[0], p, (x,), how))(params, x)

    trained = [p for name, p in params.items() if not frozen or not name.startswith("layers")]
    optimizer = torch.optim.Adam(trained, lr=lr)
    for rows in batches(seeds, len(x), batch, steps):
        optimizer.zero_grad()
        batch_loss(answers(x[rows]), y[rows]).sum().backward()
        optimizer.step()

    @torch.no_grad()
    def right(**how):
        z = answers(x_test.expand(len(seeds), *x_test.shape), **how)
        return "seed", 100 * (z.argmax(-1) == y_test).double().mean(1).numpy()

    found = {"accuracy": right()}
    if kind == "residual":
        found["without"] = right(branches=False)
    return describe(xr.Dataset(found, {"seed": seeds}))
