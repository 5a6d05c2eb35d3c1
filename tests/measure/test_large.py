"""Three larger models under the usual recipes, which are sound, and under others, which are not."""

from functools import partial

import pytest
import torch
from models import Decoder, ResNet, Translate, decoder_task, resnet_task, train, translate_task
from torch import nn

import gradbook as gb

SGD, Adam, AdamW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
MODELS = {
    "ResNet": (ResNet, resnet_task(gb.digits())),
    "decoder": (Decoder, decoder_task()),
    "seq2seq": (Translate, translate_task()),
}


def verdicts(name, recipe, steps=60, change=None):
    """Of a probe at the start, and of watching a training."""
    torch.manual_seed(0)
    build, task = MODELS[name]
    model = build()
    if change:
        change(model)
    start = gb.diagnose(gb.probe(model, lambda: task(model)))
    log = train(model, recipe(model.parameters()), task, steps, every=5, see=lambda value: value)
    return start, gb.diagnose(log)


@pytest.mark.parametrize(
    "name, recipe",
    [
        ("ResNet", partial(SGD, lr=0.1, momentum=0.9)),
        ("ResNet", partial(AdamW, lr=1e-3)),
        ("decoder", partial(AdamW, lr=6e-4, betas=(0.9, 0.95), weight_decay=0.1)),
        ("decoder", partial(AdamW, lr=3e-3)),
        ("seq2seq", partial(Adam, lr=1e-3)),
        ("seq2seq", partial(SGD, lr=0.5)),
    ],
)
def test_usual_recipes_are_healthy(name, recipe):
    start, run = verdicts(name, recipe)
    assert start.verdict == run.verdict == "healthy", f"{start}\n{run}"


TOO_LARGE = [
    ("ResNet", SGD, {"momentum": 0.9}, 1.0, (1, 10, 100)),
    ("ResNet", AdamW, {}, 1e-3, (100, 1000)),
    ("decoder", SGD, {}, 0.5, (10, 100, 1000)),
    ("decoder", AdamW, {}, 3e-3, (100, 1000)),
    ("seq2seq", SGD, {}, 0.5, (10, 100, 1000)),
    ("seq2seq", Adam, {}, 1e-3, (100, 1000)),
]


@pytest.mark.parametrize(
    "name, recipe",
    [
        (name, partial(kind, lr=lr * times, **settings))
        for name, kind, settings, lr, by in TOO_LARGE
        for times in by
    ],
)
def test_rates_that_are_too_large(name, recipe):
    run = verdicts(name, recipe)[1]
    assert run.verdict in ("unstable", "non-finite"), run
    if run.verdict == "non-finite":
        assert "unstable" in {f.verdict for f in run.findings}, run


def without_norm(scale, initialize):
    """Instead of norms, weights that would do without them, times ``scale``."""

    def change(model):
        for module in list(model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.BatchNorm2d | nn.LayerNorm):
                    setattr(module, name, nn.Identity())
        for p in model.parameters():
            if p.ndim > 1:
                initialize(p)
                p.data.mul_(scale)

    return change


He, Xavier = nn.init.kaiming_normal_, nn.init.xavier_normal_


@pytest.mark.parametrize(
    "name, scale, initialize, at_start",
    [
        ("ResNet", 0.3, He, "vanishing"),
        ("ResNet", 3, He, "exploding"),
        ("decoder", 0.1, partial(nn.init.normal_, std=0.02), "vanishing"),
        ("decoder", 3, Xavier, "exploding"),
        ("seq2seq", 0.1, Xavier, "vanishing"),
        ("seq2seq", 10, Xavier, "exploding"),
    ],
)
def test_weights_that_are_too_small_or_too_large_without_norms(name, scale, initialize, at_start):
    start, run = verdicts(name, partial(Adam, lr=1e-3), 30, without_norm(scale, initialize))
    for found in (start, run):
        assert at_start in {f.verdict for f in found.findings}, found
        assert found.verdict in (at_start, "non-finite"), found


@pytest.mark.parametrize("name, initialize", [("ResNet", He), ("decoder", Xavier)])
def test_the_same_weights_as_they_should_be_are_healthy(name, initialize):
    start, run = verdicts(name, partial(Adam, lr=1e-3), 30, without_norm(1, initialize))
    assert start.verdict == run.verdict == "healthy", f"{start}\n{run}"


def test_an_embedding_that_is_too_loud():
    both = verdicts("decoder", partial(AdamW, lr=6e-4), 5, lambda m: nn.init.normal_(m.wte.weight))
    for found in both:
        assert found.verdict == "exploding" and "between 32 classes" in found.findings[0].what


@pytest.mark.parametrize("seed", range(3))
def test_a_fresh_bert_is_healthy(seed):
    """Its queries and keys get 10⁻⁵ of the gradient of the others, and it trains."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    config = transformers.BertConfig(vocab_size=50, num_labels=2, **sizes)
    model = transformers.BertForSequenceClassification(config)
    ids, labels = torch.randint(50, (8, 10)), torch.randint(2, (8,))
    found = gb.diagnose(gb.probe(model, lambda: model(input_ids=ids, labels=labels).loss))
    assert found.verdict == "healthy", found
