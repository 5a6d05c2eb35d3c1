"""Theory against quadratures, closed forms and simulations that are not ours."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import integrate

from gradbook import nets, theory

SMOOTH = ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu"]


def second_quadrature(f, q):
    """E[f(√q z)] by SciPy's adaptive quadrature, split at the kink."""
    density = lambda z: float(f(np.float64(math.sqrt(q) * z))) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    return sum(integrate.quad(density, a, b, epsabs=1e-13, epsrel=1e-12, limit=500)[0] for a, b in ((-12, 0), (0, 12)))


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
        integrand = lambda z: mpmath.tanh(mpmath.sqrt(q) * z) ** 2 * mpmath.npdf(z)  # noqa: E731
        return 2 * sigma_w**2 * mpmath.quad(integrand, [0, 0.5, 1, 2, 4, 8, 14]) - q

    q = theory.fixed_point("tanh", sigma_w)
    assert abs(mpmath.findroot(excess, q * 1.01) - q) < 1e-9


@pytest.mark.parametrize("sigma_w", [30.0, 1e3, 1e4])
def test_saturated_tanh(sigma_w):
    """∫ tanh'(t)² dt = 4/3, so χ₁ → σ_w² · 4/3 · 1/√(2πq) as q → ∞, and q* → σ_w²."""
    assert theory.chi("tanh", sigma_w) == pytest.approx(4 / 3 * sigma_w / math.sqrt(2 * math.pi), rel=2 / sigma_w + 1e-6)


def test_closed_forms():
    assert theory.chi("relu", 1.7) == pytest.approx(1.7**2 / 2)
    assert theory.chi("linear", 0.3) == pytest.approx(0.09)
    a = 0.01
    assert theory.chi("leaky_relu", 1.0, q=3.0) == pytest.approx((1 + a * a) / 2)
    assert theory.fixed_point("linear", 0.5, sigma_b=0.3) == pytest.approx(0.09 / 0.75)
    assert theory.chi("selu", 1.0) == pytest.approx(1.0716, abs=1e-4)  # fixed point (0, 1), Klambauer et al. 2017
    assert theory.fixed_point("selu", 1.0) == pytest.approx(1.0, abs=1e-6)


@given(q=st.floats(1e-6, 1e3), sigma_w=st.floats(0.1, 4), sigma_b=st.floats(0, 2), name=st.sampled_from(SMOOTH))
def test_fixed_point_is_fixed(q, sigma_w, sigma_b, name):
    fixed = theory.fixed_point(name, sigma_w, sigma_b, q0=q)
    if 0 < fixed < math.inf:
        assert theory.length_map(fixed, name, sigma_w, sigma_b) == pytest.approx(fixed, rel=1e-9)


@pytest.mark.parametrize("n, sigma", [(1, 1.0), (4, 2.0), (32, 0.7)])
def test_exponents_agree_with_a_simulation(n, sigma):
    rng = np.random.default_rng(0)
    samples = 200_000
    chi2 = rng.chisquare(n, samples)  # |vW|² = σ²/n χ²_n
    logs = 0.5 * np.log(sigma**2 / n * chi2)
    assert theory.lyapunov_exponent(n, sigma) == pytest.approx(logs.mean(), abs=4 * logs.std() / math.sqrt(samples))
    active = rng.binomial(n, 0.5, samples)
    logs = 0.5 * np.log(sigma**2 / n * rng.chisquare(active[active > 0]))
    assert theory.lyapunov_exponent(n, sigma, "relu") == pytest.approx(logs.mean(), abs=4 * logs.std() / math.sqrt(len(logs)))


def test_newmans_published_value_for_two():
    assert theory.lyapunov_exponent(2, math.sqrt(2)) == pytest.approx(0.5 * (math.log(2) - np.euler_gamma))


@pytest.mark.parametrize("call, says", [
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
    (lambda: theory.gradient_profile([3], "tanh", 1.0, q1=math.nan), "q is"),
    (lambda: theory.lyapunov_exponent(4, sigma=0.0), "sigma is 0.0"),
    (lambda: nets.activation(["relu"]), "choose from linear"),
    (lambda: nets.activation(nets.Activation("tanh", abs, abs, 1.0)), "does not exist"),
    (lambda: theory.lyapunov_exponent(0), "n is 0"),
    (lambda: theory.lyapunov_exponent(4, activation="tanh"), "known for linear and relu"),
])
def test_bad_input_is_told_what_would_be_right(call, says):
    with pytest.raises(ValueError, match=says):
        call()
