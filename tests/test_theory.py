"""Theory against quadratures, closed forms and simulations that are not ours."""

import math
from functools import partial

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy import integrate

from gradbook import nets, rules, theory

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
    (lambda: theory.gradient_profile([3], "tanh", 1.0, q1=math.nan), "q1? is"),
    (lambda: theory.lyapunov_exponent(4, sigma=0.0), "sigma is 0.0"),
    (lambda: nets.activation(["relu"]), "choose from linear"),
    (lambda: nets.activation(nets.Activation("tanh", abs, abs, 1.0)), "does not exist"),
    (lambda: theory.lyapunov_exponent(0), "n is 0"),
    (lambda: theory.lyapunov_exponent(4, activation="tanh"), "known for linear and relu"),
])
def test_bad_input_is_told_what_would_be_right(call, says):
    with pytest.raises(ValueError, match=says):
        call()


# ------------------------------------------------------------------------------- correlations and depth

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
    assert theory.correlation_map(c, "tanh", sigma_w, sigma_b) == pytest.approx((sigma_w**2 * value + sigma_b**2) / q, abs=1e-7)


@pytest.mark.parametrize("activation, sigma_w, sigma_b", [("tanh", 1.0, 0.5), ("tanh", 2.0, 0.3), ("tanh", 3.0, 0.0), ("sigmoid", 12.0, 0.1), ("relu", 1.2, 0.4)])
def test_depth_scale_is_how_fast_the_map_settles(activation, sigma_w, sigma_b):
    c_star, scale = theory.fixed_correlation(activation, sigma_w, sigma_b), theory.depth_scale(activation, sigma_w, sigma_b, of="correlation")
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


def growth(net, activation, depth=24, width=400, batch=200, sigma_w=1.0, seed=0, slope=None):
    """E|δ|² of each hidden layer over the next, the geometric mean over the lower two thirds of a real network."""
    rng = np.random.default_rng(seed)
    sizes = nets.layer_sizes(net, width, depth, width, 10)
    W = [torch.tensor(sigma_w * rng.normal(size=s) / s[0] ** 0.5) for s in sizes]
    x = torch.tensor(rng.normal(size=(batch, width))).requires_grad_()
    zs = net(x, W, [0.0] * len(W), nets.activation(activation))
    target = torch.tensor(rng.normal(size=zs[-1].shape))
    squares = [d.square().sum().item() for d in torch.autograd.grad((zs[-1] * target).sum(), zs)]
    low, high = 2, 2 * depth // 3
    return (squares[low] / squares[high]) ** (1 / (high - low))


@pytest.mark.parametrize("sigma_w, scale", [(2**0.5, 1.0), (2**0.5, 0.3), (1.0, 0.5)])
def test_residual_growth_is_measured(sigma_w, scale):
    measured = growth(partial(nets.residual, scale=scale), "relu", sigma_w=sigma_w)
    assert measured == pytest.approx(float(theory.residual_growth("relu", sigma_w, scale)), rel=0.03)


@pytest.mark.parametrize("activation", ["relu", "linear", "tanh"])
@pytest.mark.parametrize("sigma_w", [0.3, 3.0])
def test_batch_norm_growth_is_measured(activation, sigma_w):
    measured = growth(nets.normalized, activation, sigma_w=sigma_w)
    assert measured == pytest.approx(float(theory.batch_norm_growth(activation)), rel=0.03)


def test_dropout_growth_is_measured():
    def dropped(x, weights, biases, phi):
        masks = torch.Generator().manual_seed(0)
        return nets.mlp(x, weights, biases, lambda z: phi(z) * (torch.rand(z.shape, generator=masks) > 0.3) / 0.7)

    assert growth(dropped, "relu", sigma_w=1.0) == pytest.approx(float(theory.dropout_growth("relu", 1.0, p=0.3)), rel=0.03)


# ------------------------------------------------------------------------------------------- quadratics

METHODS = {"gradient descent": lambda lr, m: rules.sgd(lr), "heavy ball": rules.heavy_ball, "nesterov": rules.nesterov}


