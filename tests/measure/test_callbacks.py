"""watch in the trainers of others, and its numbers in dashboards, where they are installed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import gradbook as gb

pytestmark = pytest.mark.filterwarnings("default")  # what trainers warn of is not ours


X, Y = torch.randn(64, 8), torch.randint(3, (64,))


def net():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


def left_behind(model):
    """Hooks on a model's modules, and whether torch.compile is switched off."""
    import torch._dynamo

    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    hooks = sum(len(getattr(m, name)) for m in model.modules() for name in names)
    return hooks, torch._dynamo.eval_frame._stance.stance


@pytest.fixture
def lightning():
    return pytest.importorskip("lightning.pytorch")


@pytest.fixture
def fit(lightning, tmp_path):
    def fit(step=None, *, every=3, manual=False, compiled=False, before=None, **options):
        class Model(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.net = torch.compile(net(), backend="eager") if compiled else net()
                self.automatic_optimization = not manual

            def loss(self, batch):
                return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

            def training_step(self, batch, index):
                return step(self, batch, index) if step else self.loss(batch)

            def validation_step(self, batch, index):
                self.log("val", self.loss(batch))

            def test_step(self, batch, index):
                self.log("test", self.loss(batch))

            def configure_optimizers(self):
                return torch.optim.Adam(self.parameters(), lr=0.01)

        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=8)
        watched = gb.measure.for_lightning(every)
        trainer = lightning.Trainer(
            callbacks=[watched],
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            **{"max_steps": 10, "enable_checkpointing": False} | options,
        )
        model = Model()
        if before:
            before(trainer, model, loader)
        trainer.fit(model, loader, loader)
        return trainer, model, loader, watched

    return fit


def test_lightning_fit_validate_and_test(fit):
    trainer, model, loader, watched = fit(
        before=lambda t, m, loader: t.validate(m, loader, verbose=False)
    )
    seen = watched.watch.dataset()
    assert seen.step.values.tolist() == [0, 3, 6, 9]
    assert seen.layer.values.tolist() == ["net.0", "net.2"] and seen.sizes["seen"] == 10
    assert (seen.grad_norm > 0).all() and (seen.update_ratio > 0).all()
    trainer.validate(model, loader, verbose=False)
    trainer.test(model, loader, verbose=False)
    assert watched.watch.dataset().identical(seen) and left_behind(model) == (0, "default")


def test_lightning_manual_optimization(fit):
    def step(self, batch, index):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.loss(batch))
        optimizer.step()

    _, model, _, watched = fit(step, manual=True)
    seen = watched.watch.dataset()
    assert seen.step.values.tolist() == [0, 3, 6, 9] and "loss" not in seen
    assert (seen.update_ratio > 0).all() and left_behind(model) == (0, "default")


def test_lightning_skipped_batches(fit):
    _, _, _, watched = fit(
        lambda self, b, i: None if i % 2 else self.loss(b), max_steps=-1, max_epochs=2
    )
    seen = watched.watch.dataset()
    assert seen.sizes["seen"] == 8 and (seen.grad_norm > 0).all()
    _, _, _, watched = fit(  # a measured step without a backward pass, the first, says nothing
        lambda self, b, i: self.loss(b) if i else None, max_steps=-1, max_epochs=2
    )
    seen = watched.watch.dataset()
    assert 0 not in seen.step and (seen.grad_norm > 0).all()


def test_lightning_accumulation(fit):
    _, _, _, watched = fit(accumulate_grad_batches=4, max_epochs=3, max_steps=-1, every=1)
    seen = watched.watch.dataset()
    assert seen.layer.values.tolist() == ["net.0", "net.2"]
    assert seen.step.values.tolist() == list(range(6)) and seen.sizes["seen"] == 24
    plain = fit(max_epochs=3, max_steps=-1)[3].watch.dataset()
    assert abs(seen.loss.mean() / plain.loss.mean() - 1) < 0.2  # and not a quarter of it


def test_lightning_interrupted_and_again(fit):
    models = []

    def step(self, batch, index):
        models.append(self)
        if index == 3:
            self.loss(batch)  # in a measured step, after its forward pass
            raise KeyboardInterrupt
        return self.loss(batch)

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit(step)
    assert left_behind(models[0]) == (0, "default")
    _, model, _, watched = fit()
    assert watched.watch.dataset().sizes["step"] == 4 and left_behind(model) == (0, "default")


def test_lightning_error_in_a_step_keeps_what_was_seen(lightning, fit):
    kept = []

    def step(self, batch, index):
        kept.append(self.trainer.callbacks[0])
        if index == 5:
            raise RuntimeError("theirs")
        return self.loss(batch)

    with pytest.raises(RuntimeError, match="theirs"):
        fit(step)
    callback = next(c for c in kept[0:1] if hasattr(c, "watch"))
    assert callback.watch.dataset().step.values.tolist() == [0, 3]


