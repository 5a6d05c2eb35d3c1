"""How long a sequence recurrent networks learn, and how much of the gradient arrives before it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import xarray as xr

from ..kinds import Names, Numbers, Whole
from ..record import describe, spread
from ..sweeps import learn_sequences, side_by_side
from ..sweeps.grids import axis, several
from ..theory import chi

__all__ = ["memory_map"]


def memory_map(
    gain: Numbers,
    length: Whole,
    *,
    weights: Names = ("Gaussian", "orthogonal"),
    drive: Numbers = (0.1, 0.5),
    units: int = 16,
    steps: int = 200,
    seed: Sequence[int] = range(3),
) -> xr.Dataset:
    """Which *tanh* networks learn to recall the first of ``length`` symbols.

    Returns over (weights, drive, gain): ``loss`` (length) at the end of training, the median over
    ``seed`` of the mean over twenty steps, and ``verdict`` (length) in words; ``signal`` (lag) of
    the longest, the median with ``_low`` and ``_high``, and ``signal_theory``, √χ₁ per step with
    the input's variance drive² as the biases' (Chen et al. 2018); ``factor`` = √χ₁; ``reach``, the
    steps in which a factor e is lost or gained, 1/|ln √χ₁|.

    >>> m = gb.experiments.memory_map(1.0, [3], weights="orthogonal", drive=0.1, steps=120)
    >>> m.verdict.item()
    'it remembers'
    """
    lengths, drives, names = several(length), axis("drive", drive), several(weights)
    gains = axis("gain", gain)
    if not lengths:
        raise ValueError("length is empty; give one or several")
    if unknown := set(names) - {"Gaussian", "orthogonal"}:
        raise ValueError(f"weights has {sorted(unknown)}; choose from Gaussian, orthogonal")
    jobs = list(product(names, drives, lengths))

    def train(job):
        found = learn_sequences(
            job[0], job[2], gain=gains, drive=job[1], units=units, steps=steps, seed=seed
        ).squeeze("bias", drop=True)
        end = found.loss.isel(step=slice(-20, None)).mean("step").median("seed").drop_attrs()
        return spread(found[["signal"]]).assign(loss=end)

    found = dict(zip(jobs, side_by_side(train, jobs)))
    on = [
        xr.Variable("weights", names),
        xr.Variable("drive", drives),
        xr.Variable("length", lengths),
    ]

    def over(quantity, several_lengths):
        parts = [
            [
                xr.concat([found[w, d, n][quantity] for n in lengths], on[2])
                if several_lengths
                else found[w, d, max(lengths)][quantity]
                for d in drives
            ]
            for w in names
        ]
        return xr.concat([xr.concat(p, on[1]) for p in parts], on[0])

    out = {q: over(q, False) for q in ("signal", "signal_low", "signal_high")}
    loss = over("loss", True)
    factor = np.sqrt([[chi("tanh", g, d) for g in gains] for d in drives])
    out["factor"] = ("drive", "gain"), factor
    out["reach"] = ("drive", "gain"), 1 / abs(np.log(factor))
    lag = np.arange(max(lengths))
    out["signal_theory"] = ("drive", "gain", "lag"), factor[..., None] ** lag
    remembers = xr.where(loss < 0.9 * np.log(4), "it remembers in part", "it does not remember")
    remembers = xr.where(loss < 0.5 * np.log(4), "it remembers", remembers)
    result = xr.Dataset({**out, "loss": loss, "verdict": remembers})
    for name, label in {
        "gain": "gain of the recurrent weights",
        "drive": "drive (standard deviation of the input's part)",
        "length": "length of the sequence",
        "lag": "steps back",
        "signal": "|∂L/∂x|, before training",
        "signal_theory": "mean-field theory",
        "loss": "loss at the end",
    }.items():
        result[name].attrs["long_name"] = label
    return describe(result)
