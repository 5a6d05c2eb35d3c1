"""The errors of difference quotients against autograd, Taylor's series and the number formats."""

import numpy as np
import pytest
import torch

from gradbook import data, experiments, nets

ERRORS = experiments.difference_errors([1, 6, 20], [0.5, 1.0])


def test_the_gradient_is_autograds():
    rng, few = np.random.default_rng(0), data.digits()
    draw = nets.initialization("normal")
    weights = [torch.tensor(0.5 * draw(rng, i, o).astype(float)) for i, o in ((64, 32), (32, 10))]
    x = torch.tensor(few.x_train[:8].astype(float))
    y = torch.nn.functional.one_hot(torch.tensor(few.y_train[:8]), 10)
    chosen = rng.choice(np.flatnonzero(x.numpy().any(0)), 20), rng.integers(32, size=20)
    W = weights[0].requires_grad_()
    grad = torch.autograd.grad(((torch.tanh(x @ W) @ weights[1] - y) ** 2).mean(), W)[0].numpy()[
        chosen
    ]
    assert ERRORS.gradient.sel(depth=1, sigma_w=0.5, precision="float64") == pytest.approx(
        np.sqrt((grad**2).mean()), rel=1e-12
    )


@pytest.mark.parametrize("method, order", [("forward", 1), ("central", 2), ("complex", 2)])
def test_taylor_gives_the_order(method, order):
    here = ERRORS.sel(precision="float64", depth=1, sigma_w=1.0)[method].sel(
        h=[1e-3, 1e-2], method="nearest"
    )
    assert np.log10(here[1] / here[0]) == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize("method", ["forward", "central", "complex"])
def test_the_prediction_holds(method):
    ratio = ERRORS[method] / ERRORS[f"{method}_theory"]
    long = ratio.where(
        (ERRORS[f"{method}_theory"] > 100 * ERRORS[f"best_{method}"])
        & (ERRORS.h > 1e-4)
        & (ERRORS.h < 0.03)
    )
    assert long.count() > 10 and abs(long - 1).max() < 0.2
    short = ratio.where((ERRORS.h > 1e-14) & (ERRORS.h < 1e-3) & (ERRORS.precision == "float64"))
    assert (
        0.3 < short.min()
        and short.max() < (40 if method == "complex" else 10)
        and 0.5 < short.median() < 4
    )


def test_a_vanished_gradient_is_below_the_last_digit():
    deep = ERRORS.sel(depth=20, sigma_w=0.5, precision="float32")
    assert deep.best_forward > 0.5 and deep.best_complex < 1e-5 and deep.gradient < 1e-7
    assert ERRORS.best_central.sel(depth=20, sigma_w=0.5, precision="float64") < 1e-5


@pytest.mark.parametrize(
    "bad, says",
    [
        ({"depth": 0}, "depth is 0"),
        ({"precision": "float8"}, "must be among float32, float64"),
        ({"sigma_w": np.nan}, "sigma_w is"),
        ({"sigma_w": 0.0}, "sigma_w is"),
        ({"sigma_w": np.inf}, "must be finite"),
        ({"width": 0}, "width is 0"),
        ({"entries": 0}, "entries is 0"),
        ({"examples": -3}, "examples is -3"),
    ],
)
def test_bad_input(bad, says):
    with pytest.raises(ValueError, match=says):
        experiments.difference_errors(**{"depth": 2, "sigma_w": 1.0, **bad})
