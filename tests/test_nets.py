"""Activations, initializations, data and rules against torch and scikit-learn's own files."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

import gradbook as gb
from gradbook import data, devices, nets, rules


@pytest.mark.parametrize("name", nets.ACTIVATIONS)
def test_activation_and_slope_equal_torch_and_autograd(name):
    phi, x = nets.activation(name), np.concatenate([np.linspace(-40, 40, 801), [-1e-9, 1e-9]])
    x = x[x != 0]  # slopes at a kink are a convention
    t = torch.tensor(x, requires_grad=True)
    value = phi(t)
    slope = torch.autograd.grad(value.sum(), t)[0]
    np.testing.assert_allclose(phi(x), value.detach(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(phi.slope(x), slope, rtol=1e-9, atol=1e-15)
    assert abs(slope).max().item() == pytest.approx(phi.lipschitz, rel=1e-3)


@given(fan_in=st.integers(1, 80), fan_out=st.integers(1, 80), name=st.sampled_from(list(nets.INITIALIZATIONS)))
def test_initializations_have_their_variance(fan_in, fan_out, name):
    W = np.concatenate([nets.initialization(name)(np.random.default_rng(s), fan_in, fan_out).ravel() for s in range(40)])
    if name == "orthogonal":
        q = nets.initialization(name)(np.random.default_rng(0), fan_in, fan_out)
        small = q.T @ q if fan_in >= fan_out else q @ q.T
        np.testing.assert_allclose(small, np.eye(min(fan_in, fan_out)), atol=1e-5)
    else:
        spread = math.sqrt(2 / len(W))  # a normal sample's relative error; less for a uniform one
        assert np.mean(W.astype(float) ** 2) == pytest.approx(1 / fan_in, rel=6 * spread)


def test_mlp_equals_a_torch_module_alone_and_in_a_stack():
    torch.manual_seed(0)
    modules = [torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)) for _ in range(4)]
    x = torch.randn(6, 5)
    W = [torch.stack([m[i].weight.T for m in modules]) for i in (0, 2)]
    b = [torch.stack([m[i].bias for m in modules])[:, None] for i in (0, 2)]
    stack = nets.mlp(x.expand(4, 6, 5), W, b, nets.activation("tanh"))[-1]
    for n, module in enumerate(modules):
        torch.testing.assert_close(stack[n], module(x))
        alone = nets.mlp(x.detach().numpy(), [w[n].detach().numpy() for w in W], [v[n].detach().numpy() for v in b], nets.activation("tanh"))
        np.testing.assert_allclose(alone[-1], module(x).detach(), rtol=1e-4, atol=1e-6)


def test_digits_are_scikit_learns():
    sklearn = pytest.importorskip("sklearn.datasets")
    with np.load(os.path.join(os.path.dirname(gb.__file__), "digits.npz")) as stored:
        theirs = sklearn.load_digits()
        np.testing.assert_array_equal(stored["x"], theirs.data)
        np.testing.assert_array_equal(stored["y"], theirs.target)


def test_digits_are_split_and_standardized():
    d = data.digits(n_train=1000, seed=3)
    assert len(d.x_train) == 1000 and len(d.x_test) == 797 and d.classes == 10
    varying = d.x_train.std(0) > 0
    np.testing.assert_allclose(d.x_train[:, varying].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(d.x_train[:, varying].std(0), 1, atol=1e-4)
    assert not {r.tobytes() for r in d.x_train} & {r.tobytes() for r in d.x_test}
    for wrong in (0, 1797, 2.5):
        with pytest.raises(ValueError, match="from 1 to 1796"):
            data.digits(n_train=wrong)


def test_device_follows_the_environment(monkeypatch):
    monkeypatch.delenv("GRADBOOK_DEVICE", raising=False)
    assert devices.device().type == "cpu"
    monkeypatch.setenv("GRADBOOK_DEVICE", "gpu")
    with pytest.raises(ValueError, match="use cpu, cuda, cuda:1 or mps"):
        devices.device()
    with pytest.raises(RuntimeError, match="use cpu or unset GRADBOOK_DEVICE"):
        devices.device("cuda:64")


def test_import_costs_no_torch():
    code = "import sys, gradbook; gradbook.nets, gradbook.data, gradbook.theory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_unknown_name_lists_what_exists():
    with pytest.raises(AttributeError, match="it has data, devices"):
        gb.swep  # noqa: B018
