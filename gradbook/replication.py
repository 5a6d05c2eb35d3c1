"""Does a statement hold elsewhere?  All seeds moved, a mark of how this machine adds, and what becomes of a single bit.

Two environment variables, read when gradbook is imported, change what a notebook draws and sees, without a change in the notebook:
``GRADBOOK_SEED_OFFSET=1000`` moves every seed, ``GRADBOOK_NUDGE=1`` moves every input of :mod:`gradbook.data` to a neighboring number.
"""

import hashlib
from numbers import Integral

import numpy as np
import torch
import xarray as xr

from . import nets, sweeps
from .checks import check_whole
from .data import digits
from .devices import device as find_device
from .record import describe

__all__ = ["move_seeds", "fingerprint", "twins"]


def move_seeds(offset):
    """From now on, add ``offset`` to every seed that NumPy and PyTorch are given in this process.

    Seeds of ``np.random.default_rng`` (of a sequence, its first number), ``np.random.RandomState``, ``np.random.seed``,
    ``torch.manual_seed`` and ``torch.Generator().manual_seed``.
    """
    def moved(seed):
        if isinstance(seed, (list, tuple)):
            return [int(seed[0]) + offset, *seed[1:]]
        return int(seed) + offset if isinstance(seed, Integral) else seed

    def with_moved_seed(draw):
        return lambda seed=None: draw(moved(seed))

    class RandomState(np.random.RandomState):
        def __init__(self, seed=None):
            super().__init__(moved(seed))

    class Generator(torch.Generator):
        def manual_seed(self, seed):
            return super().manual_seed(moved(seed))

    np.random.default_rng, np.random.seed = map(with_moved_seed, (np.random.default_rng, np.random.seed))
    torch.manual_seed = torch.random.manual_seed = with_moved_seed(torch.manual_seed)
    np.random.RandomState, torch.Generator = RandomState, Generator


def fingerprint(device=None):
    """Eight letters for how this machine adds: those of NumPy's products and of PyTorch's training of four small networks.

    Machines with the same letters give, most likely, the same digits throughout the book.
    """
    x = np.sin(np.arange(10_500.0)).reshape(150, 70)
    trained = sweeps.sweep(depth=6, activation=["tanh", "relu"], init="he", seed=[0, 1], steps=30, device=device, progress=False)
    bits = (x.T @ x).tobytes() + np.exp(x).sum(0).tobytes() + trained.loss.values.tobytes()
    return hashlib.sha256(bits).hexdigest()[:8]


def twins(seed=range(4), *, depth=10, width=64, activation="tanh", sigma_w=1.3, sigma_b=0.2, lr=0.03, steps=200, batch=32, bits=1, device=None):
    """Pairs of networks that are equal but for one weight of the first layer, trained side by side on the same digits.

    That weight, the largest whose pixel varies, is smaller by ``bits`` units in its last place; with 0 the twins stay equal.
    Plain descent, float32.  Returns

    - ``distance`` (seed, step, layer): |W − W'|/|W| of the twins, for the weights of each layer;
    - ``strangers`` (seed, step, layer): the same between the first twin and that of the next seed (of the last, the first);
    - ``moved`` (seed, step, layer): the same between the first twin and its own first weights;
    - ``accuracy`` (seed, twin) on the test digits; ``alike`` (seed): on which part of them the twins agree, and ``strangers_alike``.
    """
    check_whole(0, steps=steps, bits=bits)
    check_whole(depth=depth, width=width, batch=batch)
    seeds, data, phi = list(seed), digits(), nets.activation(activation)
    device = find_device(device)
    x, y, x_test, y_test = (torch.from_numpy(a).to(device) for a in data)
    pairs = [s for s in seeds for _ in range(2)]
    sizes = nets.layer_sizes(nets.mlp, x.shape[1], depth, width, data.classes)
    weights, biases = sweeps.draw_weights("normal", sizes, pairs, [sigma_w] * len(pairs), [sigma_b] * len(pairs), device)
    with torch.no_grad():
        varies = (x.std(0) > 0)[:, None]  # a weight on a pixel that is always 0 would change nothing
        for W in weights[0][1::2]:
            largest = (W.abs() * varies).argmax()
            for _ in range(bits):
                W.view(-1)[largest] = torch.nextafter(W.view(-1)[largest], torch.zeros((), device=device))
        first = [W[::2].clone() for W in weights]
    found = {"distance": [], "strangers": [], "moved": []}
    for step, rows in enumerate(sweeps.batches(pairs, len(x), batch, steps + 1)):
        found["distance"].append(torch.stack([_relative(W[::2], W[1::2]) for W in weights], 1))
        found["strangers"].append(torch.stack([_relative(W[::2], W[::2].roll(-1, 0)) for W in weights], 1))
        found["moved"].append(torch.stack([_relative(W0, W[::2]) for W0, W in zip(first, weights)], 1))
        if step == steps:
            break
        rows = rows.to(device)
        z = nets.mlp(x[rows], weights, biases, phi)[-1]
        loss = torch.nn.functional.cross_entropy(z.flatten(0, 1), y[rows].flatten(), reduction="sum") / batch
        params = [*weights, *biases]
        with torch.no_grad():
            for p, g in zip(params, torch.autograd.grad(loss, params)):
                p -= lr * g
    with torch.no_grad():
        answers = nets.mlp(x_test.expand(len(pairs), *x_test.shape), weights, biases, phi)[-1].argmax(-1)
    part = {"accuracy": (("seed", "twin"), (answers == y_test).view(len(seeds), 2, -1)), "alike": ("seed", answers[::2] == answers[1::2]),
            "strangers_alike": ("seed", answers[::2] == answers[::2].roll(-1, 0))}
    return describe(xr.Dataset({name: (("seed", "step", "layer"), torch.stack(rows, 1).cpu().numpy()) for name, rows in found.items()}
                               | {name: (dims, equal.double().mean(-1).cpu().numpy()) for name, (dims, equal) in part.items()},
                               {"seed": seeds, "step": np.arange(steps + 1), "layer": np.arange(1, depth + 2)}))


@torch.no_grad()
def _relative(a, b):
    """|a − b|/|a| for every matrix of a stack, in float64."""
    return (a.double() - b.double()).flatten(1).norm(dim=1) / a.double().flatten(1).norm(dim=1)
