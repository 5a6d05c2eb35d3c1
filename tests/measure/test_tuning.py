"""Noise scale and range test against what is known."""

import math

import pytest
import torch
from torch import nn

import gradbook as gb


def test_gradient_noise_finds_mean_and_variance():
    w = nn.Linear(3, 1, bias=False)
    mean = torch.tensor([1.0, -2.0, 0.5])
    torch.manual_seed(0)
    batches = [(torch.randn(16, 3) * 2 + mean,) for _ in range(2000)]
    noise = gb.gradient_noise(w, lambda b: w(b[0]).mean(), batches)  # the gradient is the mean of x
    assert noise.square == pytest.approx(
        mean.square().sum().item(), rel=0.03
    ) and noise.variance == pytest.approx(12, rel=0.03)
    assert noise.scale == pytest.approx(noise.variance / noise.square) and w.weight.grad is None
    for wrong in ([batches[0]], [batches[0], (torch.randn(3, 3),)]):
        with pytest.raises(ValueError, match="at least two of one size"):
            gb.gradient_noise(w, lambda b: w(b[0]).mean(), wrong)


def digits_task(seed=0):
    torch.manual_seed(seed)
    d = gb.digits()
    x, y = torch.from_numpy(d.x_train), torch.from_numpy(d.y_train)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def loss():
        rows = torch.randint(len(x), (64,))
        return nn.functional.cross_entropy(model(x[rows]), y[rows])

    return model, loss


def test_lr_range_suggests_a_rate_that_learns_and_puts_everything_back():
    model, loss = digits_task()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.123, momentum=0.9)
    before = [p.detach().clone() for p in model.parameters()]
    curve = gb.lr_range(model, loss, optimizer, low=1e-5, high=100.0, progress=False)
    assert optimizer.param_groups[0]["lr"] == 0.123 and not optimizer.state
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, model.parameters()))
    suggested = curve.attrs["suggestion"]
    assert 1e-3 < suggested < 1 and "a third of" in curve.attrs["reason"]
    low = gb.lr_range(model, loss, optimizer, low=1e-4, high=0.02, progress=False)
    assert "raise high" in low.attrs["reason"] and low.attrs["suggestion"] == pytest.approx(
        0.02 / 3, rel=0.3
    )
    finals = {}
    for lr in (1e-5, suggested):
        model, loss = digits_task()
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        for _ in range(60):
            optimizer.zero_grad()
            value = loss()
            value.backward()
            optimizer.step()
        finals[lr] = value.item()
    assert finals[suggested] < 0.5 < 2 < finals[1e-5]


def test_a_spike_or_a_nan_does_not_make_the_suggestion():
    model, loss = digits_task()
    count = iter(range(10**6))

    def spiked():
        value = loss()
        return value + (1e6 if next(count) == 40 else 0)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(1)
    plain = gb.lr_range(model, loss, optimizer, low=1e-4, high=100.0, progress=False)
    torch.manual_seed(1)
    curve = gb.lr_range(model, spiked, optimizer, low=1e-4, high=100.0, progress=False)
    assert 0.2 < curve.attrs["suggestion"] / plain.attrs["suggestion"] < 5
    broken = gb.lr_range(model, lambda: loss() * math.nan, optimizer, progress=False)
    assert math.isnan(broken.attrs["suggestion"]) and "begin lower" in broken.attrs["reason"]


def test_where_nothing_is_learned_nothing_is_suggested():
    torch.manual_seed(0)
    model = nn.Sequential(
        *[m for _ in range(30) for m in (nn.Linear(64, 64), nn.Sigmoid())], nn.Linear(64, 10)
    )
    y = lambda: torch.randint(10, (64,))
    curve = gb.lr_range(
        model,
        lambda: nn.functional.cross_entropy(model(torch.randn(64, 64)), y()),
        torch.optim.SGD(model.parameters(), lr=0.1),
        high=0.05,
        progress=False,
    )
    assert math.isnan(curve.attrs["suggestion"]) and "nothing was learned" in curve.attrs["reason"]
    with pytest.raises(ValueError, match="0 < low < high"):
        gb.lr_range(
            model, lambda: None, torch.optim.SGD(model.parameters(), 0.1), low=1.0, high=0.1
        )
    with pytest.raises(TypeError, match="must be a torch.optim.Optimizer"):
        gb.lr_range(model, lambda: None, None)
