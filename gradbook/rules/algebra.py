"""The algebra of update rules: pairs of plain functions on arrays, in the manner of optax.

``Rule(init, update)``: ``init(params) -> state`` and ``update(grads, state, params) -> (updates,
state)``; the updates are added to the parameters.  ``grads`` and ``params`` are one array or a list
of arrays. Arithmetic is all that is used, so one rule serves NumPy, torch, and a stack of N
networks with a learning rate each (``lr`` of a shape that broadcasts against every parameter).
``lr`` may also be a schedule, a function of the step 0, 1, 2, ….
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..checks import check_not_negative
from ..kinds import Array, Function, Schedule
from .arithmetic import any_nonzero, sign

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
]


class Rule(NamedTuple):
    """``init(params) -> state`` and ``update(grads, state, params) -> (updates, state)``.

    ``joint`` says that the update of one array depends on the others, as in :func:`clip_norm`.

    >>> rule = gb.sgd(lr=0.1)
    >>> update, state = rule.update(4.0, rule.init(2.0), 2.0)
    >>> 2.0 + update
    1.6
    """

    init: Callable
    update: Callable
    joint: bool = False


class Stack(list[Any]):
    """A list of arrays whose first axis counts networks.

    What is joint is joint within a network only.

    >>> import numpy as np
    >>> two = gb.rules.Stack([np.array([[3.0, 4.0], [0.3, 0.4]])])
    >>> rule = gb.clip_norm(1.0)
    >>> rule.update(two, rule.init(two), two)[0][0].round(3).tolist()
    [[0.6, 0.8], [0.3, 0.4]]
    """


# -------- the algebra


def chain(*rules: Rule) -> Rule:
    """Apply ``rules`` one after the other: the updates of one are the gradients of the next.

    >>> rule = gb.chain(gb.clip_value(1.0), gb.sgd(lr=0.5))
    >>> gb.descend(rule, lambda x: 2 * x, 3.0, steps=3)
    [3.0, 2.5, 2.0, 1.5]
    """

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
    """A rule without memory: ``f(g, p)`` of every gradient and its parameter.

    >>> halves = gb.rules.stateless(lambda g, p: -p / 2)
    >>> gb.descend(halves, lambda x: x, 4.0, steps=2)
    [4.0, 2.0, 1.0]
    """
    return Rule(lambda params: None, lambda grads, state, params: (each(f, grads, params), None))


def descend(rule: Rule, grad: Function, x0: Array, steps: int) -> list[Array]:
    """The points x₀, x₁, …, x_steps that ``rule`` visits, as a list, given the gradient as a
    function of x.

    >>> gb.descend(gb.sgd(lr=0.25), lambda x: 2 * x, 1.0, steps=3)
    [1.0, 0.5, 0.25, 0.125]
    """
    path, state = [x0], rule.init(x0)
    for _ in range(steps):
        update, state = rule.update(grad(path[-1]), state, path[-1])
        path.append(each(lambda x, u: x + u, path[-1], update))
    return path


# -------- links


def scale(factor: Array | Schedule) -> Rule:
    """Multiply by ``factor``, or at step t by ``factor(t)``.

    >>> rule = gb.chain(gb.scale(-0.5))
    >>> gb.descend(rule, lambda x: x, 4.0, steps=2)
    [4.0, 2.0, 1.0]
    """

    def update(grads, t, params):
        c = factor(t) if callable(factor) else factor
        return each(lambda g: c * g, grads), t + 1

    return Rule(lambda params: 0, update)


def down(lr: Array | Schedule) -> Rule:
    """Multiply by −lr: the last link of most rules.

    >>> gb.descend(gb.rules.down(0.5), lambda x: x, 4.0, steps=2)
    [4.0, 2.0, 1.0]
    """
    if not callable(lr):
        check_not_negative(lr=lr)
    return scale((lambda t: -1 * lr(t)) if callable(lr) else -1 * lr)


def trace(decay: float, dampening: float = 0.0, nesterov: bool = False) -> Rule:
    """Momentum: v ← decay·v + (1 − dampening)·g with v = g at first.

    Gives v, or g + decay·v if ``nesterov``.

    At a decay of 0 gradients pass, and v stays as it was.

    Polyak (1964); Sutskever et al. (2013) for the form of Nesterov's.

    >>> rule = gb.chain(gb.trace(0.5), gb.scale(-1.0))
    >>> gb.descend(rule, lambda x: 1.0, 0.0, steps=3)
    [0.0, -1.0, -2.5, -4.25]
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

    >>> rule = gb.chain(gb.weight_decay(0.1), gb.sgd(lr=1.0))
    >>> gb.descend(rule, lambda x: 0.0, 1.0, steps=2)
    [1.0, 0.9, 0.81]
    """
    check_not_negative(strength=strength)
    return stateless(lambda g, p: g + strength * p if any_nonzero(strength) else g)


def with_l2(strength, *links):
    """``links`` behind L2 regularization, even of strength 0, so that a state fits any strength."""
    return chain(weight_decay(strength), *links)


def l1(strength: float) -> Rule:
    """Add strength·sign(θ) to the gradient, a subgradient of strength·|θ|₁.

    >>> rule = gb.chain(gb.l1(0.25), gb.sgd(lr=1.0))
    >>> gb.descend(rule, lambda x: 0.0, 1.0, steps=2)
    [1.0, 0.75, 0.5]
    """
    check_not_negative(strength=strength)
    return stateless(lambda g, p: g + strength * sign(p))
