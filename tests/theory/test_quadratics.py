"""Rates and limits on quadratics against the rules themselves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbook import rules, theory

METHODS = {
    "gradient descent": lambda lr, m: rules.sgd(lr),
    "heavy ball": rules.heavy_ball,
    "nesterov": rules.nesterov,
}


@settings(deadline=None)
@given(st.sampled_from(sorted(METHODS)), st.floats(0.01, 4), st.floats(0.05, 0.95))
def test_rates_are_those_of_the_rules(method, lr, momentum):
    momentum = 0.0 if method == "gradient descent" else momentum
    rate = float(theory.convergence_rate(lr, 1.0, momentum, method))
    if not 0.05 < rate < 1.5:
        return
    steps = min(2000, int(600 / max(abs(math.log(rate)), 1e-3)) // 40 * 40)
    path = np.abs(
        rules.descend(METHODS[method](lr, momentum), lambda x: x, np.array([1.0, -0.3]), steps)
    ).max(1)
    half = path[steps // 2 - 20 : steps // 2].max()
    end = path[-20:].max()
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
    free = (
        (lambda p: worst(math.exp(p[0]), 0.0))
        if method == "gradient descent"
        else (lambda p: worst(math.exp(p[0]), 1 / (1 + math.exp(-p[1]))))
    )
    start = [math.log(lr) + 0.1, 0.5] if momentum else [math.log(lr) + 0.1]
    found = minimize(
        free, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000}
    )
    assert found.fun >= rate - 1e-5 and found.fun == pytest.approx(rate, rel=2e-3)


@pytest.mark.parametrize("lr, momentum", [(0.1, 0.0), (1.5, 0.0), (0.2, 0.8)])
def test_sgd_settles_at_its_variance(lr, momentum):
    rng = np.random.default_rng(0)
    path = rules.descend(
        rules.heavy_ball(lr, momentum),
        lambda x: 1.0 * x + 2.0 * rng.normal(size=x.shape),
        np.zeros(20_000),
        200,
    )
    assert np.var(path[-1]) == pytest.approx(theory.sgd_variance(lr, 1.0, 4.0, momentum), rel=0.04)
    assert theory.sgd_variance(2.0, 1.0, 1.0) == math.inf


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: theory.convergence_rate(0.1, 1.0, method="newton"), "one of gradient descent"),
        (lambda: theory.convergence_rate(-1.0, 1.0), "lr is -1.0"),
        (lambda: theory.convergence_rate(0.1, 1.0, 0.9, "gradient descent"), "has none"),
        (lambda: theory.best_step(2.0, 1.0), "comes first"),
        (lambda: theory.stability_limit(math.nan), "curvature is nan"),
        (lambda: theory.format_depth(0.5, "float12"), "one of float64"),
        (lambda: theory.format_depth(-1.0), "factor is -1.0"),
        (lambda: theory.depth_scale("tanh", 1.0, of="loss"), "'gradient' or 'correlation'"),
        (lambda: theory.correlation_map(1.5, "tanh", 1.0), "c is 1.5"),
        (lambda: theory.dropout_growth("relu", 1.0, p=1.0), "p is 1.0"),
        (lambda: theory.sgd_variance(0.1, 1.0, -1.0), "noise_variance is -1.0"),
    ],
)
def test_bad_input_of_the_later_parts(call, says):
    with pytest.raises(ValueError, match=says):
        call()
