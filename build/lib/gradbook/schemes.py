"""Ways of drawing the first weights, and of normalizing, side by side: sizes forward and gradients backward, with theory."""

import math
from functools import partial

import numpy as np
import xarray as xr

from . import nets, theory
from .activations import activation as find
from .checks import check_whole
from .data import digits
from .profiles import keep_places, relative_to_top
from .record import describe, spread
from .sweeps import sweep

__all__ = ["SCHEMES", "compare_schemes", "NORMALIZATIONS", "compare_normalizations", "normalized_growth"]

SCHEMES = {  # name: (init, σ_w as a function of the width n), for layers of n inputs and n outputs
    "small: std 0.01": ("normal", lambda n: 0.01 * math.sqrt(n)),
    "PyTorch's default": ("torch_default", lambda n: 1.0),
    "Xavier": ("xavier", lambda n: 1.0),
    "He": ("he", lambda n: 1.0),
    "orthogonal": ("orthogonal", lambda n: 1.0),
    "LSUV": ("lsuv", lambda n: 1.0),
    "003: std √(dᵢ/dₒ)": ("normal", lambda n: math.sqrt(n)),
}
SCALE = {"torch_default": 3**-0.5, "he": 2**0.5}  # σ_w of the init itself, where it is not 1


def compare_schemes(depth, activation, scheme=tuple(SCHEMES), *, width=64, seed=range(3), batch=64, places=12):
    """Every scheme for every depth and activation, before training.

    Returns medians over ``seed``, with ``_low`` and ``_high``, of ``activation_rms``, of the layer's *output* h, and of ``signal``,
    relative to the last hidden layer's, for ``places`` layers; ``…_theory``, mean field for the digits; and ``total``, the
    signal of the first hidden layer over the last one's.  Biases are 0.
    """
    check_whole(width=width, places=places)
    depths, phis, names = np.atleast_1d(depth).tolist(), np.atleast_1d(activation).tolist(), [scheme] if isinstance(scheme, str) else list(scheme)
    if unknown := set(names) - set(SCHEMES):
        raise ValueError(f"scheme has {sorted(unknown)}; choose from {', '.join(SCHEMES)}")
    found = []
    for name in names:
        init, scale = SCHEMES[name]
        net = sweep(depth=depths, activation=phis, init=init, sigma_w=scale(width), seed=list(seed), width=width, batch=batch, progress=False).isel(step=0)
        h = net.activation_rms.shift(layer=-1).where(net.layer <= net.depth)
        found.append(spread(xr.Dataset({"activation_rms": h, "signal": relative_to_top(net.signal)})).drop_vars("sigma_w", errors="ignore"))
    data = xr.concat(found, xr.Variable("scheme", names), coords="minimal", compat="override", join="outer")
    data = data.assign({q: (("scheme", "depth", "activation", "layer"), v) for q, v in _predict(depths, phis, names, width, data.layer).items()})
    data["total"] = data.signal.sel(layer=1)
    data = keep_places(data, depths, places)
    for name, label in {"scheme": "initialization", "activation_rms": "size of h, root mean square", "signal": "|δ|, last hidden layer = 1",
                        "activation_rms_theory": "mean-field theory", "signal_theory": "mean-field theory"}.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def _predict(depths, phis, names, width, layer):
    """Mean-field size of h and signal over (scheme, depth, activation, layer)."""
    mean_square = np.square(digits().x_train.astype(float)).mean()
    out = np.full((2, len(names), len(depths), len(phis), len(layer)), np.nan)
    for i, j, k in np.ndindex(len(names), len(depths), len(phis)):
        phi, L, (init, scale) = find(phis[k]), depths[j], SCHEMES[names[i]]
        sigma = scale(width) * SCALE.get(init, 1.0)
        if init == "lsuv":  # every pre-activation has variance 1
            kept = float(theory.gaussian_mean(lambda z: phi(z) ** 2, 1.0))
            slope = float(theory.gaussian_mean(lambda z: phi.slope(z) ** 2, 1.0))
            out[0, i, j, k, :L], out[1, i, j, k, :L] = kept**0.5, (slope / kept) ** (0.5 * (L - np.arange(1, L + 1)))
            continue
        q = sigma**2 * mean_square
        out[1, i, j, k, :L] = theory.gradient_profile([L], phi, sigma, q1=q)[0][0]
        for l in range(L):
            h = float(theory.gaussian_mean(lambda z: phi(z) ** 2, q))
            out[0, i, j, k, l], q = h**0.5, sigma**2 * h
    return {"activation_rms_theory": out[0], "signal_theory": out[1]}


