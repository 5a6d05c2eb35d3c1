"""Measure the gradients of any torch model."""

import math

import torch
import xarray as xr

from .record import describe

__all__ = ["probe"]


def probe(model, loss):
    """Measure one forward and backward pass, layer by layer.

    ``model`` is a ``torch.nn.Module``; ``loss`` a function of no arguments that runs it and returns a
    scalar, the mean over a batch.  A layer is a submodule that owns a parameter called ``weight`` and
    returns one tensor whose first axis is the batch; one that runs twice gets a second row, ``name[1]``.
    The model stays as it was: parameters, ``.grad``, buffers such as batch norm's averages, and hooks.

    Returns an ``xarray.Dataset`` over ``layer`` (names, in the order of the forward pass):

    - ``signal``: |∂loss_a/∂z| for the loss of one example a, root mean square over the batch, z being
      the layer's output;
    - ``grad_norm``: |∂loss/∂W|, Frobenius, and ``weight_norm``: |W|;
    - ``activation_rms``: root mean square of the layer's input;
    - ``not_finite``: how many entries of z, of its gradient and of ∂loss/∂W are NaN or infinite.

    Norms are summed in float64.  Raises TypeError or ValueError where model or loss cannot be measured.

    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> data = probe(model, lambda: model(torch.ones(5, 3)).mean())
    >>> data.layer.values.tolist(), bool((data.grad_norm > 0).all())
    (['0', '2'], True)
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is a {type(model).__name__}; it must be a torch.nn.Module")
    if not callable(loss):
        raise TypeError(f"loss is a {type(loss).__name__}; it must be a function of no arguments, such as "
                        "lambda: criterion(model(x), y)")
    layers = {name: m for name, m in model.named_modules()
              if isinstance(getattr(m, "weight", None), torch.nn.Parameter) and m.weight.requires_grad}
    if not layers:
        raise ValueError("model has no layer with a trainable parameter called weight, so there is nothing to measure")
    seen, hooks = [], []
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]

    def watch(name):
        def hook(module, inputs, output):
            if isinstance(output, torch.Tensor) and output.requires_grad:
                earlier = sum(row["weight"] is module.weight for row in seen)
                # the hook sees z itself, before an in-place activation can overwrite it
                row = {"layer": f"{name}[{earlier}]" if earlier else name, "weight": module.weight,
                       "batch": output.shape[0] if output.ndim else 1, "input": _rms(inputs[0]),
                       "not_finite": _not_finite(output), "signal": math.nan}
                seen.append(row)
                output.register_hook(lambda delta: row.update(
                    signal=math.sqrt(row["batch"]) * _norm(delta), not_finite=row["not_finite"] + _not_finite(delta)))
        return hook

    try:
        hooks += [layer.register_forward_hook(watch(name)) for name, layer in layers.items()]
        with torch.enable_grad():
            value = loss()
        grads = _gradients(value, [row["weight"] for row in seen])
    finally:
        for hook in hooks:
            hook.remove()
        for buffer, before in buffers:
            buffer.copy_(before)
    rows = [{"signal": row["signal"], "grad_norm": math.nan if g is None else _norm(g), "weight_norm": _norm(row["weight"]),
             "activation_rms": row["input"], "not_finite": row["not_finite"] + (0 if g is None else _not_finite(g))}
            for row, g in zip(seen, grads)]
    return describe(xr.Dataset({key: ("layer", [row[key] for row in rows]) for key in rows[0]},
                               {"layer": [row["layer"] for row in seen]}, {"loss": value.item()}))


def _gradients(loss, weights):
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        shape = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise ValueError(f"loss() returned {shape}; it must return a tensor with one entry, such as a mean over the batch")
    if not weights or not loss.requires_grad:
        raise ValueError("loss() does not depend on the model's weights: it must run the model, outside torch.no_grad()")
    return torch.autograd.grad(loss.sum(), weights, allow_unused=True)


def _norm(t):
    return float(t.detach().double().norm())


def _rms(t):
    return _norm(t) / math.sqrt(max(t.numel(), 1)) if torch.is_floating_point(t) else math.nan


def _not_finite(t):
    return int((~t.detach().isfinite()).sum())
