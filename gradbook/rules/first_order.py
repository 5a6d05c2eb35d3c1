"""Rules that look at the gradient and at a running mean of it.

Names, arguments and defaults are torch.optim's where torch has the rule.
"""

from __future__ import annotations

from ..checks import check_fraction
from ..kinds import Array, Schedule
from .algebra import Rule, chain, down, each, stateless, trace, with_l2, zeros
from .algebra import weight_decay as decay
from .arithmetic import sign

__all__ = ["sgd", "heavy_ball", "nesterov", "signsgd", "lion"]


def sgd(
    lr: Array | Schedule = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> Rule:
    """Gradient descent: θ ← θ − lr·g, with momentum θ ← θ − lr·v  (torch.optim.SGD).

    >>> gb.descend(gb.sgd(lr=0.25), lambda x: 2 * x, 1.0, steps=3)
    [1.0, 0.5, 0.25, 0.125]
    """
    check_fraction(momentum=momentum)
    if nesterov and (momentum == 0 or dampening != 0):
        raise ValueError(
            f"nesterov needs momentum > 0 and dampening = 0; they are {momentum} and {dampening}"
        )
    return with_l2(weight_decay, trace(momentum, dampening, nesterov), down(lr))


def heavy_ball(lr: Array | Schedule = 1e-3, momentum: float = 0.9) -> Rule:
    """θ_{t+1} = θ_t − lr·g + momentum·(θ_t − θ_{t−1})  (Polyak 1964).

    Equal to ``sgd`` with momentum while lr is constant; here the memory holds steps, not gradients.

    >>> path = gb.descend(gb.heavy_ball(lr=0.5, momentum=0.5), lambda x: x, 1.0, steps=4)
    >>> path
    [1.0, 0.5, 0.0, -0.25, -0.25]
    """
    check_fraction(momentum=momentum)
    return chain(down(lr), trace(momentum))


def nesterov(lr: Array | Schedule = 1e-3, momentum: float = 0.9) -> Rule:
    """Nesterov's method in its look-ahead variable: the gradient is taken where momentum leads
    (Nesterov 1983).

    >>> gb.descend(gb.nesterov(lr=0.5, momentum=0.5), lambda x: x, 1.0, steps=4)
    [1.0, 0.25, -0.0625, -0.109375, -0.06640625]
    """
    check_fraction(momentum=momentum)
    return chain(down(lr), trace(momentum, nesterov=True))


def signsgd(lr: Array | Schedule = 1e-3, momentum: float = 0.0) -> Rule:
    """θ ← θ − lr·sign(v), v being g or its momentum  (Bernstein et al. 2018).

    >>> path = gb.descend(gb.signsgd(lr=0.1), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.9, 0.8, 0.7]
    """
    check_fraction(momentum=momentum)
    return chain(trace(momentum), stateless(lambda g, p: sign(g)), down(lr))


def lion(
    lr: Array | Schedule = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
) -> Rule:
    """θ ← θ − lr·(sign(β₁m + (1 − β₁)g) + weight_decay·θ), then m ← β₂m + (1 − β₂)g
    (Chen et al. 2023).

    >>> path = gb.descend(gb.lion(lr=0.1), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.9, 0.8, 0.7]
    """
    b1, b2 = betas
    check_fraction(beta1=b1, beta2=b2)

    def update(grads, m, params):
        step = each(lambda m, g: sign(b1 * m + (1 - b1) * g), m, grads)
        return step, each(lambda m, g: b2 * m + (1 - b2) * g, m, grads)

    return chain(Rule(zeros, update), decay(weight_decay), down(lr))
