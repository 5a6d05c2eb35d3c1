"""Measure the gradients of any torch model, once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import isfinite

import torch
import xarray as xr

from ..record import describe
from .layers import check_model, facts, untouched, weights_of
from .norms import norms
from .passes import Pass, count_not_finite, reduce

__all__ = ["probe"]


def probe(
    model: torch.nn.Module,
    loss: Callable[[], torch.Tensor],
    optimizer: torch.optim.Optimizer | None = None,
) -> xr.Dataset:
    """Measure one forward and backward pass, layer by layer.

    ``model`` is a ``torch.nn.Module``; ``loss`` a function of no arguments that runs it and returns
    a scalar, the mean over a batch.  A layer is a submodule that owns trainable parameters; one
    that runs twice gets a second row, ``name[1]``.  A compiled model is run uncompiled, so that
    hooks fire. The model stays as it was: parameters, ``.grad``, buffers such as batch norm's
    averages, and hooks; so do torch's random numbers, and ``optimizer``, which may be given for the
    size of its next step.

    Returns an ``xarray.Dataset`` over ``layer`` (names, in the order of the forward pass):

    - ``signal``: |∂loss_a/∂z| for the loss of one example a, root mean square over the batch, z
      being the layer's output and its first axis the batch;
    - ``grad_norm``: |∂loss/∂W|, Frobenius, ``weight_norm``: |W|, and with an optimizer
      ``update_ratio``: |ΔW|/|W| of its next step;
    - ``activation_rms``, ``activation_mean``: of the layer's input h; ``dead``: the part of h's
      units that are 0 on the whole batch, where h comes from a rectifier; ``saturation``: the part
      of h's entries where the slope is under 5 % of its largest, where h comes from tanh or a
      sigmoid; else NaN;
    - ``not_finite``: how many entries of z, of its gradient and of ∂loss/∂W are NaN or infinite.

    Attributes: ``loss``; ``left_out``, the layers that are frozen or have no part in the loss;
    ``not_finite_parameters``, by name; with an optimizer its ``lr``, and of torch.optim.SGD without
    dampening ``momentum`` and ``nesterov``.  Norms are right for entries from 1e-45 to 1e38.
    Raises TypeError or ValueError where model or loss cannot be measured.

    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> data = probe(model, lambda: model(torch.ones(5, 3)).mean())
    >>> data.layer.values.tolist(), bool((data.grad_norm > 0).all())
    (['0', '2'], True)
    """
    layers = check_model(model)
    _check(loss, optimizer)
    seen = Pass(layers, model.modules())
    try:
        seen.attach()
        value, grads = _run(model, loss, weights_of(layers))
    finally:
        seen.detach()
    step = _next_step(optimizer, model, loss) if optimizer is not None else None
    rows = _reduce(seen.calls, layers, grads, step)
    taken = {name.partition("[")[0] for name in rows}
    return _table(rows, {"loss": value.item(), **facts(model, optimizer, taken)})


def _run(model, loss, weights):
    """The loss and {weight: its gradient} of one pass, which leaves no trace in ``model``."""
    with untouched(model), torch.enable_grad(), torch.compiler.set_stance("force_eager"):
        value = loss()
    grads = _gradients(value, weights)
    return value, {w: g for w, g in zip(weights, grads) if g is not None}


def _reduce(calls, layers, grads, step):
    """{row: {quantity: number}}."""
    weights = weights_of(layers)
    grad = dict(zip(grads, norms(grads.values())))
    weight = dict(zip(weights, norms(weights)))
    broken = {w: count_not_finite(g).item() for w, g in grads.items() if not isfinite(grad[w])}
    return reduce(calls, layers, grad, weight, step, broken)


def _table(rows, attributes):
    """The data set of ``rows``."""
    columns = {q: [row[q] for row in rows.values()] for q in next(iter(rows.values()))}
    columns["not_finite"] = [int(n) for n in columns["not_finite"]]
    data = {q: ("layer", values) for q, values in columns.items()}
    return describe(xr.Dataset(data, {"layer": list(rows)}, attributes))


def _check(loss, optimizer):
    if not callable(loss):
        raise TypeError(
            f"loss is a {type(loss).__name__}; it must be a function of no arguments, such as "
            "lambda: criterion(model(x), y)"
        )
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer is a {type(optimizer).__name__}; it must be a torch.optim.Optimizer"
        )


def _gradients(loss, weights):
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        shape = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise ValueError(
            f"loss() returned {shape}; it must return a tensor "
            f"with one entry, such as a mean over the batch"
        )
    grads = (
        torch.autograd.grad(loss.sum(), weights, allow_unused=True)
        if loss.requires_grad
        else [None]
    )
    if all(g is None for g in grads):
        raise ValueError(
            "loss() does not depend on the model's weights: "
            "it must run the model, outside torch.no_grad()"
        )
    if any(g is not None and g.is_sparse for g in grads):
        raise ValueError("a gradient is sparse; make the embedding with sparse=False to measure it")
    return grads


def _next_step(optimizer, model, loss):
    """{parameter: |Δ|} of the optimizer's next step, which is taken and taken back."""
    params = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    before, grads = [p.detach().clone() for p in params], [p.grad for p in params]
    state = copy.deepcopy(optimizer.state_dict())
    try:
        with untouched(model), torch.enable_grad(), torch.compiler.set_stance("force_eager"):
            for p, g in zip(params, torch.autograd.grad(loss(), params, allow_unused=True)):
                p.grad = g
        try:
            optimizer.step()
        except TypeError as error:  # LBFGS wants a closure
            raise TypeError(
                f"optimizer is a {type(optimizer).__name__}, whose "
                f"step needs a closure; probe without it ({error})"
            ) from error
        return dict(zip(params, norms([p.detach() - b for p, b in zip(params, before)])))
    finally:
        optimizer.load_state_dict(state)
        with torch.no_grad():
            for p, b, g in zip(params, before, grads):
                p.copy_(b)
                p.grad = g
