"""What can be wrong with a training: one function for each verdict, which reads as its rule."""

import math

import numpy as np

from ..theory.quadratics import stability_limit
from .findings import Finding, Threshold

__all__ = ["UPDATE", "STILL", "RISE", "FALL", "TRAINING_RULES"]

UPDATE = Threshold(
    0.1,
    "weights that change by 10 % in one step are not where the gradient was taken; 0.1 % is usual",
)
STILL = Threshold(
    1e-6, "at a millionth of its size per step a weight needs a million steps to change"
)
RISE = Threshold(
    0.5, "a loss that rose by half of its size at the start is not noise around a descent"
)
FALL = Threshold(
    0.02, "a loss that fell by less than 2 % of its size over the whole window stands still"
)


def broken_parameter(seen):
    """A parameter holds NaN or infinity."""
    broken = seen.data.attrs.get("not_finite_parameters") or []
    if broken:
        others = f", and {len(broken) - 1} others." if len(broken) > 1 else "."
        what = f"Parameter {broken[0]!r} holds NaN or infinity{others}"
        why = "every product with it is NaN, and the next step spreads it"
        remedy = (
            "go back to the last good state; find the step at which it came (watch with every=1)"
        )
        yield Finding("non-finite", broken[0], "parameter", math.nan, 0, what, why, remedy)


def broken_layer(seen):
    """A layer's output or its gradient is not finite."""
    count = seen.data.not_finite
    count = count.max("step") if "step" in seen.data.dims else count
    bad = np.flatnonzero(count.values > 0)
    if bad.size:
        layer = seen.layers[bad[0]]
        some = f"({bad.size} of {len(seen.layers)} layers have such)"
        what = f"Values of layer {layer!r} are NaN or infinite {some}."
        why = (
            "an overflow, a division by 0, or a logarithm of 0, "
            "in this layer's output or on the way back to it"
        )
        remedy = (
            "look at this layer's input and at the loss; smaller weights, a smaller step, "
            "a stable form (log_softmax)"
        )
        value = float(count.values[bad[0]])
        yield Finding("non-finite", layer, "not_finite", value, 0, what, why, remedy)


def broken_loss(seen):
    """The loss is not finite, though every layer is."""
    loss = seen.data.attrs.get("loss", 0.0)
    if not np.isfinite(loss):
        what = "The loss is not finite, though every layer is."
        why = "the loss function overflows or takes the logarithm of 0"
        remedy = "use its stable form, such as cross_entropy on logits"
        yield Finding("non-finite", "(loss)", "loss", loss, 0, what, why, remedy)


def not_finite(seen):
    """What is not finite: a parameter, else a layer, else the loss."""
    for rule in (broken_parameter, broken_layer, broken_loss):
        if found := list(rule(seen)):
            return found
    return []


def loss_at_both_ends(seen):
    """The loss at first, and at last: medians of a twentieth and of a quarter of the run."""
    if "seen" not in seen.data.dims or seen.data.sizes["seen"] < 8:
        return None
    loss = seen.data.loss.values
    return np.median(loss[: max(3, len(loss) // 20)]), np.median(loss[-(len(loss) // 4) :])


def rising(seen):
    """The loss ends higher than it began, by RISE of its size."""
    if not (ends := loss_at_both_ends(seen)):
        return
    first, last = ends
    limit = first + RISE.value * abs(first)
    if np.isfinite(last) and not last > limit:
        return
    what = f"The loss rises: from {first:.3g} to {last:.3g}."
    why = "the step is longer than the curvature allows"
    remedy = "a smaller learning rate; gb.sharpness says how small, gb.lr_range finds one"
    if grown := limit_seen(seen):
        factor, longest = grown
        why += (
            f"; the gradient grows by {factor:.3g} per step, so the limit 2/L is near {longest:.3g}"
        )
        remedy = f"a learning rate below {longest:.2g}"
    yield Finding("unstable", "(loss)", "loss", float(last), float(limit), what, why, remedy)


def limit_seen(seen):
    """The gradient's factor r = |1 − lr·L| per step, if it grows, and the limit 2/L it implies.

    Of plain gradient descent watched at every step.
    """
    data = seen.data
    lr, momentum = data.attrs.get("lr"), data.attrs.get("momentum")
    if lr is None or momentum != 0 or data.sizes["step"] < 3:
        return None
    if (np.diff(data.step.values) != 1).any():
        return None
    total = np.sqrt((data.grad_norm.astype(float) ** 2).sum("layer").values)
    usable = total[np.isfinite(total) & (total > 0)]
    r = np.median(usable[1:] / usable[:-1]) if len(usable) > 2 else 0
    return (float(r), float(2 * lr / (1 + r))) if r > 1 else None


def standing(seen):
    """The loss neither rose nor fell, by FALL of its size."""
    if not (ends := loss_at_both_ends(seen)):
        return
    first, last = ends
    limit, highest = first - FALL.value * abs(first), first + RISE.value * abs(first)
    if limit < last <= highest:
        what = f"The loss stays: {first:.3g} at first, {last:.3g} at last."
        why = "the steps lead nowhere: too short, or in a direction without information"
        remedy = "gb.lr_range shows whether any learning rate learns"
        yield Finding("stalled", "(loss)", "loss", float(last), float(limit), what, why, remedy)


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


def leaping(seen):
    """A layer changes by more than UPDATE of its size per step."""
    layer, change = fastest(seen) or (None, 0.0)
    if change > UPDATE.value:
        what = f"Layer {layer!r} changes by {change:.0%} of its size in one step."
        why = "the step is longer than the distance over which the gradient means anything"
        remedy = "a smaller learning rate, or warm-up"
        yield Finding("unstable", layer, "update_ratio", change, UPDATE.value, what, why, remedy)


def creeping(seen):
    """No layer ever changes by more than STILL: late in a good run steps are small, too."""
    layer, change = fastest(seen) or (None, math.inf)
    if change <= UPDATE.value and seen.data.update_ratio.max() < STILL.value:
        what = f"No layer changes by more than {change:.1g} of its size per step."
        why = "the learning rate is too small, or the gradient is"
        remedy = "a larger learning rate; gb.lr_range finds one"
        yield Finding("stalled", layer, "update_ratio", change, STILL.value, what, why, remedy)


TRAINING_RULES = (not_finite, rising, standing, above_the_limit, leaping, creeping)
