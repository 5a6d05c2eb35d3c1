"""Measure the gradients of any torch model, once."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable
from functools import partial
from math import isfinite
from pathlib import Path

import torch
import xarray as xr

from ..record import describe
from .calls import count_not_finite
from .graph import nodes_below, read_loss
from .hooks import suspended
from .inputs import operation
from .layers import check_model, constant, facts, untouched, weights_of
from .norms import norms
from .passes import Pass
from .recurrent import IN_TIME
from .rows import NOT_FINITE, longest, padded, paths, reduce

__all__ = ["probe"]

EAGER = partial(torch.compiler.set_stance, "force_eager")
TORCH = str(Path(torch.__file__).parent)
TWICE = "loss() must only return the loss: no backward() and no optimizer.step() inside it"
NOTHING = (
    "loss() does not depend on the model's weights: it must run the model, outside "
    "torch.no_grad(), and nothing on the way may cut it off, as detach, item, argmax or round do"
)


def probe(
    model: torch.nn.Module,
    loss: Callable[[], torch.Tensor],
    optimizer: torch.optim.Optimizer | None = None,
) -> xr.Dataset:
    """Measure one forward and backward pass, layer by layer.

    ``model`` is a ``torch.nn.Module``; ``loss`` a function of no arguments that runs it and returns
    a scalar, the mean over a batch. A layer is a submodule that owns trainable parameters (where
    its weights are frozen, its biases are measured); one that runs twice gets a second row,
    ``name[1]``; each weight that a module of yours uses by itself, as ``x @ self.w``, has a row. A
    compiled model is run uncompiled, so that hooks fire. The model stays as it was: parameters,
    ``.grad``, buffers such as batch norm's averages, and hooks; so do torch's random numbers, and
    ``optimizer``, which may be given for the size of its next step.

    Returns an ``xarray.Dataset`` over ``layer`` (names, in the order of the forward pass):

    - ``signal``: |∂loss_a/∂z| for the loss of one example a, root mean square over the batch, z
      being the layer's output; how many examples there are is read from the model's first input;
    - ``grad_norm``: |∂loss/∂W|, Frobenius, ``weight_norm``: |W|, and with an optimizer
      ``update_ratio``: |ΔW|/|W| of its next step;
    - ``activation_rms``, ``activation_mean``: of the layer's input h; ``dead``: the part of h's
      units that are 0 on the whole batch, where h comes from a rectifier; ``saturation``: the part
      of h's entries where the slope is under 5 % of its largest, where h comes from tanh or a
      sigmoid; else NaN;
    - ``not_finite``: how many entries of z, of its gradient and of ∂loss/∂W are NaN or infinite,
      ``not_finite_forward`` those of z, ``not_finite_backward`` the others;
    - of recurrent layers and cells, over ``time``: ``signal_in_time`` |∂loss_a/∂h_t| and
      ``input_signal_in_time`` |∂loss_a/∂x_t|, NaN where it is not known (∂/∂h_t of layers that go
      both ways, project or drop).

    Attributes: ``loss``; ``left_out``, the layers that are frozen or have no part in the loss, and
    of them ``cut_off``, which are trainable; ``paths``, which layer feeds which; ``not_measured``,
    what could not be, and why; ``not_finite_parameters``, by name; with an optimizer its ``lr``,
    ``not_in_optimizer``, and of torch.optim.SGD without dampening ``momentum`` and ``nesterov``.
    Norms are right for entries from 1e-45 to 1e38.  Raises TypeError or ValueError where model or
    loss cannot be measured.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> data = gb.probe(model, lambda: model(torch.ones(5, 3)).mean())
    >>> data.layer.values.tolist(), bool((data.grad_norm > 0).all())
    (['0', '2'], True)
    """
    layers = check_model(model)
    _check(loss, optimizer)
    seen = Pass(layers, model)
    with suspended():
        return _probe(model, loss, optimizer, layers, seen)


def _probe(model, loss, optimizer, layers, seen):
    try:
        seen.attach()
        value, grads = _run(model, loss, weights_of(layers), seen)
    finally:
        seen.detach()
    step = _next_step(optimizer, model, loss) if optimizer is not None else None
    rows = _reduce(seen.calls, layers, grads, step)
    taken = {name.partition("[")[0] for name in rows}
    attributes = {"loss": value.item(), **facts(model, optimizer, taken)}
    attributes["paths"] = paths(seen.calls, layers, grads)
    attributes |= seen.attributes() | {"constant": constant(layers)}
    ways = [
        sum(row[f"not_finite_{way}"] for row in rows.values()) for way in ("forward", "backward")
    ]
    if ways[1] and not ways[0] and (where := operation_that_broke(model, loss, layers)):
        attributes["operation"] = where
    seen.replay()
    return _table(rows, attributes, seen.in_time.table())


def _run(model, loss, weights, seen):
    """The loss and {weight: its gradient} of one pass, which leaves no trace in ``model``."""
    with torch.inference_mode(False), untouched(model), torch.enable_grad(), EAGER():
        value = loss()
        _check_value(value)
        seen.told |= read_loss(value.grad_fn)
        seen.begin_counting()
        try:
            wanted = [*weights, *seen.in_time.sequences]
            grads = torch.autograd.grad(value.sum(), wanted, allow_unused=True)[: len(weights)]
        except RuntimeError as error:
            if "second time" in str(error):
                raise ValueError(TWICE) from error
            if "checkpoint" not in str(error):
                raise
            seen.clear()
            seen.counts = False
            value = loss()
            seen.begin_counting()
            grads = _by_backward(model, value, weights)  # what reentrant checkpointing needs
    if all(g is None for g in grads):
        raise ValueError(NOTHING)
    return value, {w: g for w, g in zip(weights, grads) if g is not None}


def operation_that_broke(model, loss, layers):
    """In words, the operation whose derivative is not finite, and the line that called it."""
    broke = []

    def look(node, given, came):
        if not broke and all_finite(came) and not all_finite(given):
            broke.append(node)

    with untouched(model), torch.enable_grad(), EAGER(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that this is slow
        with torch.autograd.detect_anomaly(check_nan=False):  # keeps where a node was made
            value = loss()
            for node in nodes_below(value.grad_fn):
                node.register_hook(partial(look, node))
            torch.autograd.grad(value.sum(), weights_of(layers), allow_unused=True)
    if not broke:
        return ""
    text = "".join(broke[0].metadata.get("traceback_", []))
    lines = re.findall(r'File "([^"]+)", line (\d+)', text)
    own = [(path, line) for path, line in lines if not path.startswith(TORCH)]
    return operation(broke[0]).lower() + (
        f", {Path(own[-1][0]).name} line {own[-1][1]}," if own else ""
    )


def all_finite(tensors):
    return all(t is None or bool(t.isfinite().all()) for t in tensors)


def _by_backward(model, value, weights):
    """The gradients, by way of ``.grad``, which is put back."""
    params = list(model.parameters())
    before = [p.grad for p in params]
    try:
        for p in params:
            p.grad = None
        value.sum().backward()
        return [w.grad for w in weights]
    finally:
        for p, g in zip(params, before):
            p.grad = g


def _reduce(calls, layers, grads, step):
    """{row: {quantity: number}}."""
    weights = weights_of(layers)
    grad = dict(zip(grads, norms(grads.values())))
    weight = dict(zip(weights, norms(weights)))
    broken = {w: count_not_finite(g).item() for w, g in grads.items() if not isfinite(grad[w])}
    return reduce(calls, layers, grad, weight, step, broken)


def _table(rows, attributes, times):
    """The data set of ``rows``, and of the time steps of recurrent layers."""
    columns = {q: [row[q] for row in rows.values()] for q in next(iter(rows.values()))}
    for q in NOT_FINITE:
        columns[q] = [int(n) for n in columns[q]]
    data = {q: ("layer", values) for q, values in columns.items()}
    axes = {"layer": list(rows)}
    if any(times.values()):
        for q in IN_TIME:
            found = [times.get(name, {}).get(q, []) for name in rows]
            data[q] = (("layer", "time"), padded(found, longest(times)))
        axes["time"] = range(longest(times))
    return describe(xr.Dataset(data, axes, attributes))


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


def _check_value(value):
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise ValueError(
            f"loss() returned {shape}; it must return a tensor with one entry, "
            "such as a mean over the batch; of several values return the loss alone"
        )
    if not value.requires_grad:
        raise ValueError(NOTHING)


def _next_step(optimizer, model, loss):
    """{parameter: |Δ|} of the optimizer's next step, which is taken and taken back."""
    params = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    before, grads = [p.detach().clone() for p in params], [p.grad for p in params]
    state = copy.deepcopy(optimizer.state_dict())
    try:
        with untouched(model), torch.enable_grad(), EAGER():
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
