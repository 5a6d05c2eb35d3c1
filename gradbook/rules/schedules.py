"""Learning rates as pure functions of the step t = 0, 1, 2, ….

Each schedule is ``name(lr, …) -> (t -> learning rate)``; names and arguments are
torch.optim.lr_scheduler's where torch has the schedule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..checks import check_whole
from ..kinds import Schedule

__all__ = [
    "constant",
    "step",
    "multistep",
    "exponential",
    "polynomial",
    "linear",
    "cosine",
    "warm_restarts",
    "one_cycle",
    "inverse_sqrt",
    "warmup_stable_decay",
    "warmup",
    "plateau",
]


def constant(lr: float) -> Schedule:
    """lr at every step.

    >>> lr = gb.constant(0.1)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.1, 0.1, 0.1, 0.1, 0.1]
    """
    return lambda t: lr


def step(lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """lr · gamma^⌊t/step_size⌋  (torch's StepLR).

    >>> lr = gb.step(0.1, step_size=2)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.1, 0.1, 0.01, 0.01, 0.001]
    """
    check_whole(step_size=step_size)
    return lambda t: lr * gamma ** (t // step_size)


def multistep(lr: float, milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    """lr · gamma^(number of milestones reached)  (torch's MultiStepLR).

    >>> lr = gb.multistep(0.1, [1, 3])
    >>> [round(lr(t), 4) for t in range(5)]
    [0.1, 0.01, 0.01, 0.001, 0.001]
    """
    return lambda t: lr * gamma ** sum(t >= m for m in milestones)


def exponential(lr: float, gamma: float) -> Schedule:
    """lr · gammaᵗ  (torch's ExponentialLR).

    >>> lr = gb.exponential(0.1, gamma=0.5)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.1, 0.05, 0.025, 0.0125, 0.0063]
    """
    return lambda t: lr * gamma**t


def polynomial(lr: float, total_iters: int, power: float = 1.0) -> Schedule:
    """lr · (1 − t/total_iters)^power, then 0  (torch's PolynomialLR).

    >>> lr = gb.polynomial(0.1, total_iters=4)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.1, 0.075, 0.05, 0.025, 0.0]
    """
    check_whole(total_iters=total_iters)
    return lambda t: lr * (1 - min(t, total_iters) / total_iters) ** power


def linear(
    lr: float, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
) -> Schedule:
    """From lr·start_factor to lr·end_factor in total_iters steps, on a line  (torch's LinearLR).

    >>> lr = gb.linear(0.1, total_iters=4)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.0333, 0.05, 0.0667, 0.0833, 0.1]
    """
    check_whole(total_iters=total_iters)
    return lambda t: (
        lr * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)
    )


def cosine(lr: float, T_max: int, eta_min: float = 0.0) -> Schedule:
    """eta_min + (lr − eta_min)·(1 + cos(πt/T_max))/2
    (Loshchilov & Hutter 2017; torch's CosineAnnealingLR).

    Periodic beyond T_max: a learning rate that shall stay low needs no more steps than T_max.

    >>> lr = gb.cosine(0.1, T_max=4)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.1, 0.0854, 0.05, 0.0146, 0.0]
    """
    check_whole(T_max=T_max)
    return lambda t: eta_min + (lr - eta_min) * (1 + math.cos(math.pi * t / T_max)) / 2


def warm_restarts(lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> Schedule:
    """Cosines of T_0, T_0·T_mult, T_0·T_mult², … steps  (SGDR.

    Torch's CosineAnnealingWarmRestarts).

    >>> lr = gb.warm_restarts(0.1, T_0=2)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.1, 0.05, 0.1, 0.05, 0.1]
    """
    check_whole(T_0=T_0, T_mult=T_mult)

    def at(t):
        period = T_0
        while t >= period:
            t, period = t - period, period * T_mult
        return eta_min + (lr - eta_min) * (1 + math.cos(math.pi * t / period)) / 2

    return at


def one_cycle(
    max_lr: float,
    total_steps: int,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up from max_lr/div_factor on a half cosine, then down to that over final_div_factor

    (Smith & Topin 2018; torch's OneCycleLR).

    >>> lr = gb.one_cycle(0.1, total_steps=5)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.004, 0.095, 0.0611, 0.0188, 0.0]
    """
    check_whole(total_steps=total_steps)
    low, last = max_lr / div_factor, max_lr / div_factor / final_div_factor
    top, end = pct_start * total_steps - 1, total_steps - 1
    if not 0 < top < end:
        raise ValueError(
            f"pct_start is {pct_start!r}; of {total_steps} "
            f"steps it must leave more than one on either side"
        )

    def at(t):
        if not 0 <= t < total_steps:
            raise ValueError(
                f"step {t} is outside of the cycle, which has total_steps={total_steps}"
            )
        a, b, share = (
            (low, max_lr, t / top) if t <= top else (max_lr, last, (t - top) / (end - top))
        )
        return b + (a - b) / 2 * (1 + math.cos(math.pi * share))

    return at


def inverse_sqrt(lr: float, warmup_steps: int) -> Schedule:
    """lr·(t + 1)/warmup_steps up to lr, then lr·√(warmup_steps/(t + 1))  (Vaswani et al. 2017).

    >>> lr = gb.inverse_sqrt(0.1, warmup_steps=2)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.05, 0.1, 0.0816, 0.0707, 0.0632]
    """
    check_whole(warmup_steps=warmup_steps)
    return lambda t: lr * min((t + 1) / warmup_steps, (warmup_steps / (t + 1)) ** 0.5)


def warmup_stable_decay(
    lr: float, warmup_steps: int, total_steps: int, decay_steps: int
) -> Schedule:
    """Up on a line, level, and down to 0 on a line in the last decay_steps  (Hu et al. 2024).

    >>> lr = gb.warmup_stable_decay(0.1, warmup_steps=2, total_steps=5, decay_steps=2)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.05, 0.1, 0.1, 0.1, 0.05]
    """
    check_whole(warmup_steps=warmup_steps, total_steps=total_steps, decay_steps=decay_steps)
    if warmup_steps + decay_steps > total_steps:
        raise ValueError(
            f"warmup_steps + decay_steps is {warmup_steps + decay_steps}, "
            f"more than total_steps={total_steps}"
        )
    return lambda t: (
        lr * max(0.0, min(1.0, (t + 1) / warmup_steps, (total_steps - t) / decay_steps))
    )


def warmup(schedule: Schedule, steps: int, start_factor: float = 0.0) -> Schedule:
    """Up on a line from start_factor·schedule(0), where step −1 would be, to schedule(0) at step
    steps − 1; then ``schedule`` from its step 0.

    >>> lr = gb.warmup(gb.cosine(0.1, T_max=4), steps=2)
    >>> [round(lr(t), 4) for t in range(5)]
    [0.05, 0.1, 0.1, 0.0854, 0.05]
    """
    check_whole(steps=steps)
    share = 1 - start_factor
    return lambda t: (
        schedule(0) * (start_factor + share * (t + 1) / steps) if t < steps else schedule(t - steps)
    )


class plateau:
    """lr·factor after more than ``patience`` losses without gain  (torch's ReduceLROnPlateau).

    The one schedule with a memory: call :meth:`see` with every loss, and it gives the next rate.

    >>> lr = gb.plateau(0.1, patience=1)
    >>> [round(lr.see(loss), 3) for loss in (3.0, 2.0, 2.0, 2.0, 2.0)]
    [0.1, 0.1, 0.1, 0.01, 0.01]
    """

    def __init__(
        self,
        lr: float,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        min_lr: float = 0.0,
    ) -> None:
        if not 0 < factor < 1:
            raise ValueError(f"factor is {factor!r}; it must lie between 0 and 1")
        self.lr, self.factor, self.patience = lr, factor, patience
        self.threshold, self.min_lr = threshold, min_lr
        self.best, self.waited = math.inf, 0

    def see(self, loss: float) -> None:
        """The learning rate after one more ``loss``.

        A loss that is NaN counts as no improvement.
        """
        better = loss < self.best * (1 - self.threshold)
        self.best, self.waited = (loss, 0) if better else (self.best, self.waited + 1)
        if self.waited > self.patience:
            self.lr, self.waited = max(self.lr * self.factor, self.min_lr), 0
        return self.lr
