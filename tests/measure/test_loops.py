"""watch in the loops that people write: it changes nothing, and is not misled by what they do."""

import copy
import io

import pytest
import torch
from models import train
from torch import nn
from torch.nn import functional as F

import gradbook as gb


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def net(i, o):
    return nn.Sequential(nn.Linear(i, 32), nn.Tanh(), nn.Linear(32, o))


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr)


def test_a_checkpoint_in_the_loop_is_saved_and_loads():
    model, x = net(4, 2), torch.randn(8, 4)
    optimizer, file = sgd(model), io.BytesIO()
    with gb.watch(model, optimizer, every=1):
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
            file.seek(0)
            torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded(x), model(x))


def test_a_copy_is_not_watched():
    model, x = net(4, 2), torch.randn(8, 4)
    optimizer = sgd(model)
    with gb.watch(model, optimizer, every=1) as log:
        for _ in range(3):
            loss, twin = model(x).square().mean(), copy.deepcopy(model)
            twin(1000 * x).sum().backward()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    seen = log.dataset()
    assert seen.layer.values.tolist() == ["0", "2"] and (seen.activation_rms < 10).all()


def pinn(model, q):
    u = model(q)
    slope = torch.autograd.grad(u.sum(), q, create_graph=True)[0]
    return 1e-4 * ((slope.square().sum(1) - 1).square().mean() + u.square().mean())


def test_the_signal_is_that_of_the_last_pass_where_the_loss_holds_gradients():
    model, q, z = net(2, 1), torch.randn(50, 2, requires_grad=True), []
    handle = model[0].register_forward_hook(lambda module, given, out: z.append(out))
    grad = torch.autograd.grad(pinn(model, q), z[0])[0]
    handle.remove()
    right = (50 * grad.norm(dim=1)).square().mean().sqrt().item()
    seen = gb.probe(model, lambda: pinn(model, q))
    assert float(seen.signal[0]) == pytest.approx(right, rel=1e-4)
    optimizer = sgd(model, 1e-9)
    with gb.watch(model, optimizer, every=1) as log:
        for _ in range(3):
            loss = pinn(model, q)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert log.dataset().signal[:, 0].values == pytest.approx(right, rel=1e-3)
    assert "not cleared" not in str(gb.diagnose(log))


def test_a_probe_in_the_loop_is_no_step():
    model, x = net(4, 2), torch.randn(8, 4)
    optimizer = sgd(model)

    def loss():
        return model(x).square().mean()

    with gb.watch(model, optimizer, every=1) as log:
        for _ in range(4):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
            gb.probe(model, loss, optimizer)
    assert log.step == 4 and "not cleared" not in str(gb.diagnose(log))


def test_torch_func_in_the_loop():
    model, x = net(4, 2), torch.randn(8, 4)
    optimizer = sgd(model)
    with gb.watch(model, optimizer, every=1) as log:
        for _ in range(4):
            loss = model(x).square().mean() + 0 * torch.func.jacrev(model)(x[0]).detach().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert log.dataset().sizes["step"] == 4 and gb.diagnose(log).verdict == "healthy"


def test_two_players_clear_their_gradients_in_time():
    g, d = net(8, 2), net(2, 1)
    of_g, of_d = (torch.optim.Adam(n.parameters(), 1e-3) for n in (g, d))
    bce, one, zero = F.binary_cross_entropy_with_logits, torch.ones(64, 1), torch.zeros(64, 1)
    with gb.watch(d, of_d, every=1) as log:
        for _ in range(20):
            fake, real = g(torch.randn(64, 8)), 0.3 * torch.randn(64, 2) + 2
            of_d.zero_grad()
            (bce(d(real), one) + bce(d(fake.detach()), zero)).backward()
            of_d.step()
            of_g.zero_grad()
            bce(d(fake), one).backward()
            of_g.step()
    assert "not cleared" not in str(gb.diagnose(log))


