"""Every rule against torch.optim, in float64: 100 steps of a network and of Rosenbrock's valley."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from gradbook import rules, schedules

PAIRS = {
    "sgd": (rules.sgd, torch.optim.SGD, {}),
    "sgd-momentum": (rules.sgd, torch.optim.SGD, {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    "sgd-nesterov": (rules.sgd, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (rules.adagrad, torch.optim.Adagrad, {"lr_decay": 0.1, "weight_decay": 0.01, "initial_accumulator_value": 0.1}),
    "rmsprop": (rules.rmsprop, torch.optim.RMSprop, {}),
    "rmsprop-all": (rules.rmsprop, torch.optim.RMSprop, {"alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.01}),
    "adadelta": (rules.adadelta, torch.optim.Adadelta, {"rho": 0.8, "weight_decay": 0.01}),
    "adam": (rules.adam, torch.optim.Adam, {}),
    "adam-all": (rules.adam, torch.optim.Adam, {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.01}),
    "adamw": (rules.adamw, torch.optim.AdamW, {}),
    "amsgrad": (rules.amsgrad, torch.optim.Adam, {"amsgrad": True}),
    "adamax": (rules.adamax, torch.optim.Adamax, {"weight_decay": 0.01}),
    "nadam": (rules.nadam, torch.optim.NAdam, {"weight_decay": 0.01}),
    "radam": (rules.radam, torch.optim.RAdam, {"weight_decay": 0.01}),
}


@pytest.fixture(autouse=True)
def float64():
    """torch keeps NAdam's product of μ in the default type: in float32 the two agree to 1e-9 only."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rosenbrock(theta):
    x, y = theta
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def network(theta):
    torch.manual_seed(1)
    x, y = torch.randn(20, 5, dtype=torch.float64), torch.randint(3, (20,))
    W, b, V = theta
    return torch.nn.functional.cross_entropy(torch.tanh(x @ W + b) @ V, y)


def start_of_network():
    torch.manual_seed(0)
    return [torch.randn(s, dtype=torch.float64) for s in ((5, 8), (8,), (8, 3))]


PROBLEMS = {"network": (network, start_of_network, 0.01), "rosenbrock": (rosenbrock, lambda: [torch.tensor(v, dtype=torch.float64) for v in (-1.2, 1.0)], 1e-4)}


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
    tolerance = 1e-10 if options.get("centered") else 1e-12  # v − m² cancels, and passes rounding on enlarged
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b.detach(), rtol=tolerance, atol=tolerance)


def test_every_rule_of_torch_that_we_have_is_compared():
    assert {f"{make.__name__}" for make, _, _ in PAIRS.values()} == {
        "sgd", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "amsgrad", "adamax", "nadam", "radam"}


@pytest.mark.parametrize("make", [rules.sgd, rules.heavy_ball, rules.nesterov, rules.adagrad, rules.rmsprop, rules.adadelta, rules.adam, rules.adamw,
                                  rules.amsgrad, rules.adamax, rules.nadam, rules.radam, rules.signsgd, rules.lion])
def test_one_rule_for_numpy_torch_and_a_stack(make):
    """A stack of three with a learning rate each walks as three runs alone, in NumPy and in torch."""
    lrs, x0 = np.array([0.01, 0.05, 0.1]), np.array([3.0, -2.0])
    grad = lambda x: 4 * x**3 + x * np.array([1.0, 10.0])  # noqa: E731
    stack = np.stack(rules.descend(make(lrs[:, None] / 30), grad, np.tile(x0, (3, 1)), 40))
    tensor, rule = torch.tensor(np.tile(x0, (3, 1))), make(torch.tensor(lrs)[:, None] / 30)
    state = rule.init([tensor])
    for _ in range(40):
        [update], state = rule.update([torch.from_numpy(grad(tensor.numpy()))], state, [tensor])
        tensor = tensor + update
    for i, lr in enumerate(lrs):
        np.testing.assert_allclose(stack[:, i], rules.descend(make(lr / 30), grad, x0, 40), rtol=1e-13)
    np.testing.assert_allclose(tensor, stack[-1], rtol=1e-12)


