"""Mean-field theory against quadratures and closed forms that are not ours."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from gradbook import nets, theory

SMOOTH = ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu"]


def second_quadrature(f, q):
    """E[f(√q z)] by SciPy's adaptive quadrature, split at the kink."""
    density = lambda z: (
        float(f(np.float64(math.sqrt(q) * z))) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    )
    return sum(
        integrate.quad(density, a, b, epsabs=1e-13, epsrel=1e-12, limit=500)[0]
        for a, b in ((-12, 0), (0, 12))
    )


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("sigma_w", [0.5, 1.0, 2.0, 4.0])
def test_maps_agree_with_a_second_quadrature(name, sigma_w):
    phi = nets.activation(name)
    for q in (1e-6, 0.1, 1.0, sigma_w**2, 16.0):
        length = sigma_w**2 * second_quadrature(lambda z: phi(z) ** 2, q) + 0.01
        assert theory.length_map(q, name, sigma_w, 0.1) == pytest.approx(length, rel=1e-8)
        slope = sigma_w**2 * second_quadrature(lambda z: phi.slope(z) ** 2, q)
        assert theory.chi(name, sigma_w, q=q) == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize("sigma_w", [1.2, 2.0, 3.0, 4.0])
def test_fixed_point_of_tanh_in_thirty_digits(sigma_w):
    """mpmath solves the same equation with its own quadrature and its own root finder."""
    mpmath.mp.dps = 30

    def excess(q):
        integrand = lambda z: mpmath.tanh(mpmath.sqrt(q) * z) ** 2 * mpmath.npdf(z)
        return 2 * sigma_w**2 * mpmath.quad(integrand, [0, 0.5, 1, 2, 4, 8, 14]) - q

    q = theory.fixed_point("tanh", sigma_w)
    assert abs(mpmath.findroot(excess, q * 1.01) - q) < 1e-9


@pytest.mark.parametrize("sigma_w", [30.0, 1e3, 1e4])
def test_saturated_tanh(sigma_w):
    """∫ tanh'(t)² dt = 4/3, so χ₁ → σ_w² · 4/3 · 1/√(2πq) as q → ∞, and q* → σ_w²."""
    assert theory.chi("tanh", sigma_w) == pytest.approx(
        4 / 3 * sigma_w / math.sqrt(2 * math.pi), rel=2 / sigma_w + 1e-6
    )


def test_closed_forms():
    assert theory.chi("relu", 1.7) == pytest.approx(1.7**2 / 2)
    assert theory.chi("linear", 0.3) == pytest.approx(0.09)
    a = 0.01
    assert theory.chi("leaky_relu", 1.0, q=3.0) == pytest.approx((1 + a * a) / 2)
    assert theory.fixed_point("linear", 0.5, sigma_b=0.3) == pytest.approx(0.09 / 0.75)
    # fixed point (0, 1), Klambauer et al. 2017
    assert theory.chi("selu", 1.0) == pytest.approx(1.0716, abs=1e-4)
    assert theory.fixed_point("selu", 1.0) == pytest.approx(1.0, abs=1e-6)


