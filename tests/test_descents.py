"""The Explorer's descents against closed forms."""

import numpy as np
import pytest

from gradbook import descents

LR, KAPPA = [0.1, 0.5, 1.0, 1.5, 1.98, 2.0, 2.01], [1.0, 10.0, 1000.0]


def test_paths_are_powers():
    data = descents.descent_paths(LR, KAPPA)
    t = np.arange(41)
    for c in LR:
        for k in KAPPA:
            here = data.sel(lr=c, kappa=k)
            np.testing.assert_allclose(here.x1, (1 - c / k) ** t, rtol=1e-9, atol=1e-300)
            np.testing.assert_allclose(here.x2, (1 - c) ** t, rtol=1e-6, atol=1e-15)
            f = 0.5 * ((1 - c / k) ** (2 * t) + k * (1 - c) ** (2 * t))
            np.testing.assert_allclose(here.loss, f / f[0], rtol=1e-6, atol=1e-15)
            assert here.rate == pytest.approx(max(abs(1 - c / k), abs(1 - c)))
            if not here.rate == 0:
                assert here.rate_measured == pytest.approx(here.rate.item(), rel=0.02)


def test_steps_needed_and_words():
    data = descents.descent_paths(LR, KAPPA)
    here = data.sel(lr=0.5, kappa=10.0)
    t = int(here.steps_needed)
    loss = lambda t: 0.5 * (0.95 ** (2 * t) + 10 * 0.5 ** (2 * t)) / 5.5  # noqa: E731
    assert loss(t) <= 1e-6 < loss(t - 1)
    assert np.isnan(data.steps_needed.sel(lr=2.01)).all() and np.isfinite(data.steps_needed.sel(lr=1.98)).all()
    assert data.trend.sel(kappa=1000.0).values.tolist() == ["converges"] * 5 + ["goes back and forth for ever", "diverges"]


def test_rings_are_of_equal_loss():
    data = descents.descent_paths([1.0], [25.0])
    f = 0.5 * (data.ring_x**2 + 25 * data.ring_y.sel(kappa=25.0) ** 2).values.reshape(8, 61)[:, :-1]
    np.testing.assert_allclose(f, f[:, :1] * np.ones((1, 60)), rtol=1e-12)


@pytest.mark.parametrize("lr, kappa", [(-0.1, 2.0), (0.1, 0.5), (np.nan, 2.0)])
def test_bad_input(lr, kappa):
    with pytest.raises(ValueError, match="condition numbers at least 1"):
        descents.descent_paths(lr, kappa)
