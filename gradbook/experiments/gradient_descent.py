"""Descent on quadratics ½(x₁² + κx₂²), step by step.

Gradient descent with the rate that theory gives, and other rules in turned valleys.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from .. import rules
from ..checks import check_positive, check_whole
from ..kinds import Names, Numbers
from ..record import describe
from ..rules.algebra import descend
from ..rules.first_order import sgd
from ..sweeps.grids import several
from ..theory.quadratics import convergence_rate

__all__ = ["descent_paths", "RULES", "valley_paths"]

START = np.array([1.0, 1.0])
LONG = 20_000  # steps after which we stop waiting


def descent_paths(lr: Numbers, kappa: Numbers, steps: int = 40) -> xr.Dataset:
    """Descent from (1, 1) for every learning rate ``lr``, in units of 1/λₘₐₓ = 1/κ, and condition
    number ``kappa``.

    Returns ``x1``, ``x2`` (lr, kappa, step), ``loss`` relative to the start and ``loss_theory``,
    its slowest part alone; ``rate`` per step predicted (:func:`gradbook.theory.convergence_rate`)
    and ``rate_measured``, over the last step at which the loss is above 1e-250; ``steps_needed`` to
    a millionth of the loss, NaN if more than 20,000; ``trend`` in words; and ``ring_x``, ``ring_y``
    (kappa, point), curves of equal loss.

    >>> paths = gb.experiments.descent_paths([0.5], [10.0])
    >>> round(paths.rate.item(), 9), round(paths.rate_measured.item(), 9)
    (0.95, 0.95)
    """
    lr, kappa = np.atleast_1d(np.asarray(lr, float)), np.atleast_1d(np.asarray(kappa, float))
    if not ((lr > 0) & np.isfinite(lr)).all() or not ((kappa >= 1) & np.isfinite(kappa)).all():
        raise ValueError(
            f"lr is {lr.tolist()} and kappa {kappa.tolist()}; "
            f"learning rates are positive, condition numbers at least 1"
        )
    eigenvalues = np.stack([np.ones_like(kappa), kappa], -1)  # (kappa, 2), the largest being κ
    eta = lr[:, None] / kappa
    rule, x0 = sgd(eta[..., None]), np.broadcast_to(START, (len(lr), len(kappa), 2)).copy()
    path = np.stack(descend(rule, lambda x: eigenvalues * x, x0, max(steps, 400)))
    loss = 0.5 * (eigenvalues * path**2).sum(-1)
    relative = loss / loss[0]
    rates = np.stack(
        [convergence_rate(eta, eigenvalues[:, i], method="gradient descent") for i in (0, 1)], -1
    )
    slow = rates.argmax(-1)
    share = np.take_along_axis(
        0.5 * eigenvalues * START**2 / loss[0][..., None], slow[..., None], -1
    )[..., 0]
    rate = rates.max(-1)
    # the last step that says something
    kept = np.maximum((relative[1:] > 1e-250).cumprod(0).sum(0), 1)
    here, before = (np.take_along_axis(relative, (kept - i)[None], 0)[0] for i in (0, 1))
    grid = ("lr", "kappa")
    out = {
        "x1": ((*grid, "step"), np.moveaxis(path[: steps + 1, ..., 0], 0, -1)),
        "x2": ((*grid, "step"), np.moveaxis(path[: steps + 1, ..., 1], 0, -1)),
        "loss": ((*grid, "step"), np.moveaxis(relative[: steps + 1], 0, -1)),
        "loss_theory": (
            (*grid, "step"),
            share[..., None] * rate[..., None] ** (2 * np.arange(steps + 1)),
        ),
        "rate": (grid, rate),
        "rate_measured": (
            grid,
            np.where(here > 0, np.sqrt(here / np.where(before > 0, before, 1)), np.nan),
        ),
        "steps_needed": (grid, _steps_needed(rule, eigenvalues, x0)),
        "trend": (
            grid,
            np.where(
                rate > 1 + 1e-9,
                "diverges",
                np.where(rate > 1 - 1e-9, "goes back and forth for ever", "converges"),
            ),
        ),
    }
    angle, radii = np.append(np.linspace(0, 2 * np.pi, 60), np.nan), 2.0 ** np.arange(-2, 6)
    out["ring_x"] = (("point",), np.concatenate([r * np.cos(angle) for r in radii]))
    out["ring_y"] = (
        ("kappa", "point"),
        np.stack([np.concatenate([r * np.sin(angle) for r in radii]) / k**0.5 for k in kappa]),
    )
    data = xr.Dataset(
        out,
        {
            "lr": lr,
            "kappa": kappa,
            "step": np.arange(steps + 1),
            "point": np.arange(len(angle) * len(radii)),
        },
    )
    for name, label in {
        "lr": "learning rate, in units of 1/λₘₐₓ",
        "kappa": "condition number κ = λₘₐₓ/λₘᵢₙ",
        "x1": "x₁, the flat direction",
        "x2": "x₂, the steep direction",
        "loss": "loss, measured",
        "loss_theory": "rate predicted",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


RULES = {
    "SGD": sgd,
    "momentum": rules.heavy_ball,
    "Nesterov": rules.nesterov,
    "AdaGrad": rules.adagrad,
    "RMSProp": rules.rmsprop,
    "Adam": rules.adam,
}


def valley_paths(
    lr: Numbers, angle: Numbers, rule: Names = tuple(RULES), *, kappa: float = 30.0, steps: int = 60
) -> xr.Dataset:
    """The paths of RULES, with their defaults, in the valley ½(x₁² + κx₂²) turned by ``angle``
    degrees, from (0.9, 0.6) in its own directions.

    Returns ``x``, ``y`` (rule, angle, lr, step) as seen on the page; ``loss`` relative to the
    start; ``final``, the last of it; ``best_lr`` and ``best_final`` (rule, angle), the best of the
    rates given; ``trend`` in words; and ``ring_x``, ``ring_y`` (angle, point), curves of equal
    loss.  Raises ValueError for a learning rate that is not positive, κ below 1, an unknown rule.

    >>> import numpy as np
    >>> paths = gb.experiments.valley_paths([0.01], [0.0, 45.0], ["SGD", "Adam"])
    >>> [bool(np.isclose(*paths.final.sel(rule=name).values.ravel())) for name in ("SGD", "Adam")]
    [True, False]
    """
    lr, angle, names = (
        np.atleast_1d(np.asarray(lr, float)),
        np.atleast_1d(np.asarray(angle, float)),
        several(rule),
    )
    check_positive(lr=lr)
    check_whole(steps=steps)
    for name, value in (("lr", lr), ("angle", angle)):
        if not np.isfinite(value).all():
            raise ValueError(f"{name} is {value!r}; it must be finite")
    if not kappa >= 1:
        raise ValueError(f"kappa is {kappa!r}; a condition number is at least 1")
    if unknown := set(names) - set(RULES):
        raise ValueError(f"rule has {sorted(unknown)}; choose from {', '.join(RULES)}")
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)  # (angle, 2, 2)
    H = turn @ np.diag([1.0, kappa]) @ turn.swapaxes(-1, -2)
    x0 = np.broadcast_to(turn @ np.array([0.9, 0.6]), (len(lr), len(angle), 2)).copy()
    path = np.stack(
        [
            np.stack(
                descend(
                    RULES[name](lr[:, None, None]), lambda x: (H @ x[..., None])[..., 0], x0, steps
                )
            )
            for name in names
        ]
    )
    path = np.moveaxis(path, 1, 3).swapaxes(1, 2)  # (rule, angle, lr, step, 2)
    loss = 0.5 * (path * (H[None, :, None, None] @ path[..., None])[..., 0]).sum(-1)
    loss /= loss[..., :1].copy()
    final = loss[..., -1]
    grid = ("rule", "angle", "lr")
    rings = 2.0 ** np.arange(-5, 5) * kappa**0.5 / 4
    around = np.append(np.linspace(0, 2 * np.pi, 60), np.nan)
    ring = (
        turn[:, None]
        @ np.concatenate(
            [r * np.stack([np.cos(around), np.sin(around) / kappa**0.5], -1) for r in rings]
        )[..., None]
    )
    data = xr.Dataset(
        {
            "x": ((*grid, "step"), path[..., 0]),
            "y": ((*grid, "step"), path[..., 1]),
            "loss": ((*grid, "step"), loss),
            "final": (grid, final),
            "best_lr": (grid[:2], lr[final.argmin(-1)]),
            "best_final": (grid[:2], final.min(-1)),
            "trend": (
                grid,
                np.where(
                    final > 1, "blows up", np.where(final > 0.1, "is slow", "goes down the valley")
                ),
            ),
            "ring_x": (("angle", "point"), ring[..., 0, 0]),
            "ring_y": (("angle", "point"), ring[..., 1, 0]),
        },
        {
            "rule": names,
            "angle": angle,
            "lr": lr,
            "step": np.arange(steps + 1),
            "point": np.arange(ring.shape[1]),
        },
    )
    for name, label in {
        "rule": "rule",
        "angle": "valley turned by, in degrees",
        "lr": "learning rate",
        "loss": "loss, relative to the start",
    }.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def _steps_needed(rule, eigenvalues, x):
    """Steps until the loss is a millionth of the first, for every run of a stack.

    NaN where it takes too many.
    """
    needed = np.full(x.shape[:2], np.nan)
    state = rule.init(x)
    goal = 1e-6 * 0.5 * (eigenvalues * x**2).sum(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(1, LONG + 1):
            update, state = rule.update(eigenvalues * x, state, x)
            x = np.clip(x + update, -1e100, 1e100)
            needed[np.isnan(needed) & (0.5 * (eigenvalues * x**2).sum(-1) <= goal)] = step
            if not np.isnan(needed).any():
                break
    return needed
