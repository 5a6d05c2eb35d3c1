"""The Explorers' descents against closed forms and torch.optim."""

import numpy as np
import pytest
import torch

from gradbook import experiments

LR, KAPPA = [0.1, 0.5, 1.0, 1.5, 1.98, 2.0, 2.01], [1.0, 10.0, 1000.0]


def test_paths_are_powers():
    data = experiments.descent_paths(LR, KAPPA)
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
    data = experiments.descent_paths(LR, KAPPA)
    here = data.sel(lr=0.5, kappa=10.0)
    t = int(here.steps_needed)
    loss = lambda t: 0.5 * (0.95 ** (2 * t) + 10 * 0.5 ** (2 * t)) / 5.5
    assert loss(t) <= 1e-6 < loss(t - 1)
    assert (
        np.isnan(data.steps_needed.sel(lr=2.01)).all()
        and np.isfinite(data.steps_needed.sel(lr=1.98)).all()
    )
    assert data.trend.sel(kappa=1000.0).values.tolist() == ["converges"] * 5 + [
        "goes back and forth for ever",
        "diverges",
    ]


def test_rings_are_of_equal_loss():
    data = experiments.descent_paths([1.0], [25.0])
    f = 0.5 * (data.ring_x**2 + 25 * data.ring_y.sel(kappa=25.0) ** 2).values.reshape(8, 61)[:, :-1]
    np.testing.assert_allclose(f, f[:, :1] * np.ones((1, 60)), rtol=1e-12)


@pytest.mark.parametrize("lr, kappa", [(-0.1, 2.0), (0.1, 0.5), (np.nan, 2.0)])
def test_bad_input(lr, kappa):
    with pytest.raises(ValueError, match="condition numbers at least 1"):
        experiments.descent_paths(lr, kappa)


@pytest.mark.parametrize(
    "rule, make",
    [
        ("SGD", lambda p, lr: torch.optim.SGD(p, lr)),
        ("momentum", lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9)),
        ("Nesterov", lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True)),
        ("AdaGrad", torch.optim.Adagrad),
        ("RMSProp", torch.optim.RMSprop),
        ("Adam", torch.optim.Adam),
    ],
)
def test_valley_paths_are_torchs(rule, make):
    made = experiments.valley_paths([0.01, 0.02], [0.0, 30.0], rule, kappa=20.0, steps=25).squeeze()
    turn = torch.tensor([[3**0.5 / 2, -0.5], [0.5, 3**0.5 / 2]], dtype=torch.float64)
    H = turn @ torch.diag(torch.tensor([1.0, 20.0], dtype=torch.float64)) @ turn.T
    x = (turn @ torch.tensor([0.9, 0.6], dtype=torch.float64)).requires_grad_()
    optimizer, path = make([x], lr=0.02), [x.detach().clone()]
    for _ in range(25):
        optimizer.zero_grad()
        (x @ H @ x / 2).backward()
        optimizer.step()
        path.append(x.detach().clone())
    here, path = made.sel(angle=30.0, lr=0.02), torch.stack(path).numpy()
    np.testing.assert_allclose(np.stack([here.x, here.y], -1), path, atol=1e-12)
    np.testing.assert_allclose(
        here.loss,
        ((path @ H.numpy()) * path).sum(-1) / ((path @ H.numpy()) * path).sum(-1)[0],
        rtol=1e-9,
        atol=1e-15,
    )


def test_rings_have_equal_loss():
    made = experiments.valley_paths([0.1], [20.0], "SGD", kappa=9.0)
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    x, y = made.ring_x[0].values, made.ring_y[0].values
    loss = ((c * x + s * y) ** 2 + 9 * (c * y - s * x) ** 2).reshape(10, -1)
    np.testing.assert_allclose(loss[:, :-1], np.broadcast_to(loss[:, :1], (10, 60)), rtol=1e-9)


@pytest.mark.parametrize(
    "bad, says",
    [
        ({"rule": "sgd"}, "choose from SGD"),
        ({"lr": [-1.0]}, "lr is"),
        ({"kappa": 0.5}, "at least 1"),
        ({"lr": [np.inf]}, "lr is"),
        ({"angle": [np.nan]}, "angle is"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_valley_bad_input(bad, says):
    with pytest.raises(ValueError, match=says):
        experiments.valley_paths(**{"lr": [0.1], "angle": [0.0], **bad})
