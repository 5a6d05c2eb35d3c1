"""Surfaces against differences of themselves, tasks against what they promise."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from gradbook import data, surfaces
from gradbook.backprop import gradient_check

SURFACES = [surfaces.quadratic(1.0), surfaces.quadratic(1000.0, 5), surfaces.quadratic(3.0, 1), surfaces.rosenbrock, surfaces.beale, surfaces.double_well, surfaces.saddle]


@pytest.mark.parametrize("surface", SURFACES, ids=lambda s: s.name)
def test_gradients_hessians_and_minima(surface):
    d = len(surface.start)
    for x in (surface.start, *np.random.default_rng(0).normal(size=(5, d))):
        gradient_check(surface, surface.gradient, x, "complex" if d == 1 else "central")
        for k in range(d):
            gradient_check(lambda x: surface.gradient(x)[k], lambda x: surface.hessian(x)[k], x)  # noqa: B023
    for x in surface.minima:
        np.testing.assert_allclose(surface.gradient(x), 0, atol=1e-12)
        assert np.linalg.eigvalsh(surface.hessian(x)).min() > 0
    many = np.random.default_rng(1).normal(size=(3, 4, d))
    assert surface(many).shape == (3, 4) and surface.gradient(many).shape == (3, 4, d) and surface.hessian(many).shape == (3, 4, d, d)
    np.testing.assert_allclose(surface.hessian(many)[1, 2], surface.hessian(many[1, 2]))
    assert not len(surface.minima) or (surface(many) >= surface(surface.minima[0])).all()


def test_condition_number():
    assert np.linalg.cond(surfaces.quadratic(250.0, 6).hessian(np.zeros(6))) == pytest.approx(250)
    for wrong in ({"kappa": 0.5}, {"kappa": np.nan}, {"dimension": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            surfaces.quadratic(**wrong)


def test_digits_enlarged_are_the_same_digits():
    small, large = data.digits(), data.digits(size=28)
    assert large.x_train.shape == (1347, 784) and (large.y_test == small.y_test).all() and large.x_train.dtype == np.float32
    corners = large.x_train.reshape(-1, 28, 28)[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, small.x_train.reshape(-1, 8, 8)[:, [0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-4)


def test_regressions_are_found_again():
    d = data.plane()
    np.testing.assert_allclose(np.linalg.lstsq(d.x, d.y, rcond=None)[0], d.weights, rtol=1e-8)
    d = data.line(100_000)
    slope, intercept = np.polyfit(d.x[:, 0], d.y[:, 0], 1)
    residual = d.y - slope * d.x - intercept
    assert (slope, intercept, residual.std()) == pytest.approx((3, 2, 0.5), abs=0.01)


@given(st.integers(2, 40), st.integers(1, 20), st.integers(0, 5))
def test_sequences(length, examples, seed):
    x, y = data.adding(length, examples, seed)
    assert x.shape == (length, examples, 2) and y.shape == (examples, 1)
    assert (x[: length // 2, :, 1].sum(0) == 1).all() and (x[length // 2:, :, 1].sum(0) == 1).all()
    np.testing.assert_allclose(y[:, 0], [x[x[:, k, 1] == 1, k, 0].sum() for k in range(examples)], rtol=1e-6)
    x, y = data.recall(length, 5, examples, seed)
    assert (x.sum(2) == 1).all() and (x[0].argmax(1) == y).all()


def test_adding_by_guessing():
    _, y = data.adding(50, 200_000)
    assert ((y - 1) ** 2).mean() == pytest.approx(1 / 6, rel=0.01)


def test_mnist_is_split_where_it_can_be_had(monkeypatch):
    datasets = pytest.importorskip("sklearn.datasets")
    fake = np.arange(70_000 * 4, dtype=float).reshape(70_000, 4), np.array([str(i % 10) for i in range(70_000)])
    monkeypatch.setattr(datasets, "fetch_openml", lambda *args, **kwargs: fake)
    d = data.mnist()
    assert d.x_train.shape == (60_000, 4) and d.x_test.shape == (10_000, 4) and d.classes == 10
    assert d.x_train.mean() == pytest.approx(0, abs=1e-3) and d.y_test[:3].tolist() == [0, 1, 2]

    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "fetch_openml", offline)
    with pytest.raises(RuntimeError, match=r"no route to host.*digits\(size=28\)"):
        data.mnist()


@pytest.mark.parametrize("call, says", [
    (lambda: data.digits(n_train=0), "from 1 to 1796"), (lambda: data.digits(size=7), "size is 7"), (lambda: data.line(0), "examples is 0"),
    (lambda: data.adding(1), "length is 1"), (lambda: data.recall(5, symbols=1), "symbols is 1"), (lambda: data.plane(features=2.5), "features is 2.5"),
])
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
