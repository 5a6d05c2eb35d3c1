"""Verdicts on models that nobody tuned them for."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import gradbook as gb
from gradbook.measure import diagnosis, findings

DIGITS = gb.digits()

X, Y = torch.from_numpy(DIGITS.x_train[:64]), torch.from_numpy(DIGITS.y_train[:64])


def stack(depth, width, activation, sigma=None, bias=True, inputs=64, norm=False):
    torch.manual_seed(0)
    layers = []
    for fan_in in [inputs] + [width] * (depth - 1):
        linear = nn.Linear(fan_in, width, bias=bias)
        if sigma:
            nn.init.normal_(linear.weight, std=sigma / fan_in**0.5)
            if bias:
                nn.init.zeros_(linear.bias)
        layers += [linear, *([nn.BatchNorm1d(width)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def judged(model, x=X, y=Y):
    return gb.diagnose(gb.probe(model, lambda: nn.functional.cross_entropy(model(x), y)))


MODELS = {
    "30 sigmoid layers": (lambda: stack(30, 64, nn.Sigmoid), "vanishing"),
    "tanh, σ_w = 3": (lambda: stack(30, 128, nn.Tanh, 3.0), "exploding"),
    "He-ReLU": (lambda: stack(30, 128, nn.ReLU, 2**0.5), "healthy"),
    "bias-free ReLU, σ_w² = 8": (lambda: stack(30, 128, nn.ReLU, 8**0.5, bias=False), "exploding"),
    "batch norm and ReLU, 40 deep": (lambda: stack(40, 128, nn.ReLU, norm=True), "exploding"),
    "batch norm and ReLU, 3 deep": (lambda: stack(3, 128, nn.ReLU, norm=True), "healthy"),
    "tanh, σ_w = 1": (lambda: stack(20, 128, nn.Tanh, 1.0), "healthy"),
    "in-place ReLU": (lambda: stack(10, 128, lambda: nn.ReLU(inplace=True), 2**0.5), "healthy"),
    "shallow tanh with large weights": (lambda: stack(3, 128, nn.Tanh, 6.0), "saturated"),
}


@pytest.mark.parametrize("name", MODELS)
def test_verdicts(name):
    make, expected = MODELS[name]
    found = judged(make())
    assert found.verdict == expected, str(found)
    assert (expected == "healthy") == (not found.findings)
    assert str(found).startswith(f"Verdict: {expected}.")


def test_flat_weight_gradients_do_not_hide_an_explosion():
    model = stack(30, 128, nn.ReLU, 8**0.5, bias=False)
    data = gb.probe(model, lambda: nn.functional.cross_entropy(model(X), Y))
    hidden = data.grad_norm[1:30]
    assert hidden.max() / hidden.min() < 10  # so that weight gradients alone say nothing
    finding = gb.diagnose(data).findings[0]
    assert finding.quantity == "signal" and "do not show it" in finding.what
    assert 2**26 < finding.value < 2**30  # √χ₁ = 2, 29 times, but for the spread of one network


def test_narrow_relu_net_is_dead():
    torch.manual_seed(3)
    model = nn.Sequential(
        *[m for i in [64] + [3] * 11 for m in (nn.Linear(i, 3), nn.ReLU())], nn.Linear(3, 10)
    )
    with torch.no_grad():
        for m in model[2::2]:
            m.bias.fill_(-0.5)
    found = judged(model)
    assert found.verdict == "dead" and "0 on the whole batch" in str(found)


def test_one_nan_in_one_parameter_is_named():
    model = stack(5, 16, nn.ReLU)
    with torch.no_grad():
        model[4].weight[3, 2] = math.nan
    found = judged(model)
    assert (
        found.verdict == "non-finite"
        and found.findings[0].layer == "4.weight"
        and "'4.weight'" in str(found)
    )


def test_overflow_is_traced_to_its_layer():
    model = stack(20, 64, nn.ReLU, 2**0.5)
    with torch.no_grad():
        model[8].weight.mul_(1e25)
        model[12].weight.mul_(1e25)
    found = judged(model)
    assert found.verdict == "non-finite" and found.findings[0].layer in (
        "0",
        "2",
        "4",
        "6",
        "8",
        "12",
    )


def third_sample_of_source_003(lr, steps=40):
    """y = w·x for x = 20, target 10, squared error plus 0.01·w²: L = 2·20² + 0.02."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1, bias=False)
    nn.init.trunc_normal_(model.weight, std=0.1)
    loss = lambda: (
        (model(torch.tensor([[20.0]])) - 10).square().mean() + 0.01 * model.weight.square().sum()
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    with gb.watch(model, optimizer, every=1) as log:
        for _ in range(steps):
            optimizer.zero_grad()
            value = loss()
            value.backward()
            optimizer.step()
            log.see(value)
    return model, loss, optimizer, log.dataset()


def test_third_sample_of_source_003_is_told_its_limit():
    _, _, _, data = third_sample_of_source_003(0.1, steps=15)
    found = gb.diagnose(data)
    assert found.verdict == "unstable" and "0.0025" in str(found)
    model, loss, optimizer, data = third_sample_of_source_003(0.002)
    assert gb.diagnose(data).verdict == "healthy"
    assert gb.sharpness(model, loss) == pytest.approx(800.02)
    optimizer.param_groups[0]["lr"] = 0.1
    found = gb.diagnose(gb.probe(model, loss, optimizer), gb.sharpness(model, loss))
    assert found.verdict == "unstable" and "stability limit 0.0025" in str(found)


def test_stalled_training():
    model = stack(2, 32, nn.Tanh, 1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-7)
    with gb.watch(model, optimizer, every=4) as log:
        for _ in range(20):
            loss = nn.functional.cross_entropy(model(X), Y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log.see(loss)
    assert gb.diagnose(log.dataset()).verdict == "stalled"


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 10),
        )

    def forward(self, x):
        return self.body(x.view(-1, 1, 8, 8))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(8, 32, num_layers=2), nn.Linear(32, 10)

    def forward(self, x):
        return self.out(self.lstm(x.view(-1, 8, 8).transpose(0, 1))[0][-1])


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.place = nn.Linear(8, 32), nn.Parameter(0.1 * torch.randn(8, 32))
        self.blocks = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True),
            2,
            enable_nested_tensor=False,
        )
        self.out = nn.Linear(32, 10)

    def forward(self, x):
        return self.out(self.blocks(self.embed(x.view(-1, 8, 8)) + self.place).mean(1))


