"""A model's layers, and what a data set says of the model as a whole."""

import contextlib
import math

import torch

from .norms import norms

__all__ = ["check_model", "layers_of", "untouched", "facts"]


def check_model(model):
    """The layers of a model that can be measured; raises an error in words for one that cannot."""
    if not isinstance(model, torch.nn.Module) or isinstance(model, torch.jit.ScriptModule):
        kind = type(model).__name__
        raise TypeError(f"model is a {kind}; it must be a torch.nn.Module in Python, not a script")
    layers = layers_of(model)
    weights = weights_of(layers)
    if any(p.is_complex() for p in weights):
        raise ValueError("model has complex parameters; only real ones can be measured")
    if any(p.device.type == "mps" for p in weights):
        raise ValueError(
            "model is on mps, which has no float64, in which norms are summed; measure model.cpu()"
        )
    if not layers:
        raise ValueError("model has no trainable parameters, so there is nothing to measure")
    return layers


def layers_of(model):
    """{name: (module, its weights)} for every module that owns weights, not all of them frozen.

    Weights are the parameters with two or more axes, else those called weight, else all of them.
    """
    found = {}
    for name, own, module in owners(model):
        matrices = [p for p in own.values() if p.ndim > 1]
        called_weight = [p for n, p in own.items() if "weight" in n]
        weights = matrices or called_weight or [*own.values()]
        if weights := [p for p in weights if p.requires_grad]:
            found[name] = (module, weights)
    return found


def weights_of(layers):
    """The weights of all layers, one after the other."""
    return [w for _, weights in layers.values() for w in weights]


def owners(model):
    """(name, {name: parameter}, module) for every module that owns parameters itself."""
    for name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if hasattr(module, "parametrizations"):  # where spectral norm keeps the weight
            own |= dict(module.parametrizations.named_parameters())
        if own and "parametrizations" not in name.split("."):
            yield clean(name) or "(model)", own, module


def clean(name):
    """A module's or parameter's name without what torch.compile puts before it."""
    return name.removeprefix("_orig_mod").removeprefix(".")


@contextlib.contextmanager
def untouched(model):
    """Inside, ``model`` may run.

    Afterwards buffers (batch norm's averages) and torch's random numbers are as before.
    """
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for buffer, before in buffers:
            buffer.data.copy_(before)  # not seen by a graph that still needs them


def facts(model, optimizer, taken):
    """Attributes of a data set.

    What was left out, what is not finite, and the optimizer's learning rate and momentum.
    """
    named = [(clean(name), p) for name, p in model.named_parameters()]
    sizes = norms([p for _, p in named])
    broken = [name for (name, _), size in zip(named, sizes) if not math.isfinite(size)]
    left_out = [name for name, _, _ in owners(model) if name not in taken]
    out = {"left_out": left_out, "not_finite_parameters": broken}
    if optimizer is None:
        return out
    groups = optimizer.param_groups
    out["lr"] = max(float(group["lr"]) for group in groups)
    # other optimizers scale the gradient, and with dampening the limit is another, not 2/L
    if isinstance(optimizer, torch.optim.SGD) and not any(g["dampening"] for g in groups):
        out["momentum"] = max(float(group["momentum"]) for group in groups)
        out["nesterov"] = int(any(group["nesterov"] for group in groups))
    return out
