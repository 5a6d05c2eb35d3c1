"""Rules that look further than one entry.

Matrices (Shampoo, Muon), averages (schedule-free), neighbors (SAM).

A matrix stands in an array's last two axes; a vector is a matrix of one row; axes before them count
matrices.  Reshape a convolution's weight to (out, in·height·width) yourself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..checks import check_fraction, check_not_negative, check_positive
from ..kinds import Array, Function, Schedule
from .algebra import Rule, chain, down, each, trace, zeros
from .algebra import weight_decay as decay
from .arithmetic import larger, library

__all__ = ["shampoo", "muon", "orthogonalize", "schedule_free", "sam"]


def inverse_root(A, p, eps):
    """(A + eps·I)^(−1/p) of symmetric matrices A (…, n, n), by their eigenvalues.

    NaN for a matrix that is not finite: in a stack the others go on.
    """
    sound = ((0 * A).sum((-2, -1)) == 0)[..., None, None]
    values, vectors = library(A).linalg.eigh(library(A).where(sound, A, 0.0))
    root = vectors * (larger(values, 0 * values) + eps)[..., None, :] ** (-1 / p) @ vectors.mT
    return library(A).where(sound, root, math.nan)


def shampoo(
    lr: Array | Schedule = 1e-1, momentum: float = 0.0, weight_decay: float = 0.0, eps: float = 1e-4
) -> Rule:
    """θ ← θ − lr·L^(−1/4) G R^(−1/4), where L = eps·I + Σ G Gᵀ and R = eps·I + Σ Gᵀ G
    (Gupta et al. 2018).

    A full-matrix AdaGrad for the rows and one for the columns of every weight matrix G.

    >>> import numpy as np
    >>> start = np.diag([1.0, 100.0])
    >>> end = gb.descend(gb.shampoo(lr=0.1), lambda W: W, start, steps=1)[1]
    >>> (start - end).round(2).tolist()
    [[0.1, 0.0], [0.0, 0.1]]
    """
    check_fraction(momentum=momentum)
    check_positive(eps=eps)

    def init(params):
        return None, None

    def update(grads, state, params):
        L, R = state
        G = each(_matrix, grads)
        outer, inner = each(lambda G: G @ G.mT, G), each(lambda G: G.mT @ G, G)
        L = outer if L is None else each(lambda L, o: L + o, L, outer)
        R = inner if R is None else each(lambda R, i: R + i, R, inner)
        step = each(
            lambda g, G, L, R: (inverse_root(L, 4, eps) @ G @ inverse_root(R, 4, eps)).reshape(
                g.shape
            ),
            grads,
            G,
            L,
            R,
        )
        return step, (L, R)

    return chain(decay(weight_decay), trace(momentum), Rule(init, update), down(lr))


def orthogonalize(
    G: Array,
    steps: int = 5,
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    eps: float = 1e-7,
) -> Array:
    """About U Vᵀ for G = U S Vᵀ (…, rows, columns), by products alone.

    Singular values that are not tiny come to between 0.7 and 1.2; tiny ones grow, and 0 stays 0.

    The quintic Newton–Schulz iteration X ← aX + (bA + cA²)X, A = XXᵀ  (Jordan et al. 2024).

    >>> import numpy as np
    >>> O = gb.rules.orthogonalize(np.diag([1.0, 100.0]))
    >>> bool((np.linalg.svd(O).S > 0.6).all())
    True
    """
    a, b, c = coefficients
    tall = G.shape[-2] > G.shape[-1]
    X = G.mT if tall else G
    norm = (X * X).sum((-2, -1), keepdims=True) ** 0.5
    X = X / larger(norm, 0 * norm + eps)
    for _ in range(steps):
        A = X @ X.mT
        X = a * X + (b * A + c * A @ A) @ X
    return X.mT if tall else X


def muon(
    lr: Array | Schedule = 1e-3,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_steps: int = 5,
) -> Rule:
    """θ ← θ − lr·(√max(1, rows/columns)·O + weight_decay·θ), O the orthogonalized momentum

    (Jordan et al. 2024; torch.optim.Muon, which computes O in bfloat16 and takes matrices only).

    >>> import numpy as np
    >>> start = np.diag([1.0, 100.0])
    >>> end = gb.descend(gb.muon(lr=0.1, weight_decay=0.0), lambda W: W, start, steps=1)[1]
    >>> (start - end).round(1).tolist()
    [[0.1, 0.0], [0.0, 0.1]]
    """
    check_fraction(momentum=momentum)
    check_not_negative(weight_decay=weight_decay)

    def shape_factor(G):
        return max(1, G.shape[-2] / G.shape[-1]) ** 0.5

    def update(grads, v, params):
        v = each(lambda v, g: momentum * v + (1 - momentum) * g, v, grads)
        ahead = each(lambda v, g: momentum * v + (1 - momentum) * g, v, grads) if nesterov else v
        return each(
            lambda u: (shape_factor(_matrix(u)) * orthogonalize(_matrix(u), ns_steps)).reshape(
                u.shape
            ),
            ahead,
        ), v

    return chain(Rule(zeros, update), decay(weight_decay), down(lr))


def schedule_free(
    lr: float = 1.0, momentum: float = 0.9, rule: Callable[..., Rule] | None = None
) -> Rule:
    """``rule`` (gradient descent) walks z; x averages z.

    The gradient is taken between them, at θ = βx + (1 − β)z.

    No schedule and no horizon; the state is (t, z, x, the rule's), and x, the average, is the point
    to evaluate  (Defazio et al. 2024; β is ``momentum``).

    >>> rule = gb.schedule_free(lr=0.5)
    >>> theta, state = 4.0, rule.init(4.0)
    >>> for _ in range(200):
    ...     update, state = rule.update(theta, state, theta)  # the gradient of θ²/2
    ...     theta = theta + update
    >>> abs(state[2]) < 0.01
    True
    """
    check_fraction(momentum=momentum)
    base = down(lr) if rule is None else rule(lr)

    def init(params):
        return 0, each(lambda p: p + 0, params), each(lambda p: p + 0, params), base.init(params)

    def update(grads, state, params):
        t, z, x, s = state
        step, s = base.update(grads, s, z)
        z = each(lambda z, u: z + u, z, step)
        x = each(lambda x, z: x + (z - x) / (t + 1), x, z)
        return each(lambda x, z, p: momentum * x + (1 - momentum) * z - p, x, z, params), (
            t + 1,
            z,
            x,
            s,
        )

    return Rule(init, update, base.joint)


def sam(grad: Function, rho: float = 0.05) -> Function:
    """The gradient at the worst point within ``rho``.

    ∇f(θ + rho·∇f(θ)/|∇f(θ)|), as a function of θ  (Foret et al. 2021).

    It stands beside the rules, because it needs a second gradient: ``descend(sgd(0.1), sam(grad),
    x0, 100)``.

    >>> round(gb.sam(lambda x: 2 * x, rho=0.05)(1.0), 6)
    2.1
    """
    check_not_negative(rho=rho)

    def worst(theta):
        g = grad(theta)
        arrays = g if isinstance(g, (list, tuple)) else [g]
        norm = sum((a * a).sum() if hasattr(a, "sum") else a * a for a in arrays) ** 0.5
        return grad(each(lambda p, a: p + rho * a / (norm + 1e-12), theta, g))

    return worst


def _matrix(g):
    if g.ndim > 3:
        raise ValueError(
            f"an array has shape {tuple(g.shape)}; these rules need matrices: "
            f"reshape a convolution's weight to (out, in·height·width)"
        )
    return g if g.ndim > 1 else g.reshape(1, -1)
