"""What a measurement means, in words: where it goes wrong, by how much, why, and which chapter has the remedy."""

import math
from dataclasses import dataclass

import numpy as np

from .quadratics import stability_limit

__all__ = ["diagnose", "Diagnosis", "Finding", "THRESHOLDS"]

BOOK = "https://gradients-that-flow.github.io/gradients-that-flow/chapters/"
CHAPTERS = {  # where each verdict is explained, and its remedies
    "vanishing": "3-remedies/initialization", "exploding": "3-remedies/initialization", "saturated": "3-remedies/normalization",
    "dead": "2-vanishing-exploding/measuring-gradients", "non-finite": "2-vanishing-exploding/measuring-gradients",
    "unstable": "4-optimizers/learning-rate", "stalled": "4-optimizers/learning-rate",
}

THRESHOLDS = {  # name: (value, the reason for it)
    "spread": (100.0, "with one learning rate, the best served layer takes steps a hundred times the worst served one's"),
    "dead": (0.9, "a layer with a tenth of its units left passes a tenth of the gradient; half is normal in deep ReLU networks"),
    "saturated": (0.3, "with 30 % of the slopes near 0 a layer keeps at most 0.84 of the gradient, thirty layers 0.5 %"),
    "update": (0.1, "weights that change by 10 % in one step are not where the gradient was taken; 0.1 % is usual"),
    "still": (1e-6, "at a millionth of its size per step a weight needs a million steps to change"),
    "level": (1e4, "weight gradients that far apart cannot share a learning rate, whatever the signal is"),
    "rise": (0.5, "a loss that rose by half of its size at the start is not noise around a descent"),
    "fall": (0.02, "a loss that fell by less than 2 % of its size over the whole window stands still"),
}
ORDER = ("non-finite", "unstable", "dead", "exploding", "saturated", "vanishing", "stalled")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the measured ``value`` of ``quantity`` in ``layer``, beyond ``threshold``."""

    verdict: str
    layer: str
    quantity: str
    value: float
    threshold: float
    what: str
    why: str
    remedy: str

    @property
    def link(self):
        """The chapter that explains it."""
        return f"{BOOK}{CHAPTERS[self.verdict]}.html"

    def __str__(self):
        return f"{self.what}\n  Why: {self.why}.\n  Remedy: {self.remedy}\n  {self.link}"


@dataclass(frozen=True)
class Diagnosis:
    """A ``verdict``, the ``findings`` behind it with the gravest first, and a text, which ``str`` and ``print`` show."""

    verdict: str
    findings: tuple
    notes: tuple = ()

    def __str__(self):
        head = f"Verdict: {self.verdict}."
        if not self.findings:
            head += " Signal and weight gradients are of one size through the layers, and nothing is dead, saturated or not finite."
        return "\n".join([head, *map(str, self.findings), *(f"Note: {note}" for note in self.notes)])

    __repr__ = __str__


def diagnose(data, sharpness=None):
    """Judge a data set of :func:`gradbook.probes.probe` or :func:`gradbook.watching.watch`.

    The verdict is one of healthy, vanishing, exploding, dead, saturated, non-finite, unstable, stalled: the
    gravest finding's.  Of a data set with steps, the median over its later half is judged, so that one
    batch decides nothing.  ``sharpness`` (:func:`gradbook.curvature.sharpness`) is held against the optimizer's learning
    rate, where the data set knows it.  The reasons for the thresholds stand in ``THRESHOLDS``.

    >>> import torch, gradbook as gb
    >>> layers = [f() for _ in range(30) for f in (lambda: torch.nn.Linear(64, 64), torch.nn.Sigmoid)]
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
    >>> data = gb.probe(model, lambda: model(torch.randn(32, 64)).logsumexp(1).mean())
    >>> diagnose(data).verdict
    'vanishing'
    """
    if "layer" not in getattr(data, "dims", ()) or "signal" not in data or "grad_norm" not in data:
        raise ValueError("data must be a data set of gradbook.probe or gradbook.watch, with signal and grad_norm over layer")
    if "not_finite" not in data or data.sizes["layer"] == 0 or not np.isfinite(data.signal).any() and not (data.not_finite > 0).any():
        raise ValueError("data hold no signal to judge: they must come from gradbook.probe or gradbook.watch, of a model that is called "
                         "as a whole, model(x), with gradients on")
    window = data.isel(step=slice(data.sizes["step"] // 2, None)).median("step", skipna=True) if "step" in data.dims else data
    findings = [f for check in (_non_finite, _loss, _curvature, _spread, _units, _updates) for f in check(data, window, sharpness)]
    if any(f.verdict == "non-finite" for f in findings):
        findings = [f for f in findings if f.verdict == "non-finite"]  # NaN makes every other number doubtful
    elif any(f.verdict != "stalled" for f in findings):
        findings = [f for f in findings if f.verdict != "stalled"]  # the others say why
    findings.sort(key=lambda f: ORDER.index(f.verdict))
    notes = []
    if left_out := data.attrs.get("left_out"):
        notes.append(f"left out, because frozen or without part in the loss: {', '.join(left_out[:8])}{' …' if len(left_out) > 8 else ''}")
    return Diagnosis(findings[0].verdict if findings else "healthy", tuple(findings), tuple(notes))


def _non_finite(data, window, sharpness):
    broken = data.attrs.get("not_finite_parameters") or []
    if broken:
        yield Finding("non-finite", broken[0], "parameter", math.nan, 0, f"Parameter {broken[0]!r} holds NaN or infinity"
                      + (f", and {len(broken) - 1} others." if len(broken) > 1 else "."), "every product with it is NaN, and the next step spreads it",
                      "go back to the last good state; find the step at which it came (watch with every=1)")
        return
    worst = data.not_finite.max("step") if "step" in data.dims else data.not_finite
    bad = [str(name) for name, n in zip(data.layer.values, worst.values) if n > 0]
    if bad:
        first = min(bad, key=lambda name: list(data.layer.values).index(name))
        yield Finding("non-finite", first, "not_finite", float(worst.sel(layer=first)), 0,
                      f"Values of layer {first!r} are NaN or infinite ({len(bad)} of {data.sizes['layer']} layers have such).",
                      "an overflow, a division by 0, or a logarithm of 0, in this layer's output or on the way back to it",
                      "look at this layer's input and at the loss; smaller weights, a smaller step, a stable form (log_softmax)")
    elif not np.isfinite(data.attrs.get("loss", 0.0)):
        yield Finding("non-finite", "(loss)", "loss", data.attrs["loss"], 0, "The loss is not finite, though every layer is.",
                      "the loss function overflows or takes the logarithm of 0", "use its stable form, such as cross_entropy on logits")


def _loss(data, window, sharpness):
    if "seen" not in data.dims or data.sizes["seen"] < 8:
        return
    loss = data.loss.values
    first, last = np.median(loss[:max(3, len(loss) // 20)]), np.median(loss[-(len(loss) // 4):])
    size = abs(first)
    if not np.isfinite(last) or last - first > THRESHOLDS["rise"][0] * size:
        limit = _limit_seen(data)
        yield Finding("unstable", "(loss)", "loss", float(last), float(first + THRESHOLDS["rise"][0] * size),
                      f"The loss rises: from {first:.3g} to {last:.3g}.",
                      "the step is longer than the curvature allows" + (f"; the gradient grows by {limit[0]:.3g} per step, so the limit 2/L is near {limit[1]:.3g}" if limit else ""),
                      f"a learning rate below {limit[1]:.2g}" if limit else "a smaller learning rate; gb.sharpness says how small, gb.lr_range finds one")
    elif first - last < THRESHOLDS["fall"][0] * size:
        yield Finding("stalled", "(loss)", "loss", float(last), float(first - THRESHOLDS["fall"][0] * size), f"The loss stays: {first:.3g} at first, {last:.3g} at last.",
                      "the steps lead nowhere: too short, or in a direction without information", "gb.lr_range shows whether any learning rate learns")


def _limit_seen(data):
    """Of plain gradient descent watched at every step: the gradient's factor r = |1 − lr·L|, and the limit 2/L it implies."""
    lr = data.attrs.get("lr")
    if lr is None or data.attrs.get("momentum") != 0 or data.sizes["step"] < 3 or (np.diff(data.step.values) != 1).any():
        return None
    total = np.sqrt((data.grad_norm.astype(float) ** 2).sum("layer").values)
    usable = total[np.isfinite(total) & (total > 0)]
    ratio = np.median(usable[1:] / usable[:-1]) if len(usable) > 2 else 0
    return (float(ratio), float(2 * lr / (1 + ratio))) if ratio > 1 else None


