"""watch inside trainers of others: Lightning's and Hugging Face's.

Each needs its library installed.
"""

from __future__ import annotations

from typing import Any

from .watch import watch

__all__ = ["for_lightning", "for_hugging_face"]


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
