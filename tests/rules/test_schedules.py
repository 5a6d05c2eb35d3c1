"""Schedules against torch.optim.lr_scheduler, step by step."""

import math

import pytest
import torch

from gradbook.rules import schedules

L = torch.optim.lr_scheduler

PAIRS = [
    (schedules.constant(0.1), lambda o: L.ConstantLR(o, factor=1.0)),
    (schedules.step(0.1, 7, gamma=0.5), lambda o: L.StepLR(o, 7, gamma=0.5)),
    (schedules.multistep(0.1, [3, 11, 11]), lambda o: L.MultiStepLR(o, [3, 11, 11])),
    (schedules.exponential(0.1, 0.9), lambda o: L.ExponentialLR(o, 0.9)),
    (schedules.polynomial(0.1, 20, power=1.7), lambda o: L.PolynomialLR(o, 20, power=1.7)),
    (schedules.linear(0.1, 0.25, 0.75, 9), lambda o: L.LinearLR(o, 0.25, 0.75, 9)),
    (schedules.cosine(0.1, 25, eta_min=0.01), lambda o: L.CosineAnnealingLR(o, 25, eta_min=0.01)),
    (
        schedules.warm_restarts(0.1, 5, T_mult=2, eta_min=0.01),
        lambda o: L.CosineAnnealingWarmRestarts(o, 5, T_mult=2, eta_min=0.01),
    ),
    (schedules.one_cycle(0.1, 30), lambda o: L.OneCycleLR(o, 0.1, total_steps=30)),
]


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_equals_torch(ours, theirs):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = theirs(optimizer)
    for t in range(25):
        assert ours(t) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9, abs=1e-15), t
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(
    "losses",
    [
        [3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1],
        [1.0] * 12,
        [math.nan] * 12,
        [5 - 0.0001 * t for t in range(12)],
    ],
)
def test_plateau_equals_torch(losses):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = L.ReduceLROnPlateau(optimizer, patience=2, factor=0.5)
    ours = schedules.plateau(0.1, patience=2, factor=0.5)
    for loss in losses:
        scheduler.step(loss)
        assert ours.see(loss) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_those_that_torch_lacks():
    lr = schedules.warmup_stable_decay(1.0, 4, 20, 5)
    assert [lr(t) for t in (0, 3, 10, 15, 16, 19, 20, 99)] == pytest.approx(
        [0.25, 1, 1, 1, 0.8, 0.2, 0, 0]
    )
    lr = schedules.inverse_sqrt(1.0, 4)
    assert [lr(t) for t in (0, 3, 15)] == pytest.approx([0.25, 1.0, 0.5])
    lr = schedules.warmup(schedules.exponential(1.0, 0.5), 4, start_factor=0.2)
    assert [lr(t) for t in (0, 3, 4, 5)] == pytest.approx([0.4, 1.0, 1.0, 0.5])


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: schedules.step(0.1, 0), "step_size is 0"),
        (lambda: schedules.cosine(0.1, 2.5), "T_max is 2.5"),
        (lambda: schedules.warmup_stable_decay(0.1, 8, 10, 5), "more than total_steps"),
        (lambda: schedules.one_cycle(0.1, 10)(10), "outside of the cycle"),
        (lambda: schedules.plateau(0.1, factor=2.0), "factor is 2.0"),
    ],
)
def test_bad_input_is_told_what_would_be_right(call, says):
    with pytest.raises(ValueError, match=says):
        call()