@settings(deadline=None)
@given(st.sampled_from(sorted(METHODS)), st.floats(0.01, 4), st.floats(0.05, 0.95))
def test_rates_are_those_of_the_rules(method, lr, momentum):
    momentum = 0.0 if method == "gradient descent" else momentum
    rate = float(theory.convergence_rate(lr, 1.0, momentum, method))
    if not 0.05 < rate < 1.5:
        return
    steps = min(2000, int(600 / max(abs(math.log(rate)), 1e-3)) // 40 * 40)
    path = np.abs(rules.descend(METHODS[method](lr, momentum), lambda x: x, np.array([1.0, -0.3]), steps)).max(1)
    half, end = path[steps // 2 - 20:steps // 2].max(), path[-20:].max()  # a window holds a period's top
    if min(half, end) > 1e-280:
        measured = math.log(end / half) / (steps - steps // 2)
        assert measured == pytest.approx(math.log(rate), abs=0.02 + 0.02 * abs(math.log(rate)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_stability_limit_is_sharp(method, momentum):
    if method == "gradient descent" and momentum:
        return
    limit = theory.stability_limit(4.0, momentum, method)
    for factor, stable in ((0.99, True), (1.01, False)):
        path = rules.descend(METHODS[method](limit * factor, momentum), lambda x: 4 * x, 1.0, 3000)
        assert (abs(path[-1]) < 1e-3) == stable


@pytest.mark.parametrize("method", METHODS)
def test_best_step_is_best(method):
    from scipy.optimize import minimize

    def worst(lr, momentum):
        eigenvalues = np.geomspace(1, 50, 400)
        return theory.convergence_rate(lr, eigenvalues, momentum, method).max()

    lr, momentum, rate = theory.best_step(1.0, 50.0, method)
    assert worst(lr, momentum) == pytest.approx(rate, rel=1e-6)
    free = (lambda p: worst(math.exp(p[0]), 0.0)) if method == "gradient descent" else (lambda p: worst(math.exp(p[0]), 1 / (1 + math.exp(-p[1]))))
    start = [math.log(lr) + 0.1, 0.5] if momentum else [math.log(lr) + 0.1]
    found = minimize(free, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000})
    assert found.fun >= rate - 1e-5 and found.fun == pytest.approx(rate, rel=2e-3)


@pytest.mark.parametrize("lr, momentum", [(0.1, 0.0), (1.5, 0.0), (0.2, 0.8)])
def test_sgd_settles_at_its_variance(lr, momentum):
    rng = np.random.default_rng(0)
    path = rules.descend(rules.heavy_ball(lr, momentum), lambda x: 1.0 * x + 2.0 * rng.normal(size=x.shape), np.zeros(20_000), 200)
    assert np.var(path[-1]) == pytest.approx(theory.sgd_variance(lr, 1.0, 4.0, momentum), rel=0.04)
    assert theory.sgd_variance(2.0, 1.0, 1.0) == math.inf


# ---------------------------------------------------------------------------------------------- formats

@pytest.mark.parametrize("name", theory.FORMATS)
def test_formats_are_torchs(name):
    theirs, ours = torch.finfo(getattr(torch, name)), theory.FORMATS[name]
    assert (ours.max, ours.tiny, ours.smallest, ours.eps) == (theirs.max, theirs.tiny, theirs.smallest_normal * theirs.eps, theirs.eps)


@given(st.sampled_from(sorted(set(theory.FORMATS) - {"float64"})), st.floats(0.05, 20), st.floats(0.1, 10))
def test_format_depth_is_where_the_number_leaves_the_format(name, factor, start):
    dtype, depth = getattr(torch, name), theory.format_depth(factor, name, start)
    if depth == math.inf or abs(math.log(factor)) < 1e-3:
        return
    log = [math.log(start) + k * math.log(factor) for k in (depth, depth + 1)]
    here, there = (torch.tensor(math.exp(v), dtype=torch.float64).to(dtype).double().item() if v > -700 else 0.0 for v in log)
    f = theory.FORMATS[name]
    near = [abs(v - math.log(end)) < 1e-6 for v in log for end in (f.max, f.smallest / 2)]
    if not any(near):
        assert 0 < here < math.inf
        assert there == 0 or not there <= f.max or math.exp(log[1]) > f.max  # casts near the top round down


@pytest.mark.parametrize("call, says", [
    (lambda: theory.convergence_rate(0.1, 1.0, method="newton"), "one of gradient descent"), (lambda: theory.convergence_rate(-1.0, 1.0), "lr is -1.0"),
    (lambda: theory.convergence_rate(0.1, 1.0, 0.9, "gradient descent"), "has none"), (lambda: theory.best_step(2.0, 1.0), "comes first"),
    (lambda: theory.stability_limit(math.nan), "curvature is nan"), (lambda: theory.format_depth(0.5, "float12"), "one of float64"),
    (lambda: theory.format_depth(-1.0), "factor is -1.0"), (lambda: theory.depth_scale("tanh", 1.0, of="loss"), "'gradient' or 'correlation'"),
    (lambda: theory.correlation_map(1.5, "tanh", 1.0), "c is 1.5"), (lambda: theory.dropout_growth("relu", 1.0, p=1.0), "p is 1.0"),
    (lambda: theory.sgd_variance(0.1, 1.0, -1.0), "noise_variance is -1.0"),
])
def test_bad_input_of_the_later_parts(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_where_there_is_no_edge_and_no_fixed_correlation():
    with pytest.raises(ValueError, match="jumps over 1"):
        theory.edge_of_chaos("gelu")
    assert math.isnan(theory.fixed_correlation("tanh", 0.9)) and math.isnan(theory.fixed_correlation("linear", 1.3))
    assert theory.fixed_correlation("relu", 1.0) == 1.0
    assert theory.fixed_point("tanh", 1.5, q0=1e13) == pytest.approx(theory.fixed_point("tanh", 1.5), rel=1e-9)
    with pytest.raises(ValueError, match="q1 is 0.0"):
        theory.gradient_profile([3], "relu", 1.0, q1=0.0)
