"""What a measurement means, in words.

Where it goes wrong, by how much, why, and which chapter has the remedy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from . import layer_rules, loss_rules, setup_rules, signal_rules, step_rules
from .findings import Diagnosis, Evidence, Finding
from .finite_rules import not_finite

if TYPE_CHECKING:
    import xarray as xr

    from .watch import watch

__all__ = ["diagnose", "Diagnosis", "Finding", "THRESHOLDS"]

#: What :func:`gradbook.measure.diagnose` counts as too much, and why.
#:
#: >>> gb.measure.THRESHOLDS["spread"].value
#: 100.0
THRESHOLDS = {
    name: limit
    for module in (signal_rules, layer_rules, loss_rules, step_rules)
    for name, limit in module.LIMITS.items()
}
# from the gravest to the mildest
ORDER = (
    "non-finite",
    "wrong loss",
    "wrong input",
    "symmetric",
    "not trained",
    "unstable",
    "dead",
    "exploding",
    "saturated",
    "vanishing",
    "stalled",
)
UNSTABLE = ORDER.index("unstable")
LAYER_RULES = (*signal_rules.RULES, *layer_rules.RULES)
RULES = (not_finite, *setup_rules.RULES, *loss_rules.RULES, *step_rules.RULES, *LAYER_RULES)


def diagnose(data: xr.Dataset | watch, sharpness: float | None = None) -> Diagnosis:
    """Judge what :func:`gradbook.measure.probe` or :func:`gradbook.measure.watch` measured.

    ``data`` is a data set, or a watch itself. The verdict is one of healthy, vanishing, exploding,
    dead, saturated, non-finite, unstable, stalled, symmetric, not trained, wrong input, wrong loss:
    the gravest finding's. Of a run, what was wrong before its first step goes before what came
    later, and the layers are judged by the median over the later half of the steps, so that one
    batch decides nothing. ``sharpness`` (:func:`gradbook.measure.sharpness`) is held against the
    optimizer's learning rate, where the data set knows it. The reasons for the thresholds stand in
    ``THRESHOLDS``. Raises ValueError for what is no such data set.

    >>> import torch
    >>> linear, sigmoid = lambda: torch.nn.Linear(64, 64), torch.nn.Sigmoid
    >>> layers = [make() for _ in range(30) for make in (linear, sigmoid)]
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
    >>> data = gb.probe(model, lambda: model(torch.randn(32, 64)).logsumexp(1).mean())
    >>> gb.diagnose(data).verdict
    'vanishing'
    """
    if hasattr(data, "dataset"):
        data = data.dataset()
    check_data(data)
    seen = Evidence(data, sharpness)
    at_start = findings_at_start(data)
    findings = [finding for rule in RULES for finding in rule(seen)]
    if loss_rules.slow(seen):  # what was wrong before the first step may be why
        known = {f.verdict for f in findings}
        findings += [earlier(f) for f in at_start if f.verdict not in known]
    findings = most_telling(findings, seen)
    findings.sort(key=lambda f: rank(f, {g.verdict for g in at_start}))
    verdict = findings[0].verdict if findings else "healthy"
    partial = bool(data.attrs.get("not_measured") or data.attrs.get("cut_off"))
    return Diagnosis(verdict, tuple(findings), tuple(notes_on(data)), partial)


def most_telling(findings, seen):
    """Without what others explain: a stall has a reason; NaN from the start hides all numbers.

    Behind weights of 0 the units are 0, too.
    """
    if seen.first_bad == 0 or any(f.quantity == "parameter" for f in findings):
        return [f for f in findings if f.quantity == "loss" or ORDER.index(f.verdict) <= UNSTABLE]
    if any(f.quantity == "weight_norm" for f in findings):
        return [f for f in findings if f.verdict not in ("dead", "stalled")]
    return [f for f in findings if f.verdict != "stalled"] or findings


def findings_at_start(data):
    """What was wrong with the layers before the first step."""
    if "step" not in data.dims:
        return []
    start = Evidence(data.isel(step=slice(1)))
    if start.first_bad is not None:
        return []
    return [f for rule in LAYER_RULES for f in rule(start)]


def earlier(finding):
    return replace(finding, what=f"At the first step: {finding.what}")


def rank(finding, at_start):
    """The gravest first; but what was wrong before the first step goes before what came later.

    A loud output is often the work of layers that were found as well: it comes after them.
    """
    place = ORDER.index(finding.verdict)
    loud = finding.verdict == "exploding" and finding.quantity == "loss"
    return place >= UNSTABLE, finding.verdict not in at_start, loud, place


def notes_on(data):
    cut_off = data.attrs.get("cut_off") or []
    if frozen := [name for name in data.attrs.get("left_out") or [] if name not in cut_off]:
        yield f"left out, because frozen: {some(frozen)}"
    if cut_off:
        yield f"trainable, but no gradient comes there (not used, or detached): {some(cut_off)}"
    if alone := data.attrs.get("not_in_optimizer"):
        names = some([repr(name) for name in alone])
        yield f"layer {names} gets a gradient and is not in the optimizer: it will not move"
    if zeros := zeros_that_move(data):
        yield f"weights of 0 that the next step moves, and that nothing passes till then: {zeros}"
    if two := data.attrs.get("norm_of_two"):
        yield (
            "batch norm over at most two values per unit gives ±1, whatever they are, and passes "
            f"no gradient: {some(two)}"
        )
    if stored := data.attrs.get("norm_in_eval"):
        yield f"batch norm in eval mode, while the model trains, normalizes nothing: {some(stored)}"
    if (share := data.attrs.get("below_epsilon", 0)) > 0.9:
        yield (
            f"Adam's ε is larger than √v for {share:.0%} of the weights: its steps follow the "
            "gradient's size, as those of plain descent"
        )
    if rounded := data.attrs.get("rounded"):
        yield f"most weights stay as they are, since the step is rounded away: {some(rounded)}"
    if failed := data.attrs.get("not_measured"):
        yield f"not measured: {'; '.join(failed[:4])}"


def zeros_that_move(data):
    seen = Evidence(data)
    at = (seen.of("weight_norm") == 0) & (seen.of("grad_norm") > 0)
    return some([seen.layers[i] for i in np.flatnonzero(at)])


def some(names):
    """The first eight."""
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


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