def test_a_head_that_the_optimizer_does_not_know_is_the_finding():
    model, y = net(4, 3), torch.randint(3, (32,))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    model[2] = nn.Linear(32, 3)
    with gb.watch(model, optimizer, every=1) as log:
        for _ in range(20):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(32, 4)), y).backward()
            optimizer.step()
    found = gb.diagnose(log)
    assert found.verdict == "not trained" and "not in the optimizer" in found.findings[0].what
    assert "not cleared" not in str(found)


def test_two_optimizers_move_one_model():
    model, x = net(4, 3), torch.randn(32, 4)
    first, second = sgd(model[0]), sgd(model[2])
    with gb.watch(model, first, every=1) as log:
        for _ in range(5):
            model.zero_grad()
            model(x).square().mean().backward()
            first.step()
            second.step()
    assert "not in the optimizer" not in str(gb.diagnose(log))


class Encoder(nn.Module):
    def __init__(self, detached):
        super().__init__()
        self.encoder, self.head, self.detached = net(16, 32), nn.Linear(32, 5), detached

    def forward(self, x):
        h = self.encoder(x)
        return self.head(h.detach() if self.detached else h)


@pytest.mark.parametrize("detached", [True, False])
def test_an_encoder_that_is_cut_off(detached):
    model, x, y = Encoder(detached), torch.randn(32, 16), torch.randint(5, (32,))
    found = gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(x), y)))
    assert found.verdict == ("not trained" if detached else "healthy")


@pytest.mark.parametrize("dim", [0, 1])
def test_log_softmax_over_the_examples(dim):
    model, x, y = net(16, 5), torch.randn(32, 16), torch.randint(5, (32,))
    found = gb.diagnose(gb.probe(model, lambda: F.nll_loss(model(x).log_softmax(dim), y)))
    assert found.verdict == ("wrong loss" if dim == 0 else "healthy")


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_cross_entropy_below_0(sign):
    model, x, y = net(16, 5), torch.randn(32, 16), torch.randint(5, (32,))
    found = gb.diagnose(gb.probe(model, lambda: sign * F.cross_entropy(model(x), y)))
    assert ("never below 0" in str(found)) == (sign < 0)


def trained(model, loss, steps, lr=3e-3, kind=torch.optim.Adam, see=torch.detach):
    return train(model, kind(model.parameters(), lr), loss, steps, every=10, see=see)


def policy(model):
    """REINFORCE with a baseline."""
    x = torch.randn(32, 4)
    pi = torch.distributions.Categorical(logits=model(x))
    a = pi.sample()
    r = ((x[:, 0] > 0) == a.bool()).float()
    return -(pi.log_prob(a) * (r - r.mean()) / (r.std() + 1e-6)).mean()


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_of_a_policy_need_not_fall(seed):
    torch.manual_seed(seed)
    found = gb.diagnose(trained(net(4, 2), policy, 200))
    assert found.verdict != "unstable", found


@pytest.mark.parametrize("seed", range(4))
def test_noise_around_a_small_loss_is_no_rise(seed):
    torch.manual_seed(seed)
    model, w = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 5)), torch.randn(16, 5)

    def loss(model):
        x = torch.randn(64, 16)
        return F.cross_entropy(model(x), (x @ w).argmax(1))

    trained(model, loss, 600)
    found = gb.diagnose(trained(model, loss, 200, lr=1e-6))
    assert found.verdict != "unstable", found


@pytest.mark.parametrize("seed", range(4))
def test_heavy_tails_are_no_rise(seed):
    torch.manual_seed(seed)
    noise, w = torch.distributions.StudentT(2.0), torch.randn(8, 1)

    def loss(model):
        x = torch.randn(32, 8)
        return F.mse_loss(model(x), x @ w + noise.sample((32, 1)))

    found = gb.diagnose(trained(net(8, 1), loss, 200))
    assert found.verdict != "unstable", found


