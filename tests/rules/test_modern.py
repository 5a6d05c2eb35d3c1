"""Muon, Shampoo, schedule-free and SAM against torch, SciPy and their authors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import float64, network, start_of_network  # noqa: F401

from gradbook import rules


def test_muon_equals_torch(monkeypatch):
    """torch orthogonalizes in bfloat16; here it is made to keep float64, and then the two are
    one.
    """
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    torch.manual_seed(0)
    theirs = [torch.randn(s).requires_grad_() for s in ((6, 4), (3, 7))]
    ours, x = [p.detach().clone() for p in theirs], torch.randn(5, 4)
    optimizer, rule = torch.optim.Muon(theirs, lr=0.02), rules.muon(0.02)
    state = rule.init(ours)
    f = lambda W: (W[1] @ torch.tanh(torch.cat([W[0] @ x.T, x.T[:1]]))).square().mean()
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
    """The published coefficients leave singular values between 0.7 and 1.2 when none is tiny at the
    start.
    """
    U, S, Vh = np.linalg.svd(
        np.random.default_rng(seed).normal(size=(3, rows, columns)), full_matrices=False
    )
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
    # a vector is a matrix of one row: the first step of |g| > 0 has length lr·|g|·(|g|² +
    # eps)^(−1/2)
    g = np.array([3.0, 4.0])
    step, _ = rule.update(g, rules.shampoo(0.1).init(g), g)
    assert np.linalg.norm(step) == pytest.approx(0.1, rel=1e-4)


def test_shampoo_and_muon_walk_a_stack_as_one_by_one():
    lrs, start = np.array([0.01, 0.1]), np.random.default_rng(0).normal(size=(4, 3))
    for make in (rules.shampoo, rules.muon):
        stack = rules.descend(
            make(lrs[:, None, None]), lambda x: 4 * x**3, np.stack([start, start]), 10
        )
        for i, lr in enumerate(lrs):
            np.testing.assert_allclose(
                stack[-1][i], rules.descend(make(lr), lambda x: 4 * x**3, start, 10)[-1], rtol=1e-9
            )


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
        updates, state = rule.update(
            list(torch.autograd.grad(network(leaves), leaves)), state, [p.detach() for p in ours]
        )
        ours = [(p + u).detach() for p, u in zip(ours, updates)]
    torch.testing.assert_close(ours, [p.detach() for p in theirs], rtol=1e-9, atol=1e-9)
    optimizer.eval()
    torch.testing.assert_close(state[2], [p.detach() for p in theirs], rtol=1e-9, atol=1e-9)


def test_sam_takes_the_gradient_at_the_worst_point():
    a = np.array([1.0, 10.0])
    x = np.array([3.0, -4.0])
    g = a * x
    np.testing.assert_allclose(
        rules.sam(lambda x: a * x, rho=0.5)(x), a * (x + 0.5 * g / np.linalg.norm(g)), rtol=1e-9
    )
    assert rules.descend(rules.sgd(0.1), rules.sam(lambda x: x, 0.0), 1.0, 1) == rules.descend(
        rules.sgd(0.1), lambda x: x, 1.0, 1
    )


@pytest.mark.parametrize("library", [np, torch])
def test_a_diverged_network_does_not_stop_a_stack_under_shampoo(library):
    grads = np.random.default_rng(0).normal(size=(3, 4, 5))
    grads[1, 0, 0] = np.nan
    G = grads if library is np else torch.from_numpy(grads)
    rule = rules.shampoo(0.1)
    together = rule.update(G, rule.init(G), G)[0]
    for k in (0, 2):
        np.testing.assert_allclose(together[k], rule.update(G[k], rule.init(G[k]), G[k])[0])
    assert np.isnan(np.asarray(together[1])).all()
