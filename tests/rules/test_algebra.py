"""Links: clipping against torch's, the others by their formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import float64  # noqa: F401

from gradbook import rules


def test_clip_norm_in_a_stack_takes_each_network_alone():
    grads = [np.array([[[3.0, 0.0]], [[0.3, 0.0]]]), np.array([[[4.0]], [[0.4]]])]
    clipped, _ = rules.clip_norm(1.0, eps=0).update(rules.Stack(grads), None, None)
    np.testing.assert_allclose(clipped[0][:, 0, 0], [0.6, 0.3])
    np.testing.assert_allclose(clipped[1][:, 0, 0], [0.8, 0.4])


@given(st.lists(st.floats(-1e150, 1e150), min_size=1, max_size=6), st.floats(1e-3, 1e3))
def test_clip_norm_and_value_equal_torch(entries, limit):
    g = torch.tensor(entries, dtype=torch.float64)
    for rule, clip in (
        (rules.clip_norm(limit), torch.nn.utils.clip_grad_norm_),
        (rules.clip_value(limit), torch.nn.utils.clip_grad_value_),
    ):
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
    samples = rules.noise(2.0, np.random.default_rng(0)).update(
        np.zeros(20_000), None, np.zeros(20_000)
    )[0]
    assert samples.std() == pytest.approx(2.0, rel=0.02)
    rule, g = rules.chain(rules.clip_norm(1.0, eps=0), rules.sgd(0.1)), np.array([3.0, 4.0])
    assert rule.update(g, rule.init(g), g)[0].tolist() == pytest.approx([-0.06, -0.08])
    assert rules.clip_value(1.0).update(np.array([np.inf, -np.inf, 0.5]), None, g)[0].tolist() == [
        1,
        -1,
        0.5,
    ]