def test_a_margin_that_is_reached_leaves_nothing_to_learn():
    def loss(model):
        x = torch.randn(32, 16)
        y = (x[:, 0] > 0).long()
        return F.multi_margin_loss(model(x + 3 * x[:, :1].sign()), y)

    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
    log = trained(model, loss, 200, lr=1e-2)
    assert log.dataset().loss[-1] == 0 and "No gradient arrives" not in str(gb.diagnose(log))


def test_a_loss_that_never_was_a_number():
    log = trained(
        net(4, 1), lambda m: m(torch.randn(8, 4)).square().mean(), 20, see=lambda v: torch.nan
    )
    found = gb.diagnose(log)
    assert found.verdict == "non-finite" and "from the first value on" in str(found)


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRUCell(16, 32), nn.Linear(32, 5)

    def forward(self, h, x):
        return self.out(self.cell(x, h))


@pytest.mark.parametrize("constant", [True, False])
def test_a_constant_beside_the_data_is_no_wrong_input(constant):
    y = torch.randint(5, (32,))

    def loss(model):
        x = torch.randn(1, 16).expand(32, -1) if constant else torch.randn(32, 16)
        return F.cross_entropy(model(torch.zeros(32, 32), x), y)

    found = gb.diagnose(trained(Cell(), loss, 40))
    assert ("Every example" in str(found)) == constant


def test_the_first_input_need_not_have_the_batch():
    class Timed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(16, 3)

        def forward(self, t, x):
            return self.layer(t * x)

    model, x = Timed(), torch.randn(10, 16)
    one = gb.probe(model, lambda: model(torch.ones(1), x).square().mean())
    out = model(torch.ones(1), x)
    grad = torch.autograd.grad(out.square().mean(), out)[0]
    assert float(one.signal[0]) == pytest.approx(10**0.5 * grad.norm().item(), rel=1e-5)


class ViT(nn.Module):
    """Its class token and its head begin at 0 (Dosovitskiy et al. 2020)."""

    def __init__(self):
        super().__init__()
        self.patch, self.cls = nn.Linear(4, 16), nn.Parameter(torch.zeros(1, 1, 16))
        self.pos = nn.Parameter(0.02 * torch.randn(1, 5, 16))
        self.block = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), self.patch(x)], 1) + self.pos
        return self.head(self.norm(self.block(tokens))[:, 0])


def test_a_class_token_of_0_blocks_nothing():
    def loss(model):
        x = torch.randn(32, 4, 4)
        return F.cross_entropy(model(x), x.flatten(1)[:, :5].argmax(1))

    assert "will not move" not in str(
        gb.diagnose(trained(ViT(), loss, 40, lr=1e-3, see=lambda v: v))
    )


@pytest.mark.parametrize("decay", [0.3, 0.0])
def test_weights_that_decayed_away(decay):
    def loss(model):
        x = torch.randn(32, 16)
        return F.cross_entropy(model(x), x[:, :5].argmax(1))

    model = nn.Sequential(
        *(part for _ in range(3) for part in (nn.Linear(16, 16), nn.ReLU())), nn.Linear(16, 5)
    )
    kind = lambda parameters, lr: torch.optim.SGD(parameters, lr, weight_decay=decay)
    found = gb.diagnose(trained(model, loss, 300, lr=0.1, kind=kind))
    assert ("less weight decay" in str(found)) == (decay > 0)


@pytest.mark.parametrize("scale", [255, 1])
def test_loud_inputs_are_the_reason_of_a_loud_loss(scale):
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    x, y = scale * torch.rand(64, 64), torch.randint(10, (64,))
    found = gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(x), y)))
    assert ("standardize the inputs" in str(found)) == (scale > 1)


