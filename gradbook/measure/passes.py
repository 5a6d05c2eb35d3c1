"""One forward and backward pass, as probe and watch see it.

The data go one way: ``Pass.attach`` sets the hooks, the user's code runs, ``Pass.calls`` holds one
:class:`Call` for every call of a layer, ``reduce`` makes rows of numbers of them.
"""

import math
from dataclasses import dataclass, field

import torch

from .inputs import Input, all_tensors, input_of, look_together
from .norms import SMALL, norms, ratio, row_norms

__all__ = ["QUANTITIES", "Call", "Pass", "reduce"]

QUANTITIES = ("activation_rms", "activation_mean", "dead", "saturation", "signal", "not_finite")


@dataclass
class Call:
    """One call of a layer: what its hooks saw on the way forward, and then on the way back.

    ``deltas`` are ∂loss/∂z of the outputs z that take part, small tensors themselves, of large ones
    the norm; ``not_finite`` counts entries, None where nobody asked for it.
    """

    module: str
    batch: int = 1
    input: Input | None = None
    deltas: dict = field(default_factory=dict)
    not_finite: torch.Tensor | None = None


class Pass:
    """Hooks on ``layers`` that fill ``calls``, one for each call whose output has a gradient.

    ``modules`` are all of the model's.  ``count`` has every entry looked at for NaN and infinity.
    ``finished`` is called at the end of a backward pass.
    """

    def __init__(self, layers, modules=(), count=True, finished=None):
        self.layers, self.count, self.finished = layers, count, finished
        self.calls, self.hooks, self.waiting = [], [], True
        # torch's recurrent and attention layers put time first unless told otherwise; then the
        # whole model does
        sequential = (torch.nn.RNNBase, torch.nn.MultiheadAttention)
        self.time_first = any(isinstance(m, sequential) and not m.batch_first for m in modules)

    def attach(self):
        for name, (module, _) in self.layers.items():
            self.hooks.append(module.register_forward_hook(self._forward(name), with_kwargs=True))

    def detach(self):
        while self.hooks:
            self.hooks.pop().remove()

    def clear(self):
        self.calls, self.waiting = [], True

    def _forward(self, name):
        def hook(module, inputs, named, output):
            zs = [z for z in all_tensors(output) if z.requires_grad]
            if not zs:
                return
            call = Call(name, self._batch(zs[0]), input_of(module, inputs, named))
            if call.input and call.input.h.numel() >= SMALL:
                call.input = call.input.looked_at()
            if self.count:
                call.not_finite = sum(count_not_finite(z) for z in zs)
            for k, z in enumerate(zs):
                # the hook stays with z's own gradient, even if an in-place activation overwrites z
                z.register_hook(lambda delta, k=k: self._backward(call, k, delta))
            self.calls.append(call)

        return hook

    def _backward(self, call, k, delta):
        if delta is None:  # of an output that nobody used
            return
        delta = delta.detach()
        call.deltas[k] = delta if delta.numel() < SMALL else row_norms(delta.reshape(1, -1))
        if self.count:
            call.not_finite = call.not_finite + count_not_finite(delta)
        if self.finished and self.waiting:
            self.waiting = False
            torch.autograd.Variable._execution_engine.queue_callback(self._finish)

    def _finish(self):
        self.waiting = True  # for the next backward pass of the same step, if there is one
        self.finished()

    def _batch(self, z):
        """How many examples ``z`` holds: its first axis, or the second where time comes first."""
        return max(z.shape[1 if self.time_first and z.ndim == 3 else 0], 1) if z.ndim else 1


def reduce(calls, layers, grad, weight, step, broken, scale=1.0):
    """{row: {quantity: number}} of the calls that took part, in their order.

    ``grad``, ``weight`` and ``step`` are {parameter: its norm}, ``step`` None where no step was
    taken; ``broken`` {parameter: entries of its gradient that are not finite}; gradients are too
    large by ``scale``.
    """
    calls, rows = took_part(calls, layers, grad), {}
    for name, call, numbers in zip(row_names(calls), calls, numbers_of(calls)):
        own = layers[call.module][1]
        numbers["signal"] /= scale
        numbers["grad_norm"] = math.hypot(*(grad[w] for w in own if w in grad)) / scale
        numbers["weight_norm"] = math.hypot(*(weight[w] for w in own))
        if step is not None:
            length = math.hypot(*(step.get(w, math.nan) for w in own))
            numbers["update_ratio"] = ratio(length, numbers["weight_norm"])
        numbers["not_finite"] += sum(broken.get(w, 0) for w in own)
        rows[name] = numbers
    return rows


def took_part(calls, layers, grad):
    """The calls to which a gradient came back; then the layers used without a call.

    Attention uses its output projection so.
    """
    called = [call for call in calls if call.deltas]
    seen = {call.module for call in called}
    used = [n for n, (_, ws) in layers.items() if n not in seen and any(w in grad for w in ws)]
    return called + [Call(name) for name in used]


def row_names(calls):
    """The layers' names; the second call of a layer is name[1]."""
    times = {}
    for call in calls:
        n = times[call.module] = times.get(call.module, -1) + 1
        yield f"{call.module}[{n}]" if n else call.module


def numbers_of(calls):
    """The QUANTITIES of every call as a dictionary of Python numbers, reduced together."""
    found = {id(call): dict.fromkeys(QUANTITIES, math.nan) for call in calls}
    fed = [call for call in calls if call.input]
    for call, seen in zip(fed, look_together([call.input for call in fed])):
        found[id(call)] |= zip(QUANTITIES, seen)
    sizes = iter(norms([delta for call in calls for delta in call.deltas.values()]))
    for call in calls:
        numbers = found[id(call)]
        if call.deltas:
            # the loss is a mean over the batch; one example's own δ is larger by the batch size
            numbers["signal"] = math.hypot(*(next(sizes) for _ in call.deltas)) * call.batch**0.5
        numbers["not_finite"] = _not_finite(call, numbers)
        yield numbers


def count_not_finite(t):
    return t.numel() - t.detach().isfinite().sum()


def _not_finite(call, numbers):
    """The entries counted, else whether signal or input is not finite."""
    if call.not_finite is not None:
        return float(call.not_finite)
    signal = call.deltas and not math.isfinite(numbers["signal"])
    given = call.input and not math.isfinite(numbers["activation_rms"])
    return float(bool(signal or given))
