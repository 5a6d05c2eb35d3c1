"""Sharpness and Jacobians against explicit matrices, noise and range test against what is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

import gradbook as gb


def small(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    x, y = torch.randn(20, 4), torch.randint(3, (20,))
    return model, x, y, lambda: nn.functional.cross_entropy(model(x), y)


def full_hessian(model, x, y):
    names, params = zip(*model.named_parameters())

    def f(flat):
        parts = torch.split(flat, [p.numel() for p in params])
        return nn.functional.cross_entropy(torch.func.functional_call(model, {n: v.view_as(p) for n, v, p in zip(names, parts, params)}, (x,)), y)

    return torch.autograd.functional.hessian(f, torch.cat([p.detach().reshape(-1) for p in params]))


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 50))
def test_sharpness_is_the_hessians_largest_eigenvalue(seed):
    model, x, y, loss = small(seed)
    assert gb.sharpness(model, loss) == pytest.approx(torch.linalg.eigvalsh(full_hessian(model, x, y))[-1].item(), rel=1e-3)


def test_preconditioned_for_adam():
    model, x, y, loss = small()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, betas=(0.9, 0.99))
    with pytest.raises(ValueError, match="that has taken a step"):
        gb.sharpness(model, loss, optimizer)
    for _ in range(5):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    v = torch.cat([(optimizer.state[p]["exp_avg_sq"] / (1 - 0.99**5)).reshape(-1) for p in model.parameters()])
    d = (v.sqrt() + 1e-8) ** -0.5
    expected = torch.linalg.eigvalsh(d[:, None] * full_hessian(model, x, y) * d)[-1].item()
    assert gb.sharpness(model, loss, optimizer) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("make, denominator", [
    (lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.99), amsgrad=True), lambda s: (s["max_exp_avg_sq"] / (1 - 0.99**5)).sqrt()),
    (lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True), lambda s: (s["square_avg"] - s["grad_avg"] ** 2).clamp(min=0).sqrt())])
def test_preconditioned_for_amsgrad_and_centered_rmsprop(make, denominator):
    model, x, y, loss = small()
    optimizer = make(model.parameters())
    for _ in range(5):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    d = torch.cat([(denominator(optimizer.state[p]) + 1e-8).reshape(-1) for p in model.parameters()]) ** -0.5
    expected = torch.linalg.eigvalsh(d[:, None] * full_hessian(model, x, y) * d)[-1].item()
    assert gb.sharpness(model, loss, optimizer) == pytest.approx(expected, rel=2e-3)


def test_batch_norms_averages_are_left_alone():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2)), torch.randn(8, 4)
    before = [b.clone() for b in model.buffers()]
    gb.sharpness(model, lambda: model(x).square().mean())
    gb.gradient_noise(model, lambda b: model(b).square().mean(), [x, x + 1])
    gb.probe(model, lambda: model(x).square().mean(), torch.optim.SGD(model.parameters(), 0.1))
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers()))


def test_sharpness_of_a_transformer_and_of_nothing():
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    words = torch.randn(3, 5, 8)
    assert gb.sharpness(block, lambda: (block(words) ** 3).mean()) > 0
    linear = nn.Linear(5, 1)
    assert gb.sharpness(linear, lambda: linear(torch.ones(2, 5)).sum()) == 0
    with pytest.raises(ValueError, match="gradient is not finite"):
        gb.sharpness(linear, lambda: linear(torch.full((2, 5), math.inf)).sum())
    with pytest.raises(ValueError, match="one entry"):
        gb.sharpness(linear, lambda: linear(torch.ones(2, 5)))


def test_jacobian_spectrum_is_that_of_the_explicit_jacobian():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Tanh(), nn.Linear(7, 5)), torch.randn(3, 3, 4)
    s = gb.jacobian_spectrum(model, x)
    for k in range(3):
        J = torch.autograd.functional.jacobian(lambda v: model(v[None])[0], x[k]).reshape(5, 12)
        np.testing.assert_allclose(s[k], torch.linalg.svdvals(J), rtol=1e-4)
    for wrong in (torch.ones(3), torch.ones(3, 3, 4, dtype=torch.long), "x"):
        with pytest.raises(ValueError, match="floating-point tensor"):
            gb.jacobian_spectrum(model, wrong)


def test_gradient_noise_finds_mean_and_variance():
    w = nn.Linear(3, 1, bias=False)
    mean = torch.tensor([1.0, -2.0, 0.5])
    torch.manual_seed(0)
    batches = [(torch.randn(16, 3) * 2 + mean,) for _ in range(2000)]
    noise = gb.gradient_noise(w, lambda b: w(b[0]).mean(), batches)  # the gradient is the mean of x
    assert noise.square == pytest.approx(mean.square().sum().item(), rel=0.03) and noise.variance == pytest.approx(12, rel=0.03)
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
    assert "raise high" in low.attrs["reason"] and low.attrs["suggestion"] == pytest.approx(0.02 / 3, rel=0.3)
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
    model = nn.Sequential(*[m for _ in range(30) for m in (nn.Linear(64, 64), nn.Sigmoid())], nn.Linear(64, 10))
    y = lambda: torch.randint(10, (64,))  # noqa: E731
    curve = gb.lr_range(model, lambda: nn.functional.cross_entropy(model(torch.randn(64, 64)), y()), torch.optim.SGD(model.parameters(), lr=0.1), high=0.05, progress=False)
    assert math.isnan(curve.attrs["suggestion"]) and "nothing was learned" in curve.attrs["reason"]
    with pytest.raises(ValueError, match="0 < low < high"):
        gb.lr_range(model, lambda: None, torch.optim.SGD(model.parameters(), 0.1), low=1.0, high=0.1)
    with pytest.raises(TypeError, match="must be a torch.optim.Optimizer"):
        gb.lr_range(model, lambda: None, None)
