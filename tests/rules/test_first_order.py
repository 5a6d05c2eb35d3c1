"""Every rule against torch.optim, in float64: 100 steps of a network and of Rosenbrock's valley."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import float64, network, rosenbrock, start_of_network  # noqa: F401

from gradbook import rules

PAIRS = {
    "sgd": (rules.sgd, torch.optim.SGD, {}),
    "sgd-momentum": (
        rules.sgd,
        torch.optim.SGD,
        {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
    ),
    "sgd-nesterov": (rules.sgd, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (
        rules.adagrad,
        torch.optim.Adagrad,
        {"lr_decay": 0.1, "weight_decay": 0.01, "initial_accumulator_value": 0.1},
    ),
    "rmsprop": (rules.rmsprop, torch.optim.RMSprop, {}),
    "rmsprop-all": (
        rules.rmsprop,
        torch.optim.RMSprop,
        {"alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.01},
    ),
    "adadelta": (rules.adadelta, torch.optim.Adadelta, {"rho": 0.8, "weight_decay": 0.01}),
    "adam": (rules.adam, torch.optim.Adam, {}),
    "adam-all": (
        rules.adam,
        torch.optim.Adam,
        {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.01},
    ),
    "adamw": (rules.adamw, torch.optim.AdamW, {}),
    "amsgrad": (rules.amsgrad, torch.optim.Adam, {"amsgrad": True}),
    "adamax": (rules.adamax, torch.optim.Adamax, {"weight_decay": 0.01}),
    "nadam": (rules.nadam, torch.optim.NAdam, {"weight_decay": 0.01}),
    "radam": (rules.radam, torch.optim.RAdam, {"weight_decay": 0.01}),
}


PROBLEMS = {
    "network": (network, start_of_network, 0.01),
    "rosenbrock": (
        rosenbrock,
        lambda: [torch.tensor(v, dtype=torch.float64) for v in (-1.2, 1.0)],
        1e-4,
    ),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", PAIRS)
def test_equals_torch_optim(name, problem):
    make, optimizer_class, options = PAIRS[name]
    loss, start, lr = PROBLEMS[problem]
    theirs = [p.requires_grad_() for p in start()]
    optimizer = optimizer_class(theirs, lr=lr, **options)
    rule = make(lr, **{k: v for k, v in options.items() if k != "amsgrad"})
    ours = start()
    state = rule.init(ours)
    for _ in range(100):
        optimizer.zero_grad()
        loss(theirs).backward()
        optimizer.step()
        leaves = [p.detach().requires_grad_() for p in ours]
        updates, state = rule.update(list(torch.autograd.grad(loss(leaves), leaves)), state, ours)
        ours = [p + u for p, u in zip(ours, updates)]
    # v − m² cancels, and passes rounding on enlarged
    tolerance = 1e-10 if options.get("centered") else 1e-12
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b.detach(), rtol=tolerance, atol=tolerance)


def test_every_rule_of_torch_that_we_have_is_compared():
    assert {f"{make.__name__}" for make, _, _ in PAIRS.values()} == {
        "sgd",
        "adagrad",
        "rmsprop",
        "adadelta",
        "adam",
        "adamw",
        "amsgrad",
        "adamax",
        "nadam",
        "radam",
    }


PLAIN = [
    rules.sgd,
    rules.heavy_ball,
    rules.nesterov,
    rules.adagrad,
    rules.rmsprop,
    rules.adadelta,
    rules.adam,
    rules.adamw,
    rules.amsgrad,
    rules.adamax,
    rules.nadam,
    rules.radam,
    rules.signsgd,
    rules.lion,
]


@pytest.mark.parametrize("make", PLAIN)
def test_one_rule_for_numpy_torch_and_a_stack(make):
    """A stack of three with a learning rate each walks as three runs alone, in NumPy and in
    torch.
    """
    lrs, x0 = np.array([0.01, 0.05, 0.1]), np.array([3.0, -2.0])
    grad = lambda x: 4 * x**3 + x * np.array([1.0, 10.0])
    stack = np.stack(rules.descend(make(lrs[:, None] / 30), grad, np.tile(x0, (3, 1)), 40))
    tensor, rule = torch.tensor(np.tile(x0, (3, 1))), make(torch.tensor(lrs)[:, None] / 30)
    state = rule.init([tensor])
    for _ in range(40):
        [update], state = rule.update([torch.from_numpy(grad(tensor.numpy()))], state, [tensor])
        tensor = tensor + update
    for i, lr in enumerate(lrs):
        np.testing.assert_allclose(
            stack[:, i], rules.descend(make(lr / 30), grad, x0, 40), rtol=1e-13
        )
    np.testing.assert_allclose(tensor, stack[-1], rtol=1e-12)


def test_heavy_ball_is_sgd_with_momentum_while_lr_is_constant():
    grad = lambda x: x * np.array([1.0, 10.0])
    a = rules.descend(rules.heavy_ball(0.02, 0.9), grad, np.ones(2), 50)
    np.testing.assert_allclose(
        a, rules.descend(rules.sgd(0.02, momentum=0.9), grad, np.ones(2), 50), rtol=1e-12
    )
    falling = rules.exponential(0.02, 0.95)
    a, b = (
        rules.descend(make(falling, momentum=0.9), grad, np.ones(2), 50)
        for make in (rules.heavy_ball, rules.sgd)
    )
    assert abs(a[-1] - b[-1]).max() > 1e-3


def test_nesterov_is_the_textbook_two_line_form():
    """y = x + β(x − x₋), x ← y − lr·∇f(y): our variable is y  (Nesterov 1983)."""
    grad, lr, beta = lambda x: x * np.array([1.0, 10.0]), 0.02, 0.9
    x = y = np.ones(2)
    expected = [y]
    for _ in range(30):
        x, before = y - lr * grad(y), x
        y = x + beta * (x - before)
        expected.append(y)
    # at the first step x − x₋ is −lr·g, as in our trace
    np.testing.assert_allclose(
        rules.descend(rules.nesterov(lr, beta), grad, np.ones(2), 30), expected, rtol=1e-10
    )


def test_lion_by_its_published_lines():
    rng, m, theta = np.random.default_rng(0), np.zeros(4), np.ones(4)
    grads = rng.normal(size=(50, 4))
    rule = rules.lion(0.01, weight_decay=0.1)
    ours, state = np.ones(4), rule.init(np.ones(4))
    for g in grads:
        theta = theta - 0.01 * (np.sign(0.9 * m + 0.1 * g) + 0.1 * theta)
        m = 0.99 * m + 0.01 * g
        update, state = rule.update(g, state, ours)
        ours = ours + update
    np.testing.assert_allclose(ours, theta, rtol=1e-12)


def test_momentum_does_not_share_memory_with_the_gradient():
    g = torch.ones(2)
    _, state = rules.trace(0.9).update([g], None, [g])
    g.zero_()
    assert state[0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: rules.sgd(0.1, momentum=1.0), "0 <= momentum < 1"),
        (lambda: rules.sgd(-0.1), "lr is -0.1"),
        (lambda: rules.sgd(math.nan), "lr is nan"),
        (lambda: rules.sgd("fast"), "lr is 'fast'"),
        (lambda: rules.sgd(0.1, nesterov=True), "nesterov needs momentum"),
        (lambda: rules.adam(0.1, betas=(0.9, 1.0)), "beta2 is 1.0"),
        (lambda: rules.clip_norm(0.0), "max_norm is 0.0"),
        (lambda: rules.weight_decay(-1.0), "strength is -1.0"),
        (lambda: rules.rmsprop(alpha=1.5), "alpha is 1.5"),
    ],
)
def test_bad_input_is_told_what_would_be_right(call, says):
    with pytest.raises(ValueError, match=says):
        call()


RULES = [
    *PLAIN,
    lambda lr: rules.sgd(lr, momentum=0.9, nesterov=True),
    rules.shampoo,
    rules.muon,
    rules.schedule_free,
    lambda lr: rules.chain(
        rules.clip_norm(1.0), rules.clip_value(0.5), rules.l1(0.1), rules.sgd(lr)
    ),
]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(RULES),
    st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=3),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([1e-30, 1.0, 1e15]),
)
def test_any_shape_type_and_size(make, shapes, dtype, size):
    """Empty, scalar, tiny and huge arrays keep shape and type, and NumPy and torch agree."""
    if any(len(s) == 0 or 0 in s for s in shapes) and make in (rules.shampoo, rules.muon):
        return  # a matrix needs entries
    rng = np.random.default_rng(0)
    params = [np.asarray(rng.standard_normal(s), dtype) for s in shapes]
    ours, theirs, rule = params, [torch.from_numpy(p.copy()) for p in params], make(0.01)
    states = [rule.init(ours), rule.init(theirs)]
    for _ in range(3):
        grads = [np.asarray(size * rng.standard_normal(s), dtype) for s in shapes]
        with np.errstate(all="ignore"):
            u, states[0] = rule.update(grads, states[0], ours)
        v, states[1] = rule.update([torch.from_numpy(g) for g in grads], states[1], theirs)
        ours, theirs = (
            [np.asarray(p + d) for p, d in zip(ours, u)],
            [p + d for p, d in zip(theirs, v)],
        )
    for p, a, b in zip(params, ours, theirs):
        assert (
            a.shape == p.shape
            and a.dtype == p.dtype
            and b.shape == p.shape
            and str(b.dtype) == f"torch.{dtype}"
            and np.isfinite(a).all()
        )
        # eigenvectors and products of float32 differ in the last digits, and are enlarged
        if make not in (rules.shampoo, rules.muon):
            np.testing.assert_allclose(a, b, rtol=1e-4 if dtype == "float32" else 1e-9, atol=1e-6)
