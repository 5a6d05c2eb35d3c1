"""Digits against scikit-learn's own files, regressions against what they promise."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradbook import data
from gradbook.data import nudged


def test_digits_are_scikit_learns():
    sklearn = pytest.importorskip("sklearn.datasets")
    with np.load(os.path.join(os.path.dirname(data.__file__), "digits.npz")) as stored:
        theirs = sklearn.load_digits()
        np.testing.assert_array_equal(stored["x"], theirs.data)
        np.testing.assert_array_equal(stored["y"], theirs.target)


def test_digits_are_split_and_standardized():
    d = data.digits(n_train=1000, seed=3)
    assert len(d.x_train) == 1000 and len(d.x_test) == 797 and d.classes == 10
    varying = d.x_train.std(0) > 0
    np.testing.assert_allclose(d.x_train[:, varying].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(d.x_train[:, varying].std(0), 1, atol=1e-4)
    assert not {r.tobytes() for r in d.x_train} & {r.tobytes() for r in d.x_test}
    for wrong in (0, 1797, 2.5):
        with pytest.raises(ValueError, match="from 1 to 1796"):
            data.digits(n_train=wrong)


@given(st.integers(1, 1346))
def test_digits_held_out_are_taken_from_the_training_part_alone(examples):
    whole, choose = data.digits(), data.digits().held_out(examples)
    assert len(choose.y_test) == examples
    for kept, held, all_of_them in zip(choose[:2], choose[2:], whole[:2]):
        assert (np.concatenate([kept, held]) == all_of_them).all()


def test_digits_enlarged_are_the_same_digits():
    small, large = data.digits(), data.digits(size=28)
    assert (
        large.x_train.shape == (1347, 784)
        and (large.y_test == small.y_test).all()
        and large.x_train.dtype == np.float32
    )
    corners = large.x_train.reshape(-1, 28, 28)[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(
        corners, small.x_train.reshape(-1, 8, 8)[:, [0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-4
    )


def test_regressions_are_found_again():
    d = data.plane()
    np.testing.assert_allclose(np.linalg.lstsq(d.x, d.y, rcond=None)[0], d.weights, rtol=1e-8)
    d = data.line(100_000)
    slope, intercept = np.polyfit(d.x[:, 0], d.y[:, 0], 1)
    residual = d.y - slope * d.x - intercept
    assert (slope, intercept, residual.std()) == pytest.approx((3, 2, 0.5), abs=0.01)


def test_mnist_is_split_where_it_can_be_had(monkeypatch):
    datasets = pytest.importorskip("sklearn.datasets")
    fake = (
        np.arange(70_000 * 4, dtype=float).reshape(70_000, 4),
        np.array([str(i % 10) for i in range(70_000)]),
    )
    monkeypatch.setattr(datasets, "fetch_openml", lambda *args, **kwargs: fake)
    d = data.mnist()
    assert d.x_train.shape == (60_000, 4) and d.x_test.shape == (10_000, 4) and d.classes == 10
    assert d.x_train.mean() == pytest.approx(0, abs=1e-3) and d.y_test[:3].tolist() == [0, 1, 2]

    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "fetch_openml", offline)
    with pytest.raises(RuntimeError, match=r"no route to host.*digits\(size=28\)"):
        data.mnist()


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: data.digits(n_train=0), "from 1 to 1796"),
        (lambda: data.digits(size=7), "size is 7"),
        (lambda: data.digits().held_out(0), "examples is 0"),
        (lambda: data.digits(n_train=100).held_out(100), "from 1 to 99"),
        (lambda: data.line(0), "examples is 0"),
        (lambda: data.plane(features=2.5), "features is 2.5"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@given(
    arrays(
        np.float32, (3, 4), elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False)
    ),
    st.integers(1, 9),
)
def test_a_nudge_is_one_unit_in_the_last_place(x, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADBOOK_NUDGE", str(seed))
        moved = nudged(x)
        assert np.array_equal(moved, nudged(x)) and moved.dtype == x.dtype
    assert np.array_equal(moved == x, x == 0)
    assert all(
        b in (np.nextafter(a, np.float32(np.inf)), np.nextafter(a, np.float32(-np.inf)))
        for a, b in zip(x[x != 0], moved[x != 0])
    )
    assert nudged(x) is x