@pytest.mark.parametrize(
    "make, rows",
    [
        (Conv, {"body.0", "body.2", "body.3", "body.6", "body.9"}),
        (Recurrent, {"lstm", "out"}),
        (
            Words,
            {
                "(model)",
                "embed",
                "blocks.layers.0.self_attn",
                "blocks.layers.1.self_attn.out_proj",
                "blocks.layers.1.linear2",
                "out",
            },
        ),
    ],
)
def test_convolution_recurrence_and_attention_are_measured_and_healthy(make, rows):
    torch.manual_seed(0)
    model = make()
    data = gb.probe(model, lambda: nn.functional.cross_entropy(model(X), Y))
    assert (
        rows <= set(data.layer.values.tolist())
        and (data.grad_norm > 0).all()
        and (data.not_finite == 0).all()
    )
    loss = nn.functional.cross_entropy(model(X), Y)
    assert gb.diagnose(data).verdict == "healthy", str(gb.diagnose(data))
    assert (
        data.attrs["loss"] == pytest.approx(loss.item(), rel=0.2) and data.attrs["left_out"] == []
    )


def test_compiled_model_is_measured_as_the_plain_one():
    model = stack(3, 16, nn.ReLU)
    compiled = torch.compile(model, backend="eager")
    compiled(X)
    seen = gb.probe(compiled, lambda: nn.functional.cross_entropy(compiled(X), Y))
    plain = gb.probe(model, lambda: nn.functional.cross_entropy(model(X), Y))
    assert seen.layer.values.tolist() == plain.layer.values.tolist()
    torch.testing.assert_close(torch.tensor(seen.signal.values), torch.tensor(plain.signal.values))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_model_on_a_gpu():
    model = stack(30, 64, nn.Sigmoid).cuda()
    x, y = X.cuda(), Y.cuda()
    assert judged(model, x, y).verdict == "vanishing"


def test_a_frozen_layer_is_noted():
    model = stack(3, 32, nn.ReLU, 2**0.5)
    model[0].requires_grad_(False)
    found = judged(model)
    assert (
        found.verdict == "healthy"
        and "left out, because frozen" in str(found)
        and found.notes[0].endswith(": 0")
    )


