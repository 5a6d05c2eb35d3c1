"""Backpropagation by hand against autograd, and gradient checks that must fail."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbook import backprop, nets


def network(seed, depth, width, activation):
    rng = np.random.default_rng(seed)
    sizes = nets.layer_sizes(nets.mlp, 4, depth, width, 3)
    W = [rng.normal(size=s) / s[0] ** 0.5 for s in sizes]
    return (
        rng.normal(size=(6, 4)),
        rng.integers(3, size=6),
        W,
        [rng.normal(size=s[1]) for s in sizes],
    )


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 50),
    st.integers(0, 4),
    st.integers(1, 6),
    st.sampled_from(sorted(nets.ACTIVATIONS)),
)
def test_equals_autograd(seed, depth, width, activation):
    x, y, W, b = network(seed, depth, width, activation)
    hs, zs = backprop.forward(x, W, b, activation)
    loss, delta = backprop.cross_entropy(zs[-1], y)
    dW, db, deltas = backprop.backward(delta, hs, zs, W, activation)
    tW, tb = [[torch.tensor(p, requires_grad=True) for p in ps] for ps in (W, b)]
    tz = nets.mlp(torch.tensor(x), tW, tb, nets.activation(activation))
    theirs = torch.nn.functional.cross_entropy(tz[-1], torch.tensor(y))
    grads = torch.autograd.grad(theirs, [*tW, *tb, *tz])
    assert loss == pytest.approx(theirs.item(), rel=1e-12)
    for ours, g in zip([*dW, *db, *deltas], grads, strict=True):
        np.testing.assert_allclose(ours, g, rtol=1e-9, atol=1e-14)


def test_mean_squared_error_equals_torch():
    output, y = np.random.default_rng(0).normal(size=(2, 5, 2))
    t = torch.tensor(output, requires_grad=True)
    loss = torch.nn.functional.mse_loss(t, torch.tensor(y))
    value, delta = backprop.mean_squared_error(output, y)
    assert value == pytest.approx(loss.item())
    np.testing.assert_allclose(delta, torch.autograd.grad(loss, t)[0], rtol=1e-12)


def test_cross_entropy_of_large_logits_is_finite():
    loss, delta = backprop.cross_entropy(np.array([[1e4, 0.0], [0.0, -1e4]]), np.array([1, 1]))
    assert loss == 1e4 and np.isfinite(delta).all()


@pytest.mark.parametrize("method", ["forward", "central", "complex"])
def test_check_passes_a_right_network_and_finds_one_wrong_entry(method):
    x, y, W, b = network(0, 2, 3, "tanh")

    def f(W):
        h = x
        for w, c in zip(W, b):
            z = h @ w + c
            h = np.tanh(z)
        p = np.exp(z - z.real.max(1, keepdims=True))
        return -np.log(p[np.arange(6), y] / p.sum(1)).mean()

    def grad(W):
        hs, zs = backprop.forward(x, W, b, "tanh")
        return backprop.backward(backprop.cross_entropy(zs[-1], y)[1], hs, zs, W, "tanh")[0]

    assert (
        backprop.gradient_check(f, grad, W, method)
        < {"forward": 1e-5, "central": 1e-7, "complex": 1e-12}[method]
    )
    for size in (2.0, 1 + 1e-3):

        def wrong(W):
            g = grad(W)
            g[1][0, 2] *= size
            return g

        with pytest.raises(backprop.GradientError, match=r"at \[1, 0, 2\]"):
            backprop.gradient_check(f, wrong, W, method)


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_small_gradients_are_not_let_through(size):
    """A check with an absolute tolerance passes any gradient of a vanishing function."""
    x = np.array([0.3, 0.7])
    f = lambda x: size * (x**3).sum()
    assert backprop.gradient_check(f, lambda x: size * 3 * x**2, x) < 1e-7
    with pytest.raises(backprop.GradientError):
        backprop.gradient_check(f, lambda x: size * 3.001 * x**2, x)


@pytest.mark.parametrize(
    "f, grad, x, error, says",
    [
        (lambda x: x, lambda x: x, np.ones(2), ValueError, r"f\(x\) has shape \(2,\)"),
        (lambda x: x.sum(), lambda x: 1.0, np.ones(2), ValueError, r"shape \(\); it must be x's"),
        (lambda x: x.sum(), lambda x: x, np.ones(2, np.float32), TypeError, "float64"),
        (lambda x: x.sum(), lambda x: x, np.array([np.nan]), TypeError, "finite"),
        (
            lambda x: np.nan,
            lambda x: 0 * x,
            np.ones(2),
            backprop.GradientError,
            "difference is nan",
        ),
    ],
)
def test_what_cannot_be_compared(f, grad, x, error, says):
    with pytest.raises(error, match=says):
        backprop.gradient_check(f, grad, x)
    with pytest.raises(ValueError, match="one of forward, central, complex"):
        backprop.gradient_check(f, grad, x, method="backward")


def test_right_gradients_that_are_zero_or_small_are_let_through():
    assert (
        backprop.gradient_check(lambda x: (x**2).sum(), lambda x: 2 * x, np.zeros(2), "forward")
        < 1e-5
    )
    assert (
        backprop.gradient_check(lambda x: (x**3).sum(), lambda x: 3 * x**2, np.array([1e-3, 0.5]))
        < 1e-7
    )
