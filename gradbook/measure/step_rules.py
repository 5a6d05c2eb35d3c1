"""What the steps say, which are too long or too short: one function for each verdict."""

import math

import numpy as np

from ..theory.quadratics import stability_limit
from .findings import Finding, Threshold, of_its_size
from .loss_rules import FALL, course, slow

__all__ = ["LIMITS", "RULES"]

UPDATE = Threshold(
    0.1,
    "weights that change by 10 % in one step are not where the gradient was taken; 0.1 % is usual",
)
STILL = Threshold(
    1e-6, "at a millionth of its size per step a weight needs a million steps to change"
)
REACH = Threshold(
    0.05, "a network that moves by less than 5 % of its size in a whole run stays what it was"
)
CLIPPED = Threshold(0.1, "a tenth of the step that the gradient and the rate make")


def above_the_limit(seen):
    """The learning rate is above what the sharpness allows."""
    attributes, sharpness = seen.data.attrs, seen.sharpness
    lr, momentum = attributes.get("lr"), attributes.get("momentum")
    if sharpness is None or lr is None or momentum is None:
        return
    method = "nesterov" if attributes.get("nesterov") and momentum else "heavy ball"
    limit = stability_limit(sharpness, momentum, method) if sharpness > 0 else math.inf
    if lr > limit:
        what = f"The learning rate {lr:g} is above the stability limit {limit:.4g}."
        why = (
            f"the sharpness is {sharpness:.4g}, and that is the longest step "
            "that still converges on such a curvature"
        )
        remedy = f"a learning rate below {limit:.2g}"
        yield Finding("unstable", "(model)", "lr", lr, limit, what, why, remedy)


def fastest(seen):
    """The layer that changes most per step, and by how much; None if nothing is known."""
    change = seen.of("update_ratio")
    if np.isnan(change).all():
        return None
    grew_from_0 = ~(seen.first("weight_norm") > 0.1 * seen.of("weight_norm"))
    known = np.flatnonzero(np.isfinite(change) & ~grew_from_0)
    if not known.size:
        return None
    worst = known[np.argmax(change[known])]
    return seen.layers[worst], float(change[worst])


def normalizing_first_step(seen):
    """Adam's first step is lr for every weight, whatever the gradient: it says nothing yet."""
    return seen.steps is None and seen.told("first_step") and seen.told("momentum") is None


def leaping(seen):
    """A layer changes by more than UPDATE of its size per step."""
    layer, change = fastest(seen) or (None, 0.0)
    if change > UPDATE.value and not normalizing_first_step(seen):
        what = f"Layer {layer!r} changes by {of_its_size(change)} in one step."
        why = "the step is longer than the distance over which the gradient means anything"
        remedy = "a smaller learning rate, or warm-up"
        yield Finding("unstable", layer, "update_ratio", change, UPDATE.value, what, why, remedy)


def creeping(seen):
    """No layer ever changes by more than STILL: late in a good run steps are small, too."""
    layer, change = fastest(seen) or (None, math.inf)
    if change <= UPDATE.value and np.nanmax(seen.course_of("update_ratio")) < STILL.value:
        what = f"No layer changes by more than {change:.1g} of its size per step."
        why = "the learning rate is too small, or the gradient is"
        remedy = "a larger learning rate; gb.lr_range finds one"
        yield Finding("stalled", layer, "update_ratio", change, STILL.value, what, why, remedy)


def not_getting_anywhere(seen):
    """The loss has hardly fallen, and no layer can have moved by more than REACH of its size."""
    if not (c := course(seen)) or seen.steps is None or len(seen.steps) < 2:
        return
    layer, change = fastest(seen) or (None, math.inf)
    steps = int(seen.steps[-1]) + 1
    reach = steps * float(np.nanmax(seen.course_of("update_ratio"), initial=0.0))
    fell = slow(seen) and c.last <= c.first - FALL.value * abs(c.first)
    if not fell or reach > REACH.value or change == math.inf:
        return
    what = (
        f"The loss falls from {c.first:.3g} to {c.last:.3g} in {steps} steps, in which no layer "
        f"can have moved by more than {reach:.2g} of its size."
    )
    why, remedy = "the steps are short", "a larger learning rate; gb.lr_range finds one"
    if (part := part_of_the_step(seen)) and part < CLIPPED.value:
        why = f"the steps are {part:.2g} of lr·|gradient|: something clips the gradient first"
        remedy = "a larger threshold; the 90th percentile of the norms seen is usual"
    yield Finding("stalled", layer, "update_ratio", reach, REACH.value, what, why, remedy)


def part_of_the_step(seen):
    """|ΔW| over lr·|∂L/∂W|, which is 1 in plain gradient descent; None for other optimizers."""
    if seen.told("momentum") != 0:
        return None
    step = seen.of("update_ratio") * seen.of("weight_norm")
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = step / (seen.told("lr") * seen.of("grad_norm"))
    parts = parts[np.isfinite(parts)]
    return float(np.median(parts)) if parts.size else None


LIMITS = {"update": UPDATE, "still": STILL, "reach": REACH, "clipped": CLIPPED}
RULES = (above_the_limit, leaping, creeping, not_getting_anywhere)
