"""Kinds of models and of failures that people report, each with the value or the word that is
right, and beside it, where it makes sense, a sound twin that must not be blamed.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import gradbook as gb


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def watched(model, optimizer, loss, steps, scaler=None, clear=True, every=1):
    with gb.watch(model, optimizer, every=every, scaler=scaler) as log:
        for i in range(steps):
            if clear:
                optimizer.zero_grad()
            value = loss(i)
            if scaler:
                scaler.scale(value).backward()
                scaler.step(optimizer)
                scaler.update()
            else:
                value.backward()
                optimizer.step()
            log.see(value)
    return log.dataset()


def true_gradient(loss, weight):
    return torch.autograd.grad(loss(), weight)[0]


# ------------------------------------------------------------------------------ numbers


class Rescaled(nn.Module):
    """A running scale: a buffer that the forward pass changes, and uses."""

    def __init__(self):
        super().__init__()
        self.register_buffer("s", torch.ones(()))

    def forward(self, x):
        with torch.no_grad():
            self.s.mul_(0.5).add_(0.5 / x.std())
        return x * self.s


def test_a_buffer_that_the_forward_pass_changes():
    model = nn.Sequential(nn.Linear(8, 16), Rescaled(), nn.Linear(16, 1))
    x = torch.randn(16, 8) * 100
    seen = gb.probe(model, lambda: model(x).square().mean())
    assert model[1].s == 1
    true = true_gradient(lambda: model(x).square().mean(), model[0].weight).norm()
    assert seen.grad_norm[0].item() == pytest.approx(true.item(), rel=1e-6)


class Blocks(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.first = nn.Linear(8, 16)
        blocks = [nn.Sequential(nn.Linear(16, 16), nn.Sigmoid()) for _ in range(10)]
        self.blocks, self.reentrant = nn.ModuleList(blocks), reentrant

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            if self.reentrant is None:
                x = block(x)
            else:
                x = checkpoint(block, x, use_reentrant=self.reentrant)
        return x


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_changes_nothing(reentrant):
    plain, same, x = Blocks(None), Blocks(reentrant), torch.randn(16, 8)
    same.load_state_dict(plain.state_dict())
    once = gb.probe(plain, lambda: plain(x).square().mean())
    again = gb.probe(same, lambda: same(x).square().mean())
    names = ["first", *(f"blocks.{k}.0" for k in range(10))]
    assert once.layer.values.tolist() == again.layer.values.tolist() == names
    for quantity in ("signal", "grad_norm", "activation_rms"):
        torch.testing.assert_close(
            torch.tensor(once[quantity].values), torch.tensor(again[quantity].values)
        )
    assert gb.diagnose(again).findings[0].what == gb.diagnose(once).findings[0].what
    assert same.first.weight.grad is None
    optimizer = torch.optim.SGD(same.parameters(), 0.01)
    log = watched(same, optimizer, lambda i: same(x).square().mean(), 3)
    assert log.layer.values.tolist() == names and gb.diagnose(log).verdict == "vanishing"


def test_a_sparse_gradient_is_measured():
    model = nn.Sequential(nn.Embedding(100, 8, sparse=True), nn.Flatten(), nn.Linear(32, 1))
    x = torch.randint(0, 20, (16, 4))  # some words twice
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    seen = watched(model, optimizer, lambda i: model(x).square().mean(), 3)
    true = model[0].weight.grad.to_dense().norm().item()
    assert seen.grad_norm[-1, 0].item() == pytest.approx(true, rel=1e-5)


class Spectral(nn.Module):
    def __init__(self, n=16):
        super().__init__()
        self.w = nn.Parameter(torch.randn(n, n, 5, dtype=torch.cfloat) / n)

    def forward(self, x):
        z = torch.einsum("bix,iox->box", torch.fft.rfft(x)[:, :, :5], self.w)
        return torch.fft.irfft(z, n=x.shape[-1])


def test_complex_weights():
    model = nn.Sequential(nn.Conv1d(2, 16, 1), Spectral(), nn.GELU(), nn.Conv1d(16, 1, 1))
    x = torch.randn(4, 2, 32)
    seen = gb.probe(model, lambda: model(x).square().mean())
    true = true_gradient(lambda: model(x).square().mean(), model[1].w)
    assert seen.grad_norm[1].item() == pytest.approx(true.abs().square().sum().sqrt().item())


class Raw(nn.Module):
    """Twenty sigmoid layers without a layer of torch's, listed or one by one."""

    def __init__(self, listed):
        super().__init__()
        weights = [nn.Parameter(torch.randn(32, 32) / 32**0.5) for _ in range(20)]
        self.listed = listed
        if listed:
            self.ws = nn.ParameterList(weights)
        else:
            for k, w in enumerate(weights):
                setattr(self, f"w{k}", w)

    def forward(self, x):
        for k in range(20):
            x = torch.sigmoid(x @ (self.ws[k] if self.listed else getattr(self, f"w{k}")))
        return x


