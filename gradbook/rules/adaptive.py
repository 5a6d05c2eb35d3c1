"""Rules that give every parameter a step of its own size, from its past gradients.

Names, arguments and defaults are torch.optim's where torch has the rule.
"""

from __future__ import annotations

from ..checks import check_fraction, check_not_negative
from ..kinds import Array, Schedule
from .algebra import Rule, down, each, scale, trace, with_l2, zeros
from .arithmetic import larger

__all__ = ["adagrad", "rmsprop", "adadelta"]


def adagrad(
    lr: Array | Schedule = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
) -> Rule:
    """θ ← θ − lr·g/(√G + eps), G the sum of all g²  (Duchi et al. 2011; torch.optim.Adagrad).

    >>> path = gb.descend(gb.adagrad(lr=0.1), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.9, 0.833, 0.78]
    """
    check_not_negative(lr_decay=lr_decay, initial_accumulator_value=initial_accumulator_value)

    def init(params):
        return each(lambda p: initial_accumulator_value + 0 * p, params)

    def update(grads, G, params):
        G = each(lambda G, g: G + g * g, G, grads)
        return each(lambda g, G: g / (G**0.5 + eps), grads, G), G

    slower = scale(lambda t: 1 / (1 + t * lr_decay))
    return with_l2(weight_decay, Rule(init, update), slower, down(lr))


def rmsprop(
    lr: Array | Schedule = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> Rule:
    """θ ← θ − lr·g/(√v + eps), v ← alpha·v + (1 − alpha)·g²
    (Tieleman & Hinton 2012; torch.optim.RMSprop).

    ``centered`` divides by the standard deviation instead: v minus the square of the mean of g.

    >>> path = gb.descend(gb.rmsprop(lr=0.1, alpha=0.5), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.859, 0.749, 0.652]
    """
    check_fraction(alpha=alpha, momentum=momentum)

    def update(grads, state, params):
        v, m = state
        v = each(lambda v, g: alpha * v + (1 - alpha) * g * g, v, grads)
        m = each(lambda m, g: m + (1 - alpha) * (g - m), m, grads) if centered else m
        # rounding can make v − m² negative
        spread = each(lambda v, m: larger(v - m * m, 0 * v), v, m) if centered else v
        return each(lambda g, s: g / (s**0.5 + eps), grads, spread), (v, m)

    average = Rule(lambda params: (zeros(params), zeros(params)), update)
    return with_l2(weight_decay, average, trace(momentum), down(lr))


def adadelta(
    lr: Array | Schedule = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0
) -> Rule:
    """θ ← θ − lr·Δ, Δ = √(d + eps)/√(v + eps)·g, where v and d average g² and Δ²  (Zeiler 2012).

    >>> path = gb.descend(gb.adadelta(lr=1.0), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.997, 0.994, 0.99]
    """
    check_fraction(rho=rho)

    def update(grads, state, params):
        v, d = state
        v = each(lambda v, g: rho * v + (1 - rho) * g * g, v, grads)
        step = each(lambda g, v, d: (d + eps) ** 0.5 / (v + eps) ** 0.5 * g, grads, v, d)
        return step, (v, each(lambda d, s: rho * d + (1 - rho) * s * s, d, step))

    return with_l2(
        weight_decay, Rule(lambda params: (zeros(params), zeros(params)), update), down(lr)
    )
