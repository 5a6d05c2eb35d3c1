"""Every rule against torch.optim, in float64: 100 steps of a network and of Rosenbrock's valley."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from gradbook import links, rules, schedules

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


def test_muon_equals_torch(monkeypatch):
    """torch orthogonalizes in bfloat16; here it is made to keep float64, and then the two are one."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    torch.manual_seed(0)
    theirs = [torch.randn(s).requires_grad_() for s in ((6, 4), (3, 7))]
    ours, x = [p.detach().clone() for p in theirs], torch.randn(5, 4)
    optimizer, rule = torch.optim.Muon(theirs, lr=0.02), rules.muon(0.02)
    state = rule.init(ours)
    f = lambda W: (W[1] @ torch.tanh(torch.cat([W[0] @ x.T, x.T[:1]]))).square().mean()  # noqa: E731
    for _ in range(100):
        optimizer.zero_grad()
        f(theirs).backward()
        optimizer.step()
        leaves = [p.requires_grad_() for p in ours]
        updates, state = rule.update(list(torch.autograd.grad(f(leaves), leaves)), state, ours)
        ours = [(p + u).detach() for p, u in zip(ours, updates)]
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b.detach(), rtol=1e-10, atol=1e-10)


@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 9))
def test_orthogonalize_brings_singular_values_near_one(seed, rows, columns):
    """The published coefficients leave singular values between 0.7 and 1.2 when none is tiny at the start."""
    U, S, Vh = np.linalg.svd(np.random.default_rng(seed).normal(size=(3, rows, columns)), full_matrices=False)
    G = U * np.random.default_rng(seed).uniform(0.2, 1, S.shape)[:, None, :] @ Vh
    s = np.linalg.svd(rules.orthogonalize(G), compute_uv=False)
    assert (0.65 < s).all() and (s < 1.25).all()


def test_shampoo_by_scipys_matrix_powers():
    from scipy.linalg import fractional_matrix_power as power

    rng = np.random.default_rng(0)
    W, L, R = rng.normal(size=(3, 4)), 1e-4 * np.eye(3), 1e-4 * np.eye(4)
    rule, ours = rules.shampoo(0.1), [W.copy(), W[0].copy()]
    state = rule.init(ours)
    for G in rng.normal(size=(6, 3, 4)):
        L, R = L + G @ G.T, R + G.T @ G
        W = W - 0.1 * power(L, -0.25) @ G @ power(R, -0.25)
        updates, state = rule.update([G, G[0]], state, ours)
        ours = [p + u for p, u in zip(ours, updates)]
    np.testing.assert_allclose(ours[0], W, rtol=1e-8)
    # a vector is a matrix of one row: the first step of |g| > 0 has length lr·|g|·(|g|² + eps)^(−1/2)
    g = np.array([3.0, 4.0])
    step, _ = rule.update(g, rules.shampoo(0.1).init(g), g)
    assert np.linalg.norm(step) == pytest.approx(0.1, rel=1e-4)


def test_shampoo_and_muon_walk_a_stack_as_one_by_one():
    lrs, start = np.array([0.01, 0.1]), np.random.default_rng(0).normal(size=(4, 3))
    for make in (rules.shampoo, rules.muon):
        stack = rules.descend(make(lrs[:, None, None]), lambda x: 4 * x**3, np.stack([start, start]), 10)
        for i, lr in enumerate(lrs):
            np.testing.assert_allclose(stack[-1][i], rules.descend(make(lr), lambda x: 4 * x**3, start, 10)[-1], rtol=1e-9)


def test_schedule_free_equals_its_authors():
    schedulefree = pytest.importorskip("schedulefree")
    theirs = [p.requires_grad_() for p in start_of_network()]
    optimizer = schedulefree.SGDScheduleFree(theirs, lr=0.5, momentum=0.9, foreach=False)
    optimizer.train()
    ours, rule = start_of_network(), rules.schedule_free(0.5)
    state = rule.init(ours)
    for _ in range(100):
        optimizer.zero_grad()
        network(theirs).backward()
        optimizer.step()
        leaves = [p.requires_grad_() for p in ours]
        updates, state = rule.update(list(torch.autograd.grad(network(leaves), leaves)), state, [p.detach() for p in ours])
        ours = [(p + u).detach() for p, u in zip(ours, updates)]
    torch.testing.assert_close(ours, [p.detach() for p in theirs], rtol=1e-9, atol=1e-9)
    optimizer.eval()
    torch.testing.assert_close(state[2], [p.detach() for p in theirs], rtol=1e-9, atol=1e-9)