def _curvature(data, window, sharpness):
    lr, momentum = data.attrs.get("lr"), data.attrs.get("momentum")
    if sharpness is None or lr is None or momentum is None:
        return
    method = "nesterov" if data.attrs.get("nesterov") and momentum else "heavy ball"
    limit = stability_limit(sharpness, momentum, method) if sharpness > 0 else math.inf
    if lr > limit:
        yield Finding("unstable", "(model)", "lr", lr, limit, f"The learning rate {lr:g} is above the stability limit {limit:.4g}.",
                      f"the sharpness is {sharpness:.4g}, and that is the longest step that still converges on such a curvature",
                      f"a learning rate below {limit:.2g}")


def _spread(data, window, sharpness):
    signal, gradients = window.signal.values.astype(float), window.grad_norm.values.astype(float)
    layers, known = [str(name) for name in window.layer.values], np.flatnonzero(np.isfinite(signal))
    empty = [layers[i] for i in np.flatnonzero((window.weight_norm.values == 0) & (np.arange(len(layers)) > 0))]
    if empty and (gradients == 0).any():
        yield Finding("vanishing", empty[-1], "weight_norm", 0.0, 0.0, f"The weights of layer {empty[-1]!r} are 0, and nothing passes it on the way back.",
                      "a product with 0; it ends as soon as these weights move, if they do", "nothing, if they were set to 0 on purpose; else an initialization that is not 0")
        return
    if not (signal[known] > 0).any():
        yield Finding("vanishing", layers[0], "signal", 0.0, 0.0, "No gradient arrives anywhere.",
                      "the loss does not change with the output: it is saturated, or its gradient is below the number format", "a loss on logits; float32 or loss scaling")
        return
    if len(known) < 2:
        return
    used = [i for i in known if signal[i] > 0]  # a head whose loss has weight 0 says nothing about depth
    first, last = known[0], used[-1]
    ratio, limit = signal[first] / signal[last], THRESHOLDS["spread"][0]
    if ratio == 0 or first == last:
        yield Finding("vanishing", layers[first], "signal", float(signal[first]), 0.0, f"No gradient reaches layer {layers[first]!r}.",
                      "on the way every unit is dead or saturated, or the signal is below the number format", "look at the dead and saturated parts; smaller inputs and weights; normalization")
        return
    factor = ratio ** (1 / (last - first)) if 0 < ratio < math.inf else ratio
    gradient = gradients[[first, last]]
    level = f" Its weight gradients do not show it: {gradient[0]:.2g} and {gradient[1]:.2g}." if 1 / limit < gradient[0] / (gradient[1] or math.nan) < limit else ""
    if ratio > limit:
        yield Finding("exploding", layers[first], "signal", float(ratio), limit,
                      f"The signal grows by {factor:.3g} per layer on its way back: in {layers[first]!r} it is {ratio:.2g} times that in {layers[last]!r}.{level}",
                      "the Jacobians, weights times slopes (and what normalization divides by), are larger than 1",
                      "weights of variance 2/fan_in for ReLU or 1/fan_in for tanh; branches scaled by 1/√depth; clip_norm while you look for the cause")
    elif ratio < 1 / limit:
        yield Finding("vanishing", layers[first], "signal", float(ratio), 1 / limit,
                      f"The signal shrinks by {factor:.3g} per layer on its way back: in {layers[first]!r} it is {ratio:.2g} times that in {layers[last]!r}.{level}",
                      "the Jacobians, weights times slopes, are smaller than 1; a sigmoid's slope is at most 1/4",
                      "another activation with its own initialization (ReLU with 2/fan_in), skip connections, or normalization")
    else:
        yield from _level(window, gradients, layers)


