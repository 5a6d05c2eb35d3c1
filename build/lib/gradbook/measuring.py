"""What one forward and backward pass shows, layer by layer, as it happens: the hooks behind probe and watch.

A float32 norm is 0 below 3e-23 and infinite above 2e19: there sums are taken in float64.
"""

import contextlib
import math
from typing import NamedTuple

import numpy as np
import torch

__all__ = ["Pass", "layers_of", "clean", "untouched", "norms", "QUANTITIES"]

QUANTITIES = ("activation_rms", "activation_mean", "dead", "saturation", "signal", "not_finite")
RECTIFIERS = ("Relu", "Threshold", "Gelu", "Silu", "Mish", "Hardswish")  # off for good: output 0 on every example
SATURATED = {"Tanh": (0.0, 0.975), "Sigmoid": (0.5, 0.4873)}  # |output − center| beyond: slope under 5 % of its largest
PASSING = ("View", "Reshape", "Transpose", "Permute", "MaxPool", "Clone", "Unsqueeze", "Squeeze")  # change no entry
CHANNELS_FIRST = (torch.nn.modules.conv._ConvNd, torch.nn.modules.batchnorm._NormBase, torch.nn.GroupNorm)


def layers_of(model):
    """{name: (module, its weights)} for every module that owns weights, not all of them frozen.

    Weights are the parameters with two or more axes, else those called weight, else all of them.
    """
    found = {}
    for name, own, module in owners(model):
        weights = [p for p in own.values() if p.ndim > 1] or [p for n, p in own.items() if "weight" in n] or [*own.values()]
        if weights := [p for p in weights if p.requires_grad]:
            found[name] = (module, weights)
    return found


def owners(model):
    """(name, {name: parameter}, module) for every module that owns parameters itself."""
    for name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if hasattr(module, "parametrizations"):  # spectral and weight normalization keep the weight there
            own |= dict(module.parametrizations.named_parameters())
        if own and "parametrizations" not in name.split("."):
            yield clean(name) or "(model)", own, module


def clean(name):
    """A module's or parameter's name without what torch.compile puts before it."""
    return name.removeprefix("_orig_mod").removeprefix(".")


@contextlib.contextmanager
def untouched(model):
    """Inside, ``model`` may run: afterwards buffers (batch norm's averages) and torch's random numbers are as before."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for buffer, before in buffers:
            buffer.data.copy_(before)  # not seen by a graph that still needs them


def norms(tensors):
    """Euclidean norms, right for entries from 1e-45 to 1e38, as Python numbers: one transfer from a device."""
    if not all(t.is_cpu for t in tensors):
        sizes = torch._foreach_norm([t.detach() for t in tensors], 2, dtype=torch.float64)
        return torch.stack([s.to(sizes[0].device) for s in sizes]).tolist()
    out = []
    with np.errstate(all="ignore"):
        for t in tensors:
            small = t.dtype is torch.float32 and t.numel() < SMALL and t.layout is torch.strided
            v = t.detach().numpy().reshape(-1) if small else None  # NumPy's calls cost less than torch's
            square = float(v.dot(v)) if small else 0.0
            # where something under- or overflowed that could show, and for what is large, torch in float64
            out.append(math.sqrt(square) if 1e-20 < square < 1e30 else row_norms(t.detach().reshape(1, -1)).item())
    return out


def row_norms(rows):
    """The norm of each row in float64; summed in float32 on a CPU, where that is twice as fast, if nothing is lost."""
    if rows.is_cpu and rows.dtype is torch.float32 and rows.shape[1]:
        sizes = torch.linalg.vector_norm(rows, dim=1).double()
        if ((sizes > 1e-10) & (sizes < 1e15)).all():
            return sizes
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)


def all_tensors(value):
    """Every tensor in an argument, an output, a tuple or a dictionary of them."""
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [t for part in parts for t in all_tensors(part)]


class Pass:
    """Hooks on ``layers`` that fill ``rows``, one for every call of a layer whose output takes part in a gradient.

    Small tensors are only kept, and reduced together in :meth:`numbers`; large ones are reduced on the spot.
    ``count`` has every entry looked at for NaN and infinity.  ``finished`` is called at the end of a backward pass.
    """

    def __init__(self, layers, modules=(), count=True, finished=None):
        self.layers, self.count, self.finished, self.rows, self.hooks = layers, count, finished, [], []
        self.sees = [(module, self._see(name, module)) for name, (module, _) in layers.items()]
        # torch's recurrent and attention layers put time first unless told otherwise; then the whole model does
        self.time_first = any(isinstance(m, (torch.nn.RNNBase, torch.nn.MultiheadAttention)) and not m.batch_first for m in modules)

    def attach(self):
        self.hooks = [module.register_forward_hook(see, with_kwargs=True) for module, see in self.sees]

    def detach(self):
        for hook in self.hooks:
            hook.remove()

    def clear(self):
        self.rows, self.waiting = [], True

    def _see(self, name, module):
        unit = 1 if isinstance(module, CHANNELS_FIRST) else -1

        def hook(module, inputs, named, output):
            zs = [z for z in all_tensors(output) if z.requires_grad]
            if not zs:
                return
            row = {"module": name, "batch": self._batch(zs[0])}
            self.rows.append(row)
            h = inputs[0] if inputs and isinstance(inputs[0], torch.Tensor) else next(iter(all_tensors((inputs, named))), None)
            if h is not None and h.is_floating_point() and h.numel():
                row["input"] = _Input(h.detach(), _activation_before(h.grad_fn), unit)
                if h.numel() >= SMALL:
                    row["input"] = row["input"].look()
            if self.count:
                row["not_finite"] = sum(_not_finite(z.detach()) for z in zs)
            for k, z in enumerate(zs):
                # the hook stays with z's own gradient, even if an in-place activation overwrites z
                z.register_hook(lambda delta, k=k: self._back(row, k, delta))
        return hook

    def _back(self, row, k, delta):
        if delta is None:  # of an output that nobody used
            return
        delta = delta.detach()
        row.setdefault("signal", {})[k] = delta if delta.numel() < SMALL else row_norms(delta.reshape(1, -1))
        if self.count:
            row["not_finite"] = row["not_finite"] + _not_finite(delta)
        if self.finished and self.waiting:
            self.waiting = False
            torch.autograd.Variable._execution_engine.queue_callback(self._finish)

    def _finish(self):
        self.waiting = True  # for the next backward pass of the same step, if there is one
        self.finished()

    def _batch(self, z):
        """How many examples ``z`` holds: its first axis, or the second where time comes first."""
        return max(z.shape[1 if self.time_first and z.ndim == 3 else 0], 1) if z.ndim else 1

    def numbers(self):
        """``rows`` as dictionaries of Python numbers."""
        inputs, signals = [r for r in self.rows if "input" in r], [r for r in self.rows if "signal" in r]
        found = {id(r): dict.fromkeys(QUANTITIES, math.nan) for r in self.rows}
        for r, values in zip(inputs, _Input.look_together([r["input"] for r in inputs])):
            found[id(r)] |= zip(QUANTITIES, values)
        sizes = iter(norms([delta for r in signals for delta in r["signal"].values()]))
        for r in signals:
            # the loss is a mean over the batch; one example's own δ is larger by the batch size
            found[id(r)]["signal"] = math.hypot(*(next(sizes) for _ in r["signal"])) * math.sqrt(r["batch"])
        for r in self.rows:
            n = found[id(r)]
            n["not_finite"] = float(r["not_finite"]) if "not_finite" in r else float(
                "signal" in r and not math.isfinite(n["signal"]) or "input" in r and not math.isfinite(n["activation_rms"]))
        return [*found.values()]

    def names(self):
        """The layers' names in the order of the rows; the second call of a layer is name[1]."""
        times = {}
        for r in self.rows:
            times[r["module"]] = times.get(r["module"], -1) + 1
            yield f"{r['module']}[{times[r['module']]}]" if times[r["module"]] else r["module"]


