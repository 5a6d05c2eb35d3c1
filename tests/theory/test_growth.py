"""Growth per layer against simulations."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from gradbook import nets, theory


@pytest.mark.parametrize("n, sigma", [(1, 1.0), (4, 2.0), (32, 0.7)])
def test_exponents_agree_with_a_simulation(n, sigma):
    rng = np.random.default_rng(0)
    samples = 200_000
    chi2 = rng.chisquare(n, samples)  # |vW|² = σ²/n χ²_n
    logs = 0.5 * np.log(sigma**2 / n * chi2)
    assert theory.lyapunov_exponent(n, sigma) == pytest.approx(
        logs.mean(), abs=4 * logs.std() / math.sqrt(samples)
    )
    active = rng.binomial(n, 0.5, samples)
    logs = 0.5 * np.log(sigma**2 / n * rng.chisquare(active[active > 0]))
    assert theory.lyapunov_exponent(n, sigma, "relu") == pytest.approx(
        logs.mean(), abs=4 * logs.std() / math.sqrt(len(logs))
    )


def test_newmans_published_value_for_two():
    assert theory.lyapunov_exponent(2, math.sqrt(2)) == pytest.approx(
        0.5 * (math.log(2) - np.euler_gamma)
    )


def growth(net, activation, depth=24, width=400, batch=200, sigma_w=1.0, seed=0, slope=None):
    """E|δ|² of each hidden layer over the next, the geometric mean over the lower two thirds of a
    real network.
    """
    rng = np.random.default_rng(seed)
    sizes = nets.layer_sizes(net, width, depth, width, 10)
    W = [torch.tensor(sigma_w * rng.normal(size=s) / s[0] ** 0.5) for s in sizes]
    x = torch.tensor(rng.normal(size=(batch, width))).requires_grad_()
    zs = net(x, W, [0.0] * len(W), nets.activation(activation))
    target = torch.tensor(rng.normal(size=zs[-1].shape))
    squares = [d.square().sum().item() for d in torch.autograd.grad((zs[-1] * target).sum(), zs)]
    low, high = 2, 2 * depth // 3
    return (squares[low] / squares[high]) ** (1 / (high - low))


@pytest.mark.parametrize("sigma_w, scale", [(2**0.5, 1.0), (2**0.5, 0.3), (1.0, 0.5)])
def test_residual_growth_is_measured(sigma_w, scale):
    measured = growth(partial(nets.residual, scale=scale), "relu", sigma_w=sigma_w)
    assert measured == pytest.approx(
        float(theory.residual_growth("relu", sigma_w, scale)), rel=0.03
    )


@pytest.mark.parametrize("activation", ["relu", "linear", "tanh"])
@pytest.mark.parametrize("sigma_w", [0.3, 3.0])
def test_batch_norm_growth_is_measured(activation, sigma_w):
    measured = growth(nets.normalized, activation, sigma_w=sigma_w)
    assert measured == pytest.approx(float(theory.batch_norm_growth(activation)), rel=0.03)


def test_dropout_growth_is_measured():
    def dropped(x, weights, biases, phi):
        masks = torch.Generator().manual_seed(0)
        return nets.mlp(
            x,
            weights,
            biases,
            lambda z: phi(z) * (torch.rand(z.shape, generator=masks) > 0.3) / 0.7,
        )

    assert growth(dropped, "relu", sigma_w=1.0) == pytest.approx(
        float(theory.dropout_growth("relu", 1.0, p=0.3)), rel=0.03
    )


def test_normalized_growth_in_closed_form():
    assert theory.normalized_growth("batch", "relu") == pytest.approx(np.pi / (np.pi - 1))
    assert theory.normalized_growth("RMS", "leaky_relu") == pytest.approx(1)
    with pytest.raises(ValueError, match="must be batch, layer, group or RMS"):
        theory.normalized_growth("none", "relu")
