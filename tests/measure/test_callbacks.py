"""watch in the trainers of others, and its numbers in dashboards, where they are installed."""

import pytest
import torch
from torch import nn

import gradbook as gb
from gradbook.measure import callbacks

pytestmark = pytest.mark.filterwarnings("default")  # what trainers warn of is not ours


def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

        def training_step(self, batch, index):
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    data = torch.utils.data.TensorDataset(torch.randn(64, 8), torch.randint(3, (64,)))
    watched = callbacks.for_lightning(every=3)
    trainer = lightning.Trainer(
        max_steps=10,
        callbacks=[watched],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Model(), torch.utils.data.DataLoader(data, batch_size=8))
    seen = watched.log.dataset()
    assert (
        seen.step.values.tolist() == [0, 3, 6, 9]
        and seen.layer.values.tolist() == ["net.0", "net.2"]
        and seen.sizes["seen"] == 10
    )
    assert (seen.grad_norm > 0).all() and (seen.update_ratio > 0).all()


def test_hugging_face(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

        def forward(self, x, labels):
            logits = self.net(x)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    data = [{"x": torch.randn(8), "labels": torch.tensor(i % 3)} for i in range(64)]
    watched = callbacks.for_hugging_face(every=3)
    arguments = transformers.TrainingArguments(
        str(tmp_path),
        max_steps=10,
        per_device_train_batch_size=8,
        logging_steps=1,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    transformers.Trainer(Model(), arguments, train_dataset=data, callbacks=[watched]).train()
    seen = watched.log.dataset()
    assert (
        seen.step.values.tolist() == [0, 3, 6, 9]
        and seen.layer.values.tolist() == ["net.0", "net.2"]
        and seen.sizes["seen"] == 10
    )
    assert (seen.grad_norm > 0).all()


@pytest.fixture
def watched():
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gb.watch(model, optimizer, every=2) as log:
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.ones(4, 3)).square().mean().backward()
            optimizer.step()
    return log


def test_tensorboard(tmp_path, watched):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        gb.measure.to_tensorboard(watched, writer)
    read = EventAccumulator(str(tmp_path)).Reload()
    curve = read.Scalars("gradbook/grad_norm/(model)")
    assert [point.step for point in curve] == [0, 2, 4]
    assert [point.value for point in curve] == pytest.approx(watched.dataset().grad_norm[:, 0])


def test_wandb_offline(tmp_path, watched):
    wandb = pytest.importorskip("wandb")
    with wandb.init(mode="offline", dir=tmp_path, settings={"silent": True}) as run:
        gb.measure.to_wandb(watched, run)
        summary = dict(run.summary)
    last = watched.dataset().isel(step=-1, layer=0)
    assert summary["gradbook/step"] == 4
    assert summary["gradbook/grad_norm/(model)"] == pytest.approx(float(last.grad_norm))


def test_one_pass_has_no_steps_to_write():
    model = nn.Linear(3, 1)
    with pytest.raises(ValueError, match="no steps"):
        gb.measure.to_tensorboard(gb.probe(model, lambda: model(torch.ones(4, 3)).sum()), None)