@pytest.mark.parametrize("listed", [True, False])
def test_raw_parameters_have_a_row_each(listed):
    model, x = Raw(listed), torch.randn(16, 32)

    def loss():
        return model(x).square().mean()

    seen = gb.probe(model, loss)
    assert seen.layer.values.tolist() == [f"ws.{k}" if listed else f"w{k}" for k in range(20)]
    weights = list(model.parameters())
    true = [g.double().norm().item() for g in torch.autograd.grad(loss(), weights)]
    assert seen.grad_norm.values.tolist() == pytest.approx(true, rel=1e-5)
    h = [x]  # δ of the first product, by hand
    for w in weights:
        h.append(torch.sigmoid(h[-1] @ w))
    z = (x @ weights[0]).detach().requires_grad_()
    out = torch.sigmoid(z)
    for w in weights[1:]:
        out = torch.sigmoid(out @ w)
    delta = torch.autograd.grad(out.square().mean(), z)[0].double().norm() * 16**0.5
    assert seen.signal[0].item() == pytest.approx(delta.item(), rel=1e-4)
    assert gb.diagnose(seen).verdict == "vanishing"


class Head(nn.Module):
    def __init__(self, flat):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 10)
        self.flat = flat

    def forward(self, x):
        h = self.b(self.a(x).relu()).relu()
        return self.c(h.flatten(0, 1) if self.flat else h).reshape(-1, 10)


def test_one_batch_size_for_the_whole_model():
    x, y, seen = torch.randn(2, 4096, 16), torch.randint(0, 10, (8192,)), []
    for flat in (False, True):
        torch.manual_seed(0)
        model = Head(flat)
        seen.append(gb.probe(model, lambda: F.cross_entropy(model(x), y)))
    assert seen[0].signal.values.tolist() == pytest.approx(seen[1].signal.values.tolist(), rel=1e-5)
    assert {gb.diagnose(s).verdict for s in seen} == {"healthy"}


def test_several_backward_passes_add_up():
    model, x = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2)), torch.randn(16, 8)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    with gb.watch(model, optimizer, every=1) as log:
        y = model(x)
        y[:, 0].mean().backward(retain_graph=True)
        y[:, 1].mean().backward()
        optimizer.step()
    once = gb.probe(model, lambda: model(x).sum(1).mean())
    for quantity in ("signal", "grad_norm"):
        both = log.dataset()[quantity][0].values.tolist()
        assert both == pytest.approx(once[quantity].values.tolist(), rel=1e-5)


def test_layers_that_are_freed_later_are_seen_from_then_on():
    model, x = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)), torch.randn(16, 8)
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def loss(i):
        model[0].requires_grad_(i >= 2)
        return model(x).square().mean()

    seen = watched(model, optimizer, loss, 6)
    assert set(seen.layer.values) == {"0", "2"}
    first = seen.grad_norm.sel(layer="0").values
    assert math.isnan(first[0]) and (first[4:] > 0).all()


