"""Measure a model while it trains."""

import math
import sys

import torch
import xarray as xr

from .measuring import QUANTITIES, Pass, norms
from .probes import check_model, facts, ratio
from .record import describe

__all__ = ["watch"]

COLUMNS = (*QUANTITIES, "grad_norm", "weight_norm", "update_ratio")
_armed = [0]  # how many watches measure the present step


def _eager(change):
    """Compiled models run uncompiled while any watch is armed: else hooks would not fire."""
    _armed[0] += change
    if "torch._dynamo" in sys.modules and _armed[0] == max(change, 0):  # the first comes, or the last goes
        torch.compiler.set_stance("force_eager" if change > 0 else "default")


class watch:
    """Measure every ``every``-th step of a training loop, without a change to the loop.

    >>> model = torch.nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with watch(model, optimizer, every=2) as log:
    ...     for _ in range(5):
    ...         loss = model(torch.ones(4, 3)).square().mean()
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...         optimizer.step()
    ...         log.see(loss)
    >>> log.dataset().step.values.tolist(), log.dataset().layer.values.tolist()
    ([0, 2, 4], ['(model)'])

    ``log.dataset()`` has the quantities of :func:`gradbook.probes.probe` over ``step`` and ``layer``, ``update_ratio``
    |ΔW|/|W| as the optimizer really stepped, and ``loss`` (``seen``) of every value that was given to
    ``log.see``.  A step is one call of ``optimizer.step``; gradients are measured as the backward pass leaves
    them, before anyone clips them, and with ``scaler``, a ``torch.amp.GradScaler``, unscaled.  Where
    gradients of several batches are summed, the signal is the last one's.  Between sampled steps no hook
    is set.  ``not_finite`` counts quantities here, not entries.  A compiled model runs uncompiled in
    sampled steps.  Attributes of the data set are those of :func:`gradbook.probes.probe`, after the last step.
    """

    def __init__(self, model, optimizer, every=10, scaler=None):
        self.layers = check_model(model)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(f"optimizer is a {type(optimizer).__name__}; it must be a torch.optim.Optimizer")
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"every is {every!r}; it must be a whole number from 1 on")
        theirs = {p for group in optimizer.param_groups for p in group["params"]}
        self.weights = [w for _, ws in self.layers.values() for w in ws]
        if not theirs.intersection(self.weights):
            raise ValueError("optimizer has none of model's weights; was it made for another model?")
        self.model, self.optimizer, self.every, self.scaler = model, optimizer, every, scaler
        self.step, self.records, self.losses, self.taken, self.armed, self.hooks = 0, [], [], set(), False, []

    def __enter__(self):
        self.passing = Pass(self.layers, self.model.modules(), count=False, finished=self._backward_done)
        self.hooks = [self.optimizer.register_step_pre_hook(self._before), self.optimizer.register_step_post_hook(self._after)]
        self._arm()
        return self

    def __exit__(self, *error):
        self._disarm()
        for hook in self.hooks:
            hook.remove()

    def see(self, loss):
        """Keep the value of a loss, a tensor or a number."""
        if isinstance(loss, torch.Tensor) and loss.numel() != 1:
            raise ValueError(f"loss has shape {tuple(loss.shape)}; it must be one number")
        self.losses.append(loss.detach().reshape(()) if isinstance(loss, torch.Tensor) else torch.tensor(float(loss)))

    def _arm(self):
        self.armed, self.grads = True, {}
        self.passing.clear()
        self.passing.attach()
        self.passing.hooks.append(self.model.register_forward_pre_hook(lambda *_: self.passing.clear()))
        _eager(+1)

    def _disarm(self):
        if self.armed:
            self.passing.detach()
            _eager(-1)
            self.armed = False

    def _backward_done(self):
        """All gradients are there, and nobody has clipped them yet."""
        with_grad = [w for w in self.weights if w.grad is not None]
        self.grads = dict(zip(with_grad, norms([w.grad for w in with_grad])))

    def _before(self, *_):
        if self.armed:
            self.old = torch._foreach_neg([w.detach() for w in self.weights])

    @torch.no_grad()
    def _after(self, *_):
        if self.armed:
            self._record()
            self._disarm()
        self.step += 1
        if self.step % self.every == 0:
            self._arm()

    def _record(self):
        rows = self.passing.rows = [row for row in self.passing.rows if "signal" in row]
        ran = {row["module"] for row in rows}
        rows += [{"module": name} for name, (_, ws) in self.layers.items()
                 if name not in ran and any(w in self.grads for w in ws)]
        size = dict(zip(self.weights, norms(self.old)))
        torch._foreach_add_(self.old, self.weights)
        step = dict(zip(self.weights, norms(self.old)))
        scale = self.scaler.get_scale() if self.scaler else 1.0
        record = {}
        for name, row, numbers in zip(self.passing.names(), rows, self.passing.numbers()):
            ws = self.layers[row["module"]][1]
            numbers["signal"] /= scale
            numbers["grad_norm"] = math.hypot(*(self.grads[w] for w in ws if w in self.grads)) / scale
            numbers["weight_norm"] = math.hypot(*(size[w] for w in ws))
            numbers["update_ratio"] = ratio(math.hypot(*(step[w] for w in ws)), numbers["weight_norm"])
            numbers["not_finite"] += not math.isfinite(numbers["grad_norm"])
            record[name] = numbers
        self.taken |= {row["module"] for row in rows}
        self.records.append((self.step, record))

    def dataset(self):
        """What was measured so far, as an ``xarray.Dataset`` over ``step`` and ``layer``."""
        if not self.records:
            raise ValueError("nothing was measured: optimizer.step() was not called inside the with block")
        layers = list(dict.fromkeys(name for _, record in self.records for name in record))
        columns = {q: (("step", "layer"), [[record.get(name, {}).get(q, math.nan) for name in layers] for _, record in self.records])
                   for q in COLUMNS}
        if self.losses:
            columns["loss"] = ("seen", torch.stack([v.double().cpu() for v in self.losses]).numpy())
        return describe(xr.Dataset(columns, {"step": [step for step, _ in self.records], "layer": layers},
                                   facts(self.model, self.optimizer, self.taken)))
