"""Sharpness and Jacobians against explicit matrices."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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
        return nn.functional.cross_entropy(
            torch.func.functional_call(
                model, {n: v.view_as(p) for n, v, p in zip(names, parts, params)}, (x,)
            ),
            y,
        )

    return torch.autograd.functional.hessian(f, torch.cat([p.detach().reshape(-1) for p in params]))


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 50))
def test_sharpness_is_the_hessians_largest_eigenvalue(seed):
    model, x, y, loss = small(seed)
    assert gb.sharpness(model, loss) == pytest.approx(
        torch.linalg.eigvalsh(full_hessian(model, x, y))[-1].item(), rel=1e-3
    )


def test_preconditioned_for_adam():
    model, x, y, loss = small()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, betas=(0.9, 0.99))
    with pytest.raises(ValueError, match="that has taken a step"):
        gb.sharpness(model, loss, optimizer)
    for _ in range(5):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    v = torch.cat(
        [(optimizer.state[p]["exp_avg_sq"] / (1 - 0.99**5)).reshape(-1) for p in model.parameters()]
    )
    d = (v.sqrt() + 1e-8) ** -0.5
    expected = torch.linalg.eigvalsh(d[:, None] * full_hessian(model, x, y) * d)[-1].item()
    assert gb.sharpness(model, loss, optimizer) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    "make, denominator",
    [
        (
            lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.99), amsgrad=True),
            lambda s: (s["max_exp_avg_sq"] / (1 - 0.99**5)).sqrt(),
        ),
        (
            lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True),
            lambda s: (s["square_avg"] - s["grad_avg"] ** 2).clamp(min=0).sqrt(),
        ),
    ],
)
def test_preconditioned_for_amsgrad_and_centered_rmsprop(make, denominator):
    model, x, y, loss = small()
    optimizer = make(model.parameters())
    for _ in range(5):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    d = (
        torch.cat(
            [(denominator(optimizer.state[p]) + 1e-8).reshape(-1) for p in model.parameters()]
        )
        ** -0.5
    )
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
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Tanh(), nn.Linear(7, 5))
    x = torch.randn(3, 3, 4)
    s = gb.jacobian_spectrum(model, x)
    for k in range(3):
        J = torch.autograd.functional.jacobian(lambda v: model(v[None])[0], x[k]).reshape(5, 12)
        np.testing.assert_allclose(s[k], torch.linalg.svdvals(J), rtol=1e-4)
    for wrong in (torch.ones(3), torch.ones(3, 3, 4, dtype=torch.long), "x"):
        with pytest.raises(ValueError, match="floating-point tensor"):
            gb.jacobian_spectrum(model, wrong)