def test_a_dead_unit_is_0_at_any_scale():
    layers = [
        m for i in range(25) for m in (nn.Linear(128 if i else 64, 128, bias=False), nn.ReLU())
    ]
    for layer in layers[::2]:
        nn.init.normal_(layer.weight, std=math.sqrt(0.5 / layer.in_features))
    model = nn.Sequential(*layers, nn.Linear(128, 10))
    x, y = torch.randn(256, 64), torch.randint(0, 10, (256,))
    seen = gb.probe(model, lambda: F.cross_entropy(model(x), y))
    true = (model[:-1](x).amax(0) == 0).double().mean().item()
    assert seen.dead[-1].item() == pytest.approx(true) and 0.05 < true < 0.9
    assert gb.diagnose(seen).verdict == "vanishing"


def test_nothing_raises_inside_the_users_own_calls(monkeypatch):
    from gradbook.measure import passes

    def broken(*given):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(passes, "input_of", broken)
    model, x = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)), torch.randn(16, 8)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    seen = watched(model, optimizer, lambda i: model(x).square().mean(), 3)
    assert "0: RuntimeError: a fault of ours" in seen.not_measured
    assert "a fault of ours" in str(gb.diagnose(seen))


# --------------------------------------------------------------------------------- time


class Last(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.rnn, self.fc = kind(2, 64, **options), nn.Linear(64, 1)

    def forward(self, x):
        h = self.rnn(x)[0]
        return self.fc(h[:, -1] if self.rnn.batch_first else h[-1])


class Cells(nn.Module):
    """The same, step by step."""

    def __init__(self, kind, whole=None):
        super().__init__()
        self.cell, self.fc = kind(2, 64), nn.Linear(64, 1)
        if whole is not None:
            self.cell.load_state_dict(
                {k.replace("_l0", ""): v for k, v in whole.rnn.state_dict().items()}
            )
            self.fc.load_state_dict(whole.fc.state_dict())
        self.kept = []

    def forward(self, x):
        state, self.kept = None, []
        for x_t in x.unbind(1):
            state = self.cell(x_t, state)
            h = state[0] if isinstance(state, tuple) else state
            self.kept.append(h)
        return self.fc(h)


WHOLE = [(nn.RNN, nn.RNNCell), (nn.LSTM, nn.LSTMCell), (nn.GRU, nn.GRUCell)]


@pytest.mark.parametrize("kind, cell", WHOLE)
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_gradient_of_every_input_is_autograds(kind, cell, batch_first, layers):
    model = Last(kind, batch_first=batch_first, num_layers=layers)
    x = torch.randn(32, 9, 2) if batch_first else torch.randn(9, 32, 2)
    seen = gb.probe(model, lambda: model(x).square().mean())
    given = x.clone().requires_grad_()
    delta = torch.autograd.grad(model(given).square().mean(), given)[0].double()
    sizes = (delta.transpose(0, 1) if batch_first else delta).flatten(1).norm(dim=1) * 32**0.5
    assert seen.input_signal_in_time.sel(layer="rnn").values == pytest.approx(sizes.numpy())
    assert gb.diagnose(seen).verdict == "healthy"


@pytest.mark.parametrize("kind, cell", WHOLE)
def test_the_gradient_of_every_state_is_that_of_the_cell_in_a_loop(kind, cell):
    whole = Last(kind, batch_first=True)
    loop, x = Cells(cell, whole), torch.randn(32, 9, 2)
    loss = loop(x).square().mean()
    deltas = torch.autograd.grad(loss, loop.kept)
    sizes = torch.stack([delta.double().norm() for delta in deltas]).numpy() * 32**0.5
    for model, name in ((whole, "rnn"), (loop, "cell")):
        seen = gb.probe(model, lambda: model(x).square().mean())
        assert seen.signal_in_time.sel(layer=name).values == pytest.approx(sizes, rel=1e-4)
        optimizer = torch.optim.SGD(model.parameters(), 1e-9)
        log = watched(model, optimizer, lambda i: model(x).square().mean(), 2)
        found = log.signal_in_time.sel(layer=name, step=0).values
        assert found == pytest.approx(sizes, rel=1e-4)


@pytest.mark.parametrize("kind, cell", WHOLE)
def test_two_layers_and_a_state_that_is_given(kind, cell):
    model, x, n = kind(2, 16, num_layers=2), torch.randn(7, 4, 2), 16
    many = kind is nn.LSTM
    state = tuple(torch.randn(2, 4, n) for _ in range(1 + many))

    def value(outputs, last):  # of an LSTM the last cells, too, which reach h_t by another way
        return torch.stack(list(outputs)).square().mean() + torch.stack(list(last)).sum()

    def loss():
        out, last = model(x, state if many else state[0])
        return value(out, last[1] if many else last)

    cells = [cell(2, n), cell(n, n)]
    for k, one in enumerate(cells):
        own = {
            name.replace(f"_l{k}", ""): w
            for name, w in model.named_parameters()
            if f"_l{k}" in name
        }
        one.load_state_dict(own)
    now = [tuple(s[k] for s in state) for k in range(2)]
    kept = []
    for h in x:
        for k, one in enumerate(cells):
            found = one(h, now[k] if many else now[k][0])
            now[k] = found if many else (found,)
            h = now[k][0]
        kept.append(h)
    deltas = torch.autograd.grad(value(kept, [one[-1] for one in now]), kept)
    seen = gb.probe(model, loss)
    right = torch.stack([delta.double().norm() for delta in deltas]).numpy() * 2  # four examples
    assert "not_measured" not in seen.attrs
    assert seen.signal_in_time.values[0] == pytest.approx(right, rel=1e-4)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_cells_in_a_loop_vanish_in_time(kind):
    model, x = Cells(kind), torch.randn(32, 200, 2)
    found = gb.diagnose(gb.probe(model, lambda: model(x).square().mean()))
    assert found.verdict == "vanishing" and "per step" in str(found)


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"num_layers": 2, "dropout": 0.5}])
def test_what_cannot_be_replayed_has_the_gradient_of_its_input(options):
    torch.manual_seed(0)
    model, x = nn.LSTM(2, 16, **options), torch.randn(7, 4, 2)
    seen = gb.probe(model, lambda: model(x)[0].square().mean())
    assert "not_measured" not in seen.attrs and seen.signal_in_time.isnull().all()
    assert (seen.input_signal_in_time > 0).all()


