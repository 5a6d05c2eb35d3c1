"""A model's layers, and what a data set says of the model as a whole."""

import contextlib
import math
from typing import NamedTuple

import torch
from torch.nn.parameter import is_lazy

from .norms import norms

__all__ = [
    "Layer",
    "check_model",
    "layers_of",
    "rows_of",
    "trainable",
    "weights_of",
    "untouched",
    "facts",
    "constant",
]

NN = torch.nn
CONTAINERS = {
    NN.Module,
    NN.Sequential,
    NN.ModuleList,
    NN.ModuleDict,
    NN.ParameterList,
    NN.ParameterDict,
}

UNITS = (NN.Linear, NN.modules.conv._ConvNd, NN.RNNBase, NN.RNNCellBase)


def check_model(model):
    """The layers of a model that can be measured; raises an error in words for one that cannot."""
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is {model!r:.60}; the first argument must be a torch.nn.Module")
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError("model is a script; it must be a torch.nn.Module in Python")
    layers = layers_of(model)
    weights = weights_of(layers)
    if any(p.is_meta for p in model.parameters()):
        raise ValueError(
            "model is on the meta device: it has shapes and no numbers; give it some, by to_empty "
            "and an initialization or by loading weights"
        )
    if any(p.device.type == "mps" for p in weights):
        raise ValueError(
            "model is on mps, which has no float64, in which norms are summed; measure model.cpu()"
        )
    if any(not is_lazy(p) and p.is_inference() for p in model.parameters()):
        raise ValueError(
            "model was made inside torch.inference_mode(), so torch keeps no gradients of it; "
            "make or load it outside"
        )
    if not layers:
        raise ValueError(
            "model has no trainable parameters, so there is nothing to measure; of a quantized "
            "model, measure the one that it was made from"
        )
    return layers


class Layer(NamedTuple):
    """A row of the table: the module whose output is looked at, and its trainable weights.

    ``rest``: its other parameters, biases most often.  ``raw``: the weights are a module's own
    parameters, beside others, and no layer of torch's.
    """

    module: torch.nn.Module
    weights: list
    rest: list
    raw: bool = False


def layers_of(model):
    """{name: :class:`Layer`} of what is not frozen: weights, or else the biases alone."""
    return trainable(rows_of(model))


def trainable(rows):
    """Of the rows of :func:`rows_of`, what is not frozen now."""
    found = {}
    for name, (module, weights, rest, raw) in rows.items():
        free, others = ([p for p in ps if p.requires_grad] for ps in (weights, rest))
        if free or others:
            found[name] = Layer(module, free or others, others if free else [], raw)
    return found


def rows_of(model):
    """{name: :class:`Layer`} of every module that owns parameters itself, frozen ones too.

    Weights are the parameters with two or more axes, else those called weight, else all of them.
    A module that is no layer of torch's and has several weights gets a row for each.
    """
    found = {}
    for name, own, module in owners(model):
        matrices = {n: p for n, p in own.items() if p.ndim > 1}
        if len(matrices) > 1 and not is_one_layer(module):
            found |= {
                f"{name}.{n}".lstrip("."): Layer(module, [p], [], True) for n, p in matrices.items()
            }
            continue
        weights = matrices or {n: p for n, p in own.items() if "weight" in n} or own
        rest = [p for n, p in own.items() if n not in weights]
        found[name or "(model)"] = Layer(module, [*weights.values()], rest)
    return found


def is_one_layer(module):
    """Whether a module is, or is made from, one of torch's own layers, such as an LSTM."""
    return any(
        kind.__module__.startswith("torch.nn.modules") and kind not in CONTAINERS
        for kind in type(module).__mro__
    )


def weights_of(layers):
    """The weights of all layers, one after the other."""
    return [w for layer in layers.values() for w in layer.weights]


def owners(model):
    """(name, {name: parameter}, module) for every module that owns parameters itself.

    What stands in a ParameterList or -Dict belongs to the module that holds it.
    """
    modules = dict(model.named_modules())
    found = {}
    for name, module in modules.items():
        own = dict(module.named_parameters(recurse=False))
        if hasattr(module, "parametrizations"):  # where spectral norm keeps the weight
            own |= dict(module.parametrizations.named_parameters())
        if "parametrizations" in name.split("."):
            continue
        while isinstance(module, (torch.nn.ParameterList, torch.nn.ParameterDict)) and name:
            name, _, last = name.rpartition(".")
            own = {f"{last}.{n}": p for n, p in own.items()}
            module = modules[name]
        found.setdefault(name, {}).update(own)
    for name, own in found.items():
        if own:
            yield clean(name), own, modules[name]


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
    left_out = {n: row for n, row in rows_of(model).items() if n not in taken}
    layers = layers_of(model)
    cut_off = [n for n in left_out if n in layers]
    out = {"left_out": list(left_out), "cut_off": cut_off, "not_finite_parameters": broken}
    if optimizer is None:
        return out
    groups = optimizer.param_groups
    theirs = {p for group in groups for p in group["params"]}
    out["not_in_optimizer"] = [
        n for n, row in layers.items() if n in taken and not theirs.intersection(row.weights)
    ]
    out["optimizer"] = type(optimizer).__name__
    out["first_step"] = int(not optimizer.state)
    out["lr"] = max(float(group["lr"]) for group in groups)
    # other optimizers scale the gradient, and with dampening the limit is another, not 2/λₘₐₓ
    if isinstance(optimizer, torch.optim.SGD) and not any(g["dampening"] for g in groups):
        out["momentum"] = max(float(group["momentum"]) for group in groups)
        out["nesterov"] = int(any(group["nesterov"] for group in groups))
    if (share := below_epsilon(optimizer)) is not None:
        out["below_epsilon"] = share
    return out


def below_epsilon(optimizer):
    """The part of the weights that Adam divides by ε more than by √v; None for other optimizers.

    Weights whose gradient was always 0 are not counted.
    """
    below, count = 0, 0
    for group in optimizer.param_groups:
        for p in group["params"]:
            v = optimizer.state.get(p, {}).get("exp_avg_sq")
            if v is not None and group.get("eps"):
                v = torch.view_as_real(v) if v.is_complex() else v
                used = v[v > 0]
                below += int((used < group["eps"] ** 2).sum())
                count += used.numel()
    return below / count if count else None


def constant(layers):
    """The layers whose weights all have one value that is not 0: their units are copies."""
    found = []
    for name, layer in layers.items():
        w = layer.weights[0].detach()
        if (
            isinstance(layer.module, UNITS)
            and not w.is_complex()
            and w.ndim > 1
            and w.numel() > len(w) > 1
        ):
            low, high = w.aminmax()
            if low == high != 0:
                found.append(name)
    return found
