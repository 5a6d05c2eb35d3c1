"""Forward passes against torch's modules."""

import numpy as np
import pytest
import torch

from gradbook import nets


def test_mlp_equals_a_torch_module_alone_and_in_a_stack():
    torch.manual_seed(0)
    modules = [
        torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))
        for _ in range(4)
    ]
    x = torch.randn(6, 5)
    W = [torch.stack([m[i].weight.T for m in modules]) for i in (0, 2)]
    b = [torch.stack([m[i].bias for m in modules])[:, None] for i in (0, 2)]
    stack = nets.mlp(x.expand(4, 6, 5), W, b, nets.activation("tanh"))[-1]
    for n, module in enumerate(modules):
        torch.testing.assert_close(stack[n], module(x))
        alone = nets.mlp(
            x.detach().numpy(),
            [w[n].detach().numpy() for w in W],
            [v[n].detach().numpy() for v in b],
            nets.activation("tanh"),
        )
        np.testing.assert_allclose(alone[-1], module(x).detach(), rtol=1e-4, atol=1e-6)


def test_normalizations_equal_torch():
    torch.manual_seed(0)
    z = torch.randn(7, 12, dtype=torch.float64)
    g = torch.randn(12, dtype=torch.float64)
    b = torch.randn(12, dtype=torch.float64)
    F = torch.nn.functional
    for ours, theirs in [
        (nets.batch_norm(z, g, b), F.batch_norm(z, None, None, g, b, training=True)),
        (nets.layer_norm(z, g, b), F.layer_norm(z, (12,), g, b)),
        (nets.group_norm(z, 3, g, b), F.group_norm(z, 3, g, b)),
        (nets.rms_norm(z, g), F.rms_norm(z, (12,), g, 1e-5)),
    ]:
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        assert not torch.allclose(ours, z)
    np.testing.assert_allclose(nets.group_norm(z.numpy(), 3), nets.group_norm(z, 3), rtol=1e-12)
    with pytest.raises(ValueError, match="must divide the 12 units"):
        nets.group_norm(z, 5)


def test_recurrent_nets_equal_torch():
    torch.manual_seed(0)
    x = torch.randn(6, 3, 4)
    rnn, lstm = torch.nn.RNN(4, 5), torch.nn.LSTM(4, 5)
    ours = nets.recurrent(
        x, rnn.weight_ih_l0.T, rnn.weight_hh_l0.T, rnn.bias_ih_l0 + rnn.bias_hh_l0, torch.tanh
    )
    torch.testing.assert_close(torch.stack(ours).tanh(), rnn(x)[0])
    states = nets.lstm(
        x, lstm.weight_ih_l0.T, lstm.weight_hh_l0.T, lstm.bias_ih_l0 + lstm.bias_hh_l0
    )
    torch.testing.assert_close(torch.stack([h for h, _ in states]), lstm(x)[0])
    torch.testing.assert_close(states[-1][1], lstm(x)[1][1][0])
    weights = [
        p.detach().numpy()
        for p in (lstm.weight_ih_l0.T, lstm.weight_hh_l0.T, lstm.bias_ih_l0 + lstm.bias_hh_l0)
    ]
    np.testing.assert_allclose(
        nets.lstm(x.numpy(), *weights)[-1][0], states[-1][0].detach(), rtol=1e-5, atol=1e-6
    )


def test_gated_units_equal_torch_and_go_on_from_a_state():
    torch.manual_seed(0)
    x, gru, lstm = torch.randn(6, 3, 4), torch.nn.GRU(4, 5), torch.nn.LSTM(4, 5)
    with torch.no_grad():
        gru.bias_hh_l0.zero_()  # torch's second bias of the candidate stands inside the reset gate
    weights = gru.weight_ih_l0.T, gru.weight_hh_l0.T, gru.bias_ih_l0
    states = nets.gru(x, *weights)
    torch.testing.assert_close(torch.stack(states), gru(x)[0])
    torch.testing.assert_close(nets.gru(x[2:], *weights, states[1])[-1], states[-1])
    in_numpy = nets.gru(x.numpy(), *(w.detach().numpy() for w in weights))
    np.testing.assert_allclose(in_numpy[-1], states[-1].detach(), rtol=1e-4, atol=1e-6)
    weights = lstm.weight_ih_l0.T, lstm.weight_hh_l0.T, lstm.bias_ih_l0 + lstm.bias_hh_l0
    states = nets.lstm(x, *weights)
    torch.testing.assert_close(nets.lstm(x[2:], *weights, states[1])[-1], states[-1])


class Block(torch.nn.Module):
    """A residual network as one writes it in torch."""

    def __init__(self, scale, norm, post):
        super().__init__()
        self.layers = torch.nn.ModuleList(
            torch.nn.Linear(i, o, dtype=torch.float64) for i, o in ((4, 8), (8, 8), (8, 8), (8, 3))
        )
        self.scale = scale
        self.norm = torch.nn.LayerNorm(8, dtype=torch.float64) if norm else torch.nn.Identity()
        self.post = post

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
    stacked = [
        [torch.stack([v, v]) for v in args[0]],
        [torch.stack([v, v])[:, None] for v in args[1]],
    ]
    torch.testing.assert_close(
        nets.dense(torch.stack([x, x]), *stacked, torch.relu)[-1][1], linears[-1](h)
    )
    net = torch.nn.Sequential(
        torch.nn.Linear(4, 6, bias=False),
        torch.nn.BatchNorm1d(6),
        torch.nn.ReLU(),
        torch.nn.Linear(6, 3),
    )
    ours = nets.normalized(x, [net[0].weight.T, net[3].weight.T], [0.0, net[3].bias], torch.relu)
    torch.testing.assert_close(ours[-1], net(x))


def test_a_branch_of_scale_0_is_a_block_left_out():
    torch.manual_seed(0)
    module, x = Block(0.3, None, False), torch.randn(5, 4, dtype=torch.float64)
    W, b = [m.weight.T for m in module.layers], [m.bias for m in module.layers]
    blocks = len(W) - 2
    ours = nets.residual(x, W, b, torch.relu, scale=[0.0, *[0.3] * (blocks - 1)])[-1]
    del module.layers[1]
    torch.testing.assert_close(ours, module(x))
    with pytest.raises(ValueError, match="shorter"):
        nets.residual(x, W, b, torch.relu, scale=[0.3] * (blocks - 1))