def test_lightning_precision_checkpoints_and_compiled_models(fit, tmp_path):
    _, _, _, watched = fit(precision="bf16-mixed")
    assert (watched.watch.dataset().grad_norm > 0).all()
    trainer, model, _, watched = fit(enable_checkpointing=True, max_epochs=1)
    saved = next(tmp_path.rglob("*.ckpt"))
    assert torch.load(saved, weights_only=True)["state_dict"].keys() == model.state_dict().keys()
    _, model, _, watched = fit(compiled=True)
    assert watched.watch.dataset().sizes["layer"] == 2 and left_behind(model) == (0, "default")


def test_a_training_that_cannot_be_watched_goes_on(fit):
    def freeze(trainer, model, loader):
        other = nn.Linear(2, 2)
        model.configure_optimizers = lambda: torch.optim.SGD(other.parameters(), lr=0.1)

    with pytest.warns(UserWarning, match="does not watch this training: optimizer has none"):
        trainer, _, _, watched = fit(before=freeze)
    assert trainer.global_step == 10 and watched.watch is None


@pytest.fixture
def train(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    class Model(nn.Module):
        def __init__(self, broken_at=None):
            super().__init__()
            self.net, self.calls, self.broken_at = net(), 0, broken_at

        def forward(self, x, labels):
            logits = self.net(x)
            self.calls += 1
            if self.calls == self.broken_at:
                raise KeyboardInterrupt
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    def train(model=None, callback=None, **options):
        data = [{"x": x, "labels": y} for x, y in zip(X, Y)]
        callback = callback or gb.measure.for_hugging_face(every=3)
        defaults = {"max_steps": 10, "logging_steps": 1, "save_strategy": "no"}
        arguments = transformers.TrainingArguments(
            str(tmp_path),
            per_device_train_batch_size=8,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            **defaults | options,
        )
        model = model or Model()
        trainer = transformers.Trainer(
            model, arguments, train_dataset=data, eval_dataset=data, callbacks=[callback]
        )
        trainer.train()
        return trainer, model, callback

    train.model = Model
    return train


def test_hugging_face(train):
    trainer, model, callback = train()
    seen = callback.watch.dataset()
    assert seen.step.values.tolist() == [0, 3, 6, 9]
    assert seen.layer.values.tolist() == ["net.0", "net.2"] and seen.sizes["seen"] == 10
    assert (seen.grad_norm > 0).all()
    trainer.evaluate()
    assert callback.watch.dataset().identical(seen) and left_behind(model) == (0, "default")


def test_hugging_face_accumulation_and_precision(train):
    _, _, callback = train(gradient_accumulation_steps=2, bf16=True)
    seen = callback.watch.dataset()
    assert seen.layer.values.tolist() == ["net.0", "net.2"]
    assert seen.step.values.tolist() == [0, 3, 6, 9] and (seen.grad_norm > 0).all()


def test_hugging_face_checkpoints_and_default_logging(train, tmp_path):
    _, _, callback = train(save_strategy="steps", save_steps=5, logging_steps=500)
    assert [p for p in tmp_path.rglob("*") if p.suffix in (".bin", ".safetensors")]
    seen = callback.watch.dataset()
    assert seen.sizes["step"] == 4 and (seen.update_ratio > 0).all()


def test_hugging_face_interrupted_and_again(train):
    model, callback = train.model(broken_at=4), gb.measure.for_hugging_face(every=3)
    with pytest.raises(KeyboardInterrupt):
        train(model, callback)
    assert callback.watch.dataset().step.values.tolist() == [0]
    callback.stop()
    assert left_behind(model) == (0, "default")
    model = train.model(broken_at=4)
    with pytest.raises(KeyboardInterrupt):
        train(model)
    _, again, _ = train()  # another training releases it
    assert left_behind(model) == left_behind(again) == (0, "default")


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


PAGE = Path(__file__).resolve().parents[2] / "chapters/trainers.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)


@pytest.mark.parametrize("code", EXAMPLES, ids=re.findall(r"^## (.*)", PAGE.read_text(), re.M))
def test_the_pages_examples_run_as_pasted(tmp_path, code):
    for library in ("lightning", "transformers", "accelerate", "tensorboard"):
        if re.search(rf"^(?:import|from) (?:torch\.utils\.)?{library}", code, re.M):
            pytest.importorskip(library)
    (tmp_path / "pasted.py").write_text(code, "utf-8")
    run = subprocess.run(
        [sys.executable, "pasted.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "Verdict" in run.stdout or list(tmp_path.rglob("events.*"))
    assert ("run.html" in code) == (tmp_path / "run.html").exists()
