"""watch inside trainers of others, and its numbers in their dashboards.

Each needs its library installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

import torch
import xarray as xr

from .watch import watch

__all__ = ["for_lightning", "for_hugging_face", "to_tensorboard", "to_wandb"]

WRITTEN = ("signal", "grad_norm", "update_ratio")
_open: list[watch] = []  # of trainings that run, or were interrupted


class Watching:
    """What callbacks of all trainers do.  It never stops a training, and leaves nothing behind.

    One training at a time is watched: one that begins ends the watch before it.
    """

    watch: watch | None = None
    kept = 0  # records of steps that are over

    def begin(self, model, optimizer, every, scaler=None):
        release()  # what an interrupted training has left
        try:
            self.watch, self.kept = watch(model, optimizer, every, scaler).__enter__(), 0
            _open.append(self.watch)
        except (TypeError, ValueError) as error:
            self.watch = None
            warnings.warn(f"gradbook does not watch this training: {error}", stacklevel=2)

    def see(self, loss):
        single = isinstance(loss, torch.Tensor) and loss.numel() == 1 or isinstance(loss, Real)
        if self.watch is not None and single:
            self.watch.see(loss)

    def settle(self, counts):
        """A step is over; what was measured in it stays only if it ``counts``."""
        if self.watch is not None:
            if not counts:
                del self.watch._records[self.kept :], self.watch._times[self.kept :]
            self.kept = len(self.watch._records)


def release():
    """End every watch that a callback has begun; what it saw stays."""
    while _open:
        _open.pop().__exit__()


def for_lightning(every: int = 10) -> Any:
    """A callback for ``lightning.pytorch.Trainer`` (or ``pytorch_lightning``'s).

    During and after ``trainer.fit`` its attribute ``watch`` is the :class:`gradbook.measure.watch`
    of the run: ``callback.watch.report()``.  With several optimizers it follows the first.  What
    ``training_step`` returns is seen as the loss; a step that returns none has none.  Another fit
    begins another watch: keep the first one's report, if you want both.

    >>> callback = gb.measure.for_lightning(every=10)  # for Trainer(callbacks=[callback])
    >>> callback.watch is None  # until fit begins
    True
    """
    try:
        from lightning.pytorch import Callback
    except ImportError:
        from pytorch_lightning import Callback

    class Watch(Watching, Callback):
        def on_train_start(self, trainer, module):
            scaler = getattr(trainer.precision_plugin, "scaler", None)
            self.begin(module, trainer.optimizers[0], every, scaler)

        def on_train_batch_end(self, trainer, module, outputs, *_):
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
            # Lightning has divided it, so that the gradients of several batches add up to a mean
            parts = trainer.accumulate_grad_batches if module.automatic_optimization else 1
            self.see(loss if loss is None else loss * parts)
            # a training_step that returns None has no backward pass
            self.settle(counts=loss is not None or not module.automatic_optimization)

        def on_train_end(self, trainer, module):
            release()

        def on_exception(self, trainer, module, exception):
            release()

    return Watch()


def for_hugging_face(every: int = 10) -> Any:
    """A callback for ``transformers.Trainer``.

    During and after ``trainer.train`` its attribute ``watch`` is the
    :class:`gradbook.measure.watch` of the run: ``callback.watch.report()``.  The loss is what the
    trainer logs, every ``logging_steps`` (500 by default): a mean over these steps.  After an
    interrupt in a measured step, hooks stay and torch.compile stays off until another training
    begins, or until ``callback.stop()``.  Another training begins another watch.

    >>> callback = gb.measure.for_hugging_face(every=10)  # for Trainer(…, callbacks=[callback])
    >>> callback.watch is None  # until train begins
    True
    """
    from transformers import TrainerCallback

    class Watch(Watching, TrainerCallback):
        def on_train_begin(self, args, state, control, model, optimizer, **_):
            scaler = getattr(optimizer, "scaler", None)
            self.begin(model, getattr(optimizer, "optimizer", optimizer), every, scaler)

        def on_log(self, args, state, control, logs, **_):
            self.see(logs.get("loss"))

        def on_train_end(self, *args, **_):
            release()

        def stop(self):
            release()

    return Watch()


def to_tensorboard(data: watch | xr.Dataset, writer: Any) -> None:
    """Write a run into TensorBoard: ``writer`` is a torch.utils.tensorboard.SummaryWriter.

    One curve for signal, weight gradient and update ratio of each layer.

    >>> import torch
    >>> model = torch.nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with gb.watch(model, optimizer, every=1) as log:
    ...     model(torch.ones(4, 3)).mean().backward()
    ...     optimizer.step()
    >>> from torch.utils.tensorboard import SummaryWriter
    >>> with SummaryWriter("runs/first") as writer:
    ...     gb.measure.to_tensorboard(log, writer)
    """
    for step, numbers in by_step(data):
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)


def to_wandb(data: watch | xr.Dataset, run: Any) -> None:
    """Write a run into Weights & Biases: ``run`` is what wandb.init gave, online or offline.

    The step of the training is kept as ``gradbook/step``, since wandb's own only goes forward.

    >>> import torch
    >>> model = torch.nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with gb.watch(model, optimizer, every=1) as log:
    ...     model(torch.ones(4, 3)).mean().backward()
    ...     optimizer.step()
    >>> import wandb
    >>> with wandb.init(mode="offline", settings={"silent": True}) as run:
    ...     gb.measure.to_wandb(log, run)
    """
    run.define_metric("gradbook/step")
    run.define_metric("gradbook/*", step_metric="gradbook/step")
    for step, numbers in by_step(data):
        run.log({"gradbook/step": step, **numbers})


def by_step(data: watch | xr.Dataset) -> Iterator[tuple[int, dict[str, float]]]:
    """(step, {"gradbook/signal/layer": number}) of a run."""
    data = data if isinstance(data, xr.Dataset) else data.dataset()
    if "step" not in data.dims:
        raise ValueError("data have no steps; they must come from gradbook.watch")
    names = [f"gradbook/{q}/{layer}" for q in WRITTEN for layer in data.layer.values]
    numbers = [data[q].transpose("step", "layer").values for q in WRITTEN]
    for k, step in enumerate(data.step.values):
        values = (float(v) for quantity in numbers for v in quantity[k])
        yield int(step), dict(zip(names, values))