def test_ten_lines_of_a_new_user_print_a_verdict_that_helps():
    script = """
import torch, gradbook as gb
torch.manual_seed(0)
layers = [m for _ in range(30) for m in (torch.nn.Linear(64, 64), torch.nn.Sigmoid())]
model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
d = gb.digits()
x, y = torch.from_numpy(d.x_train[:64]), torch.from_numpy(d.y_train[:64])
data = gb.probe(model, lambda: torch.nn.functional.cross_entropy(model(x), y))
print(gb.diagnose(data))
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert out.returncode == 0 and not out.stderr
    for part in ("Verdict: vanishing.", "per layer", "Why:", "Remedy:", "https://"):
        assert part in out.stdout


def test_links_lead_to_chapters_that_exist():
    root = Path(__file__).resolve().parent.parent.parent
    assert set(findings.CHAPTERS) == {*diagnosis.ORDER, "signal_in_time"}
    for chapter in findings.CHAPTERS.values():
        assert (root / "chapters" / f"{chapter}.ipynb").exists()
    assert findings.BOOK.removesuffix("chapters/") in (root / "_config.yml").read_text("utf-8")


@settings(deadline=None, max_examples=30)
@given(
    depth=st.integers(1, 12),
    width=st.integers(1, 8),
    sigma=st.floats(0.01, 30),
    kind=st.sampled_from([nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.LeakyReLU]),
    batch=st.integers(1, 5),
)
def test_any_perceptron_gets_a_verdict(depth, width, sigma, kind, batch):
    model = stack(depth, width, kind, sigma)
    found = judged(model, X[:batch], Y[:batch])
    assert found.verdict in ("healthy", *diagnosis.ORDER) and str(found)
    assert [f.verdict for f in found.findings] == sorted(
        (f.verdict for f in found.findings), key=diagnosis.ORDER.index
    )


def test_what_is_not_a_measurement_is_refused():
    with pytest.raises(ValueError, match="must be a data set of gradbook.probe"):
        gb.diagnose({"signal": [1]})


def trained(losses, **options):
    model = stack(3, 32, nn.ReLU, 2**0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, **options)
    with gb.watch(model, optimizer, every=5) as log:
        for value in losses:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X), Y).backward()
            optimizer.step()
            log.see(value)
    return log.dataset()


def test_negative_losses_may_fall():
    assert gb.diagnose(trained([-1 - 0.01 * k for k in range(40)])).verdict == "healthy"
    assert gb.diagnose(trained([-1 + 0.05 * k for k in range(40)])).verdict == "unstable"
    assert gb.diagnose(trained([-2.0] * 40)).verdict == "stalled"


def test_limits_of_nesterov_and_of_dampening():
    nesterov = trained([1 - 0.01 * k for k in range(40)], momentum=0.9, nesterov=True)
    limit = gb.stability_limit(100.0, 0.9, "nesterov")
    assert gb.diagnose(nesterov.assign_attrs(lr=1.01 * limit), 100.0).verdict == "unstable"
    assert gb.diagnose(nesterov.assign_attrs(lr=0.99 * limit), 100.0).verdict == "healthy"
    assert (
        "momentum"
        not in trained([1 - 0.01 * k for k in range(40)], momentum=0.9, dampening=0.5).attrs
    )


def test_unscaled_inputs_and_gradients_that_do_not_arrive():
    found = judged(stack(3, 64, nn.Tanh), X * 1e-6)
    assert (
        found.findings[0].quantity == "grad_norm"
        and "inputs have a size" in str(found)
        and found.verdict == "vanishing"
    )
    blocked = nn.Sequential(nn.Linear(64, 16), nn.Hardtanh(), nn.Linear(16, 10))
    found = judged(blocked, X * 1e6)
    assert found.verdict == "vanishing" and "No gradient reaches layer '0'" in str(found)
    with torch.no_grad():
        blocked[2].weight.zero_()
    found = judged(blocked)
    assert found.verdict == "healthy" and "weights of 0 that the next step moves" in str(found)


def test_nothing_measured_is_not_healthy():
    model = stack(2, 16, nn.ReLU)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    loss = nn.functional.cross_entropy(model(X), Y)  # before anyone looks
    with gb.watch(model, optimizer, every=1) as log:
        loss.backward()
        optimizer.step()
    with pytest.raises(ValueError, match="no signal to judge"):
        gb.diagnose(log.dataset())


def test_a_data_set_with_no_more_than_is_asked_for_is_judged():
    level = {q: (("step", "layer"), np.ones((4, 2))) for q in ("signal", "grad_norm")}
    level["not_finite"] = ("step", "layer"), np.zeros((4, 2))
    axes = {"step": range(4), "layer": ["a", "b"], "seen": range(20)}
    for loss, verdict in ((np.linspace(1, 9, 20), "unstable"), (np.linspace(9, 1, 20), "healthy")):
        data = xr.Dataset(level | {"loss": ("seen", loss)}, axes)
        assert gb.diagnose(data).verdict == verdict
