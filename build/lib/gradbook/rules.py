"""Update rules as pairs of plain functions, in the manner of optax.

A rule sees a list of gradients and returns the list of what is added to the parameters.  It uses
arithmetic only, so one rule serves NumPy arrays, torch tensors, and a stack of N networks with
one learning rate each (``lr`` of a shape that broadcasts against every parameter).

>>> import numpy as np
>>> rule = sgd(lr=0.1)
>>> state = rule.init([np.array([1.0, 2.0])])
>>> update, state = rule.update([np.array([10.0, -10.0])], state, [np.array([1.0, 2.0])])
>>> update[0].round(6).tolist()
[-1.0, 1.0]
"""

from typing import Callable, NamedTuple

__all__ = ["Rule", "chain", "scale", "trace", "sgd"]


class Rule(NamedTuple):
    """``init(params) -> state`` and ``update(grads, state, params) -> (updates, state)``."""

    init: Callable
    update: Callable


def chain(*rules):
    """Apply ``rules`` one after the other: the updates of one are the gradients of the next."""

    def update(grads, state, params):
        states = []
        for rule, s in zip(rules, state):
            grads, s = rule.update(grads, s, params)
            states.append(s)
        return grads, states

    return Rule(lambda params: [rule.init(params) for rule in rules], update)


def scale(factor):
    """Multiply every gradient by ``factor``."""
    return Rule(lambda params: None, lambda grads, state, params: ([factor * g for g in grads], state))


def trace(decay):
    """Momentum: v ← decay·v + g (heavy ball in torch's convention; Polyak 1964)."""

    def update(grads, state, params):
        state = list(grads) if state is None else [decay * v + g for v, g in zip(state, grads)]
        return state, state

    return Rule(lambda params: None, update)


def sgd(lr, momentum=0.0):
    """Gradient descent, θ ← θ − lr·g, or with ``momentum`` θ ← θ − lr·v (torch.optim.SGD)."""
    if not isinstance(momentum, (int, float)) or not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum!r}; it must be a number with 0 <= momentum < 1")
    return chain(trace(momentum), scale(-1 * lr)) if momentum else scale(-1 * lr)
