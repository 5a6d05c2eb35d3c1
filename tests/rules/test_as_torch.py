"""as_torch inside torch's own machinery: groups, schedulers, resuming, closures, gradient
scaling.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import gradbook as gb


def problem(seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
    x, y = torch.randn(16, 4, dtype=dtype), torch.randint(3, (16,))
    return model, lambda: nn.functional.cross_entropy(model(x), y)


def train(optimizer, loss, steps, scheduler=None):
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        if scheduler:
            scheduler.step()


def same(a, b, tolerance=1e-12):
    for p, q in zip(a.parameters(), b.parameters()):
        torch.testing.assert_close(p, q, rtol=tolerance, atol=tolerance)


PAIRS = [
    (gb.rules.sgd, torch.optim.SGD, {"momentum": 0.9}),
    (gb.rules.adamw, torch.optim.AdamW, {}),
    (gb.rules.rmsprop, torch.optim.RMSprop, {}),
    (gb.rules.amsgrad, lambda p, **k: torch.optim.Adam(p, amsgrad=True, **k), {}),
]


@pytest.mark.parametrize("rule, theirs, options", PAIRS)
def test_groups_schedulers_and_parameters_without_gradient(rule, theirs, options):
    runs = []
    for make in (lambda p, **k: gb.as_torch(rule, p, **k), theirs):
        model, loss = problem()
        spare = nn.Parameter(torch.ones(3))  # never gets a gradient
        groups = [
            {"params": [*model[0].parameters(), spare]},
            {"params": model[2].parameters(), "lr": 0.003, "weight_decay": 0.1},
        ]
        optimizer = make(groups, lr=0.02, **options)
        train(optimizer, loss, 40, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40))
        assert spare.tolist() == [1, 1, 1]
        runs.append(model)
    same(*runs)


@pytest.mark.parametrize("rule, theirs, options", PAIRS)
def test_gradients_that_come_late(rule, theirs, options):
    runs = []
    for make in (lambda p, **k: gb.as_torch(rule, p, **k), theirs):
        model, loss = problem()
        optimizer = make(model.parameters(), lr=0.02, **options)
        for step in range(10):
            optimizer.zero_grad()
            loss().backward()
            if step < 4:
                model[0].bias.grad = None
            optimizer.step()
        runs.append(model)
    same(*runs)


def clipped(lr, max_norm=0.1):
    return gb.rules.chain(gb.rules.clip_norm(max_norm), gb.rules.adam(lr))


@pytest.mark.parametrize(
    "rule", [gb.rules.adam, gb.rules.nadam, gb.rules.rmsprop, gb.rules.muon, clipped]
)
def test_saved_and_resumed_exactly(rule, tmp_path):
    straight, loss = problem()
    optimizer = gb.as_torch(rule, straight.parameters(), lr=0.01)
    train(optimizer, loss, 5)
    torch.save(
        {"model": straight.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "here.pt"
    )
    train(optimizer, loss, 5)
    resumed, loss = problem(seed=0)
    again = gb.as_torch(rule, resumed.parameters(), lr=0.5)
    # weights_only: nothing but tensors and plain values is in it
    saved = torch.load(tmp_path / "here.pt")
    resumed.load_state_dict(saved["model"])
    again.load_state_dict(saved["optimizer"])
    train(again, loss, 5)
    same(straight, resumed, 0)


def test_clipping_is_over_the_whole_group():
    runs = []
    for ours in (True, False):
        model, loss = problem()
        optimizer = (
            gb.as_torch(clipped, model.parameters(), lr=0.01, max_norm=0.05)
            if ours
            else torch.optim.Adam(model.parameters(), lr=0.01)
        )
        for _ in range(20):
            optimizer.zero_grad()
            loss().backward()
            if not ours:
                nn.utils.clip_grad_norm_(model.parameters(), 0.05)
            optimizer.step()
        runs.append(model)
    same(*runs)


def test_closures_and_zeroed_gradients():
    model, loss = problem()
    other, other_loss = problem()
    optimizer = gb.as_torch(gb.rules.sgd, model.parameters(), lr=0.1, momentum=0.9)
    theirs = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    for opt, f in ((optimizer, loss), (theirs, other_loss)):

        def closure():
            opt.zero_grad(set_to_none=False)
            value = f()
            value.backward()
            return value

        values = [opt.step(closure).item() for _ in range(10)]
        assert values[-1] < values[0]
    same(model, other)


def test_gradient_scaling_skips_what_is_not_finite():
    model, loss = problem(dtype=torch.float32)
    optimizer = gb.as_torch(gb.rules.adam, model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    before = model[0].weight.clone()
    for bad in (True, False):
        optimizer.zero_grad()
        scaler.scale(loss()).backward()
        if bad:
            model[0].weight.grad[0, 0] = torch.inf
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(before, model[0].weight) == bad
    # Adam's first step
    assert (model[0].weight - before).abs().max().item() == pytest.approx(0.01, rel=1e-3)


def test_copies_and_added_groups():
    model, loss = problem()
    optimizer = gb.as_torch(gb.rules.adam, model[0].parameters(), lr=0.01)
    optimizer.add_param_group({"params": model[2].parameters(), "eps": 1.0})
    train(copy.deepcopy(optimizer), loss, 1)  # moves copies of the parameters, not these
    train(optimizer, loss, 1)
    assert [g["eps"] for g in optimizer.param_groups] == [1e-8, 1.0]


@pytest.mark.parametrize(
    "make, error, says",
    [
        (lambda p: gb.as_torch(gb.rules.adam(0.1), p, 0.1), TypeError, "gb.adam and not gb.adam"),
        (
            lambda p: gb.as_torch(gb.rules.adam, p, 0.1, beta=0.9),
            TypeError,
            "has no argument 'beta'",
        ),
        (lambda p: gb.as_torch(gb.rules.adam, p, -0.1), ValueError, "lr is -0.1"),
        (lambda p: gb.as_torch(gb.rules.sgd, [], 0.1), ValueError, "empty parameter list"),
    ],
)
def test_bad_input(make, error, says):
    with pytest.raises(error, match=says):
        make(nn.Linear(2, 2).parameters())


def test_complex_parameters_are_refused():
    p = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    p.grad = torch.ones_like(p)
    with pytest.raises(ValueError, match="complex"):
        gb.as_torch(gb.rules.sgd, [p], 0.1).step()


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.lists(st.integers(1, 4), max_size=4), min_size=1, max_size=4),
    st.floats(1e-5, 1.0),
    st.booleans(),
)
def test_any_parameters(shapes, lr, late):
    """Scalars to four axes, some of them without gradient at first, against torch's Adam."""
    runs = []
    for make in (lambda p: gb.as_torch(gb.rules.adam, p, lr), lambda p: torch.optim.Adam(p, lr=lr)):
        torch.manual_seed(0)
        params = [nn.Parameter(torch.randn(s, dtype=torch.float64)) for s in shapes]
        optimizer = make(params)
        for step in range(4):
            for i, p in enumerate(params):
                p.grad = (
                    None if late and step < i % 3 else torch.randn(p.shape, dtype=torch.float64)
                )
            optimizer.step()
        runs.append(params)
    torch.testing.assert_close(*runs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "rule, theirs, name, values",
    [
        (gb.rules.sgd, torch.optim.SGD, "momentum", [0.0, 0.9, 0.0, 0.9]),
        (gb.rules.adam, torch.optim.Adam, "weight_decay", [0.0, 0.1, 0.0]),
    ],
)
def test_hyperparameters_may_change_from_and_to_zero(rule, theirs, name, values):
    runs = []
    for make in (lambda p: gb.as_torch(rule, p, 0.05), lambda p: theirs(p, lr=0.05)):
        model, loss = problem()
        optimizer = make(model.parameters())
        for value in values:
            optimizer.param_groups[0][name] = value
            train(optimizer, loss, 3)
        runs.append(model)
    same(*runs, 1e-9)
