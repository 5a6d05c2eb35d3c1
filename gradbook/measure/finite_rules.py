"""What was NaN or infinite first: where, when, and on which way."""

import math

import numpy as np

from .findings import Finding, of_its_size

__all__ = ["not_finite"]

LONG = 0.1  # a change of a tenth of its size
OVERFLOWING = 1e6  # growth over the layers that leads out of a number format


def not_finite(seen):
    """Something is NaN or infinite: which came first, where, and when."""
    loss, first = seen.told("loss"), seen.first_bad
    broken = seen.told("not_finite_parameters") or []
    if broken and seen.steps is None:  # of one pass alone, they are where it comes from
        yield _spread_to(broken)
    elif first is not None:
        forward, backward = seen.broken("forward"), seen.broken("backward")
        yield _born(seen, first, forward[first], backward[first], broken)
    elif broken:
        yield _spread_to(broken)
    elif loss is not None and not np.isfinite(loss):
        yield _in_the_loss(seen, loss)


def _born(seen, at, forward, backward, broken):
    """Where it came into the world: forward before backward, next to its source."""
    when, sampled = "", seen.steps
    if sampled is not None:
        before = sampled[at - 1] + 1 if at else sampled[at]
        exact = before == sampled[at]
        when = f" at step {sampled[at]}" if exact else f" between steps {before} and {sampled[at]}"
    if forward.any():
        place = int(np.flatnonzero(forward)[0])
        layer = seen.layers[place]
        what = f"Values of layer {layer!r} are NaN or infinite on the way forward{when}."
        why = "an overflow, a division by 0, or a logarithm of 0, in this layer or before it"
        if said := _growth(seen, at, place) or _given(seen, at, place):
            why = said
        remedy = "smaller weights, a smaller step, inputs without NaN; a stable form (log_softmax)"
    else:
        place = int(np.flatnonzero(backward)[-1])
        layer = seen.layers[place]
        what = f"All outputs are finite, but the gradient is NaN or infinite from layer {layer!r} "
        what += f"down to the input{when}."
        why = "an operation behind this layer has no finite derivative there, as √0, x/0 or |0|"
        remedy = "keep that operation away from the point: x.clamp(min=1e-8) before it"
        if operation := seen.told("operation"):
            why = f"{operation} has no finite derivative there"
        elif said := _growth_back(seen, at, place):
            why, remedy = said, "smaller weights, normalization between the layers"
        else:
            remedy += "; gb.probe with this batch names it"
    what += _before(seen, at)
    if skipped := seen.told("skipped"):
        what += f" The scaler left out {len(skipped)} of {len(sampled)} steps that were looked at."
    if broken:
        others = f" and {len(broken) - 1} others" if len(broken) > 1 else ""
        what += f" Now parameter {broken[0]!r}{others} hold NaN or infinity."
        remedy = f"go back to the last good state; {remedy}"
    if " between " in when:
        remedy += "; watch with every=1 finds the step"
    count = float((forward | backward).sum())
    return Finding("non-finite", layer, "not_finite", count, 0, what, why, remedy)


def _before(seen, at):
    """The last loss and the longest update before the step ``at``, in words."""
    if seen.steps is None:
        return ""
    said = ""
    if "seen" in seen.data.dims:
        earlier = seen.data.loss.values[seen.data.seen.values <= seen.steps[at]]
        if (finite := earlier[np.isfinite(earlier)]).size:
            said = f" The loss had been {finite[0]:.3g} at first and {finite[-1]:.3g} last."
    ratios = seen.course_of("update_ratio")[:at]
    if ratios.size and np.isfinite(ratios).any():
        step, layer = np.unravel_index(np.nanargmax(ratios), ratios.shape)
        if (size := ratios[step, layer]) > LONG and np.isfinite(size):
            said += (
                f" Before it, step {seen.steps[step]} changed layer {seen.layers[layer]!r} "
                f"by {of_its_size(size)}."
            )
    return said


def _growth(seen, at, place):
    """In words, how the inputs of the layers before the first broken one had grown; "" if not."""
    if not (factor := _factor(seen.course_of("activation_rms")[at][: place + 1])):
        return ""
    return f"on the way there the inputs of the layers grow by {factor:.3g} per layer: an overflow"


def _given(seen, at, place):
    """In words, that the layer's input is not finite already; "" if it is."""
    rms = seen.course_of("activation_rms")[at]
    if np.isfinite(rms[place]) or not np.isfinite(rms).any() and place:
        return ""
    if place == 0:
        return "what this layer is given is not finite already: the data, or what prepares them"
    return f"an operation between layer {seen.layers[place - 1]!r} and this one"


def _growth_back(seen, at, place):
    """The same for the signal on its way back."""
    if not (factor := _factor(seen.course_of("signal")[at][: max(place - 1, 0) : -1])):
        return ""
    return f"on its way back the signal grows by {factor:.3g} per layer: an overflow"


def _factor(sizes):
    """By how much sizes grow from one to the next, if it is OVERFLOWING in all; else None."""
    known = np.flatnonzero(np.isfinite(sizes) & (sizes > 0))
    if known.size < 3 or sizes[known[-1]] < OVERFLOWING * sizes[known[0]]:
        return None
    return (sizes[known[-1]] / sizes[known[0]]) ** (1 / (known[-1] - known[0]))


def _spread_to(broken):
    others = f", and {len(broken) - 1} others." if len(broken) > 1 else "."
    what = f"Parameter {broken[0]!r} holds NaN or infinity{others}"
    why = "every product with it is NaN, and the next step spreads it"
    remedy = "go back to the last good state; watch, with every=1, finds the step at which it came"
    return Finding("non-finite", broken[0], "parameter", math.nan, 0, what, why, remedy)


def _in_the_loss(seen, loss):
    what = "The loss is not finite, though every layer is."
    why = "the loss function overflows or takes the logarithm of 0"
    remedy = "use its stable form, such as cross_entropy on logits"
    if not (seen.of("grad_norm") > 0).any():
        what = "The loss is not finite, and every gradient is 0."
        why = "a mean over nothing: no label counts, since all are ignored, or the batch is empty"
        remedy = "look at the labels, the mask (ignore_index) and the size of the batch"
    return Finding("non-finite", "(loss)", "loss", loss, 0, what, why, remedy)