def test_sam_takes_the_gradient_at_the_worst_point():
    a = np.array([1.0, 10.0])
    x = np.array([3.0, -4.0])
    g = a * x
    np.testing.assert_allclose(rules.sam(lambda x: a * x, rho=0.5)(x), a * (x + 0.5 * g / np.linalg.norm(g)), rtol=1e-9)
    assert rules.descend(rules.sgd(0.1), rules.sam(lambda x: x, 0.0), 1.0, 1) == rules.descend(rules.sgd(0.1), lambda x: x, 1.0, 1)


def test_clip_norm_in_a_stack_takes_each_network_alone():
    grads = [np.array([[[3.0, 0.0]], [[0.3, 0.0]]]), np.array([[[4.0]], [[0.4]]])]
    clipped, _ = rules.clip_norm(1.0, eps=0).update(links.Stack(grads), None, None)
    np.testing.assert_allclose(clipped[0][:, 0, 0], [0.6, 0.3])
    np.testing.assert_allclose(clipped[1][:, 0, 0], [0.8, 0.4])


def test_momentum_does_not_share_memory_with_the_gradient():
    g = torch.ones(2)
    _, state = rules.trace(0.9).update([g], None, [g])
    g.zero_()
    assert state[0].tolist() == [1.0, 1.0]


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
    rule, g = rules.chain(rules.clip_norm(1.0, eps=0), rules.sgd(0.1)), np.array([3.0, 4.0])
    assert rule.update(g, rule.init(g), g)[0].tolist() == pytest.approx([-0.06, -0.08])
    assert rules.clip_value(1.0).update(np.array([np.inf, -np.inf, 0.5]), None, g)[0].tolist() == [1, -1, 0.5]


@pytest.mark.parametrize("call, says", [
    (lambda: rules.sgd(0.1, momentum=1.0), "0 <= momentum < 1"), (lambda: rules.sgd(-0.1), "lr is -0.1"),
    (lambda: rules.sgd(math.nan), "lr is nan"), (lambda: rules.sgd("fast"), "lr is 'fast'"), (lambda: rules.sgd(0.1, nesterov=True), "nesterov needs momentum"),
    (lambda: rules.adam(0.1, betas=(0.9, 1.0)), "beta2 is 1.0"), (lambda: rules.clip_norm(0.0), "max_norm is 0.0"),
    (lambda: rules.weight_decay(-1.0), "strength is -1.0"), (lambda: rules.rmsprop(alpha=1.5), "alpha is 1.5"),
])
def test_bad_input_is_told_what_would_be_right(call, says):
    with pytest.raises(ValueError, match=says):
        call()


RULES = [rules.sgd, lambda lr: rules.sgd(lr, momentum=0.9, nesterov=True), rules.heavy_ball, rules.nesterov, rules.adagrad, rules.rmsprop, rules.adadelta,
         rules.adam, rules.adamw, rules.amsgrad, rules.adamax, rules.nadam, rules.radam, rules.signsgd, rules.lion, rules.shampoo, rules.muon,
         rules.schedule_free, lambda lr: rules.chain(rules.clip_norm(1.0), rules.clip_value(0.5), rules.l1(0.1), rules.sgd(lr))]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(RULES), st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=3), st.sampled_from(["float32", "float64"]),
       st.sampled_from([1e-30, 1.0, 1e15]))
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
        ours, theirs = [np.asarray(p + d) for p, d in zip(ours, u)], [p + d for p, d in zip(theirs, v)]
    for p, a, b in zip(params, ours, theirs):
        assert a.shape == p.shape and a.dtype == p.dtype and b.shape == p.shape and str(b.dtype) == f"torch.{dtype}" and np.isfinite(a).all()
        if make not in (rules.shampoo, rules.muon):  # eigenvectors and products of float32 differ in the last digits, and are enlarged
            np.testing.assert_allclose(a, b, rtol=1e-4 if dtype == "float32" else 1e-9, atol=1e-6)