def test_a_recurrent_layer_vanishes_in_time():
    model, x = Last(nn.RNN, batch_first=True), torch.randn(32, 200, 2)
    found = gb.diagnose(gb.probe(model, lambda: model(x).square().mean()))
    assert found.verdict == "vanishing" and found.findings[0].layer == "rnn"
    assert "per step" in found.findings[0].what
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    log = watched(model, optimizer, lambda i: model(x).square().mean(), 4)
    assert log.signal_in_time.dims == ("step", "layer", "time")
    assert gb.diagnose(log).verdict == "vanishing"


# --------------------------------------------------------------- what failed, and when


def small():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))


def test_a_scaler_that_skips_every_step():
    model, x = small(), torch.randn(16, 8)
    optimizer, scaler = torch.optim.Adam(model.parameters(), 1e-3), torch.amp.GradScaler("cpu")

    def loss(i):  # the derivative of √0
        return model(x).square().mean() + (model(x) - model(x)).square().sum().sqrt()

    found = gb.diagnose(watched(model, optimizer, loss, 30, scaler))
    assert found.verdict == "non-finite" and "left out 30 of 30" in found.findings[0].what


def test_the_step_at_which_nan_was_born_is_told():
    model, x = small(), torch.randn(16, 8)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def loss(i):
        y = model(x)
        return y.square().mean() + ((y - y).square().sum().sqrt() if i == 7 else 0)

    said = str(gb.diagnose(watched(model, optimizer, loss, 12)))
    assert "at step 7" in said and "every=1" not in said and "parameter" in said
    torch.manual_seed(0)
    model = small()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    said = str(gb.diagnose(watched(model, optimizer, loss, 12, every=3)))
    assert "between steps 7 and 9" in said and "every=1" in said


