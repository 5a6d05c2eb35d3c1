"""Measure a model while it trains."""

from __future__ import annotations

import math
import sys
from typing import Any, Self

import torch
import xarray as xr
from torch.utils.hooks import RemovableHandle

from ..record import describe
from .layers import check_model, facts, weights_of
from .norms import norms
from .passes import QUANTITIES, Pass, reduce

__all__ = ["watch"]

COLUMNS = (*QUANTITIES, "grad_norm", "weight_norm", "update_ratio")
_armed = [0]  # how many watches measure the present step


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

    ``log.dataset()`` has the quantities of :func:`gradbook.measure.probe` over ``step`` and
    ``layer``, ``update_ratio`` |ΔW|/|W| as the optimizer really stepped, and ``loss`` (``seen``) of
    every value that was given to ``log.see``.  A step is one call of ``optimizer.step``; gradients
    are measured as the backward pass leaves them, before anyone clips them, and with ``scaler``, a
    ``torch.amp.GradScaler``, unscaled.  Where gradients of several batches are summed, the signal
    is the last one's.  Between sampled steps no hook is set.  ``not_finite`` counts quantities
    here, not entries.  A compiled model runs uncompiled in sampled steps.  Attributes of the data
    set are those of :func:`gradbook.measure.probe`, after the last step.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        every: int = 10,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self.layers = check_model(model)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                f"optimizer is a {type(optimizer).__name__}; it must be a torch.optim.Optimizer"
            )
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"every is {every!r}; it must be a whole number from 1 on")
        theirs = {p for group in optimizer.param_groups for p in group["params"]}
        self.weights = weights_of(self.layers)
        if not theirs.intersection(self.weights):
            raise ValueError(
                "optimizer has none of model's weights; was it made for another model?"
            )
        self.model, self.optimizer, self.every, self.scaler = model, optimizer, every, scaler
        self.step, self.armed = 0, False
        self.taken: set[str] = set()
        self.records: list[tuple[int, dict[str, dict[str, float]]]] = []
        self.losses: list[torch.Tensor] = []
        self.hooks: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        self.passing = Pass(
            self.layers, self.model.modules(), count=False, finished=self._backward_done
        )
        self.hooks = [
            self.optimizer.register_step_pre_hook(self._before),
            self.optimizer.register_step_post_hook(self._after),
        ]
        self._arm()
        return self

    def __exit__(self, *error: Any) -> None:
        self._disarm()
        for hook in self.hooks:
            hook.remove()

    def see(self, loss: torch.Tensor | float) -> None:
        """Keep the value of a loss, a tensor or a number."""
        if isinstance(loss, torch.Tensor) and loss.numel() != 1:
            raise ValueError(f"loss has shape {tuple(loss.shape)}; it must be one number")
        self.losses.append(
            loss.detach().reshape(())
            if isinstance(loss, torch.Tensor)
            else torch.tensor(float(loss))
        )

    def _arm(self):
        self.armed, self.grads = True, {}
        self.passing.clear()
        self.passing.attach()
        self.passing.hooks.append(
            self.model.register_forward_pre_hook(lambda *_: self.passing.clear())
        )
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
        weight = dict(zip(self.weights, norms(self.old)))
        torch._foreach_add_(self.old, self.weights)
        step = dict(zip(self.weights, norms(self.old)))
        broken = {w: not math.isfinite(size) for w, size in self.grads.items()}
        scale = self.scaler.get_scale() if self.scaler else 1.0
        calls = self.passing.calls
        rows = reduce(calls, self.layers, self.grads, weight, step, broken, scale)
        self.taken |= {name.partition("[")[0] for name in rows}
        self.records.append((self.step, rows))

    def dataset(self) -> xr.Dataset:
        """What was measured so far, as an ``xarray.Dataset`` over ``step`` and ``layer``."""
        if not self.records:
            raise ValueError(
                "nothing was measured: optimizer.step() was not called inside the with block"
            )
        layers = list(dict.fromkeys(name for _, rows in self.records for name in rows))

        def column(quantity):
            return [
                [rows.get(name, {}).get(quantity, math.nan) for name in layers]
                for _, rows in self.records
            ]

        columns = {q: (("step", "layer"), column(q)) for q in COLUMNS}
        if self.losses:
            columns["loss"] = ("seen", torch.stack([v.double().cpu() for v in self.losses]).numpy())
        axes = {"step": [step for step, _ in self.records], "layer": layers}
        return describe(xr.Dataset(columns, axes, facts(self.model, self.optimizer, self.taken)))


def _eager(change):
    """Compiled models run uncompiled while any watch is armed: else hooks would not fire."""
    _armed[0] += change
    first_comes_or_last_goes = _armed[0] == max(change, 0)
    if "torch._dynamo" in sys.modules and first_comes_or_last_goes:
        torch.compiler.set_stance("force_eager" if change > 0 else "default")
