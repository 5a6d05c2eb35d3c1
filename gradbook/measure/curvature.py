"""Second derivatives and Jacobians of a torch model.

Sharpness, and the spectrum of its input–output map.
"""

from __future__ import annotations

import numpy as np
import torch

from ..kinds import Function
from .layers import check_model, untouched

__all__ = ["sharpness", "jacobian_spectrum"]


def sharpness(
    model: torch.nn.Module,
    loss: Function,
    optimizer: torch.optim.Optimizer | None = None,
    tolerance: float = 1e-3,
) -> float:
    """The largest eigenvalue of the loss's Hessian in the trainable parameters, to a relative
    ``tolerance``.

    Gradient descent is stable while it is below 2/lr.  With ``optimizer``, a torch.optim.Adam,
    AdamW or RMSprop that has taken a step, the Hessian is preconditioned as the optimizer does: the
    largest eigenvalue of D^(−1/2) H D^(−1/2), D = √v̂ + eps; Adam is stable while it is below 2(1 +
    β₁)/((1 − β₁)·lr)  (Cohen et al. 2021, 2022).  By Lanczos on Hessian–vector products, each about
    two backward passes; ``loss`` is a function of no arguments, and is called once.

    >>> import torch
    >>> w = torch.nn.Linear(1, 1, bias=False)
    >>> round(gb.sharpness(w, lambda: (w(torch.tensor([[20.0]])) - 10).square().sum()), 2)
    800.0
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    check_model(model)
    params = [p for p in model.parameters() if p.requires_grad]
    with torch.enable_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        with untouched(model):
            value = loss()
        if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
            raise ValueError(
                "loss() must return a tensor with one entry that depends on the model's parameters"
            )
        grads = torch.autograd.grad(value.sum(), params, create_graph=True, allow_unused=True)
        kept = [(p, g) for p, g in zip(params, grads) if g is not None]
        if not kept or not all(bool(g.isfinite().all()) for _, g in kept):
            raise ValueError(
                "the gradient is not finite, or nothing depends "
                "on the parameters: the Hessian has no eigenvalue"
            )
        params, grads = zip(*kept)
        grad = torch.cat([g.reshape(-1) for g in grads])
        scale = torch.ones((), device=grad.device)
        if optimizer is not None:
            scale = _preconditioner(optimizer, params)

        def product(v):
            v = torch.as_tensor(np.ravel(v), dtype=grad.dtype, device=grad.device)
            hv = [torch.zeros_like(p) for p in params]
            if grad.requires_grad:
                options = {"retain_graph": True, "materialize_grads": True}
                hv = torch.autograd.grad(grad, params, scale * v, **options)
            return (scale * torch.cat([h.reshape(-1) for h in hv])).detach().double().cpu().numpy()

        n = len(grad)
        if n <= 3:  # too small for Lanczos
            H = np.stack([product(e) for e in np.eye(n)])
            return float(np.linalg.eigvalsh((H + H.T) / 2)[-1])
        start = np.random.default_rng(0).standard_normal(n)
        if not product(start).any():
            return 0.0
        operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
        options = {"which": "LA", "tol": tolerance, "v0": start, "return_eigenvectors": False}
        return float(eigsh(operator, k=1, **options)[0])


def jacobian_spectrum(model: Function, x: torch.Tensor) -> np.ndarray:
    """Singular values of ∂model(x)/∂x for every example, (examples, min(inputs, outputs)), largest
    first.

    ``x`` (examples, …) in floating point.  Examples must not see each other: put batch
    normalization into ``eval()`` first.  One backward pass for each output.

    >>> import numpy as np
    >>> import torch
    >>> A = torch.nn.Linear(3, 2, bias=False)
    >>> s = gb.jacobian_spectrum(A, torch.randn(4, 3))
    >>> s.shape, bool(np.allclose(s[0], torch.linalg.svdvals(A.weight).detach()))
    ((4, 2), True)
    """
    if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.ndim < 2:
        raise ValueError("x must be a floating-point tensor (examples, …)")
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        y = model(x)
        if not isinstance(y, torch.Tensor) or not y.requires_grad or y.shape[:1] != x.shape[:1]:
            raise ValueError("model(x) must be a tensor (examples, …) that depends on x")
        y = y.flatten(1)
        rows = [
            torch.autograd.grad(y[:, k].sum(), x, retain_graph=True)[0].flatten(1)
            for k in range(y.shape[1])
        ]
    return torch.linalg.svdvals(torch.stack(rows, 1).double()).cpu().numpy()


def _preconditioner(optimizer, params):
    """D^(−1/2) as one vector."""
    parts = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            if not p.requires_grad:
                continue
            state = optimizer.state.get(p, {})
            v = state.get("max_exp_avg_sq", state.get("exp_avg_sq", state.get("square_avg")))
            if "grad_avg" in state:  # centered RMSprop
                v = (v - state["grad_avg"] ** 2).clamp(min=0)
            if v is None:
                raise ValueError(
                    "optimizer has no running mean of squared gradients: "
                    "it must be a torch.optim.Adam, AdamW or RMSprop that has taken a step"
                )
            late = 1 - group["betas"][1] ** float(state["step"]) if "betas" in group else 1
            corrected = v / late
            parts.append((p, (corrected.sqrt() + group["eps"]) ** -0.5))
    found = dict(parts)
    return torch.cat(
        [found[p].reshape(-1) if p in found else torch.ones_like(p).reshape(-1) for p in params]
    )