def test_nan_on_the_way_back_is_told_from_the_way_forward():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    x = torch.randn(16, 4)

    def back():
        h = model[:3](x)
        return model[4](torch.where(h > 0, h.sqrt(), torch.zeros_like(h))).square().mean()

    def forward():
        return model[4](model[3](model[2](model[:2](x)).log())).square().mean()

    first = gb.diagnose(gb.probe(model, back)).findings[0]
    assert first.layer == "2" and "outputs are finite" in first.what
    first = gb.diagnose(gb.probe(model, forward)).findings[0]
    assert first.layer in ("2", "4") and "way forward" in first.what


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.temperature = nn.Linear(8, 6), nn.Parameter(torch.ones(1))

    def forward(self, x, allowed):
        return (self.net(x) * self.temperature).masked_fill(~allowed, -torch.inf)


def test_a_mask_of_minus_infinity_is_no_fault():
    model, x, allowed = Masked(), torch.randn(16, 8), torch.rand(16, 6) > 0.3
    allowed[:, 0] = True
    y = torch.zeros(16, dtype=torch.long)
    found = gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(x, allowed), y)))
    assert found.verdict != "non-finite"
    found = gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(x, ~allowed), y)))
    assert found.verdict == "non-finite"  # now the right answer itself is masked


def test_a_mean_over_nothing():
    model, i = nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 50)), torch.randint(0, 50, (4, 8))

    def judged(y):
        return gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(i).flatten(0, 1), y)))

    first = judged(torch.full((32,), -100)).findings[0]
    assert "mean over nothing" in first.why and "logits" not in first.remedy
    assert judged(torch.full((32,), -100).index_fill_(0, torch.tensor([3]), 7)).verdict == "healthy"


def test_a_limit_is_given_only_where_it_holds():
    g = torch.Generator().manual_seed(1)
    y = torch.randint(0, 10, (256,), generator=g)
    x = torch.randn(10, 48, generator=g)[y] + torch.randn(256, 48, generator=g)
    layers = [m for k in range(4) for m in (nn.Linear(64 if k else 48, 64), nn.Tanh())]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    true = 2 / gb.sharpness(model, lambda: F.cross_entropy(model(x), y))

    def loss(i):
        j = torch.randint(0, 256, (32,))
        return F.cross_entropy(model(x[j]), y[j])

    found = gb.diagnose(watched(model, torch.optim.SGD(model.parameters(), 10.0), loss, 50))
    [told] = [f.remedy for f in found.findings if f.quantity == "loss"]
    assert found.verdict == "unstable"
    assert "below" not in told or float(told.split()[-1]) < 1.5 * true


def test_a_run_that_blew_up_and_came_back_is_unstable():
    up, down = torch.linspace(0.5, 40, 10), torch.linspace(40, 0.6, 10)
    losses = [*torch.linspace(2, 0.5, 30), *up, *down, *[0.6] * 30]
    model, x = small(), torch.randn(16, 8)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    with gb.watch(model, optimizer) as log:
        for value in losses:
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
            log.see(value)
    found = gb.diagnose(log.dataset())
    assert found.verdict == "unstable" and "came back" in found.findings[0].what


# --------------------------------------------------------- the loss's graph, and the loop


def classifier(*more):
    return nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 5), *more)


