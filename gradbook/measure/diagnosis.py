"""What a measurement means, in words.

Where it goes wrong, by how much, why, and which chapter has the remedy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import layer_rules, training_rules
from .findings import Diagnosis, Evidence, Finding

if TYPE_CHECKING:
    import xarray as xr


__all__ = ["diagnose", "Diagnosis", "Finding", "THRESHOLDS"]

THRESHOLDS = {
    "spread": layer_rules.SPREAD,
    "level": layer_rules.LEVEL,
    "dead": layer_rules.DEAD,
    "saturated": layer_rules.SATURATED,
    "update": training_rules.UPDATE,
    "still": training_rules.STILL,
    "rise": training_rules.RISE,
    "fall": training_rules.FALL,
}
# from the gravest to the mildest
ORDER = ("non-finite", "unstable", "dead", "exploding", "saturated", "vanishing", "stalled")
RULES = (*training_rules.TRAINING_RULES, *layer_rules.LAYER_RULES)


def diagnose(data: xr.Dataset, sharpness: float | None = None) -> Diagnosis:
    """Judge a data set of :func:`gradbook.measure.probe` or :func:`gradbook.measure.watch`.

    The verdict is one of healthy, vanishing, exploding, dead, saturated, non-finite, unstable,
    stalled: the gravest finding's.  Of a data set with steps, the median over its later half is
    judged, so that one batch decides nothing.  ``sharpness`` (:func:`gradbook.measure.sharpness`)
    is held against the optimizer's learning rate, where the data set knows it.  The reasons for the
    thresholds stand in ``THRESHOLDS``.  Raises ValueError for what is no such data set.

    >>> import torch, gradbook as gb
    >>> linear, sigmoid = lambda: torch.nn.Linear(64, 64), torch.nn.Sigmoid
    >>> layers = [make() for _ in range(30) for make in (linear, sigmoid)]
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
    >>> data = gb.probe(model, lambda: model(torch.randn(32, 64)).logsumexp(1).mean())
    >>> diagnose(data).verdict
    'vanishing'
    """
    check_data(data)
    seen = Evidence(data, sharpness)
    findings = most_telling([finding for rule in RULES for finding in rule(seen)])
    findings.sort(key=lambda finding: ORDER.index(finding.verdict))
    verdict = findings[0].verdict if findings else "healthy"
    return Diagnosis(verdict, tuple(findings), tuple(notes_on(data)))


def most_telling(findings):
    """Without what others explain: NaN makes every number doubtful, and a stall has a reason."""
    not_finite = [f for f in findings if f.verdict == "non-finite"]
    reasons = [f for f in findings if f.verdict != "stalled"]
    return not_finite or reasons or findings


def notes_on(data):
    if left_out := data.attrs.get("left_out"):
        names = ", ".join(left_out[:8]) + (" …" if len(left_out) > 8 else "")
        yield f"left out, because frozen or without part in the loss: {names}"


def check_data(data):
    if "layer" not in getattr(data, "dims", ()) or "signal" not in data or "grad_norm" not in data:
        raise ValueError(
            "data must be a data set of gradbook.probe or gradbook.watch, "
            "with signal and grad_norm over layer"
        )
    measured = "not_finite" in data and data.sizes["layer"] > 0
    if not measured or not (np.isfinite(data.signal) | (data.not_finite > 0)).any():
        raise ValueError(
            "data hold no signal to judge: they must come from gradbook.probe or gradbook.watch, "
            "of a model that is called as a whole, model(x), with gradients on"
        )
