"""How wrong a difference quotient is, measured on networks and predicted.

What a chapter's Explorer shows.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..checks import check_positive, check_whole
from ..data.sets import digits
from ..kinds import Names, Numbers, Whole
from ..nets.architectures import mlp
from ..nets.backprop import backward, forward, mean_squared_error
from ..nets.initializations import initialization
from ..record import describe

__all__ = ["difference_errors"]

ROUNDOFF = {"float32": 2**-24, "float64": 2**-53}  # half of the last digit, relative to a number
COMPLEX = {"float32": "complex64", "float64": "complex128"}
STEPS = 10.0 ** np.arange(-15, 0.01, 0.5)


def difference_errors(
    depth: Whole,
    sigma_w: Numbers,
    precision: Names = ("float32", "float64"),
    *,
    width: int = 32,
    entries: int = 20,
    examples: int = 8,
    seed: int = 0,
) -> xr.Dataset:
    """Relative error of forward, central and complex differences against the length h of the step.

    The function is a tanh network's mean squared error, as a function of single weights of the
    first layer.

    Returns, for every ``depth``, ``sigma_w`` and ``precision`` and along ``h``, ``forward``,
    ``central`` and ``complex``: root mean square of difference − derivative over ``entries``
    weights, relative to the derivative's; ``forward_theory``, …: what the first neglected term of
    Taylor's series and the rounding of f's last digit predict, at most 1 for the latter, where the
    difference is 0; rounding inside the network, which may be more, is left out; ``gradient``, the
    derivative's root mean square in float64, and ``best_forward``, …, the least error measured.
    Raises ValueError for sizes that are not whole numbers from 1 on, σ_w not positive and finite,
    an unknown precision. The complex step is Squire & Trapp's (1998).

    >>> errors = gb.experiments.difference_errors(2, 1.0, "float64")
    >>> errors.best_forward.item() > 1e-8 > errors.best_central.item() > 1e-11
    True
    >>> errors.best_complex.item() < 1e-14
    True
    """
    depths = [depth] if np.ndim(depth) == 0 else depth
    sigmas = np.atleast_1d(sigma_w)
    precisions = np.atleast_1d(precision)
    check_positive(sigma_w=sigmas)
    for one in depths:
        check_whole(depth=one, width=width, entries=entries, examples=examples)
    if not np.isfinite(sigmas).all():
        raise ValueError(f"sigma_w is {sigma_w!r}; it must be finite")
    if not set(precisions) <= set(ROUNDOFF):
        raise ValueError(f"precision is {precision!r}; it must be among {', '.join(ROUNDOFF)}")
    out = {}
    for place in np.ndindex(len(depths), len(sigmas)):
        net = _network(depths[place[0]], sigmas[place[1]], width, entries, examples, seed)
        for k, name in enumerate(precisions):
            for quantity, value in _errors(*net, str(name)).items():
                out.setdefault(
                    quantity,
                    np.empty((len(depths), len(sigmas), len(precisions), *np.shape(value))),
                )[(*place, k)] = value
    dims = ("depth", "sigma_w", "precision", "h")
    data = xr.Dataset(
        {q: (dims[: v.ndim], v) for q, v in out.items()},
        {
            "depth": list(map(int, depths)),
            "sigma_w": sigmas.astype(float),
            "precision": precisions.astype(str),
            "h": STEPS,
        },
    )
    for name, label in {
        "h": "step h of the difference",
        "precision": "precision",
        "forward": "forward",
        "central": "central",
        "complex": "complex",
        **{f"{m}_theory": "predicted" for m in ("forward", "central", "complex")},
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def _network(depth, sigma, width, entries, examples, seed):
    """x, y, weights, biases in float64, and which weights of the first layer are moved."""
    rng, sizes, few = np.random.default_rng(seed), [64, *[width] * depth, 10], digits()
    x, y = few.x_train[:examples].astype(float), np.eye(10)[few.y_train[:examples]]
    weights = [
        sigma * initialization("normal")(rng, i, o).astype(float) for i, o in zip(sizes, sizes[1:])
    ]
    biases = [np.zeros((1, o)) for o in sizes[1:]]
    inputs = np.flatnonzero(x.any(0))  # a pixel that is always 0 has no gradient
    return x, y, weights, biases, (rng.choice(inputs, entries), rng.integers(width, size=entries))


def _errors(x, y, weights, biases, chosen, precision):
    """Errors of the three differences over STEPS, measured and predicted, relative to the
    derivative.
    """
    moved = np.arange(len(chosen[0])), *chosen

    def values(by, kind=precision):
        """f with each chosen weight moved by ``by``, one value for each."""
        a, t, *arrays = (v.astype(kind) for v in (x, y, *weights, *biases))
        arrays[0] = np.repeat(arrays[0][None], len(moved[0]), 0)
        arrays[0][moved] += np.asarray(by, kind)
        z = mlp(a, arrays[: len(weights)], arrays[len(weights) :], np.tanh)[-1]
        return ((z - t) ** 2).mean((-2, -1))

    r = 0.02  # long enough for float64 to see second and third derivatives
    ahead, here, back = (values(k * r, "float64") for k in (1, 0, -1))
    f2 = _rms(ahead - 2 * here + back) / r**2
    f3 = _rms(values(2 * r, "float64") - 2 * ahead + 2 * back - values(-2 * r, "float64")) / (
        2 * r**3
    )
    f1, h, u = _derivative(x, y, weights, biases, chosen), STEPS, ROUNDOFF[precision]
    size = _rms(f1)
    digit = (2 / 3) ** 0.5 * u * abs(here).max()
    predicted = {
        "forward": np.hypot(h / 2 * f2, np.minimum(digit / h, size)) / size,
        "central": np.hypot(h**2 / 6 * f3, np.minimum(digit / (2 * h), size)) / size,
        "complex": np.hypot(h**2 / 6 * f3 / size, u),
    }
    found = {name: np.empty(len(h)) for name in predicted}
    middle = values(0.0).astype(float)
    for i, step in enumerate(h):
        forth, back = (values(by).astype(float) for by in (step, -step))
        found["forward"][i] = _rms((forth - middle) / step - f1) / size
        found["central"][i] = _rms((forth - back) / (2 * step) - f1) / size
        found["complex"][i] = _rms(values(1j * step, COMPLEX[precision]).imag / step - f1) / size
    return {
        **found,
        **{f"{name}_theory": value for name, value in predicted.items()},
        "gradient": size,
        **{f"best_{name}": value.min() for name, value in found.items()},
    }


def _derivative(x, y, weights, biases, chosen):
    """∂f/∂W¹ at the chosen entries, by backpropagation in float64."""
    hs, zs = forward(x, weights, biases, "tanh")
    return backward(mean_squared_error(zs[-1], y)[1], hs, zs, weights, "tanh")[0][0][chosen]


def _rms(a):
    return float(np.sqrt(np.mean(np.square(a))))
