"""What the signal says on its way back, from the plainest fault to the subtlest."""

import math

import numpy as np

from .findings import Finding, Threshold

__all__ = ["LIMITS", "RULES"]

SPREAD = Threshold(
    100.0,
    "with one learning rate, the best served layer takes steps "
    "a hundred times the worst served one's",
)
SHRUNK = Threshold(0.1, "weights that lose nine tenths of their size in a run are decayed away")
LEVEL = Threshold(
    1e4, "weight gradients that far apart cannot share a learning rate, whatever the signal is"
)
BESIDE = Threshold(
    100.0, "what gets a hundredth of the usual signal stands in a side branch, as weak attention's"
)
SLOPES = {
    "Sigmoid": "; a sigmoid's slope is at most 1/4",
    "Tanh": "; the slope of tanh is at most 1, and less where it bends",
}
PASSED_BACK = "on its way back: in {first!r} it is {ratio:.2g} times that in {last!r}."


def blocked(seen):
    """Weights of 0 let nothing pass, and get no gradient that would move them.

    Zeros that move are meant so, as in LoRA or in branches that begin at 0.
    """
    at = np.flatnonzero((seen.of("weight_norm") == 0) & (seen.of("grad_norm") == 0))
    added = seen.told("raw") or []  # a position or a class token is added, and blocks nothing
    at = [i for i in at if not waits(seen, i) and seen.layers[i] not in added]
    if at and at[-1] > 0:
        layer = seen.layers[at[-1]]
        what = f"The weights of layer {layer!r} are 0, and nothing passes it on the way back."
        why = "a product with 0, and since their own gradient is 0 they will not move"
        remedy = "an initialization that is not 0; of two factors only one may begin at 0"
        yield Finding("vanishing", layer, "weight_norm", 0.0, 0.0, what, why, remedy)


def silent(seen):
    """The loss sends nothing back at all, though it is not 0, at which nothing is left to learn."""
    if not (seen.of("signal") > 0).any() and seen.last_loss != 0:
        what = "No gradient arrives anywhere."
        why = (
            "the loss does not change with the output: it is saturated, "
            "or its gradient is below the number format"
        )
        remedy = "a loss on logits; float32 or loss scaling"
        yield Finding("vanishing", seen.layers[0], "signal", 0.0, 0.0, what, why, remedy)


def ends(seen):
    """The first layer with a known signal, and the exit with the largest.

    A head whose loss has a small weight, or 0, says nothing about depth.
    """
    signal = seen.of("signal")
    known = np.flatnonzero(np.isfinite(signal))
    used = [i for i in known if signal[i] > 0]
    if known.size < 2 or not used:
        return None
    exits = [i for i in used if i in seen.exits] if seen.told("paths") else used[-1:]
    last = max(exits or used[-1:], key=lambda i: signal[i])
    before = [i for i in known if i in seen.leading_to(last) and not waits(seen, i)]
    return (before[0] if before else last), last


def waits(seen, i):
    """Whether a layer gets no gradient only since it stands before weights of 0 that will move."""
    zeros = (seen.of("weight_norm") == 0) & (seen.of("grad_norm") > 0)
    return seen.of("grad_norm")[i] == 0 and any(
        i in seen.leading_to(k) for k in np.flatnonzero(zeros)
    )


def cut_off(seen):
    """The signal of the first layer is 0."""
    first, last = ends(seen) or (0, None)
    signal = seen.of("signal")[first]
    waiting = any(waits(seen, i) for i in range(len(seen.layers)))
    if last is not None and (signal == 0 or first == last and not waiting):
        layer = seen.layers[first]
        what = f"No gradient reaches layer {layer!r}."
        signals = seen.of("signal")
        arrived = np.flatnonzero(signals[: last + 1] > 0)
        if arrived.size and (way := last - arrived[0]):
            end = arrived[0]
            factor = (signals[end] / signals[last]) ** (1 / way)
            what += (
                f" The signal ends in layer {seen.layers[end]!r}: from {seen.layers[last]!r} to "
                f"there it changes by a factor of {factor:.3g} per layer."
            )
        why = "on the way every unit is dead or saturated, or the signal is below the number format"
        remedy = "look at the dead and saturated parts; smaller inputs and weights; normalization"
        yield Finding("vanishing", layer, "signal", float(signal), 0.0, what, why, remedy)


