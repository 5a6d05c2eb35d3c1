"""What can be wrong with the layers: one function for each verdict, which reads as its rule."""

import math

import numpy as np

from .findings import Finding, Threshold

__all__ = ["SPREAD", "LEVEL", "DEAD", "SATURATED", "LAYER_RULES"]

SPREAD = Threshold(
    100.0,
    "with one learning rate, the best served layer takes steps "
    "a hundred times the worst served one's",
)
LEVEL = Threshold(
    1e4, "weight gradients that far apart cannot share a learning rate, whatever the signal is"
)
DEAD = Threshold(
    0.9,
    "a layer with a tenth of its units left passes a tenth of the gradient; "
    "half is normal in deep ReLU networks",
)
SATURATED = Threshold(
    0.3,
    "with 30 % of the slopes near 0 a layer keeps at most 0.84 of the gradient, "
    "thirty layers 0.5 %",
)
PASSED_BACK = "on its way back: in {first!r} it is {ratio:.2g} times that in {last!r}."


def blocked(seen):
    """Weights of 0 let nothing pass."""
    at = np.flatnonzero(seen.of("weight_norm") == 0)
    if at.size and at[-1] > 0 and (seen.of("grad_norm") == 0).any():
        layer = seen.layers[at[-1]]
        what = f"The weights of layer {layer!r} are 0, and nothing passes it on the way back."
        why = "a product with 0; it ends as soon as these weights move, if they do"
        remedy = "nothing, if they were set to 0 on purpose; else an initialization that is not 0"
        yield Finding("vanishing", layer, "weight_norm", 0.0, 0.0, what, why, remedy)


def silent(seen):
    """The loss sends nothing back at all."""
    if not (seen.of("signal") > 0).any():
        what = "No gradient arrives anywhere."
        why = (
            "the loss does not change with the output: it is saturated, "
            "or its gradient is below the number format"
        )
        remedy = "a loss on logits; float32 or loss scaling"
        yield Finding("vanishing", seen.layers[0], "signal", 0.0, 0.0, what, why, remedy)


def ends(seen):
    """The first layer with a known signal, and the last with one that is not 0.

    A head whose loss has weight 0 says nothing about depth.
    """
    signal = seen.of("signal")
    known, used = np.flatnonzero(np.isfinite(signal)), np.flatnonzero(signal > 0)
    return (known[0], used[-1]) if known.size > 1 and used.size else None


def cut_off(seen):
    """The signal of the first layer is 0."""
    first, last = ends(seen) or (0, None)
    signal = seen.of("signal")[first]
    if last is not None and (signal == 0 or first == last):
        layer = seen.layers[first]
        what = f"No gradient reaches layer {layer!r}."
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
        what = f"The signal grows by {factor:.3g} per layer {where}"
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
        what = f"The signal shrinks by {factor:.3g} per layer {where}"
        why = (
            "the Jacobians, weights times slopes, are smaller than 1; "
            "a sigmoid's slope is at most 1/4"
        )
        remedy = (
            "another activation with its own initialization (ReLU with 2/fan_in), "
            "skip connections, or normalization"
        )
        yield Finding("vanishing", first, "signal", float(ratio), 1 / limit, what, why, remedy)


def uneven(seen):
    """Weight gradients differ by more than LEVEL, although the signal does not: the inputs do."""
    gradient = seen.of("grad_norm")
    if not ends(seen) or not (known := np.flatnonzero(gradient > 0)).size:
        return
    high, low = known[np.argmax(gradient[known])], known[np.argmin(gradient[known])]
    ratio = gradient[high] / gradient[low]
    if ratio > LEVEL.value:
        large, small = seen.of("activation_rms")[[high, low]]
        verdict, at = ("exploding", high) if high < low else ("vanishing", low)
        what = (
            f"The weight gradient of layer {seen.layers[high]!r} is {ratio:.2g} times "
            f"that of {seen.layers[low]!r}, though the signal is level."
        )
        why = (
            "a weight gradient is signal times input, "
            f"and their inputs have a size of {large:.2g} and {small:.2g}"
        )
        remedy = "standardize the inputs; normalization between layers of unlike size"
        yield Finding(
            verdict, seen.layers[at], "grad_norm", float(ratio), LEVEL.value, what, why, remedy
        )


def dead(seen):
    """Nearly all units that feed a layer are 0 on the whole batch."""
    part = "of the units that feed it are 0 on the whole batch"
    why = (
        "a rectifier whose input is negative for every example has slope 0 "
        "and cannot come back by itself"
    )
    remedy = (
        "a smaller learning rate, biases at 0, weights of variance 2/fan_in, "
        "a wider layer, or a leaky ReLU"
    )
    yield from _worst(seen, "dead", "dead", DEAD.value, part, why, remedy)


def saturated(seen):
    """Much of what feeds a layer comes from where tanh or sigmoid is flat."""
    part = "of its inputs sit where the slope is under 5 % of its largest"
    why = "the pre-activations are too large for tanh or sigmoid"
    remedy = "smaller weights (variance 1/fan_in), or normalization before the activation"
    yield from _worst(seen, "saturated", "saturation", SATURATED.value, part, why, remedy)


# of the first five, the first that finds something speaks for all
SIGNAL_RULES = (blocked, silent, cut_off, grows_or_shrinks, uneven)


def signal(seen):
    """What the signal says, from the plainest fault to the subtlest."""
    for rule in SIGNAL_RULES:
        if found := list(rule(seen)):
            return found
    return []


LAYER_RULES = (signal, dead, saturated)


def _worst(seen, verdict, quantity, limit, part, why, remedy):
    """The layer with the largest share above ``limit``."""
    share = seen.of(quantity)
    if (bad := np.flatnonzero(share >= limit)).size:
        worst = bad[np.argmax(share[bad])]
        layer, value = seen.layers[worst], float(share[worst])
        count = f"{bad.size} of {len(share)} layers are above {limit:.0%}."
        what = f"Layer {layer!r}: {value:.0%} {part}; {count}"
        yield Finding(verdict, layer, quantity, value, limit, what, why, remedy)