def test_softmax_before_cross_entropy():
    x = torch.randn(256, 16)
    y = x[:, :5].argmax(1)
    for more, verdict in (((nn.Softmax(1),), "wrong loss"), ((), "healthy")):
        model = classifier(*more)
        found = gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(x), y)))
        assert found.verdict == verdict and ("softmax" in str(found)) == (verdict != "healthy")
    model = classifier(nn.Softmax(1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    log = watched(model, optimizer, lambda i: F.cross_entropy(model(x), y), 5)
    assert gb.diagnose(log).verdict == "wrong loss"


def test_sigmoid_before_binary_cross_entropy_with_logits():
    x = torch.randn(256, 16)
    y = (x[:, :1] > 0).float()
    for more, verdict in (((nn.Sigmoid(),), "wrong loss"), ((), "healthy")):
        model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 1), *more)
        found = gb.diagnose(
            gb.probe(model, lambda: F.binary_cross_entropy_with_logits(model(x), y))
        )
        assert found.verdict == verdict


def test_attention_has_a_softmax_and_is_no_wrong_loss():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
    model = nn.Sequential(layer, nn.Linear(16, 5))
    x, y = torch.randn(8, 6, 16), torch.randint(0, 5, (48,))
    found = gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(x).flatten(0, 1), y)))
    assert found.verdict == "healthy"


@pytest.mark.parametrize("clear", [True, False])
def test_gradients_that_are_never_cleared(clear):
    d = gb.digits()
    x, y = torch.from_numpy(d.x_train[:512]), torch.from_numpy(d.y_train[:512])
    layers = [nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    model = nn.Sequential(*layers)

    def loss(i):
        j = torch.randint(0, 512, (64,))
        return F.cross_entropy(model(x[j]), y[j])

    optimizer = torch.optim.Adam(model.parameters(), 1e-2 if not clear else 1e-3)
    said = str(gb.diagnose(watched(model, optimizer, loss, 100, clear=clear)))
    assert ("zero_grad" in said) != clear and "The loss stays" not in said


def test_accumulation_is_no_forgotten_zero_grad():
    model, x = small(), torch.randn(16, 8)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with gb.watch(model, optimizer, every=1) as log:
        for _ in range(6):
            for part in x.chunk(4):
                (model(part).square().mean() / 4).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert "kept" not in log.dataset().attrs


def test_what_is_not_in_the_optimizer_is_noted():
    model, x = small(), torch.randn(64, 8)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model[2] = nn.Linear(16, 1)
    seen = watched(model, optimizer, lambda i: (model(x) - 3).square().mean(), 30)
    assert (seen.update_ratio.sel(layer="2") == 0).all()
    assert "'2' gets a gradient and is not in the optimizer" in str(gb.diagnose(seen))


# ------------------------------------------------------------------- no false alarms


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.more = nn.Linear(8, 64), nn.Linear(64, 64)
        self.policy, self.value = nn.Linear(64, 4), nn.Linear(64, 1)

    def forward(self, x):
        h = self.more(self.trunk(x).relu()).relu()
        return self.policy(h), self.value(h)


@pytest.mark.parametrize("weight", [1e-3, 1.0, 0.0])
def test_a_head_of_small_weight_is_no_explosion(weight):
    model, x, a = TwoHeads(), torch.randn(64, 8), torch.randint(0, 4, (64,))

    def loss():
        policy, value = model(x)
        return F.cross_entropy(policy, a) + weight * value.square().mean()

    assert gb.diagnose(gb.probe(model, loss)).verdict == "healthy"


def test_adams_first_step_says_nothing():
    model = nn.Sequential(nn.Linear(96, 384), nn.GELU(), nn.Linear(384, 96))
    nn.init.normal_(model[0].weight, 0, 0.02)
    nn.init.normal_(model[2].weight, 0, 0.02 / 12**0.5)
    x, y = torch.randn(64, 96), torch.randn(64, 96)

    def loss(i=0):
        return (model(x) - y).square().mean()

    options = dict(betas=(0.9, 0.95), weight_decay=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), 6e-4, **options)
    assert gb.diagnose(gb.probe(model, loss, optimizer)).verdict == "healthy"
    assert gb.diagnose(watched(model, optimizer, loss, 50)).verdict == "healthy"
    fast = torch.optim.AdamW(model.parameters(), 10.0, **options)
    assert gb.diagnose(watched(model, fast, loss, 50)).verdict == "unstable"


