"""What a training loop does with .grad."""

from .norms import norms

__all__ = ["with_gradient", "state_of_grads", "rounded_away"]


def with_gradient(weights):
    """Those of ``weights`` whose .grad is not 0."""
    held = [w for w in weights if w.grad is not None]
    return {w for w, size in zip(held, norms([w.grad for w in held])) if size}


def state_of_grads(weights):
    """It changes when a backward pass adds to any .grad."""
    grads = [w.grad for w in weights]
    return [g if g is None else (id(g), g._version) for g in grads]


def rounded_away(layers, grads, change):
    """Names of layers in a short format, most of whose weights a step has left as they were.

    ``grads`` are {weight: norm}, ``change`` {weight: its step}.  A step below half a unit in the
    last place changes nothing.
    """
    for name, layer in layers.items():
        for w in layer.weights:
            short = w.dtype.itemsize < 4 and grads.get(w, 0) > 0
            if short and (change[w] == 0).double().mean() > 0.9:
                yield name