def test_heavy_ball_is_sgd_with_momentum_while_lr_is_constant():
    grad = lambda x: x * np.array([1.0, 10.0])  # noqa: E731
    a = rules.descend(rules.heavy_ball(0.02, 0.9), grad, np.ones(2), 50)
    np.testing.assert_allclose(a, rules.descend(rules.sgd(0.02, momentum=0.9), grad, np.ones(2), 50), rtol=1e-12)
    falling = schedules.exponential(0.02, 0.95)
    a, b = (rules.descend(make(falling, momentum=0.9), grad, np.ones(2), 50) for make in (rules.heavy_ball, rules.sgd))
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
    np.testing.assert_allclose(rules.descend(rules.nesterov(lr, beta), grad, np.ones(2), 30), expected, rtol=1e-10)


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


@given(st.lists(st.floats(-1e150, 1e150), min_size=1, max_size=6), st.floats(1e-3, 1e3))
def test_clip_norm_and_value_equal_torch(entries, limit):
    g = torch.tensor(entries, dtype=torch.float64)
    for rule, clip in ((rules.clip_norm(limit), torch.nn.utils.clip_grad_norm_), (rules.clip_value(limit), torch.nn.utils.clip_grad_value_)):
        p = torch.zeros_like(g).requires_grad_()
        p.grad = g.clone()
        clip([p], limit)
        [ours], _ = rule.update([g], rule.init([g]), [torch.zeros_like(g)])
        torch.testing.assert_close(ours, p.grad, rtol=1e-9, atol=1e-300)


def test_clip_adaptive_limits_each_unit():
    W, g = np.array([[3.0, 0.1], [4.0, 0.0]]), np.array([[3.0, 0.0], [4.0, 0.0005]])
    clipped, _ = rules.clip_adaptive(0.1).update(g, None, W)
    np.testing.assert_allclose(clipped[:, 0], g[:, 0] * 0.1)  # 5 → 0.1 · 5
    np.testing.assert_allclose(clipped[:, 1], g[:, 1])  # 0.0005 stays below 0.1 · 0.1


def test_links():
    theta, g = np.array([2.0, -1.0, 0.0]), np.array([1.0, 1.0, 1.0])
    assert rules.weight_decay(0.5).update(g, None, theta)[0].tolist() == [2.0, 0.5, 1.0]
    assert rules.l1(0.5).update(g, None, theta)[0].tolist() == [1.5, 0.5, 1.0]
    samples = rules.noise(2.0, np.random.default_rng(0)).update(np.zeros(20_000), None, np.zeros(20_000))[0]
    assert samples.std() == pytest.approx(2.0, rel=0.02)
    assert rules.chain(rules.clip_norm(1.0, eps=0), rules.sgd(0.1)).update(np.array([3.0, 4.0]), [None, [0]], None)[0].tolist() == pytest.approx([-0.06, -0.08])


@pytest.mark.parametrize("call, says", [
    (lambda: rules.sgd(0.1, momentum=1.0), "0 <= momentum < 1"), (lambda: rules.sgd(-0.1), "lr is -0.1"),
    (lambda: rules.sgd(math.nan), "lr is nan"), (lambda: rules.sgd("fast"), "lr is 'fast'"), (lambda: rules.sgd(0.1, nesterov=True), "nesterov needs momentum"),
    (lambda: rules.adam(0.1, betas=(0.9, 1.0)), "beta2 is 1.0"), (lambda: rules.clip_norm(0.0), "max_norm is 0.0"),
    (lambda: rules.weight_decay(-1.0), "strength is -1.0"), (lambda: rules.rmsprop(alpha=1.5), "alpha is 1.5"),
])
def test_bad_input_is_told_what_would_be_right(call, says):
    with pytest.raises(ValueError, match=says):
        call()