NORMALIZATIONS = {"none": nets.mlp, "batch": nets.normalized, "layer": partial(nets.normalized, norm=nets.layer_norm),
                  "group": partial(nets.normalized, norm=partial(nets.group_norm, groups=4)),
                  "RMS": partial(nets.normalized, norm=nets.rms_norm)}


def normalized_growth(normalization, activation):
    """The factor of E|δ|² per layer at initialization, of wide networks that normalize pre-activations to variance 1.

    Batch: :func:`gradbook.theory.batch_norm_growth`.  Layer, group, RMS: E[φ'(u)²]/E[φ(u)²], u standard normal, since the mean over
    units is near 0 as it is.

    >>> round(float(normalized_growth("layer", "relu")), 9), round(float(normalized_growth("batch", "relu")), 3)
    (1.0, 1.467)
    """
    if normalization not in NORMALIZATIONS or normalization == "none":
        raise ValueError(f"normalization is {normalization!r}; it must be one of {', '.join(list(NORMALIZATIONS)[1:])}")
    if normalization == "batch":
        return theory.batch_norm_growth(activation)
    phi = find(activation)
    return theory.gaussian_mean(lambda z: phi.slope(z) ** 2, 1.0) / theory.gaussian_mean(lambda z: phi(z) ** 2, 1.0)


def compare_normalizations(depth, activation, *, width=128, batch=128, seed=range(3), places=12):
    """The signal of every layer at initialization, relative to the last hidden layer's, with each of NORMALIZATIONS and with none.

    Median over ``seed`` with ``signal_low`` and ``signal_high``, ``signal_theory``, ``growth`` of |δ|² per layer predicted, and ``total``,
    the first layer's signal.  Weights have σ_w = √2 for ReLU and 1 otherwise; with a normalization their scale does not matter.
    """
    check_whole(width=width, batch=batch, places=places)
    depths, phis, names = np.atleast_1d(depth).tolist(), np.atleast_1d(activation).tolist(), list(NORMALIZATIONS)
    found = []
    for phi in phis:
        net = sweep(depth=depths, activation=[phi], net=NORMALIZATIONS, sigma_w=_scale(phi), seed=list(seed), width=width, batch=batch, progress=False)
        found.append(spread(relative_to_top(net.signal.isel(step=0)).to_dataset(name="signal")))
    data = xr.concat(found, "activation", join="outer", coords="minimal", compat="override").rename(net="normalization").drop_vars("sigma_w", errors="ignore")
    growth = np.array([[theory.chi(phi, _scale(phi)) if name == "none" else normalized_growth(name, phi) for name in names] for phi in phis])
    data["growth"] = (("activation", "normalization"), growth)
    theory_lines = (data.growth ** ((data.depth - data.layer) / 2)).where(data.layer <= data.depth).transpose("depth", "activation", "normalization", "layer")
    q = np.square(digits().x_train.astype(float)).mean()
    for i, L in enumerate(depths):  # without a normalization the variance has a way to go to its fixed point
        for j, phi in enumerate(phis):
            theory_lines[i, j, names.index("none"), :L] = theory.gradient_profile([L], phi, _scale(phi), q1=_scale(phi) ** 2 * q)[0][0]
    data["signal_theory"] = theory_lines
    data["total"] = data.signal.sel(layer=1)
    data = keep_places(data, depths, places)
    for name, label in {"normalization": "normalization", "signal": "|δ|, last hidden layer = 1", "signal_theory": "predicted"}.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def _scale(phi):
    return 2**0.5 if phi == "relu" else 1.0
