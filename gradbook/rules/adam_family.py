"""Adam and its relatives: running means of the gradient and of its square.

Names, arguments and defaults are torch.optim's where torch has the rule.
"""

from __future__ import annotations

from ..checks import check_fraction, check_not_negative
from ..kinds import Array, Function, Schedule
from .algebra import Rule, chain, down, each, with_l2, zeros
from .algebra import weight_decay as decay
from .arithmetic import larger

__all__ = ["moments", "adam_direction", "adam", "adamw", "amsgrad", "adamax", "nadam", "radam"]


def moments(direction: Function, betas: tuple[float, float]) -> Rule:
    """m and v, the running means of g and g², and ``direction(m, v, g, t)`` from them, t = 1, 2, ….

    >>> mean = gb.rules.moments(lambda m, v, g, t: m, betas=(0.9, 0.999))
    >>> first, state = mean.update(1.0, mean.init(0.0), 0.0)
    >>> round(first, 9)  # a tenth of g, which Adam divides by 1 − β₁ᵗ
    0.1
    """
    check_fraction(beta1=betas[0], beta2=betas[1])
    b1, b2 = betas

    def update(grads, state, params):
        t, m, v = state
        m = each(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        v = each(lambda v, g: b2 * v + (1 - b2) * g * g, v, grads)
        return each(lambda m, v, g: direction(m, v, g, t + 1), m, v, grads), (t + 1, m, v)

    return Rule(lambda params: (0, zeros(params), zeros(params)), update)


def adam_direction(betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> Rule:
    """m̂/(√v̂ + eps), with m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ)  (Kingma & Ba 2015).

    >>> rule = gb.rules.adam_direction()
    >>> update, state = rule.update(1e-3, rule.init(1.0), 1.0)
    >>> round(update, 3)
    1.0
    """
    b1, b2 = betas
    check_not_negative(eps=eps)
    return moments(lambda m, v, g, t: m / (1 - b1**t) / ((v / (1 - b2**t)) ** 0.5 + eps), betas)


def adam(
    lr: Array | Schedule = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Rule:
    """θ ← θ − lr·m̂/(√v̂ + eps)  (Kingma & Ba 2015; torch.optim.Adam).

    >>> path = gb.descend(gb.adam(lr=0.1), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.9, 0.8, 0.702]
    """
    return with_l2(weight_decay, adam_direction(betas, eps), down(lr))


def adamw(
    lr: Array | Schedule = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> Rule:
    """Adam with decay apart from the gradient: θ ← θ − lr·(m̂/(√v̂ + eps) + weight_decay·θ)

    (Loshchilov & Hutter 2019; torch.optim.AdamW).

    >>> path = gb.descend(gb.adamw(lr=0.1), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.899, 0.799, 0.699]
    """
    return chain(adam_direction(betas, eps), decay(weight_decay), down(lr))


def amsgrad(
    lr: Array | Schedule = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Rule:
    """Adam with the largest v so far in place of v.

    Reddi et al. (2018); torch.optim.Adam(amsgrad=True).

    >>> path = gb.descend(gb.amsgrad(lr=0.1), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.9, 0.8, 0.702]
    """
    b1, b2 = betas
    check_fraction(beta1=b1, beta2=b2)

    def update(grads, state, params):
        t, m, v, top = state
        t = t + 1
        m = each(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        v = each(lambda v, g: b2 * v + (1 - b2) * g * g, v, grads)
        top = each(larger, top, v)
        direction = each(
            lambda m, top: m / (1 - b1**t) / ((top / (1 - b2**t)) ** 0.5 + eps), m, top
        )
        return direction, (t, m, v, top)

    def init(params):
        return 0, zeros(params), zeros(params), zeros(params)

    return with_l2(weight_decay, Rule(init, update), down(lr))


def adamax(
    lr: Array | Schedule = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Rule:
    """Adam with a decaying maximum of |g| in place of √v̂: θ ← θ − lr·m̂/u, u ← max(β₂u, |g| + eps)

    (Kingma & Ba 2015, section 7; torch.optim.Adamax).

    >>> path = gb.descend(gb.adamax(lr=0.1), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.9, 0.805, 0.715]
    """
    b1, b2 = betas
    check_fraction(beta1=b1, beta2=b2)

    def update(grads, state, params):
        t, m, u = state
        t = t + 1
        m = each(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        u = each(lambda u, g: larger(b2 * u, abs(g) + eps), u, grads)
        return each(lambda m, u: m / (1 - b1**t) / u, m, u), (t, m, u)

    return with_l2(
        weight_decay, Rule(lambda params: (0, zeros(params), zeros(params)), update), down(lr)
    )


def nadam(
    lr: Array | Schedule = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
) -> Rule:
    """Adam with Nesterov's look-ahead and a warm-up of β₁, μ_t = β₁(1 − ½·0.96^(t·momentum_decay))

    (Dozat 2016; torch.optim.NAdam).

    >>> path = gb.descend(gb.nadam(lr=0.1), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.894, 0.82, 0.753]
    """
    b1, b2 = betas
    check_fraction(beta1=b1, beta2=b2)
    check_not_negative(momentum_decay=momentum_decay, eps=eps)

    def mu(t):
        return b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    def update(grads, state, params):
        t, product, m, v = state
        t, product = t + 1, product * mu(t + 1)
        m = each(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        v = each(lambda v, g: b2 * v + (1 - b2) * g * g, v, grads)
        now, ahead = (1 - mu(t)) / (1 - product), mu(t + 1) / (1 - product * mu(t + 1))
        return (
            each(
                lambda m, v, g: (now * g + ahead * m) / ((v / (1 - b2**t)) ** 0.5 + eps),
                m,
                v,
                grads,
            ),
            (t, product, m, v),
        )

    return with_l2(
        weight_decay, Rule(lambda params: (0, 1.0, zeros(params), zeros(params)), update), down(lr)
    )


def radam(
    lr: Array | Schedule = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Rule:
    """Adam that waits until the variance of 1/√v̂ is finite, then takes it into account

    (Liu et al. 2020; torch.optim.RAdam, whose eps is added to √v before the correction).

    >>> path = gb.descend(gb.radam(lr=0.1), lambda x: 2 * x, 1.0, steps=3)
    >>> [round(x, 3) for x in path]
    [1.0, 0.8, 0.621, 0.462]
    """
    b1, b2 = betas
    longest = 2 / (1 - b2) - 1  # ρ_∞, the length of the average

    def direction(m, v, g, t):
        m = m / (1 - b1**t)
        length = longest - 2 * t * b2**t / (1 - b2**t)
        if length <= 5:
            return m
        r = (
            (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        ) ** 0.5
        return m * r * (1 - b2**t) ** 0.5 / (v**0.5 + eps)

    return with_l2(weight_decay, moments(direction, betas), down(lr))
