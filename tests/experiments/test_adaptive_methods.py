"""Odd units by hand, and the comparison of rules against a single sweep and a loop of modules."""

import numpy as np
import pytest

from gradbook import data, experiments, rules, sweeps


def test_units_and_rotation_are_changes_of_coordinates():
    usual, odd = data.digits(), experiments.in_odd_units(3)
    turned = experiments.in_odd_units(3, rotated=True)
    seen = usual.x_train.std(0) > 0
    factors = odd.x_train[:, seen] / np.where(usual.x_train == 0, np.nan, usual.x_train)[:, seen]
    assert np.nanstd(factors, 0).max() < 1e-4 and 0.03 < np.nanmin(factors) < 0.1
    assert 10 < np.nanmax(factors) < 32
    lengths = (np.linalg.norm(d.x_test, axis=1) for d in (odd, turned))
    assert np.allclose(*lengths, rtol=1e-4) and not np.allclose(odd.x_test, turned.x_test)
    assert (odd.y_train == usual.y_train).all()


def test_the_best_rate_is_the_one_with_least_loss_at_the_end():
    found = experiments.compare_rules(data.digits(), steps=60, seed=[5])
    assert found.loss.sizes == {"rule": 5, "step": 7} and found.best.sel(rule="momentum") < 1
    rate = found.best.sel(rule="Adam").item()
    one = sweeps.sweep(
        depth=1,
        width=32,
        activation="relu",
        sigma_w=2**0.5,
        rule=rules.adam,
        lr=[rate],
        seed=[5],
        steps=60,
        batch=64,
        record_every=10,
        progress=False,
    ).loss.squeeze()
    assert np.allclose(one, found.loss.sel(rule="Adam"), rtol=1e-4)
    assert found.least.sel(rule="Adam").item() == pytest.approx(one[3:].mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: experiments.in_odd_units(-1), "draw is -1"),
        (lambda: experiments.compare_rules(data.digits(), steps=10), "steps is 10"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
