"""Links that bound the gradient, or disturb it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..checks import check_not_negative, check_positive
from .algebra import Rule, Stack, each, stateless
from .arithmetic import larger, smaller

if TYPE_CHECKING:
    import numpy as np

__all__ = ["clip_value", "clip_norm", "clip_adaptive", "noise"]


def clip_value(value: float) -> Rule:
    """Every entry into [−value, value].

    >>> import numpy as np
    >>> rule = gb.chain(gb.clip_value(1.0), gb.sgd(lr=1.0))
    >>> gb.descend(rule, lambda x: np.array([100.0, 0.5]), np.zeros(2), steps=1)[1].tolist()
    [-1.0, -0.5]
    """
    check_positive(value=value)
    return stateless(
        lambda g, p: g.clip(-value, value) if hasattr(g, "clip") else min(max(g, -value), value)
    )


def clip_norm(max_norm: float, eps: float = 1e-6) -> Rule:
    """All gradients together to a Euclidean norm of at most ``max_norm``.

    That is g · min(1, max_norm/(|g| + eps)).

    In a :class:`Stack`, each network's.  Pascanu et al. (2013), with the eps of
    ``torch.nn.utils.clip_grad_norm_``.

    >>> import numpy as np
    >>> rule = gb.chain(gb.clip_norm(5.0), gb.sgd(lr=1.0))
    >>> path = gb.descend(rule, lambda x: np.array([30.0, 40.0]), np.zeros(2), steps=1)
    >>> path[1].round(4).tolist()
    [-3.0, -4.0]
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

    >>> import numpy as np
    >>> rule = gb.chain(gb.clip_adaptive(0.01), gb.sgd(lr=1.0))
    >>> gb.descend(rule, lambda W: 100 * W, np.ones((4, 1)), steps=1)[1].round(4).ravel().tolist()
    [0.99, 0.99, 0.99, 0.99]
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

    >>> import numpy as np
    >>> rule = gb.chain(gb.noise(0.1, np.random.default_rng(0)), gb.sgd(lr=1.0))
    >>> step = gb.descend(rule, lambda x: 0 * x, np.zeros(10_000), steps=1)[1]
    >>> round(float(step.std()), 2)
    0.1
    """
    check_not_negative(scale=scale)

    def draw(g):
        z = rng.standard_normal(g.shape)
        return g.new_tensor(z) if hasattr(g, "new_tensor") else z

    return stateless(lambda g, p: g + scale * draw(g))