def _level(window, gradients, layers):
    """Weight gradients that differ although the signal does not: the sizes of the layers' inputs do."""
    known, limit = np.flatnonzero(gradients > 0), THRESHOLDS["level"][0]
    if not known.size:
        return
    high, low = known[np.argmax(gradients[known])], known[np.argmin(gradients[known])]
    if gradients[high] / gradients[low] > limit:
        small = float(window.activation_rms.values[low])
        large = float(window.activation_rms.values[high])
        verdict, at = ("exploding", high) if high < low else ("vanishing", low)
        yield Finding(verdict, layers[at], "grad_norm", float(gradients[high] / gradients[low]), limit,
                      f"The weight gradient of layer {layers[high]!r} is {gradients[high] / gradients[low]:.2g} times that of {layers[low]!r}, though the signal is level.",
                      f"a weight gradient is signal times input, and their inputs have a size of {large:.2g} and {small:.2g}",
                      "standardize the inputs; normalization between layers of unlike size")


def _units(data, window, sharpness):
    for quantity, threshold, verdict, part, why, remedy in (
            ("dead", "dead", "dead", "of the units that feed it are 0 on the whole batch", "a rectifier whose input is negative for every example has slope 0 and cannot come back by itself",
             "a smaller learning rate, biases at 0, weights of variance 2/fan_in, a wider layer, or a leaky ReLU"),
            ("saturation", "saturated", "saturated", "of its inputs sit where the slope is under 5 % of its largest", "the pre-activations are too large for tanh or sigmoid",
             "smaller weights (variance 1/fan_in), or normalization before the activation")):
        values, limit = window[quantity].values if quantity in window else np.array([]), THRESHOLDS[threshold][0]
        if (bad := np.flatnonzero(values >= limit)).size:
            worst = bad[np.argmax(values[bad])]
            yield Finding(verdict, str(window.layer.values[worst]), quantity, float(values[worst]), limit,
                          f"Layer {str(window.layer.values[worst])!r}: {values[worst]:.0%} {part}; {bad.size} of {len(values)} layers are above {limit:.0%}.", why, remedy)


def _updates(data, window, sharpness):
    if "update_ratio" not in window:
        return
    values = window.update_ratio.values.astype(float)
    started = data.weight_norm.isel(step=0).values if "step" in data.dims else window.weight_norm.values
    known = np.flatnonzero(np.isfinite(values) & (started > 0.1 * window.weight_norm.values))  # not those that grow from 0
    if not known.size:
        return
    worst = known[np.argmax(values[known])]
    if values[worst] > THRESHOLDS["update"][0]:
        yield Finding("unstable", str(window.layer.values[worst]), "update_ratio", float(values[worst]), THRESHOLDS["update"][0],
                      f"Layer {str(window.layer.values[worst])!r} changes by {values[worst]:.0%} of its size in one step.",
                      "the step is longer than the distance over which the gradient means anything", "a smaller learning rate, or warm-up")
    elif data.update_ratio.max() < THRESHOLDS["still"][0]:  # at every step: late in a good run steps are small too
        yield Finding("stalled", str(window.layer.values[worst]), "update_ratio", float(values[worst]), THRESHOLDS["still"][0],
                      f"No layer changes by more than {values[worst]:.1g} of its size per step.", "the learning rate is too small, or the gradient is", "a larger learning rate; gb.lr_range finds one")
