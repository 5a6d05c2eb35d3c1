"""The gradient of every layer of a random network, predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..kinds import Activations, Array
from .meanfield import chi, length_map

if TYPE_CHECKING:
    from ..nets.activations import Activation


__all__ = ["gradient_profile", "predicted_profiles"]


def gradient_profile(
    depth: Sequence[int],
    activation: Activations | Activation,
    sigma_w: float,
    sigma_b: float = 0.0,
    q1: Array = 1.0,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean-field prediction for the hidden layers l = 1 … L of networks of the depths L in
    ``depth``.

    ``q1`` (examples,) or a number: each example's variance in layer 1, σ_w²|x|²/features + σ_b².
    Returns a list with one (signal, weight_gradient) for each depth, two arrays (L,): root mean
    square over the examples of |δ^l| and of |h^{l−1}||δ^l|, relative to layer L, where h⁰ is the
    input.

    >>> [(signal, weight)] = gb.gradient_profile([3], "linear", 0.5)
    >>> signal.round(9).tolist()
    [0.25, 0.5, 1.0]
    """
    if (
        np.ndim(depth) != 1
        or not len(depth)
        or any(isinstance(L, bool) or L != int(L) or L < 1 for L in depth)
    ):
        raise ValueError(f"depth is {depth!r}; it must be a list of whole numbers from 1 on")
    if not (np.isfinite(q1) & (np.asarray(q1) > 0)).all():
        raise ValueError(f"q1 is {q1!r}; a variance of the first layer must be finite and positive")
    if not sigma_w > 0:
        raise ValueError(f"sigma_w is {sigma_w!r}; without weights there is no signal to predict")
    q = np.empty((max(depth), np.size(q1)))
    q[0] = q1
    for l in range(1, len(q)):
        q[l] = length_map(q[l - 1], activation, sigma_w, sigma_b)
    log_chi = np.log(chi(activation, sigma_w, sigma_b, q=q))
    log_h = np.log((q - sigma_b**2) / sigma_w**2)  # mean square of each layer's input

    def rms(log_square):
        return np.exp((np.logaddexp.reduce(log_square, axis=1) - math.log(q.shape[1])) / 2)

    profiles = []
    for L in depth:
        # |δ^l|²/|δ^L|² = χ(q^l) … χ(q^{L−1}): the slope of layer l takes part, that of layer L
        # cancels
        log_delta = np.cumsum(log_chi[:L][::-1], axis=0)[::-1] - log_chi[L - 1]
        weight = rms(log_delta + log_h[:L])
        profiles.append((rms(log_delta), weight / weight[-1]))
    return profiles


def predicted_profiles(
    depth: Sequence[int],
    activation: Sequence[str],
    sigma_w: Sequence[float],
    sigma_b: float = 0.0,
    mean_square: Array = 1.0,
) -> xr.Dataset:
    """:func:`gradient_profile` for every combination of the three sequences, as a data set.

    ``mean_square`` (examples,) or a number: of each example's features.  Returns ``signal`` and
    ``example_grad_norm`` over (activation, depth, sigma_w, layer), relative to the last hidden
    layer, NaN beyond it.

    >>> profiles = gb.theory.predicted_profiles([3], ["linear"], [0.5])
    >>> profiles.signal.values.ravel().round(9).tolist()
    [0.25, 0.5, 1.0]
    """
    values = np.full((2, len(activation), len(depth), len(sigma_w), max(depth)), np.nan)
    for i, phi in enumerate(activation):
        for k, s in enumerate(sigma_w):
            profiles = gradient_profile(
                depth, phi, s, sigma_b, q1=s**2 * np.asarray(mean_square) + sigma_b**2
            )
            for j, (L, profile) in enumerate(zip(depth, profiles)):
                values[:, i, j, k, :L] = profile
    dims = ["activation", "depth", "sigma_w", "layer"]
    axes = {
        "activation": activation,
        "depth": depth,
        "sigma_w": sigma_w,
        "layer": np.arange(1, max(depth) + 1),
    }
    return xr.Dataset({"signal": (dims, values[0]), "example_grad_norm": (dims, values[1])}, axes)
