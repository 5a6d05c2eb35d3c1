"""probe against autograd, on models that nobody arranged for it."""

import math

import pytest
import torch
from torch import nn

import gradbook as gb


def classifier(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*layers), torch.randn(16, 8), torch.randint(3, (16,))


def measured(model, x, y):
    return gb.probe(model, lambda: nn.functional.cross_entropy(model(x), y))


def test_equals_autograd_and_leaves_the_model_alone():
    model, x, y = classifier(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    seen = measured(model, x, y)
    loss = nn.functional.cross_entropy(model(x), y)
    grads = torch.autograd.grad(loss, [model[0].weight, model[2].weight])
    assert seen.layer.values.tolist() == ["0", "2"] and seen.attrs["loss"] == pytest.approx(
        loss.item()
    )
    assert seen.grad_norm.values == pytest.approx([g.norm().item() for g in grads], rel=1e-5)
    assert seen.weight_norm.values == pytest.approx(
        [model[i].weight.norm().item() for i in (0, 2)], rel=1e-5
    )
    assert seen.activation_rms[0] == pytest.approx(x.square().mean().sqrt().item(), rel=1e-5)
    z = model(x)
    delta = torch.autograd.grad(nn.functional.cross_entropy(z, y, reduction="sum"), z)[0]
    assert seen.signal[1] == pytest.approx(delta.square().sum(1).mean().sqrt().item(), rel=1e-5)
    assert all(p.grad is None for p in model.parameters()) and not any(
        m._forward_hooks for m in model.modules()
    )
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_norms_that_float32_would_lose():
    for size, entry in ((30, 1e-30), (30, 1e25)):
        layer = nn.Linear(size, 1, bias=False)
        x = torch.full((1, size), entry)
        seen = gb.probe(layer, lambda: layer(x).mean())
        assert seen.grad_norm.item() == pytest.approx(entry * math.sqrt(size), rel=1e-5)


def test_in_place_relu_convolution_recurrence_and_attention():
    torch.manual_seed(0)
    conv = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(144, 3),
    )
    image = torch.randn(5, 1, 8, 8)
    seen = gb.probe(
        conv, lambda: nn.functional.cross_entropy(conv(image), torch.zeros(5, dtype=torch.long))
    )
    assert seen.layer.values.tolist() == ["0", "2", "4"] and (seen.signal > 0).all()
    block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    words = torch.randn(5, 7, 8)
    seen = gb.probe(block, lambda: block(words).square().mean())
    assert {"linear1", "linear2", "norm1"} <= set(seen.layer.values.tolist())


def test_a_layer_that_runs_twice_and_batch_norm_keep_their_own():
    model, x, y = classifier(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    again = lambda h: model[0](model[0](h))
    seen = gb.probe(model, lambda: nn.functional.cross_entropy(model[2](model[1](again(x))), y))
    assert (
        seen.layer.values.tolist() == ["0", "0[1]", "1", "2"]
        and seen.grad_norm[0] == seen.grad_norm[1]
    )
    assert seen.activation_rms[0] == pytest.approx(x.square().mean().sqrt().item(), rel=1e-5)
    assert seen.activation_rms[1] != seen.activation_rms[0] and seen.signal[0] != seen.signal[1]
    assert model[1].num_batches_tracked == 0 and (model[1].running_mean == 0).all()


def test_not_finite_is_counted_where_it_begins():
    model, x, y = classifier(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))
    with torch.no_grad():
        model[2].weight[1, 0] = math.nan
    seen = measured(model, x, y)
    assert seen.not_finite.values[1] > 0 and math.isnan(seen.weight_norm.values[1])


def test_frozen_layers_are_left_out():
    model, x, y = classifier(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    model[0].requires_grad_(False)
    assert measured(model, x, y).layer.values.tolist() == ["2"]


def test_where_only_biases_are_trained_they_are_measured():
    model, x, y = classifier(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    for layer in (model[0], model[2]):
        layer.weight.requires_grad_(False)
    data = measured(model, x, y)
    nn.functional.cross_entropy(model(x), y).backward()
    assert data.layer.values.tolist() == ["0", "2"]
    own = [layer.bias.grad.norm().item() for layer in (model[0], model[2])]
    assert data.grad_norm.values == pytest.approx(own, rel=1e-6)


@pytest.mark.parametrize(
    "model, loss, error, says",
    [
        ("net", lambda: None, TypeError, "must be a torch.nn.Module"),
        (nn.Tanh(), lambda: torch.zeros(()), ValueError, "no trainable parameters"),
        (nn.Linear(2, 2), 3.0, TypeError, "a function of no arguments"),
        (
            nn.Linear(2, 2),
            lambda: torch.zeros(()),
            ValueError,
            "does not depend on the model's weights",
        ),
    ],
)
def test_what_cannot_be_measured_is_said(model, loss, error, says):
    with pytest.raises(error, match=says):
        gb.probe(model, loss)


def test_loss_that_is_no_scalar():
    layer = nn.Linear(2, 2)
    with pytest.raises(
        ValueError, match=r"returned \(3, 2\); it must return a tensor with one entry"
    ):
        gb.probe(layer, lambda: layer(torch.ones(3, 2)))
    assert not layer._forward_hooks


def test_a_failing_loss_leaves_no_hooks():
    layer = nn.Linear(2, 2)
    with pytest.raises(RuntimeError):
        gb.probe(layer, lambda: layer(torch.ones(3, 5)))
    assert not layer._forward_hooks


def test_a_model_on_mps_is_refused_in_words():
    class OnMps(torch.nn.Parameter):
        device = property(lambda self: torch.device("mps"))

    model = torch.nn.Linear(2, 2)
    model.weight = OnMps(model.weight.detach())
    with pytest.raises(ValueError, match="no float64"):
        gb.probe(model, lambda: model(torch.ones(1, 2)).sum())