def test_sizes_are_named_only_where_they_explain():
    model = nn.Sequential(
        nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    )
    x = torch.linspace(0, 1, 64)[:, None].requires_grad_()

    def loss():  # an equation of second order, with its boundary value
        u = model(x)
        du = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        d2 = torch.autograd.grad(du.sum(), x, create_graph=True)[0]
        return (d2 + u).square().mean() + (u[0] - 1).square().mean() * 100

    assert "their inputs have a size of" not in str(gb.diagnose(gb.probe(model, loss)))


def test_dead_behind_a_pooling():
    convolution = [nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU()]
    model = nn.Sequential(*convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))
    x, y = torch.randn(16, 3, 8, 8), torch.randint(0, 4, (16,))

    def judged():
        return gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(x), y)))

    assert judged().verdict == "healthy"
    with torch.no_grad():
        model[2].bias -= 100
    found = judged()
    assert found.verdict == "dead" and found.findings[0].layer in ("2", "6")


def test_eighty_columns_show_the_signal():
    model, x = small(), torch.randn(4, 8)
    table = str(gb.probe(model, lambda: model(x).mean()).to_dataframe())
    assert "signal" in table and "grad_norm" in table


# --------------------------------------------------------------- what cannot be measured


def judged_wrong(model, loss):
    with pytest.raises(ValueError) as told:
        gb.probe(model, loss)
    return str(told.value)


def test_what_cuts_the_loss_off_is_told():
    model, x = small(), torch.randn(4, 8)
    for loss in (
        lambda: model(x).detach().mean(),
        lambda: model(x).argmax(1).float().mean(),
        lambda: torch.tensor(model(x).mean().item(), requires_grad=True),
    ):
        said = judged_wrong(model, loss)
        assert "does not depend on the model's weights" in said and "argmax" in said


def test_a_model_on_the_meta_device():
    model = nn.Linear(4, 1, device="meta")
    said = judged_wrong(model, lambda: model(torch.ones(2, 4, device="meta")).mean())
    assert "meta device" in said and "to_empty" in said


def test_a_part_that_is_trained_but_cut_off_is_not_called_healthy_without_a_word():
    model, x, y = TwoHeads(), torch.randn(64, 8), torch.randint(0, 4, (64,))
    found = gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(x)[0], y)))
    assert found.partial and "healthy where it was measured" in str(found)
    assert "no gradient comes there (not used, or detached): value" in str(found)
    model.value.requires_grad_(False)
    found = gb.diagnose(gb.probe(model, lambda: F.cross_entropy(model(x)[0], y)))
    assert not found.partial and "because frozen: value" in str(found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_steps_that_bfloat16_rounds_away(dtype):
    model, x = small().to(dtype), torch.randn(64, 8, dtype=dtype)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)
    seen = watched(model, optimizer, lambda i: (model(x) - 3).square().mean(), 20)
    assert ("rounded away" in str(gb.diagnose(seen))) == (dtype == torch.bfloat16)


# ------------------------------------------------------------------- meant so: no alarm


class Branch(nn.Module):
    """x + a·f(x), as in ReZero, or with a last layer of 0, as in Fixup."""

    def __init__(self, scaled):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        self.a = nn.Parameter(torch.zeros(())) if scaled else 1.0
        if not scaled:
            nn.init.zeros_(self.f[2].weight)

    def forward(self, x):
        return x + self.a * self.f(x)


