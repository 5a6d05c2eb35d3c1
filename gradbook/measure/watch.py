"""Measure a model while it trains."""

from __future__ import annotations

import math
import numbers
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from torch.utils.hooks import RemovableHandle

from ..record import describe
from .gradients import rounded_away, state_of_grads, with_gradient
from .graph import read_loss
from .hooks import is_suspended, quietly, run_uncompiled
from .layers import check_model, constant, facts, rows_of, trainable, weights_of
from .norms import norms
from .passes import Pass
from .report import Report
from .rows import as_array, over_steps, paths, reduce

__all__ = ["watch"]

FOLLOWED = 3  # measured steps in which it is seen which layer feeds which


class watch:
    """Measure every ``every``-th step of a training loop, without a change to the loop.

    >>> import torch
    >>> model = torch.nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with gb.watch(model, optimizer, every=2) as log:
    ...     for _ in range(5):
    ...         loss = model(torch.ones(4, 3)).square().mean()
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...         optimizer.step()
    ...         log.see(loss)
    >>> log.dataset().step.values.tolist(), log.dataset().layer.values.tolist()
    ([0, 2, 4], ['(model)'])

    ``log.dataset()`` has the quantities of :func:`gradbook.measure.probe` over ``step`` and
    ``layer``, ``update_ratio`` |ΔW|/|W| as the optimizer really stepped, and ``loss`` (``seen``) as
    given to ``log.see``. A step is one call of ``optimizer.step``; gradients are measured before
    anyone clips them, and with ``scaler``, a ``torch.amp.GradScaler``, unscaled; steps that it
    leaves out count, and are listed in the attribute ``skipped``. Where gradients of several
    batches are summed, the signal is the last one's. Between sampled steps no hook is set.
    ``not_finite`` counts quantities here, not entries. A compiled model runs uncompiled in sampled
    steps. Other attributes are those of :func:`gradbook.measure.probe`, after the last step.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        every: int = 10,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self._layers = check_model(model)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                f"optimizer is a {type(optimizer).__name__}; it must be a torch.optim.Optimizer"
            )
        if isinstance(every, bool) or not isinstance(every, numbers.Integral) or every < 1:
            raise ValueError(f"every is {every!r}; it must be a whole number from 1 on")
        self._weights = weights_of(self._layers)
        self._theirs = {p for group in optimizer.param_groups for p in group["params"]}
        if not self._theirs.intersection(self._weights):
            raise ValueError(
                "optimizer has none of model's weights; was it made for another model?"
            )
        self._parameters, self._free = list(model.parameters()), []
        self._model, self._optimizer, self._every, self._scaler = model, optimizer, every, scaler
        self.step: int = 0
        self._taken: set[str] = set()
        self._records: list[tuple[int, tuple[str, ...], np.ndarray]] = []
        self._losses: list[torch.Tensor] = []
        self._hooks: list[RemovableHandle] = []
        self._seen_at: list[int] = []
        self._skipped: list[int] = []
        self._kept: list[int] = []
        self._paths: dict[str, None] = {}
        self._times: list[dict[str, dict[str, list[float]]]] = []
        self._rounded: dict[str, int] = {}
        self._failed: dict[str, str] = {}
        self._alike, self._two_players = True, False
        self._about_loss: dict[str, Any] = {}
        self._constant, self._rows, self._armed = constant(self._layers), rows_of(model), False

    def __enter__(self) -> Self:
        self._passing = Pass(self._layers, self._model, False, self._backward_done, self._left_out)
        self._passing.started = self._backward_begins
        self._passing.filled = lambda: state_of_grads(self._weights) != self._before_pass
        self._hooks = [
            self._optimizer.register_step_pre_hook(self._before),
            self._optimizer.register_step_post_hook(self._after),
        ]
        self._arm()
        return self

    def __exit__(self, *error: Any) -> None:
        self._left_out()
        self._disarm()
        for hook in self._hooks:
            hook.remove()

    def see(self, loss: torch.Tensor | float) -> None:
        """Keep the value of a loss, a tensor or a number."""
        if isinstance(loss, torch.Tensor) and loss.numel() != 1:
            raise ValueError(f"loss has shape {tuple(loss.shape)}; it must be one number")
        if not isinstance(loss, (torch.Tensor, numbers.Real)):
            kind = type(loss).__name__
            raise TypeError(f"loss is a {kind}; log.see takes a number or a tensor with one entry")
        self._seen_at.append(self.step)
        if isinstance(loss, torch.Tensor):
            self._losses.append(loss.detach().reshape(()))
            self._about_loss = self._about_loss or read_loss(loss.grad_fn)
        else:
            self._losses.append(torch.tensor(float(loss)))

    @quietly
    def _arm(self):
        self._armed, self._grads, self._minus, self._before_pass = True, {}, None, []
        self._choose_layers()
        # the weights whose .grad holds what the last step has used already
        self._used = {w for w in self._mine if self.step and w.grad is not None}
        self._passing.clear()
        self._passing.follow = len(self._records) < FOLLOWED
        self._passing.attach()
        run_uncompiled(+1)

    def _choose_layers(self):
        """Those that are trainable now: some may have been freed."""
        free = [p.requires_grad for p in self._parameters]
        if free != self._free:
            self._free = free
            self._passing.layers = self._layers = trainable(self._rows)
            self._weights = weights_of(self._layers)
            self._mine = self._theirs.intersection(self._weights)

    def _disarm(self):
        if self._armed:
            self._passing.detach()
            run_uncompiled(-1)
            self._armed = False

    @quietly
    def _backward_begins(self):
        """Whether somebody has cleared the gradients since the last step."""
        self._before_pass = state_of_grads(self._weights)
        if self._used or self._grads:
            held = with_gradient(self._mine)
            # what is complete already when the first layer is reached has a new one
            cleared = any(w.grad is None for w in self._used)
            if cleared or 2 * len(self._used & held) < len(self._used):
                self._used = set()
            if not {w for w, size in self._grads.items() if size and w in self._theirs} <= held:
                self._passing.drop()  # of passes that did not count: another player's
                self._grads, self._two_players = {}, True

    @quietly
    def _backward_done(self):
        """All gradients are there, and nobody has clipped them yet."""
        with_grad = [w for w in self._weights if w.grad is not None]
        self._grads = dict(zip(with_grad, norms([w.grad for w in with_grad])))

    @quietly
    def _before(self, *_):
        if self._armed and not is_suspended():
            if self._used and self._grads:
                self._kept.append(self.step)
            self._minus = torch._foreach_neg([w.detach() for w in self._weights])

    def _after(self, *_):
        if not is_suspended():
            self._step_over()

    def _left_out(self):
        """The last gradients were not finite, and the scaler left the step out."""
        sizes = self._grads.values()
        if self._armed and self._scaler and not all(map(math.isfinite, sizes)):
            self._skipped.append(self.step)
            self._step_over()

    def _step_over(self):
        if self._armed:
            self._record()
            self._disarm()
        self.step += 1
        if self.step % self._every == 0:
            self._arm()

    @quietly
    @torch.no_grad()
    def _record(self):
        # a step that was skipped changed none
        change = self._minus or torch._foreach_neg(self._weights)
        weight = dict(zip(self._weights, norms(change)))
        torch._foreach_add_(change, self._weights)
        step = dict(zip(self._weights, norms(change)))
        if self._minus is not None:
            for name in rounded_away(self._layers, self._grads, dict(zip(self._weights, change))):
                self._rounded[name] = self._rounded.get(name, 0) + 1
        broken = {w: not math.isfinite(size) for w, size in self._grads.items()}
        scale = self._scaler.get_scale() if self._scaler else 1.0
        calls = self._passing.calls
        rows = reduce(calls, self._layers, self._grads, weight, step, broken, scale)
        self._taken |= {name.partition("[")[0] for name in rows}
        self._records.append((self.step, tuple(rows), as_array(rows)))
        self._times.append(self._passing.in_time.table())
        if self._alike:  # in all steps until now
            self._alike = self._passing.look_alike = bool(self._passing.alike)
        if self._passing.follow:
            self._paths |= dict.fromkeys(paths(calls, self._layers, self._grads))

    def report(self) -> Report:
        """What was measured so far, as a figure and in words (:func:`gradbook.measure.report`)."""
        return Report(self.dataset())

    def dataset(self) -> xr.Dataset:
        """What was measured so far, as an ``xarray.Dataset`` over ``step`` and ``layer``."""
        if not self._records:
            failed = "; ".join(f"{name}: {said}" for name, said in self._failed.items())
            raise ValueError(
                "nothing was measured: "
                + (failed or "optimizer.step() was not called inside the with block")
            )
        columns, axes = over_steps(self._records, self._times)
        if self._losses:
            losses = torch.stack([v.double().cpu() for v in self._losses])
            columns["loss"] = ("seen", losses.numpy())
            axes["seen"] = self._seen_at
        attributes = facts(self._model, self._optimizer, self._taken)
        attributes["paths"] = list(self._paths)
        attributes["rounded"] = [n for n, k in self._rounded.items() if 2 * k > len(self._records)]
        for name in ("skipped", "kept", "constant"):
            if value := getattr(self, f"_{name}"):
                attributes[name] = value
        self._passing.failed = self._failed | self._passing.failed
        attributes |= self._passing.attributes() | self._about_loss
        attributes["alike"] = int(self._alike)
        attributes["two_players"] = int(self._two_players)
        sizes = dict(zip(axes["layer"], columns["weight_norm"][1].T))
        attributes["not_in_optimizer"] = [  # nor in another one
            name for name in attributes["not_in_optimizer"] if np.ptp(sizes.get(name, 0)) == 0
        ]
        return describe(xr.Dataset(columns, axes, attributes))
