"""The named update rules, each a chain of the links of :mod:`gradbook.links`.

Names, arguments and defaults are torch.optim's where torch has the rule.

>>> descend(sgd(lr=0.25), lambda x: 2 * x, 1.0, steps=3)
[1.0, 0.5, 0.25, 0.125]
"""

from .checks import check_fraction, check_not_negative
from .links import (Rule, Stack, chain, clip_adaptive, clip_norm, clip_value, descend, down, each, l1, larger, noise, scale, sign,
                    stateless, trace, weight_decay, zeros)
from .modern import muon, orthogonalize, sam, schedule_free, shampoo

__all__ = ["Rule", "Stack", "chain", "descend", "scale", "trace", "weight_decay", "l1", "clip_value", "clip_norm",
           "clip_adaptive", "noise", "sgd", "heavy_ball", "nesterov", "adagrad", "rmsprop", "adadelta", "adam",
           "adamw", "amsgrad", "adamax", "nadam", "radam", "signsgd", "lion", "shampoo", "muon", "orthogonalize", "schedule_free",
           "sam"]

_l2 = weight_decay  # most rules have an argument of that name


def _with_l2(strength, *links):
    return chain(_l2(strength), *links)  # always: a state must fit when someone changes the strength


def sgd(lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    """Gradient descent: θ ← θ − lr·g, with momentum θ ← θ − lr·v  (torch.optim.SGD)."""
    check_fraction(momentum=momentum)
    if nesterov and (momentum == 0 or dampening != 0):
        raise ValueError(f"nesterov needs momentum > 0 and dampening = 0; they are {momentum} and {dampening}")
    return _with_l2(weight_decay, trace(momentum, dampening, nesterov), down(lr))


def heavy_ball(lr=1e-3, momentum=0.9):
    """θ_{t+1} = θ_t − lr·g + momentum·(θ_t − θ_{t−1})  (Polyak 1964).

    Equal to ``sgd`` with momentum while lr is constant; here the memory holds steps, not gradients.
    """
    check_fraction(momentum=momentum)
    return chain(down(lr), trace(momentum))


def nesterov(lr=1e-3, momentum=0.9):
    """Nesterov's method in its look-ahead variable: the gradient is taken where momentum leads  (Nesterov 1983)."""
    check_fraction(momentum=momentum)
    return chain(down(lr), trace(momentum, nesterov=True))


def adagrad(lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    """θ ← θ − lr·g/(√G + eps), G the sum of all g²  (Duchi et al. 2011; torch.optim.Adagrad)."""
    check_not_negative(lr_decay=lr_decay, initial_accumulator_value=initial_accumulator_value)

    def init(params):
        return each(lambda p: initial_accumulator_value + 0 * p, params)

    def update(grads, G, params):
        G = each(lambda G, g: G + g * g, G, grads)
        return each(lambda g, G: g / (G**0.5 + eps), grads, G), G

    slower = scale(lambda t: 1 / (1 + t * lr_decay))
    return _with_l2(weight_decay, Rule(init, update), slower, down(lr))


def rmsprop(lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    """θ ← θ − lr·g/(√v + eps), v ← alpha·v + (1 − alpha)·g²  (Tieleman & Hinton 2012; torch.optim.RMSprop).

    ``centered`` divides by the standard deviation instead: v minus the square of the mean of g.
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
    return _with_l2(weight_decay, average, trace(momentum), down(lr))


def adadelta(lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0):
    """θ ← θ − lr·Δ, Δ = √(d + eps)/√(v + eps)·g, where v and d average g² and Δ²  (Zeiler 2012)."""
    check_fraction(rho=rho)

    def update(grads, state, params):
        v, d = state
        v = each(lambda v, g: rho * v + (1 - rho) * g * g, v, grads)
        step = each(lambda g, v, d: (d + eps) ** 0.5 / (v + eps) ** 0.5 * g, grads, v, d)
        return step, (v, each(lambda d, s: rho * d + (1 - rho) * s * s, d, step))

    return _with_l2(weight_decay, Rule(lambda params: (zeros(params), zeros(params)), update), down(lr))


def moments(direction, betas):
    """m and v, the running means of g and g², and ``direction(m, v, g, t)`` from them, t = 1, 2, ….

    >>> 1 - 0.9 ** 1  # at t = 1 the mean has taken in a tenth of g only; m / (1 - β₁ᵗ) corrects it
    0.09999999999999998
    """
    check_fraction(beta1=betas[0], beta2=betas[1])
    b1, b2 = betas

    def update(grads, state, params):
        t, m, v = state
        m = each(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        v = each(lambda v, g: b2 * v + (1 - b2) * g * g, v, grads)
        return each(lambda m, v, g: direction(m, v, g, t + 1), m, v, grads), (t + 1, m, v)

    return Rule(lambda params: (0, zeros(params), zeros(params)), update)


def adam_direction(betas=(0.9, 0.999), eps=1e-8):
    """m̂/(√v̂ + eps), with m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ)  (Kingma & Ba 2015)."""
    b1, b2 = betas
    check_not_negative(eps=eps)
    return moments(lambda m, v, g, t: m / (1 - b1**t) / ((v / (1 - b2**t)) ** 0.5 + eps), betas)


def adam(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """θ ← θ − lr·m̂/(√v̂ + eps)  (Kingma & Ba 2015; torch.optim.Adam)."""
    return _with_l2(weight_decay, adam_direction(betas, eps), down(lr))


def adamw(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    """Adam with decay apart from the gradient: θ ← θ − lr·(m̂/(√v̂ + eps) + weight_decay·θ)

    (Loshchilov & Hutter 2019; torch.optim.AdamW).
    """
    return chain(adam_direction(betas, eps), _l2(weight_decay), down(lr))


def amsgrad(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """Adam with the largest v so far in place of v  (Reddi et al. 2018; torch.optim.Adam(amsgrad=True))."""
    b1, b2 = betas
    check_fraction(beta1=b1, beta2=b2)

    def update(grads, state, params):
        t, m, v, top = state
        t = t + 1
        m = each(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        v = each(lambda v, g: b2 * v + (1 - b2) * g * g, v, grads)
        top = each(larger, top, v)
        return each(lambda m, top: m / (1 - b1**t) / ((top / (1 - b2**t)) ** 0.5 + eps), m, top), (t, m, v, top)

    return _with_l2(weight_decay, Rule(lambda params: (0, zeros(params), zeros(params), zeros(params)), update), down(lr))


def adamax(lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """Adam with a decaying maximum of |g| in place of √v̂: θ ← θ − lr·m̂/u, u ← max(β₂u, |g| + eps)

    (Kingma & Ba 2015, section 7; torch.optim.Adamax).
    """
    b1, b2 = betas
    check_fraction(beta1=b1, beta2=b2)

    def update(grads, state, params):
        t, m, u = state
        t = t + 1
        m = each(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        u = each(lambda u, g: larger(b2 * u, abs(g) + eps), u, grads)
        return each(lambda m, u: m / (1 - b1**t) / u, m, u), (t, m, u)

    return _with_l2(weight_decay, Rule(lambda params: (0, zeros(params), zeros(params)), update), down(lr))


def nadam(lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3):
    """Adam with Nesterov's look-ahead and a warm-up of β₁, μ_t = β₁(1 − ½·0.96^(t·momentum_decay))

    (Dozat 2016; torch.optim.NAdam).
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
        return (each(lambda m, v, g: (now * g + ahead * m) / ((v / (1 - b2**t)) ** 0.5 + eps), m, v, grads),
                (t, product, m, v))

    return _with_l2(weight_decay, Rule(lambda params: (0, 1.0, zeros(params), zeros(params)), update), down(lr))


def radam(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """Adam that waits until the variance of 1/√v̂ is finite, then takes it into account

    (Liu et al. 2020; torch.optim.RAdam, whose eps is added to √v before the correction).
    """
    b1, b2 = betas
    longest = 2 / (1 - b2) - 1  # ρ_∞, the length of the average

    def direction(m, v, g, t):
        m = m / (1 - b1**t)
        length = longest - 2 * t * b2**t / (1 - b2**t)
        if length <= 5:
            return m
        r = ((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) ** 0.5
        return m * r * (1 - b2**t) ** 0.5 / (v**0.5 + eps)

    return _with_l2(weight_decay, moments(direction, betas), down(lr))


def signsgd(lr=1e-3, momentum=0.0):
    """θ ← θ − lr·sign(v), v being g or its momentum  (Bernstein et al. 2018)."""
    check_fraction(momentum=momentum)
    return chain(trace(momentum), stateless(lambda g, p: sign(g)), down(lr))


def lion(lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
    """θ ← θ − lr·(sign(β₁m + (1 − β₁)g) + weight_decay·θ), then m ← β₂m + (1 − β₂)g  (Chen et al. 2023)."""
    b1, b2 = betas
    check_fraction(beta1=b1, beta2=b2)

    def update(grads, m, params):
        step = each(lambda m, g: sign(b1 * m + (1 - b1) * g), m, grads)
        return step, each(lambda m, g: b2 * m + (1 - b2) * g, m, grads)

    return chain(Rule(zeros, update), _l2(weight_decay), down(lr))