class LoRA(nn.Module):
    """Hu et al. (2021): a frozen layer, and beside it a product that begins at 0."""

    def __init__(self):
        super().__init__()
        self.base = nn.Linear(8, 8).requires_grad_(False)
        self.A, self.B = nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)
        nn.init.zeros_(self.B.weight)

    def forward(self, x):
        return self.base(x) + self.B(self.A(x))


def zero_head():
    head = nn.Linear(8, 3)
    nn.init.zeros_(head.weight)
    return [nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), head]


@pytest.mark.parametrize(
    "parts",
    [
        lambda: [*(Branch(True) for _ in range(6)), nn.Linear(8, 3)],
        lambda: [*(Branch(False) for _ in range(6)), nn.Linear(8, 3)],
        lambda: [LoRA(), nn.ReLU(), LoRA(), nn.ReLU(), nn.Linear(8, 3).requires_grad_(False)],
        zero_head,
    ],
    ids=["ReZero", "Fixup", "LoRA", "zero head"],
)
def test_zeros_that_will_move_are_a_note(parts):
    torch.manual_seed(0)
    model, x, y = nn.Sequential(*parts()), torch.randn(16, 8), torch.randint(3, (16,))
    found = gb.diagnose(gb.probe(model, lambda: nn.functional.cross_entropy(model(x), y)))
    assert found.verdict == "healthy", found
    assert any("weights of 0 that the next step moves" in note for note in found.notes)


def test_zeros_in_a_row_never_move():
    model, x = (
        nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, 3)),
        torch.randn(16, 8),
    )
    for layer in (model[2], model[3]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    found = gb.diagnose(gb.probe(model, lambda: (model(x) - 1).square().mean()))
    assert found.verdict == "vanishing" and "will not move" in str(found)


@pytest.mark.parametrize("weight", [1e3, 1e-3, 0.0])
def test_two_heads_are_not_held_against_each_other(weight):
    torch.manual_seed(0)
    trunk, p, v = nn.Linear(8, 8), nn.Linear(8, 3), nn.Linear(8, 1)
    model, x, y = nn.ModuleList([trunk, p, v]), torch.randn(16, 8), torch.randint(3, (16,))

    def loss():
        h = trunk(x).tanh()
        return nn.functional.cross_entropy(p(h), y) + weight * (v(h) - 1).square().mean()

    assert gb.diagnose(gb.probe(model, loss)).verdict == "healthy"


def test_data_that_are_not_finite_are_told_from_an_overflow():
    model, x = small(), torch.randn(16, 8)
    x[3, 2] = float("nan")
    found = gb.diagnose(gb.probe(model, lambda: model(x).square().mean()))
    assert found.verdict == "non-finite" and "not finite already: the data" in str(found)


def test_the_operation_that_has_no_derivative_is_named():
    model, x = small(), torch.randn(16, 8)
    found = gb.diagnose(gb.probe(model, lambda: (model(x) - model(x)).square().sum().sqrt()))
    assert "sqrt, test_field.py line" in found.findings[0].why


def test_inference_mode_is_named():
    x = torch.randn(16, 8)
    model = small()
    with torch.inference_mode():
        inside = small()
        seen = gb.probe(model, lambda: model(x).square().mean())
    assert (seen.grad_norm > 0).all()
    with pytest.raises(ValueError, match="made inside torch.inference_mode"):
        gb.probe(inside, lambda: inside(x).square().mean())


def test_a_quantized_model_is_refused_in_words():
    class Quantized(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("weight", torch.ones(3, 8, dtype=torch.int8))

        def forward(self, x):
            return x @ self.weight.float().T

    model = Quantized()
    with pytest.raises(ValueError, match="of a quantized model"):
        gb.probe(model, lambda: model(torch.ones(16, 8)).mean())
