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
from gradbook import data, devices, nets


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
    with pytest.raises(ValueError, match="use cpu, cuda or cuda:1"):
        devices.device()
    with pytest.raises(ValueError, match="has no float64"):
        devices.device("mps")
    with pytest.raises(RuntimeError, match="use cpu or unset GRADBOOK_DEVICE"):
        devices.device("cuda:64")


def test_import_costs_no_torch():
    code = "import sys, gradbook; gradbook.nets, gradbook.data, gradbook.theory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_unknown_name_is_told_a_near_one():
    with pytest.raises(AttributeError, match="did you mean sweep"):
        gb.swep  # noqa: B018


VARIANCE = {"normal": lambda i, o: 1 / i, "uniform": lambda i, o: 1 / i, "lecun": lambda i, o: 1 / i, "lecun_uniform": lambda i, o: 1 / i,
            "xavier": lambda i, o: 2 / (i + o), "xavier_uniform": lambda i, o: 2 / (i + o), "he": lambda i, o: 2 / i, "he_uniform": lambda i, o: 2 / i,
            "torch_default": lambda i, o: 1 / (3 * i)}


@given(fan_in=st.integers(1, 80), fan_out=st.integers(1, 80), name=st.sampled_from(list(VARIANCE)))
def test_initializations_have_their_variance(fan_in, fan_out, name):
    W = np.concatenate([nets.initialization(name)(np.random.default_rng(s), fan_in, fan_out).ravel() for s in range(40)])
    spread = math.sqrt(2 / len(W))  # a normal sample's relative error; less for a uniform one
    assert np.mean(W.astype(float) ** 2) == pytest.approx(VARIANCE[name](fan_in, fan_out), rel=6 * spread)
    assert ("uniform" in name or "default" in name) == (abs(W).max() <= math.sqrt(3 * VARIANCE[name](fan_in, fan_out)) + 1e-6) or len(W) < 2000


