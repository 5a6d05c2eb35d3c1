"""Does a statement hold elsewhere?  A mark of how this machine adds, and what becomes of a single
bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr

from .. import nets, sweeps
from ..checks import check_whole
from ..data.sets import digits
from ..devices import device as find_device
from ..kinds import Activations
from ..record import describe

if TYPE_CHECKING:
    from ..nets.activations import Activation


__all__ = ["fingerprint", "twins"]


def fingerprint(device: str | torch.device | None = None) -> str:
    """Eight letters for how this machine adds.

    Those of NumPy's products and of PyTorch's training of four small networks.

    Machines with the same letters give, most likely, the same digits throughout the book.

    >>> len(gb.experiments.fingerprint())
    8
    """
    x = np.sin(np.arange(10_500.0)).reshape(150, 70)
    trained = sweeps.sweep(
        depth=6,
        activation=["tanh", "relu"],
        init="he",
        seed=[0, 1],
        steps=30,
        device=device,
        progress=False,
    )
    bits = (x.T @ x).tobytes() + np.exp(x).sum(0).tobytes() + trained.loss.values.tobytes()
    return hashlib.sha256(bits).hexdigest()[:8]


def twins(
    seed: Sequence[int] = range(4),
    *,
    depth: int = 10,
    width: int = 64,
    activation: Activations | Activation = "tanh",
    sigma_w: float = 1.3,
    sigma_b: float = 0.2,
    lr: float = 0.03,
    steps: int = 200,
    batch: int = 32,
    bits: int = 1,
    device: str | torch.device | None = None,
) -> xr.Dataset:
    """Pairs of networks that are equal but for one weight of the first layer, trained side by side
    on the same digits.

    That weight, the largest whose pixel varies, is smaller by ``bits`` units in its last place;
    with 0 the twins stay equal. Plain descent, float32.  Returns

    - ``distance`` (seed, step, layer): |W − W'|/|W| of the twins, for the weights of each layer;
    - ``strangers`` (seed, step, layer): the same between the first twin and that of the next seed
      (of the last, the first);
    - ``moved`` (seed, step, layer): the same between the first twin and its own first weights;
    - ``accuracy`` (seed, twin) on the test digits; ``alike`` (seed): on which part of them the
      twins agree, and ``strangers_alike``.

    >>> t = gb.experiments.twins([0], steps=5, bits=0)
    >>> float(t.distance.max())
    0.0
    """
    check_whole(0, steps=steps, bits=bits)
    check_whole(depth=depth, width=width, batch=batch)
    seeds, data, phi = list(seed), digits(), nets.activation(activation)
    device = find_device(device)
    x, y, x_test, y_test = (torch.from_numpy(a).to(device) for a in data)
    pairs = [s for s in seeds for _ in range(2)]
    sizes = nets.layer_sizes(nets.mlp, x.shape[1], depth, width, data.classes)
    weights, biases = sweeps.draw_weights(
        "normal", sizes, pairs, [sigma_w] * len(pairs), [sigma_b] * len(pairs), device
    )
    with torch.no_grad():
        # a weight on a pixel that is always 0 would change nothing
        varies = (x.std(0) > 0)[:, None]
        for W in weights[0][1::2]:
            largest = (W.abs() * varies).argmax()
            for _ in range(bits):
                W.view(-1)[largest] = torch.nextafter(
                    W.view(-1)[largest], torch.zeros((), device=device)
                )
        first = [W[::2].clone() for W in weights]
    found = {"distance": [], "strangers": [], "moved": []}
    for step, rows in enumerate(sweeps.batches(pairs, len(x), batch, steps + 1)):
        found["distance"].append(torch.stack([_relative(W[::2], W[1::2]) for W in weights], 1))
        found["strangers"].append(
            torch.stack([_relative(W[::2], W[::2].roll(-1, 0)) for W in weights], 1)
        )
        found["moved"].append(
            torch.stack([_relative(W0, W[::2]) for W0, W in zip(first, weights)], 1)
        )
        if step == steps:
            break
        rows = rows.to(device)
        z = nets.mlp(x[rows], weights, biases, phi)[-1]
        loss = (
            torch.nn.functional.cross_entropy(z.flatten(0, 1), y[rows].flatten(), reduction="sum")
            / batch
        )
        params = [*weights, *biases]
        with torch.no_grad():
            for p, g in zip(params, torch.autograd.grad(loss, params)):
                p -= lr * g
    with torch.no_grad():
        answers = nets.mlp(x_test.expand(len(pairs), *x_test.shape), weights, biases, phi)[
            -1
        ].argmax(-1)
    part = {
        "accuracy": (("seed", "twin"), (answers == y_test).view(len(seeds), 2, -1)),
        "alike": ("seed", answers[::2] == answers[1::2]),
        "strangers_alike": ("seed", answers[::2] == answers[::2].roll(-1, 0)),
    }
    return describe(
        xr.Dataset(
            {
                name: (("seed", "step", "layer"), torch.stack(rows, 1).cpu().numpy())
                for name, rows in found.items()
            }
            | {
                name: (dims, equal.double().mean(-1).cpu().numpy())
                for name, (dims, equal) in part.items()
            },
            {"seed": seeds, "step": np.arange(steps + 1), "layer": np.arange(1, depth + 2)},
        )
    )


@torch.no_grad()
def _relative(a, b):
    """|a − b|/|a| for every matrix of a stack, in float64."""
    return (a.double() - b.double()).flatten(1).norm(dim=1) / a.double().flatten(1).norm(dim=1)
