"""watch inside trainers of others, and its numbers in their dashboards.

Each needs its library installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import xarray as xr

from .watch import watch

__all__ = ["for_lightning", "for_hugging_face", "to_tensorboard", "to_wandb"]

WRITTEN = ("signal", "grad_norm", "update_ratio")


def for_lightning(every: int = 10) -> Any:
    """A ``lightning`` callback.

    After ``trainer.fit`` its ``log.dataset()`` has what :class:`gradbook.measure.watch` saw.
    """
    from lightning.pytorch import Callback

    class Watch(Callback):
        def on_train_start(self, trainer, module):
            self.log = watch(module, trainer.optimizers[0], every).__enter__()

        def on_train_batch_end(self, trainer, module, outputs, *_):
            self.log.see(outputs["loss"])

        def teardown(self, trainer, module, stage):
            self.log.__exit__()

    return Watch()


def for_hugging_face(every: int = 10) -> Any:
    """A ``transformers.TrainerCallback``.

    After ``trainer.train`` its ``log.dataset()`` has what was seen.
    """
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_train_begin(self, args, state, control, model, optimizer, **_):
            self.log = watch(model, getattr(optimizer, "optimizer", optimizer), every).__enter__()

        def on_log(self, args, state, control, logs, **_):
            if "loss" in logs:
                self.log.see(float(logs["loss"]))

        def on_train_end(self, *args, **_):
            self.log.__exit__()

    return Watch()


def to_tensorboard(data: watch | xr.Dataset, writer: Any) -> None:
    """Write a run into TensorBoard: ``writer`` is a torch.utils.tensorboard.SummaryWriter.

    One curve for signal, weight gradient and update ratio of each layer.
    """
    for step, numbers in by_step(data):
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)


def to_wandb(data: watch | xr.Dataset, run: Any) -> None:
    """Write a run into Weights & Biases: ``run`` is what wandb.init gave, online or offline.

    The step of the training is kept as ``gradbook/step``, since wandb's own only goes forward.
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
