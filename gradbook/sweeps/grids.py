"""What a sweep is over.

The axes of its grid, the stacks that share matrix products, the arrays of results.
"""

import itertools
import math
from numbers import Real

import numpy as np

from .. import nets, rules
from ..checks import check_whole

# networks in one stack; on a CPU each core has its own, in its own cache
STACK = {"cpu": 25, "cuda": 5000}
# of weights in one stack; gradients and copies take a few times as much
STACK_BYTES = {"cpu": 50e6, "cuda": 2e9}
# networks that differ here cannot share a matrix product
SHAPES = ("activation", "init", "net", "rule", "depth", "width")
NUMBERS = ("sigma_w", "sigma_b", "lr", "seed")


def several(value):
    """``value`` as a list: of one alone, or of a sequence.

    >>> from gradbook.sweeps.grids import several
    >>> several(3), several(range(2)), several("relu")
    ([3], [0, 1], ['relu'])
    """
    return np.atleast_1d(value).tolist()


def name_of(function):
    return getattr(function, "__name__", "other")


def axis(name, value):
    """``value`` as a list of checked values of the axis ``name``."""
    if name in ("net", "rule"):
        functions = value if isinstance(value, dict) else {name_of(value): value}
        if not functions or not all(
            callable(f) and not isinstance(f, rules.Rule) for f in functions.values()
        ):
            raise ValueError(
                f"{name} is {value!r}; it must be a function, "
                f"such as gb.nets.mlp or gb.sgd (not gb.sgd(0.1)), "
                "or several by name"
            )
        return list(functions)
    values = list(value) if np.ndim(value) or isinstance(value, range) else [value]
    if not values:
        raise ValueError(f"{name} is empty; give one value or a sequence of at least one")
    for v in values:
        if name == "activation":
            nets.activation(v)
        elif name == "init":
            v in nets.LSUV or nets.initialization(v)
        elif name in ("depth", "width", "seed"):
            check_whole(0 if name == "seed" else 1, **{name: v})
        elif isinstance(v, bool) or not isinstance(v, Real) or not math.isfinite(v) or v < 0:
            raise ValueError(f"{name} is {v!r}; it must be a finite number, not negative")
    if len({str(v) for v in values}) < len(values):
        raise ValueError(f"{name} is {value!r}; each value of an axis may stand in it once")
    return [v.name if isinstance(v, nets.Activation) else v for v in values]


def jobs_of(axes, functions, device):
    """(place in the grid, arguments of _train) for every stack of networks."""
    grid = [len(axis) for axis in axes.values()]
    for shape in np.ndindex(*grid[: len(SHAPES)]):
        one = {name: axes[name][i] for name, i in zip(SHAPES, shape)}
        bytes_each = one["depth"] * one["width"] ** 2 * 4
        size = max(1, min(STACK[device], int(STACK_BYTES[device] // bytes_each)))
        places = np.ndindex(*grid[len(SHAPES) :])
        while stack := list(itertools.islice(places, size)):
            many = {
                name: [axes[name][i] for i in indices]
                for name, indices in zip(NUMBERS, zip(*stack))
            }
            chosen = {name: functions[name][one[name]] for name in functions}
            yield (*shape, *np.array(stack).T), one | many | chosen


class Results:
    """Arrays over the whole grid, filled stack by stack; NaN where nothing came yet."""

    def __init__(self, names, grid, steps, layers):
        self.dims = names
        self.grid = grid
        self.layers = layers
        self.steps = steps
        self.arrays = {}
        self.count = 0

    def put(self, place, found):
        for name, value in found.items():
            if name not in self.arrays:
                size = [*self.grid, self.steps, self.layers][: len(self.grid) + value.ndim - 1]
                dims = (*self.dims, "step", "layer")[: len(size)]
                self.arrays[name] = (
                    dims,
                    np.full(size, math.nan if value.dtype.kind == "f" else 0, value.dtype),
                )
            index = (*place, slice(None), slice(value.shape[-1])) if value.ndim == 3 else place
            self.arrays[name][1][index] = value
        self.count += 1
