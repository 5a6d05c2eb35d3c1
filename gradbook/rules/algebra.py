"""The algebra of update rules: pairs of plain functions on arrays, in the manner of optax.

``Rule(init, update)``: ``init(params) -> state`` and ``update(grads, state, params) -> (updates,
state)``; the updates are added to the parameters.  ``grads`` and ``params`` are one array or a list
of arrays. Arithmetic is all that is used, so one rule serves NumPy, torch, and a stack of N
networks with a learning rate each (``lr`` of a shape that broadcasts against every parameter).
``lr`` may also be a schedule, a function of the step 0, 1, 2, ….
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..checks import check_not_negative, check_positive
from ..kinds import Array, Function, Schedule
from .arithmetic import any_nonzero, larger, sign, smaller

if TYPE_CHECKING:
    import numpy as np


__all__ = [
    "Rule",
    "Stack",
    "chain",
    "descend",
    "scale",
    "down",
    "stateless",
    "trace",
    "weight_decay",
    "l1",
    "clip_value",
    "clip_norm",
    "clip_adaptive",
    "noise",
]


class Rule(NamedTuple):
    """``init(params) -> state`` and ``update(grads, state, params) -> (updates, state)``.

    ``joint`` says that the update of one array depends on the others, as in :func:`clip_norm`.
    """

    init: Callable
    update: Callable
    joint: bool = False


class Stack(list[Any]):
    """A list of arrays whose first axis counts networks.

    What is joint is joint within a network only.
    """


# -------- the algebra


def chain(*rules: Rule) -> Rule:
    """Apply ``rules`` one after the other: the updates of one are the gradients of the next."""

    def update(grads, state, params):
        states = []
        for rule, s in zip(rules, state, strict=True):
            grads, s = rule.update(grads, s, params)
            states.append(s)
        return grads, states

    return Rule(
        lambda params: [rule.init(params) for rule in rules],
        update,
        any(rule.joint for rule in rules),
    )


def each(f, *trees):
    """``f`` of every array of one list, or of arrays that stand alone."""
    if isinstance(trees[0], (list, tuple)):
        return type(trees[0])(f(*arrays) for arrays in zip(*trees))
    return f(*trees)


def zeros(params):
    return each(lambda p: 0 * p, params)


def stateless(f: Function) -> Rule:
    """A rule without memory: ``f(g, p)`` of every gradient and its parameter."""
    return Rule(lambda params: None, lambda grads, state, params: (each(f, grads, params), None))


def descend(rule: Rule, grad: Function, x0: Array, steps: int) -> list[Array]:
    """The points x₀, x₁, …, x_steps that ``rule`` visits, as a list, given the gradient as a
    function of x.
    """
    path, state = [x0], rule.init(x0)
    for _ in range(steps):
        update, state = rule.update(grad(path[-1]), state, path[-1])
        path.append(each(lambda x, u: x + u, path[-1], update))
    return path


# -------- links


def scale(factor: Array | Schedule) -> Rule:
    """Multiply by ``factor``, or at step t by ``factor(t)``."""

    def update(grads, t, params):
        c = factor(t) if callable(factor) else factor
        return each(lambda g: c * g, grads), t + 1

    return Rule(lambda params: 0, update)


def down(lr: Array | Schedule) -> Rule:
    """Multiply by −lr: the last link of most rules."""
    if not callable(lr):
        check_not_negative(lr=lr)
    return scale((lambda t: -1 * lr(t)) if callable(lr) else -1 * lr)


def trace(decay: float, dampening: float = 0.0, nesterov: bool = False) -> Rule:
    """Momentum: v ← decay·v + (1 − dampening)·g with v = g at first.

    Gives v, or g + decay·v if ``nesterov``.

    At a decay of 0 gradients pass, and v stays as it was.

    Polyak (1964); Sutskever et al. (2013) for the form of Nesterov's.
    """

    def update(grads, v, params):
        if not decay:
            return grads, v
        v = (
            each(lambda g: g + 0, grads)
            if v is None
            else each(lambda v, g: decay * v + (1 - dampening) * g, v, grads)
        )
        return (each(lambda g, v: g + decay * v, grads, v) if nesterov else v), v

    return Rule(lambda params: None, update)


def weight_decay(strength: float) -> Rule:
    """Add strength·θ to the gradient.

    L2 regularization if it stands before a rule's direction, decay if after.
    """
    check_not_negative(strength=strength)
    return stateless(lambda g, p: g + strength * p if any_nonzero(strength) else g)


def with_l2(strength, *links):
    """``links`` behind L2 regularization, even of strength 0, so that a state fits any strength."""
    return chain(weight_decay(strength), *links)


def l1(strength: float) -> Rule:
    """Add strength·sign(θ) to the gradient, a subgradient of strength·|θ|₁."""
    check_not_negative(strength=strength)
    return stateless(lambda g, p: g + strength * sign(p))


def clip_value(value: float) -> Rule:
    """Every entry into [−value, value]."""
    check_positive(value=value)
    return stateless(
        lambda g, p: g.clip(-value, value) if hasattr(g, "clip") else min(max(g, -value), value)
    )


def clip_norm(max_norm: float, eps: float = 1e-6) -> Rule:
    """All gradients together to a Euclidean norm of at most ``max_norm``.

    That is g · min(1, max_norm/(|g| + eps)).

    In a :class:`Stack`, each network's.  Pascanu et al. (2013), with the eps of
    ``torch.nn.utils.clip_grad_norm_``.
    """
    check_positive(max_norm=max_norm)

    def square(g, stacked):
        return (g * g).sum(tuple(range(1, g.ndim)), keepdims=True) if stacked else (g * g).sum()

    def update(grads, state, params):
        arrays = grads if isinstance(grads, (list, tuple)) else [grads]
        norm = sum(square(g, isinstance(grads, Stack)) for g in arrays) ** 0.5
        c = max_norm / (norm + eps)
        return each(lambda g: g * smaller(c, 1 + 0 * c), grads), state

    return Rule(lambda params: None, update, joint=True)


def clip_adaptive(clipping: float = 0.01, eps: float = 1e-3) -> Rule:
    """Each unit's gradient to ``clipping`` times the unit's weight norm  (Brock et al. 2021).

    A unit is a column of W (fan_in, fan_out), this book's layout; give torch's weights transposed.
    """
    check_positive(clipping=clipping)

    def norm(a):
        return (a * a).sum(-2 if a.ndim > 1 else -1, keepdims=True) ** 0.5

    def f(g, p):
        limit, size = clipping * larger(norm(p), eps + 0 * norm(p)), norm(g)
        return g * smaller(limit / larger(size, 1e-6 + 0 * size), 1 + 0 * size)

    return stateless(f)


def noise(scale: float, rng: np.random.Generator) -> Rule:
    """Add scale·N(0, 1) to every entry; ``rng`` is a ``numpy.random.Generator``
    (Neelakantan et al. 2015).
    """
    check_not_negative(scale=scale)

    def draw(g):
        z = rng.standard_normal(g.shape)
        return g.new_tensor(z) if hasattr(g, "new_tensor") else z

    return stateless(lambda g, p: g + scale * draw(g))