@pytest.mark.parametrize("name, theirs", [("xavier", torch.nn.init.xavier_normal_), ("xavier_uniform", torch.nn.init.xavier_uniform_),
                                          ("he", lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu")), ("torch_default", None)])
def test_initializations_are_torchs(name, theirs):
    torch.manual_seed(0)
    linear = torch.nn.Linear(300, 200)
    if theirs:
        theirs(linear.weight)
    ours = nets.initialization(name)(np.random.default_rng(0), 300, 200)
    assert ours.std() == pytest.approx(linear.weight.std().item(), rel=0.02)
    assert abs(ours).max() == pytest.approx(linear.weight.abs().max().item(), rel=0.25 if "uniform" not in name and theirs else 1e-2)


@given(fan_in=st.integers(1, 40), fan_out=st.integers(1, 40))
def test_orthogonal_zeros_and_constant(fan_in, fan_out):
    q = nets.initialization("orthogonal")(np.random.default_rng(0), fan_in, fan_out)
    np.testing.assert_allclose(q.T @ q if fan_in >= fan_out else q @ q.T, np.eye(min(fan_in, fan_out)), atol=1e-5)
    assert not nets.initialization("zeros")(None, fan_in, fan_out).any()
    np.testing.assert_allclose(np.arange(fan_in) @ nets.initialization("constant")(None, fan_in, fan_out), (fan_in - 1) / 2, atol=1e-4)


@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu"])
def test_gain_is_torchs(name):
    assert nets.gain(name) == torch.nn.init.calculate_gain(name)


def test_gain_keeps_the_mean_square_where_torch_has_none():
    z = torch.randn(2_000_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for name in ("elu", "gelu", "silu"):
        assert nets.gain(name) ** 2 * nets.activation(name)(z).square().mean().item() == pytest.approx(1, rel=0.005)


def test_lsuv_gives_every_layer_variance_one():
    rng = np.random.default_rng(0)
    W = [np.stack([nets.initialization("orthogonal")(rng, 20, 20) for _ in range(3)]) for _ in range(5)]
    x, phi = np.tile(rng.normal(size=(64, 20)), (3, 1, 1)), nets.activation("tanh")
    zs = nets.mlp(x, nets.lsuv(x, W, [0.0] * 5, phi), [0.0] * 5, phi)
    np.testing.assert_allclose([z.std((1, 2)) for z in zs], 1, rtol=1e-5)
    with pytest.raises(ValueError, match="layer 2 is constant"):
        nets.lsuv(x, [W[0], 0 * W[1]], [0.0] * 2, phi)


def test_normalizations_equal_torch():
    torch.manual_seed(0)
    z, g, b = torch.randn(7, 12, dtype=torch.float64), torch.randn(12, dtype=torch.float64), torch.randn(12, dtype=torch.float64)
    F = torch.nn.functional
    for ours, theirs in [(nets.batch_norm(z, g, b), F.batch_norm(z, None, None, g, b, training=True)), (nets.layer_norm(z, g, b), F.layer_norm(z, (12,), g, b)),
                         (nets.group_norm(z, 3, g, b), F.group_norm(z, 3, g, b)), (nets.rms_norm(z, g), F.rms_norm(z, (12,), g, 1e-5))]:
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        assert not torch.allclose(ours, z)
    np.testing.assert_allclose(nets.group_norm(z.numpy(), 3), nets.group_norm(z, 3), rtol=1e-12)
    with pytest.raises(ValueError, match="must divide the 12 units"):
        nets.group_norm(z, 5)


def test_recurrent_nets_equal_torch():
    torch.manual_seed(0)
    x = torch.randn(6, 3, 4)
    rnn, lstm = torch.nn.RNN(4, 5), torch.nn.LSTM(4, 5)
    ours = nets.recurrent(x, rnn.weight_ih_l0.T, rnn.weight_hh_l0.T, rnn.bias_ih_l0 + rnn.bias_hh_l0, torch.tanh)
    torch.testing.assert_close(torch.stack(ours).tanh(), rnn(x)[0])
    states = nets.lstm(x, lstm.weight_ih_l0.T, lstm.weight_hh_l0.T, lstm.bias_ih_l0 + lstm.bias_hh_l0)
    torch.testing.assert_close(torch.stack([h for h, _ in states]), lstm(x)[0])
    torch.testing.assert_close(states[-1][1], lstm(x)[1][1][0])
    weights = [p.detach().numpy() for p in (lstm.weight_ih_l0.T, lstm.weight_hh_l0.T, lstm.bias_ih_l0 + lstm.bias_hh_l0)]
    np.testing.assert_allclose(nets.lstm(x.numpy(), *weights)[-1][0], states[-1][0].detach(), rtol=1e-5, atol=1e-6)


class Block(torch.nn.Module):
    """A residual network as one writes it in torch."""

    def __init__(self, scale, norm, post):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(i, o, dtype=torch.float64) for i, o in ((4, 8), (8, 8), (8, 8), (8, 3)))
        self.scale, self.norm, self.post = scale, torch.nn.LayerNorm(8, dtype=torch.float64) if norm else torch.nn.Identity(), post

    def forward(self, x):
        z = self.layers[0](x)
        for layer in self.layers[1:-1]:
            z = z + self.scale * layer(torch.relu(z if self.post else self.norm(z)))
            z = self.norm(z) if self.post else z
        return self.layers[-1](torch.relu(z if self.post else self.norm(z)))


@pytest.mark.parametrize("norm", [None, nets.layer_norm])
@pytest.mark.parametrize("post", [False, True])
def test_residual_equals_a_torch_module(norm, post):
    torch.manual_seed(0)
    module, x = Block(0.3, norm, post), torch.randn(5, 4, dtype=torch.float64)
    W, b = [m.weight.T for m in module.layers], [m.bias for m in module.layers]
    ours = nets.residual(x, W, b, torch.relu, scale=0.3, norm=norm, post=post)[-1]
    torch.testing.assert_close(ours, module(x))


def test_dense_and_normalized_equal_torch():
    torch.manual_seed(0)
    x = torch.randn(5, 4)
    sizes = nets.layer_sizes(nets.dense, 4, 2, 6, 3)
    linears = [torch.nn.Linear(i, o) for i, o in sizes]
    h = x
    for linear in linears[:-1]:
        h = torch.cat([h, torch.relu(linear(h))], 1)
    args = [m.weight.T for m in linears], [m.bias for m in linears]
    torch.testing.assert_close(nets.dense(x, *args, torch.relu)[-1], linears[-1](h))
    stacked = [[torch.stack([v, v]) for v in args[0]], [torch.stack([v, v])[:, None] for v in args[1]]]
    torch.testing.assert_close(nets.dense(torch.stack([x, x]), *stacked, torch.relu)[-1][1], linears[-1](h))
    net = torch.nn.Sequential(torch.nn.Linear(4, 6, bias=False), torch.nn.BatchNorm1d(6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    ours = nets.normalized(x, [net[0].weight.T, net[3].weight.T], [0.0, net[3].bias], torch.relu)
    torch.testing.assert_close(ours[-1], net(x))


def test_every_name_is_its_modules_and_every_public_name_is_reachable():
    for name in gb.__all__:
        assert getattr(gb, name) is not None
    for module in ("rules", "schedules", "surfaces"):
        for name in getattr(gb, module).__all__:
            if name not in ("Stack", "orthogonalize", "Surface"):
                assert getattr(gb, name) is getattr(getattr(gb, module), name)
