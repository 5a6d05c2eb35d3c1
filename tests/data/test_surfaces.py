"""Surfaces against differences of themselves."""

import numpy as np
import pytest

from gradbook.data import surfaces
from gradbook.nets.backprop import gradient_check

SURFACES = [
    surfaces.quadratic(1.0),
    surfaces.quadratic(1000.0, 5),
    surfaces.quadratic(3.0, 1),
    surfaces.rosenbrock,
    surfaces.beale,
    surfaces.double_well,
    surfaces.saddle,
]


@pytest.mark.parametrize("surface", SURFACES, ids=lambda s: s.name)
def test_gradients_hessians_and_minima(surface):
    d = len(surface.start)
    for x in (surface.start, *np.random.default_rng(0).normal(size=(5, d))):
        gradient_check(surface, surface.gradient, x, "complex" if d == 1 else "central")
        for k in range(d):
            gradient_check(lambda x: surface.gradient(x)[k], lambda x: surface.hessian(x)[k], x)
    for x in surface.minima:
        np.testing.assert_allclose(surface.gradient(x), 0, atol=1e-12)
        assert np.linalg.eigvalsh(surface.hessian(x)).min() > 0
    many = np.random.default_rng(1).normal(size=(3, 4, d))
    assert (
        surface(many).shape == (3, 4)
        and surface.gradient(many).shape == (3, 4, d)
        and surface.hessian(many).shape == (3, 4, d, d)
    )
    np.testing.assert_allclose(surface.hessian(many)[1, 2], surface.hessian(many[1, 2]))
    assert not len(surface.minima) or (surface(many) >= surface(surface.minima[0])).all()


def test_condition_number():
    assert np.linalg.cond(surfaces.quadratic(250.0, 6).hessian(np.zeros(6))) == pytest.approx(250)
    for wrong in ({"kappa": 0.5}, {"kappa": np.nan}, {"dimension": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            surfaces.quadratic(**wrong)
