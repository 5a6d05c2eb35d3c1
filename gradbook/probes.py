"""Measure the gradients of any torch model, once."""

import copy
import math

import torch
import xarray as xr

from .measuring import Pass, clean, layers_of, norms, owners, untouched
from .record import describe

__all__ = ["probe"]


def probe(model, loss, optimizer=None):
    """Measure one forward and backward pass, layer by layer.

    ``model`` is a ``torch.nn.Module``; ``loss`` a function of no arguments that runs it and returns a
    scalar, the mean over a batch.  A layer is a submodule that owns trainable parameters; one that runs
    twice gets a second row, ``name[1]``.  A compiled model is run uncompiled, so that hooks fire.
    The model stays as it was: parameters, ``.grad``, buffers such as batch norm's averages, and hooks;
    so do torch's random numbers, and ``optimizer``, which may be given for the size of its next step.

    Returns an ``xarray.Dataset`` over ``layer`` (names, in the order of the forward pass):

    - ``signal``: |∂loss_a/∂z| for the loss of one example a, root mean square over the batch, z being
      the layer's output and its first axis the batch;
    - ``grad_norm``: |∂loss/∂W|, Frobenius, ``weight_norm``: |W|, and with an optimizer ``update_ratio``:
      |ΔW|/|W| of its next step;
    - ``activation_rms``, ``activation_mean``: of the layer's input h; ``dead``: the part of h's units that
      are 0 on the whole batch, where h comes from a rectifier; ``saturation``: the part of h's entries
      where the slope is under 5 % of its largest, where h comes from tanh or a sigmoid; else NaN;
    - ``not_finite``: how many entries of z, of its gradient and of ∂loss/∂W are NaN or infinite.

    Attributes: ``loss``; ``left_out``, the layers that are frozen or have no part in the loss;
    ``not_finite_parameters``, by name; with an optimizer its ``lr``, and of torch.optim.SGD without
    dampening ``momentum`` and ``nesterov``.  Norms are right for entries from 1e-45 to 1e38.  Raises
    TypeError or ValueError where model or loss cannot be measured.

    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> data = probe(model, lambda: model(torch.ones(5, 3)).mean())
    >>> data.layer.values.tolist(), bool((data.grad_norm > 0).all())
    (['0', '2'], True)
    """
    layers = check_model(model)
    if not callable(loss):
        raise TypeError(f"loss is a {type(loss).__name__}; it must be a function of no arguments, such as "
                        "lambda: criterion(model(x), y)")
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer is a {type(optimizer).__name__}; it must be a torch.optim.Optimizer")
    seen = Pass(layers, model.modules())
    try:
        seen.attach()
        with untouched(model), torch.enable_grad(), torch.compiler.set_stance("force_eager"):
            value = loss()
        weights = [w for _, ws in layers.values() for w in ws]
        grads = dict(zip(weights, _gradients(value, weights)))
    finally:
        seen.detach()
    ran = {row["module"] for row in seen.rows}
    for name, (_, ws) in layers.items():  # used without being called, as attention's output projection is
        if name not in ran and any(grads[w] is not None for w in ws):
            seen.rows.append({"module": name})
    seen.rows = [row for row in seen.rows if any(grads[w] is not None for w in layers[row["module"]][1])]
    taken = {row["module"] for row in seen.rows}
    steps = _next_step(optimizer, model, loss) if optimizer is not None else {}
    return describe(xr.Dataset(_table(seen, layers, grads, steps), {"layer": list(seen.names())},
                               {"loss": value.item(), **facts(model, optimizer, taken)}))


def check_model(model):
    """The layers of a model that can be measured."""
    if not isinstance(model, torch.nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise TypeError(f"model is a {type(model).__name__}; it must be a torch.nn.Module in Python, not a script")
    layers = layers_of(model)
    if any(p.is_complex() for _, ws in layers.values() for p in ws):
        raise ValueError("model has complex parameters; only real ones can be measured")
    if any(p.device.type == "mps" for _, ws in layers.values() for p in ws):
        raise ValueError("model is on mps, which has no float64, in which norms are summed; measure model.cpu()")
    if not layers:
        raise ValueError("model has no trainable parameters, so there is nothing to measure")
    return layers


def facts(model, optimizer, taken):
    """Attributes of a data set: what was left out, what is not finite, and the optimizer's learning rate and momentum."""
    named = [(clean(name), p) for name, p in model.named_parameters()]
    sizes = norms([p for _, p in named])
    out = {"left_out": [name for name, _, _ in owners(model) if name not in taken],
           "not_finite_parameters": [name for (name, _), size in zip(named, sizes) if not math.isfinite(size)]}
    if optimizer is not None:
        out["lr"] = max(float(group["lr"]) for group in optimizer.param_groups)
        if isinstance(optimizer, torch.optim.SGD):  # others scale the gradient, and 2/L is not their limit
            groups = optimizer.param_groups
            if not any(group["dampening"] for group in groups):  # with it, the limit is another
                out["momentum"] = max(float(group["momentum"]) for group in groups)
                out["nesterov"] = int(any(group["nesterov"] for group in groups))
    return out


def _table(seen, layers, grads, steps):
    """Columns of the data set."""
    weights = [w for _, ws in layers.values() for w in ws]
    of = [w for w in weights if grads[w] is not None]
    rows, size, grad_size = seen.numbers(), dict(zip(weights, norms(weights))), dict(zip(of, norms([grads[w] for w in of])))
    not_finite = {w: int((~grads[w].isfinite()).sum()) for w, n in grad_size.items() if not math.isfinite(n)}
    columns = {q: [r[q] for r in rows] for q in rows[0]}
    own = [layers[row["module"]][1] for row in seen.rows]
    columns["grad_norm"] = [math.hypot(*(grad_size[w] for w in ws if w in grad_size)) for ws in own]
    columns["weight_norm"] = [math.hypot(*(size[w] for w in ws)) for ws in own]
    columns["not_finite"] = [(0 if math.isnan(n) else int(n)) + sum(not_finite.get(w, 0) for w in ws)
                             for n, ws in zip(columns["not_finite"], own)]
    if steps:
        columns["update_ratio"] = [ratio(math.hypot(*(steps.get(w, math.nan) for w in ws)), n) for ws, n in zip(own, columns["weight_norm"])]
    return {q: ("layer", values) for q, values in columns.items()}


def ratio(step, size):
    """step/size, for sizes that may be 0."""
    return step / size if size else (math.inf if step else math.nan)


def _gradients(loss, weights):
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        shape = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise ValueError(f"loss() returned {shape}; it must return a tensor with one entry, such as a mean over the batch")
    grads = torch.autograd.grad(loss.sum(), weights, allow_unused=True) if loss.requires_grad else [None]
    if all(g is None for g in grads):
        raise ValueError("loss() does not depend on the model's weights: it must run the model, outside torch.no_grad()")
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
            raise TypeError(f"optimizer is a {type(optimizer).__name__}, whose step needs a closure; probe without it ({error})") from error
        return dict(zip(params, norms([p.detach() - b for p, b in zip(params, before)])))
    finally:
        optimizer.load_state_dict(state)
        with torch.no_grad():
            for p, b, g in zip(params, before, grads):
                p.copy_(b)
                p.grad = g