@given(
    q=st.floats(1e-6, 1e3),
    sigma_w=st.floats(0.1, 4),
    sigma_b=st.floats(0, 2),
    name=st.sampled_from(SMOOTH),
)
def test_fixed_point_is_fixed(q, sigma_w, sigma_b, name):
    fixed = theory.fixed_point(name, sigma_w, sigma_b, q0=q)
    if 0 < fixed < math.inf:
        assert theory.length_map(fixed, name, sigma_w, sigma_b) == pytest.approx(fixed, rel=1e-9)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: theory.chi("swish", 1.0), "choose from linear, sigmoid"),
        (lambda: theory.chi("tanh", -1.0), "sigma_w is -1.0"),
        (lambda: theory.length_map(1.0, "tanh", 1.0, math.nan), "sigma_b is nan"),
        (lambda: theory.fixed_point("tanh", 1.0, q0=0.0), "q0 is 0.0"),
        (lambda: theory.chi("tanh", [1.0, 2.0]), "one finite number"),
        (lambda: theory.chi("tanh", 1.0, q=-1.0), "q is -1.0"),
        (lambda: theory.gradient_profile([0], "tanh", 1.0), r"depth is \[0\]"),
        (lambda: theory.gradient_profile([], "tanh", 1.0), "list of whole numbers"),
        (lambda: theory.gradient_profile(3, "tanh", 1.0), "list of whole numbers"),
        (lambda: theory.gradient_profile([3], "tanh", 0.0), "no signal to predict"),
        (lambda: theory.gradient_profile([3], "tanh", 1.0, q1=math.nan), "q1? is"),
        (lambda: theory.lyapunov_exponent(4, sigma=0.0), "sigma is 0.0"),
        (lambda: nets.activation(["relu"]), "choose from linear"),
        (lambda: nets.activation(nets.Activation("tanh", abs, abs, 1.0)), "does not exist"),
        (lambda: theory.lyapunov_exponent(0), "n is 0"),
        (lambda: theory.lyapunov_exponent(4, activation="tanh"), "known for linear and relu"),
    ],
)
def test_bad_input_is_told_what_would_be_right(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@given(st.floats(-1, 1))
def test_correlation_map_of_relu_is_the_arc_cosine_kernel(c):
    """Cho & Saul 2009."""
    expected = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
    assert theory.correlation_map(c, "relu", 1.3, q=2.0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("c", [-0.7, 0.0, 0.5, 0.99])
@pytest.mark.parametrize("sigma_w, sigma_b", [(0.9, 0.2), (2.5, 0.3)])
def test_correlation_map_by_a_second_quadrature(c, sigma_w, sigma_b):
    from scipy.integrate import dblquad

    q = theory.fixed_point("tanh", sigma_w, sigma_b)

    def integrand(a, b):
        u, v = math.sqrt(q) * a, math.sqrt(q) * (c * a + math.sqrt(1 - c * c) * b)
        return math.tanh(u) * math.tanh(v) * math.exp(-(a * a + b * b) / 2) / (2 * math.pi)

    value, _ = dblquad(integrand, -8, 8, -8, 8, epsabs=1e-9)
    assert theory.correlation_map(c, "tanh", sigma_w, sigma_b) == pytest.approx(
        (sigma_w**2 * value + sigma_b**2) / q, abs=1e-7
    )


@pytest.mark.parametrize(
    "activation, sigma_w, sigma_b",
    [
        ("tanh", 1.0, 0.5),
        ("tanh", 2.0, 0.3),
        ("tanh", 3.0, 0.0),
        ("sigmoid", 12.0, 0.1),
        ("relu", 1.2, 0.4),
    ],
)
def test_depth_scale_is_how_fast_the_map_settles(activation, sigma_w, sigma_b):
    c_star = theory.fixed_correlation(activation, sigma_w, sigma_b)
    scale = theory.depth_scale(activation, sigma_w, sigma_b, of="correlation")
    cs = [0.5 if c_star > 0.9 else c_star + 0.05]
    for _ in range(40):
        cs.append(theory.correlation_map(min(cs[-1], 1.0), activation, sigma_w, sigma_b))
    gaps = [abs(c - c_star) for c in cs]
    k = next(k for k, gap in enumerate(gaps) if gap < 2e-3)
    assert gaps[k + 1] / gaps[k] == pytest.approx(math.exp(-1 / scale), rel=0.02)


def test_edge_of_chaos_is_where_both_depth_scales_diverge():
    for activation, sigma_b in (("tanh", 0.3), ("sigmoid", 0.0), ("relu", 0.0), ("selu", 0.1)):
        edge = theory.edge_of_chaos(activation, sigma_b)
        assert float(theory.chi(activation, edge, sigma_b)) == pytest.approx(1, abs=1e-6)
        assert theory.depth_scale(activation, edge, sigma_b) > 1e5
    with pytest.raises(ValueError, match="does not pass 1"):
        theory.edge_of_chaos("sigmoid", sigma_b=1e5)


def test_where_there_is_no_edge_and_no_fixed_correlation():
    with pytest.raises(ValueError, match="jumps over 1"):
        theory.edge_of_chaos("gelu")
    assert math.isnan(theory.fixed_correlation("tanh", 0.9)) and math.isnan(
        theory.fixed_correlation("linear", 1.3)
    )
    assert theory.fixed_correlation("relu", 1.0) == 1.0
    assert theory.fixed_point("tanh", 1.5, q0=1e13) == pytest.approx(
        theory.fixed_point("tanh", 1.5), rel=1e-9
    )
    with pytest.raises(ValueError, match="q1 is 0.0"):
        theory.gradient_profile([3], "relu", 1.0, q1=0.0)
