"""What a layer is fed: the size and mean of its input, and how much of it is dead or saturated."""

import math
from typing import NamedTuple

import torch

from .norms import row_norms

__all__ = ["Input", "input_of", "look_together", "all_tensors", "about_statistics"]

# rectifiers are off for good where their output is 0 on every example
RECTIFIERS = ("Relu", "Threshold", "Gelu", "Silu", "Mish", "Hardswish")
# |output − center| beyond the limit: the slope is under 5 % of its largest
SATURATED = {"Tanh": (0.0, 0.975), "Sigmoid": (0.5, 0.4873)}
# what changes no entry; and what makes a 0 of nothing but zeros, so that dead units stay dead
PASSING = tuple("View Reshape Transpose Permute MaxPool Clone Unsqueeze Squeeze".split())
AVERAGING = ("Mean", "AvgPool", "AdaptiveAvgPool")
CONVOLUTIONS, NORMALIZATIONS = torch.nn.modules.conv._ConvNd, torch.nn.modules.batchnorm._NormBase
CHANNELS_FIRST = (CONVOLUTIONS, NORMALIZATIONS, torch.nn.GroupNorm)


class Input(NamedTuple):
    """A layer's input h, the activation that made it, and the axis of its units.

    ``seen`` is what :func:`look` saw, if it has looked; then h is no longer kept.
    """

    h: torch.Tensor | None
    kind: str | None
    unit: int
    seen: torch.Tensor | None = None

    def looked_at(self):
        return self._replace(h=None, seen=look(self.h[None], self.kind, self.unit)[:, 0])


def input_of(module, inputs, named):
    """The :class:`Input` of one call of a module, None if it has none in floating point."""
    first = inputs[0] if inputs and isinstance(inputs[0], torch.Tensor) else None
    h = first if first is not None else next(iter(all_tensors((inputs, named))), None)
    if h is None or not h.is_floating_point() or not h.numel():
        return None
    unit = 1 if isinstance(module, CHANNELS_FIRST) else -1
    return Input(h.detach(), activation_before(h.grad_fn), unit)


def all_tensors(value):
    """Every tensor in an argument, an output, a tuple or a dictionary of them."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [t for part in value for t in all_tensors(part)]


def activation_before(node):
    """The activation that made a tensor, None if none did.

    From autograd's graph, which knows modules, functions and in-place ones alike.
    """
    averaged = False
    for _ in range(5):
        name = operation(node)
        if name in RECTIFIERS or name in SATURATED and not averaged:
            return name
        averaged |= name.startswith(AVERAGING)
        if not name.startswith(PASSING + AVERAGING):
            return None
        before = [f for f, _ in node.next_functions if f]
        if len(before) != 1:
            return None
        node = before[0]


def operation(node):
    """The name of a node of autograd's graph, without number and ending."""
    return node.name().rstrip("0123456789").removesuffix("Backward") if node else ""


def look(h, kind, unit):
    """Root mean square, mean, and saturated or else dead part, (3, inputs).

    ``h`` is a stack of inputs of one shape.
    """
    flat = h.reshape(len(h), -1)
    if kind in SATURATED:
        center, limit = SATURATED[kind]
        part = ((flat - center).abs() > limit).double().mean(1)
    elif kind in RECTIFIERS:
        axes = [a for a in range(1, h.ndim) if a != (unit + 1 if unit >= 0 else h.ndim - 1)]
        part = (h.abs().amax(axes).reshape(len(h), -1) == 0).double().mean(1)
    else:
        part = torch.zeros(len(h), dtype=torch.float64, device=h.device)
    rms = row_norms(flat) / math.sqrt(flat.shape[1])
    return torch.stack([rms, flat.mean(1).double(), part])


def look_together(inputs):
    """Root mean square, mean, dead part and saturated part of each; NaN where it has no meaning."""
    groups, seen = {}, {i: v.seen.tolist() for i, v in enumerate(inputs) if v.seen is not None}
    for i, v in enumerate(inputs):
        if v.seen is None:
            alike = (v.h.shape, v.h.dtype, v.h.device, v.unit, v.kind or "Relu")
            groups.setdefault(alike, []).append(i)
    for (*_, unit, kind), places in groups.items():
        h = torch.stack([inputs[i].h for i in places])
        seen |= zip(places, zip(*look(h, kind, unit).tolist()))
    for i, v in enumerate(inputs):
        rms, mean, part = seen[i]
        dead = part if v.kind in RECTIFIERS else math.nan
        yield rms, mean, dead, part if v.kind in SATURATED else math.nan


def about_statistics(module, inputs, model):
    """Batch norm of two values gives ±1, whatever they are; in eval mode it normalizes none."""
    if not isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
        return None
    if not module.training:
        return "norm_in_eval" if model.training else None
    return "norm_of_two" if inputs and inputs[0].numel() <= 2 * inputs[0].shape[1] else None
