"""Gradient descent on quadratics ½(x₁² + κx₂²), step by step, with the rate that theory gives: what a chapter's Explorer shows."""

import numpy as np
import xarray as xr

from .links import descend
from .quadratics import convergence_rate
from .record import describe
from .rules import sgd

__all__ = ["descent_paths"]

START = np.array([1.0, 1.0])
LONG = 20_000  # steps after which we stop waiting


def descent_paths(lr, kappa, steps=40):
    """Descent from (1, 1) for every learning rate ``lr``, in units of 1/L = 1/κ, and condition number ``kappa``.

    Returns ``x1``, ``x2`` (lr, kappa, step), ``loss`` relative to the start and ``loss_theory``, its slowest part alone;
    ``rate`` per step predicted (:func:`gradbook.quadratics.convergence_rate`) and ``rate_measured``, over the last step at
    which the loss is above 1e-250; ``steps_needed`` to a millionth of the loss, NaN if more than 20,000; ``trend`` in words;
    and ``ring_x``, ``ring_y`` (kappa, point), curves of equal loss.

    >>> paths = descent_paths([0.5], [10.0])
    >>> round(paths.rate.item(), 9), round(paths.rate_measured.item(), 9)
    (0.95, 0.95)
    """
    lr, kappa = np.atleast_1d(np.asarray(lr, float)), np.atleast_1d(np.asarray(kappa, float))
    if not ((lr > 0) & np.isfinite(lr)).all() or not ((kappa >= 1) & np.isfinite(kappa)).all():
        raise ValueError(f"lr is {lr.tolist()} and kappa {kappa.tolist()}; learning rates are positive, condition numbers at least 1")
    eigenvalues = np.stack([np.ones_like(kappa), kappa], -1)  # (kappa, 2), the largest being κ
    eta = lr[:, None] / kappa
    rule, x0 = sgd(eta[..., None]), np.broadcast_to(START, (len(lr), len(kappa), 2)).copy()
    path = np.stack(descend(rule, lambda x: eigenvalues * x, x0, max(steps, 400)))
    loss = 0.5 * (eigenvalues * path**2).sum(-1)
    relative = loss / loss[0]
    rates = np.stack([convergence_rate(eta, eigenvalues[:, i], method="gradient descent") for i in (0, 1)], -1)
    slow = rates.argmax(-1)
    share = np.take_along_axis(0.5 * eigenvalues * START**2 / loss[0][..., None], slow[..., None], -1)[..., 0]
    rate = rates.max(-1)
    kept = np.maximum((relative[1:] > 1e-250).cumprod(0).sum(0), 1)  # the last step that says something
    here, before = (np.take_along_axis(relative, (kept - i)[None], 0)[0] for i in (0, 1))
    grid = ("lr", "kappa")
    out = {
        "x1": ((*grid, "step"), np.moveaxis(path[:steps + 1, ..., 0], 0, -1)), "x2": ((*grid, "step"), np.moveaxis(path[:steps + 1, ..., 1], 0, -1)),
        "loss": ((*grid, "step"), np.moveaxis(relative[:steps + 1], 0, -1)),
        "loss_theory": ((*grid, "step"), share[..., None] * rate[..., None] ** (2 * np.arange(steps + 1))),
        "rate": (grid, rate), "rate_measured": (grid, np.where(here > 0, np.sqrt(here / np.where(before > 0, before, 1)), np.nan)),
        "steps_needed": (grid, _steps_needed(rule, eigenvalues, x0)),
        "trend": (grid, np.where(rate > 1 + 1e-9, "diverges", np.where(rate > 1 - 1e-9, "goes back and forth for ever", "converges"))),
    }
    angle, radii = np.append(np.linspace(0, 2 * np.pi, 60), np.nan), 2.0 ** np.arange(-2, 6)
    out["ring_x"] = (("point",), np.concatenate([r * np.cos(angle) for r in radii]))
    out["ring_y"] = (("kappa", "point"), np.stack([np.concatenate([r * np.sin(angle) for r in radii]) / k**0.5 for k in kappa]))
    data = xr.Dataset(out, {"lr": lr, "kappa": kappa, "step": np.arange(steps + 1), "point": np.arange(len(angle) * len(radii))})
    for name, label in {"lr": "learning rate, in units of 1/L", "kappa": "condition number κ = L/μ", "x1": "x₁, the flat direction",
                        "x2": "x₂, the steep direction", "loss": "loss, measured", "loss_theory": "rate predicted"}.items():
        data[name].attrs["long_name"] = label
    return describe(data)


def _steps_needed(rule, eigenvalues, x):
    """Steps until the loss is a millionth of the first, for every run of a stack; NaN where it takes too many."""
    needed, state, goal = np.full(x.shape[:2], np.nan), rule.init(x), 1e-6 * 0.5 * (eigenvalues * x**2).sum(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(1, LONG + 1):
            update, state = rule.update(eigenvalues * x, state, x)
            x = np.clip(x + update, -1e100, 1e100)
            needed[np.isnan(needed) & (0.5 * (eigenvalues * x**2).sum(-1) <= goal)] = step
            if not np.isnan(needed).any():
                break
    return needed
