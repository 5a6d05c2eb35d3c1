"""Learning rates as pure functions of the step t = 0, 1, 2, ….

Each schedule is ``name(lr, …) -> (t -> learning rate)``; names and arguments are
torch.optim.lr_scheduler's where torch has the schedule.

>>> lr = warmup(cosine(0.1, T_max=10), steps=2)
>>> [round(lr(t), 4) for t in (0, 1, 2, 7, 12)]
[0.05, 0.1, 0.1, 0.05, 0.0]
"""

import math

from .checks import check_whole

__all__ = ["constant", "step", "multistep", "exponential", "polynomial", "linear", "cosine", "warm_restarts", "one_cycle",
           "inverse_sqrt", "warmup_stable_decay", "warmup", "plateau"]


def constant(lr):
    """lr at every step."""
    return lambda t: lr


def step(lr, step_size, gamma=0.1):
    """lr · gamma^⌊t/step_size⌋  (torch's StepLR)."""
    check_whole(step_size=step_size)
    return lambda t: lr * gamma ** (t // step_size)


def multistep(lr, milestones, gamma=0.1):
    """lr · gamma^(number of milestones reached)  (torch's MultiStepLR)."""
    return lambda t: lr * gamma ** sum(t >= m for m in milestones)


def exponential(lr, gamma):
    """lr · gammaᵗ  (torch's ExponentialLR)."""
    return lambda t: lr * gamma**t


def polynomial(lr, total_iters, power=1.0):
    """lr · (1 − t/total_iters)^power, then 0  (torch's PolynomialLR)."""
    check_whole(total_iters=total_iters)
    return lambda t: lr * (1 - min(t, total_iters) / total_iters) ** power


def linear(lr, start_factor=1 / 3, end_factor=1.0, total_iters=5):
    """From lr·start_factor to lr·end_factor in total_iters steps, on a line  (torch's LinearLR)."""
    check_whole(total_iters=total_iters)
    return lambda t: lr * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)


def cosine(lr, T_max, eta_min=0.0):
    """eta_min + (lr − eta_min)·(1 + cos(πt/T_max))/2  (Loshchilov & Hutter 2017; torch's CosineAnnealingLR).

    Periodic beyond T_max: a learning rate that shall stay low needs no more steps than T_max.
    """
    check_whole(T_max=T_max)
    return lambda t: eta_min + (lr - eta_min) * (1 + math.cos(math.pi * t / T_max)) / 2


def warm_restarts(lr, T_0, T_mult=1, eta_min=0.0):
    """Cosines of T_0, T_0·T_mult, T_0·T_mult², … steps  (SGDR; torch's CosineAnnealingWarmRestarts)."""
    check_whole(T_0=T_0, T_mult=T_mult)

    def at(t):
        period = T_0
        while t >= period:
            t, period = t - period, period * T_mult
        return eta_min + (lr - eta_min) * (1 + math.cos(math.pi * t / period)) / 2

    return at


def one_cycle(max_lr, total_steps, pct_start=0.3, div_factor=25.0, final_div_factor=1e4):
    """Up from max_lr/div_factor on a half cosine, then down to that over final_div_factor

    (Smith & Topin 2018; torch's OneCycleLR).
    """
    check_whole(total_steps=total_steps)
    low, last = max_lr / div_factor, max_lr / div_factor / final_div_factor
    top, end = pct_start * total_steps - 1, total_steps - 1
    if not 0 < top < end:
        raise ValueError(f"pct_start is {pct_start!r}; of {total_steps} steps it must leave more than one on either side")

    def at(t):
        if not 0 <= t < total_steps:
            raise ValueError(f"step {t} is outside of the cycle, which has total_steps={total_steps}")
        a, b, share = (low, max_lr, t / top) if t <= top else (max_lr, last, (t - top) / (end - top))
        return b + (a - b) / 2 * (1 + math.cos(math.pi * share))

    return at


def inverse_sqrt(lr, warmup_steps):
    """lr·(t + 1)/warmup_steps up to lr, then lr·√(warmup_steps/(t + 1))  (Vaswani et al. 2017)."""
    check_whole(warmup_steps=warmup_steps)
    return lambda t: lr * min((t + 1) / warmup_steps, (warmup_steps / (t + 1)) ** 0.5)


def warmup_stable_decay(lr, warmup_steps, total_steps, decay_steps):
    """Up on a line, level, and down to 0 on a line in the last decay_steps  (Hu et al. 2024)."""
    check_whole(warmup_steps=warmup_steps, total_steps=total_steps, decay_steps=decay_steps)
    if warmup_steps + decay_steps > total_steps:
        raise ValueError(f"warmup_steps + decay_steps is {warmup_steps + decay_steps}, more than total_steps={total_steps}")
    return lambda t: lr * max(0.0, min(1.0, (t + 1) / warmup_steps, (total_steps - t) / decay_steps))


def warmup(schedule, steps, start_factor=0.0):
    """Up on a line from start_factor·schedule(0), where step −1 would be, to schedule(0) at step steps − 1; then ``schedule`` from its step 0."""
    check_whole(steps=steps)
    share = 1 - start_factor
    return lambda t: schedule(0) * (start_factor + share * (t + 1) / steps) if t < steps else schedule(t - steps)


class plateau:
    """Multiply lr by ``factor`` when the loss has not improved for more than ``patience`` calls  (ReduceLROnPlateau).

    The one schedule with a memory: call :meth:`see` with every loss, and it gives the learning rate.

    >>> lr = plateau(0.1, patience=1)
    >>> [round(lr.see(loss), 3) for loss in (3.0, 2.0, 2.0, 2.0, 2.0)]
    [0.1, 0.1, 0.1, 0.01, 0.01]
    """

    def __init__(self, lr, factor=0.1, patience=10, threshold=1e-4, min_lr=0.0):
        if not 0 < factor < 1:
            raise ValueError(f"factor is {factor!r}; it must lie between 0 and 1")
        self.lr, self.factor, self.patience, self.threshold, self.min_lr = lr, factor, patience, threshold, min_lr
        self.best, self.waited = math.inf, 0

    def see(self, loss):
        """The learning rate after one more ``loss``; a loss that is NaN counts as no improvement."""
        better = loss < self.best * (1 - self.threshold)
        self.best, self.waited = (loss, 0) if better else (self.best, self.waited + 1)
        if self.waited > self.patience:
            self.lr, self.waited = max(self.lr * self.factor, self.min_lr), 0
        return self.lr
