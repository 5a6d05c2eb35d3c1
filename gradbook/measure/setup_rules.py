"""What can be wrong with a loss, its inputs, the weights and the loop, whatever the numbers are."""

import math

from .findings import Finding

__all__ = ["RULES"]


# what a loss should not be given: {what read_loss calls it: (what, why, remedy)}
MISUSES = {
    "loss_graph": (
        "The loss is given what is normalized already: {}.",
        "normalized twice, the loss is bounded away from 0, and its gradient is small",
        "give the loss the logits, and take the softmax or the sigmoid only to predict",
    ),
    "wrong_axis": (
        "The log-softmax before the loss runs along the axis of the examples.",
        "so the examples of a batch compete with one another, not the classes",
        "log_softmax(dim=1), or cross_entropy on the logits",
    ),
    "pairs": (
        "The loss compares every prediction with every target, by their shapes: {}.",
        "arithmetic repeats an axis of length 1; the best answer to all targets is their mean",
        "one shape for both: predictions.squeeze(-1), or targets.unsqueeze(-1)",
    ),
}


def misused(seen):
    """The loss is given what it should not be, as autograd's graph says."""
    for name, (what, why, remedy) in MISUSES.items():
        if said := seen.told(name):
            what = what.format(said)
            yield Finding("wrong loss", "(loss)", name, math.nan, 0, what, why, remedy)


def below_0(seen):
    """A cross-entropy of less than 0 has the wrong sign."""
    loss = seen.data.loss.values if "seen" in seen.data.dims else [seen.told("loss")]
    least = min((v for v in loss if v is not None), default=0.0)
    if seen.told("cross_entropy") and least < 0:
        what = f"The loss is {least:.3g}, and a cross-entropy is never below 0."
        why = "its sign is wrong: what should fall is made to rise"
        remedy = "no minus before it, and no factor below 0"
        yield Finding("wrong loss", "(loss)", "loss", float(least), 0, what, why, remedy)


def without_gradient(seen):
    """The first layer is trainable, runs, and gets no gradient."""
    cut_off, first = seen.told("cut_off") or [], seen.told("first_called")
    if first in cut_off:
        what = (
            f"No gradient comes to layer {first!r}, which runs first. "
            f"Trainable layers without a gradient: {len(cut_off)}."
        )
        why = "something between them and the loss cuts it off, as detach, no_grad or argmax do"
        remedy = "take it out; or freeze these layers, if they should stay as they are"
        yield Finding("not trained", first, "grad_norm", 0.0, 0.0, what, why, remedy)


def without_optimizer(seen):
    """The last layer gets a gradient, and the optimizer does not know it."""
    unknown = (seen.told("not_in_optimizer") or []) if seen.steps is not None else []
    if (ends := [seen.layers[i] for i in seen.exits if seen.layers[i] in unknown]) and any(
        name not in unknown for name in seen.layers
    ):
        what = f"Layer {ends[0]!r} gets a gradient and is not in the optimizer: it will not move."
        why = "the optimizer was made before the layer was, or of a part of the model"
        remedy = "make the optimizer of model.parameters(), after the model is complete"
        yield Finding("not trained", ends[0], "grad_norm", 0.0, 0.0, what, why, remedy)


def all_alike(seen):
    """Every example of every batch is the same."""
    if seen.told("alike") and (seen.steps is None or len(seen.steps) > 1):
        what = "Every example of a batch is the same."
        why = "the data loader gives one example over and over, or something before has erased them"
        remedy = "look at ten examples as the model gets them"
        yield Finding("wrong input", "(model)", "input", math.nan, 0, what, why, remedy)


def copies(seen):
    """The units of a layer are copies of one another, and get the same gradient."""
    names = seen.told("constant") or []
    if len(names) > 1:
        what = f"All weights are equal at the start in {len(names)} layers, such as {names[0]!r}."
        why = "the units of a layer see the same and get the same gradient: they stay one unit"
        remedy = "random weights, such as those that torch gives a new layer"
        yield Finding("symmetric", names[0], "weight", math.nan, 0, what, why, remedy)


def never_cleared(seen):
    """Gradients of earlier steps are still there when the next ones are added."""
    kept = seen.told("kept") or []
    if len(kept) > 1:
        what = (
            f"Gradients are not cleared between steps: seen at {len(kept)} steps, first {kept[0]}."
        )
        why = "backward() adds to what is there, so that each step goes by the sum of all before it"
        remedy = "optimizer.zero_grad() before backward()"
        yield Finding("unstable", "(model)", "grad_norm", len(kept), 1, what, why, remedy)


RULES = (misused, below_0, without_gradient, without_optimizer, all_alike, copies, never_cleared)