def grows_or_shrinks(seen):
    """From the last layer to the first the signal changes by more than a factor of SPREAD."""
    if not (at := ends(seen)) or at[0] == at[1]:
        return
    signal, gradient = seen.of("signal")[[*at]], seen.of("grad_norm")[[*at]]
    ratio, steps, limit = signal[0] / signal[1], at[1] - at[0], SPREAD.value
    if ratio == 0 or 1 / limit <= ratio <= limit:
        return
    first, last = (seen.layers[i] for i in at)
    factor = ratio ** (1 / steps) if ratio < math.inf else ratio
    where = PASSED_BACK.format(first=first, last=last, ratio=ratio)
    if 1 / limit < gradient[0] / (gradient[1] or math.nan) < limit:
        where += f" Its weight gradients do not show it: {gradient[0]:.2g} and {gradient[1]:.2g}."
    if ratio > limit:
        what = f"The signal grows by a factor of {factor:.3g} per layer {where}"
        why = (
            "the Jacobians, weights times slopes (and what normalization divides by), "
            "are larger than 1"
        )
        remedy = (
            "weights of variance 2/fan_in for ReLU or 1/fan_in for tanh; "
            "branches scaled by 1/√depth; clip_norm while you look for the cause"
        )
        yield Finding("exploding", first, "signal", float(ratio), limit, what, why, remedy)
    else:
        what = f"The signal shrinks by a factor of {factor:.3g} per layer {where}"
        why = "the Jacobians, weights times slopes, are smaller than 1"
        for kind in seen.told("activations") or []:
            why += SLOPES.get(kind, "")
        if seen.told("norm_of_two"):
            why = "batch norm over two values gives ±1, whatever they are, and passes no gradient"
        remedy = (
            "another activation with its own initialization (ReLU with 2/fan_in), "
            "skip connections, or normalization"
        )
        if (left := what_is_left(seen)) < SHRUNK.value:
            why = f"the weights have shrunk to {left:.2g} of their size since the first step"
            remedy = "less weight decay, if there is any"
        yield Finding("vanishing", first, "signal", float(ratio), 1 / limit, what, why, remedy)


def what_is_left(seen):
    """Of the weights' size at the first step, median over the layers; 1 of one pass alone."""
    before, now = seen.first("weight_norm"), seen.of("weight_norm")
    known = np.isfinite(before) & np.isfinite(now) & (before > 0)
    return float(np.median(now[known] / before[known])) if known.any() else 1.0


def uneven(seen):
    """Weight gradients differ by more than LEVEL, although the signal does not: the inputs do."""
    gradient = seen.of("grad_norm")
    if not (at := ends(seen)):
        return
    known = np.array([i for i in np.flatnonzero(gradient > 0) if i in seen.leading_to(at[1])])
    if not known.size:
        return
    signal = seen.of("signal")[known]  # queries and keys of weak attention get little, and may
    level = gradient[known[~(signal < np.nanmedian(signal) / BESIDE.value)]]
    if level.max() <= LEVEL.value * level.min():
        return
    high, low = known[np.argmax(gradient[known])], known[np.argmin(gradient[known])]
    ratio = gradient[high] / gradient[low]
    if ratio > LEVEL.value:
        large, small = seen.of("activation_rms")[[high, low]]
        middle = np.median(gradient[known])
        lone_high = gradient[high] / middle > middle / gradient[low]
        verdict, at = ("exploding", high) if lone_high else ("vanishing", low)
        what = (
            f"The weight gradient of layer {seen.layers[high]!r} is {ratio:.2g} times "
            f"that of {seen.layers[low]!r}, though the signal is level."
        )
        signals = seen.of("signal")[[high, low]]
        explained = large / small * signals[0] / signals[1] if small and signals[1] else math.nan
        why = (
            "the size of its input does not explain it; look at the loss: derivatives of the "
            "output in it, or a weight that other layers share"
        )
        if explained > ratio / 10:
            why = (
                "a weight gradient is signal times input, "
                f"and their inputs have a size of {large:.2g} and {small:.2g}"
            )
        remedy = "standardize the inputs; normalization between layers of unlike size"
        yield Finding(
            verdict, seen.layers[at], "grad_norm", float(ratio), LEVEL.value, what, why, remedy
        )


# the first that finds something speaks for all
SIGNAL_RULES = (blocked, silent, cut_off, grows_or_shrinks, uneven)


def signal(seen):
    """What the signal says."""
    for rule in SIGNAL_RULES:
        if found := list(rule(seen)):
            return found
    return []


LIMITS = {"spread": SPREAD, "shrunk": SHRUNK, "level": LEVEL, "beside": BESIDE}
RULES = (signal,)
