"""Initializations against their variances and torch's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradbook import nets

VARIANCE = {
    "normal": lambda i, o: 1 / i,
    "uniform": lambda i, o: 1 / i,
    "lecun": lambda i, o: 1 / i,
    "lecun_uniform": lambda i, o: 1 / i,
    "xavier": lambda i, o: 2 / (i + o),
    "xavier_uniform": lambda i, o: 2 / (i + o),
    "he": lambda i, o: 2 / i,
    "he_uniform": lambda i, o: 2 / i,
    "torch_default": lambda i, o: 1 / (3 * i),
}


@given(fan_in=st.integers(1, 80), fan_out=st.integers(1, 80), name=st.sampled_from(list(VARIANCE)))
def test_initializations_have_their_variance(fan_in, fan_out, name):
    W = np.concatenate(
        [
            nets.initialization(name)(np.random.default_rng(s), fan_in, fan_out).ravel()
            for s in range(40)
        ]
    )
    spread = math.sqrt(2 / len(W))  # a normal sample's relative error; less for a uniform one
    assert np.mean(W.astype(float) ** 2) == pytest.approx(
        VARIANCE[name](fan_in, fan_out), rel=6 * spread
    )
    assert ("uniform" in name or "default" in name) == (
        abs(W).max() <= math.sqrt(3 * VARIANCE[name](fan_in, fan_out)) + 1e-6
    ) or len(W) < 2000


@pytest.mark.parametrize(
    "name, theirs",
    [
        ("xavier", torch.nn.init.xavier_normal_),
        ("xavier_uniform", torch.nn.init.xavier_uniform_),
        ("he", lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu")),
        ("torch_default", None),
    ],
)
def test_initializations_are_torchs(name, theirs):
    torch.manual_seed(0)
    linear = torch.nn.Linear(300, 200)
    if theirs:
        theirs(linear.weight)
    ours = nets.initialization(name)(np.random.default_rng(0), 300, 200)
    assert ours.std() == pytest.approx(linear.weight.std().item(), rel=0.02)
    assert abs(ours).max() == pytest.approx(
        linear.weight.abs().max().item(), rel=0.25 if "uniform" not in name and theirs else 1e-2
    )


@given(fan_in=st.integers(1, 40), fan_out=st.integers(1, 40))
def test_orthogonal_zeros_and_constant(fan_in, fan_out):
    q = nets.initialization("orthogonal")(np.random.default_rng(0), fan_in, fan_out)
    np.testing.assert_allclose(
        q.T @ q if fan_in >= fan_out else q @ q.T, np.eye(min(fan_in, fan_out)), atol=1e-5
    )
    assert not nets.initialization("zeros")(None, fan_in, fan_out).any()
    np.testing.assert_allclose(
        np.arange(fan_in) @ nets.initialization("constant")(None, fan_in, fan_out),
        (fan_in - 1) / 2,
        atol=1e-4,
    )


@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu"])
def test_gain_is_torchs(name):
    assert nets.gain(name) == torch.nn.init.calculate_gain(name)


def test_gain_keeps_the_mean_square_where_torch_has_none():
    z = torch.randn(2_000_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for name in ("elu", "gelu", "silu"):
        assert nets.gain(name) ** 2 * nets.activation(name)(
            z
        ).square().mean().item() == pytest.approx(1, rel=0.005)


def test_lsuv_gives_every_layer_variance_one():
    rng = np.random.default_rng(0)
    W = [
        np.stack([nets.initialization("orthogonal")(rng, 20, 20) for _ in range(3)])
        for _ in range(5)
    ]
    x, phi = np.tile(rng.normal(size=(64, 20)), (3, 1, 1)), nets.activation("tanh")
    zs = nets.mlp(x, nets.lsuv(x, W, [0.0] * 5, phi), [0.0] * 5, phi)
    np.testing.assert_allclose([z.std((1, 2)) for z in zs], 1, rtol=1e-5)
    with pytest.raises(ValueError, match="layer 2 is constant"):
        nets.lsuv(x, [W[0], 0 * W[1]], [0.0] * 2, phi)