def test_bad_input_is_told_what_would_be_right():
    model, x = net(4, 2), torch.randn(8, 4)
    optimizer = sgd(model)

    def step():
        loss = model(x).square().mean()
        loss.backward()
        return loss

    with pytest.raises(ValueError, match="only return the loss"):
        gb.probe(model, step)
    with pytest.raises(ValueError, match="return the loss alone"):
        gb.probe(model, lambda: (model(x).mean(), model(x)))
    with (
        gb.watch(model, optimizer, every=1) as log,
        pytest.raises(TypeError, match="log.see takes"),
    ):
        log.see(None)
    assert gb.report(trained(model, lambda m: m(x).square().mean(), 10)).diagnosis
    complex_model = nn.Linear(4, 4, dtype=torch.cfloat)
    z = torch.randn(3, 4, dtype=torch.cfloat)
    assert (gb.probe(complex_model, lambda: complex_model(z).abs().mean()).grad_norm > 0).all()


def test_a_scripted_part_is_named():
    with pytest.warns(DeprecationWarning):
        part = torch.jit.script(nn.Linear(4, 4))
    model, x = nn.Sequential(part, nn.Tanh(), nn.Linear(4, 2)), torch.randn(8, 4)
    seen = gb.probe(model, lambda: model(x).square().mean())
    assert any(said.startswith("0: ") for said in seen.not_measured)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.log_std = nn.Linear(4, 2), nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return torch.distributions.Normal(self.mean(x), self.log_std.exp())


@pytest.mark.parametrize("clear", [True, False])
def test_a_parameter_beside_the_layers_does_not_look_like_an_old_gradient(clear):
    model = Policy()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with gb.watch(model, optimizer, every=1) as log:
        for _ in range(10):
            x = torch.randn(32, 4)
            if clear:
                optimizer.zero_grad()
            (-model(x).log_prob(x[:, :2]).mean()).backward()
            optimizer.step()
    assert ("not cleared" in str(gb.diagnose(log))) == (not clear)


@pytest.mark.parametrize("detached", [True, False])
def test_what_was_cleared_before_the_step_does_not_count(detached):
    g, d, z = net(8, 2), nn.Linear(2, 1), torch.randn(16, 8)
    optimizer = sgd(g, 0.0)
    right = gb.probe(g, lambda: d(g(z)).mean()).signal.values
    with gb.watch(g, optimizer, every=1) as log:
        for _ in range(2):
            fake = g(z)
            loss = 1000 * d(fake.detach() if detached else fake).square().mean()
            loss.backward(retain_graph=True)
            optimizer.zero_grad()
            d(fake).mean().backward()
            optimizer.step()
    assert log.dataset().signal.values[1] == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("steps", [40, 41])
def test_a_cut_is_seen_whenever_the_run_ends(steps):
    x, y = torch.randn(32, 16), torch.randint(5, (32,))
    log = trained(Encoder(True), lambda model: F.cross_entropy(model(x), y), steps)
    assert gb.diagnose(log).verdict == "not trained"


def test_a_complex_model_with_adam():
    model = nn.Linear(4, 4, dtype=torch.cfloat)

    def loss(model):
        return model(torch.randn(8, 4, dtype=torch.cfloat)).abs().mean()

    assert (trained(model, loss, 12).dataset().grad_norm > 0).all()


def test_an_advantage_may_be_negative():
    model, w = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 5)), torch.randn(16, 5)

    def loss(model):
        x = torch.randn(64, 16)
        z = model(x)
        a = torch.distributions.Categorical(logits=z.detach()).sample()
        r = (a == (x @ w).argmax(1)).float()
        return (F.cross_entropy(z, a, reduction="none") * (r - r.mean())).mean()

    found = gb.diagnose(trained(model, loss, 300))
    assert found.verdict == "healthy", found


def test_of_one_pass_a_second_optimizer_is_not_excluded():
    model, x, y = net(16, 5), torch.randn(32, 16), torch.randint(5, (32,))
    first = torch.optim.Adam(model[0].parameters())
    found = gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(x), y), first))
    assert found.verdict == "healthy" and "not in the optimizer" in str(found)