SMALL = 2**16  # entries


class _Input(NamedTuple):
    """A layer's input h, the activation that made it, the axis of its units, and what :func:`_look` saw if it has looked."""

    h: torch.Tensor | None
    kind: str | None
    unit: int
    seen: torch.Tensor | None = None

    def look(self):
        return self._replace(h=None, seen=_look(self.h[None], self.kind, self.unit)[:, 0])

    @staticmethod
    def look_together(inputs):
        """Root mean square, mean, dead part and saturated part of each; NaN where they have no meaning."""
        found, groups = {}, {}
        for i, v in enumerate(inputs):
            if v.seen is None:
                groups.setdefault((v.h.shape, v.h.dtype, v.h.device, v.unit, v.kind or "Relu"), []).append(i)
        for (*_, unit, kind), places in groups.items():
            found |= zip(places, zip(*_look(torch.stack([inputs[i].h for i in places]), kind, unit).tolist()))
        for i, v in enumerate(inputs):
            rms, mean, part = found[i] if v.seen is None else v.seen.tolist()
            yield rms, mean, part if v.kind in RECTIFIERS else math.nan, part if v.kind in SATURATED else math.nan


def _look(h, kind, unit):
    """Root mean square, mean, and saturated or else dead part, for a stack of inputs of one shape, (3, inputs)."""
    flat = h.reshape(len(h), -1)
    part = torch.zeros(len(h), dtype=torch.float64, device=h.device)
    if kind in SATURATED:
        center, limit = SATURATED[kind]
        part = ((flat - center).abs() > limit).double().mean(1)
    elif kind in RECTIFIERS:
        axes = [a for a in range(1, h.ndim) if a != (unit + 1 if unit >= 0 else h.ndim - 1)]
        h = h if kind == "Relu" else h.abs()
        part = (h.amax(axes).reshape(len(h), -1) < 1e-6).double().mean(1)
    return torch.stack([row_norms(flat) / math.sqrt(flat.shape[1]), flat.mean(1).double(), part])


def _activation_before(node):
    """The activation that made a tensor, from autograd's graph: it knows modules, functions and in-place ones alike."""
    for _ in range(5):
        name = node.name().rstrip("0123456789").removesuffix("Backward") if node is not None else ""
        if name in RECTIFIERS or name in SATURATED:
            return name
        before = [f for f, _ in node.next_functions if f is not None] if name.startswith(PASSING) else []
        if len(before) != 1:
            return None
        node = before[0]


def _not_finite(t):
    return t.numel() - t.isfinite().sum()

