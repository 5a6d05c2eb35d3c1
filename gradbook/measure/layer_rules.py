"""What can be wrong with single layers, and with the output: one function for each verdict."""

import math

import numpy as np

from .findings import UNSCALED, Finding, Threshold

__all__ = ["LIMITS", "RULES"]

TIME = Threshold(
    1e4, "what lies that far back changes the answer ten thousand times less than what came last"
)
LOUD = Threshold(2.0, "twice the cost of guessing is no draw of chance in a batch")
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


def in_time(seen):
    """In a recurrent layer the gradient changes by more than TIME between first and last step.

    That of its state h_t, or where this is not known that of its input x_t.
    """
    if "signal_in_time" not in seen.window:
        return
    total, direct = (seen.window[q].values for q in ("signal_in_time", "input_signal_in_time"))
    known = (total > 0).any(1, keepdims=True)
    for layer, signal in zip(seen.layers, np.where(known, total, direct)):
        arrived = np.flatnonzero(signal > 0)
        if not arrived.size or arrived[-1] == 0:
            continue
        last = arrived[-1]
        ratio = signal[0] / signal[last]
        if 1 / TIME.value <= ratio <= TIME.value:
            continue
        grows = ratio > 1
        factor = (signal[arrived[0]] / signal[last]) ** (1 / max(last - arrived[0], 1))
        change = "grows" if grows else "shrinks"
        what = (
            f"Through time the gradient {change} by {factor:.3g} per step in layer {layer!r}: "
            f"at its first time step it is {ratio:.2g} times that at step {last}."
        )
        why = "a step multiplies by the recurrent weights and the slopes, or the gates, once more"
        remedy = (
            "an LSTM or GRU whose gate begins open (a bias of ln T keeps a third for T steps), "
            "orthogonal recurrent weights, or attention"
        )
        if grows:
            remedy = "clip_norm; orthogonal recurrent weights, or smaller ones"
        verdict, limit = ("exploding", TIME.value) if grows else ("vanishing", 1 / TIME.value)
        yield Finding(verdict, layer, "signal_in_time", float(ratio), limit, what, why, remedy)


def loud(seen):
    """The loss is far above that of guessing: the logits are too large, whatever they say."""
    classes, loss = seen.told("classes"), seen.told("loss")
    if seen.steps is not None and "seen" in seen.data.dims:
        loss = float(seen.data.loss.values[0]) if seen.data.seen.values[0] <= 1 else None
    if not classes or seen.told("summed") or loss is None or not np.isfinite(loss):
        return
    guessing = math.log(classes)
    if loss > LOUD.value * guessing:
        what = (
            f"The loss is {loss:.3g}, and guessing between {classes} classes costs {guessing:.3g}."
        )
        why = "the logits are large before anything was learned, and each wrong one is expensive"
        remedy = (
            "smaller weights in the last layer, or in the embedding if it is tied; a norm before"
        )
        if (size := seen.first("activation_rms")[0]) > UNSCALED.value:
            why = f"the inputs have a size of {size:.3g}, and it is carried to the logits"
            remedy = "standardize the inputs"
        yield Finding("exploding", "(loss)", "loss", float(loss), guessing, what, why, remedy)


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


def _worst(seen, verdict, quantity, limit, part, why, remedy):
    """The layer with the largest share above ``limit``."""
    share = seen.of(quantity)
    if (bad := np.flatnonzero(share >= limit)).size:
        worst = bad[np.argmax(share[bad])]
        layer, value = seen.layers[worst], float(share[worst])
        count = f"{bad.size} of {len(share)} layers are above {limit:.0%}."
        what = f"Layer {layer!r}: {value:.0%} {part}; {count}"
        yield Finding(verdict, layer, quantity, value, limit, what, why, remedy)


LIMITS = {"time": TIME, "loud": LOUD, "dead": DEAD, "saturated": SATURATED}
RULES = (in_time, loud, dead, saturated)
