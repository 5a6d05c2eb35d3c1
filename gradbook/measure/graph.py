"""What autograd's graph says of a loss."""

from .inputs import operation

__all__ = ["read_loss", "nodes_below"]

# what a loss does by itself: what it must not be given
TWICE = {
    ("LogSoftmax", "Softmax"): "softmax before a cross-entropy, which takes the softmax itself",
    ("LogSoftmax", "Sigmoid"): "a sigmoid before a cross-entropy, which takes the softmax itself",
    ("BinaryCrossEntropyWithLogits", "Sigmoid"): (
        "a sigmoid before a binary cross-entropy with logits, which takes the sigmoid itself"
    ),
    ("BinaryCrossEntropyWithLogits", "Softmax"): (
        "a softmax before a binary cross-entropy with logits, which takes the sigmoid itself"
    ),
}
# what changes the shape, and no number
SHAPES = tuple("View Reshape UnsafeView Transpose Permute Squeeze Unsqueeze T Clone".split())
AVERAGES = ("NllLoss", "NllLoss2D", "Mean", "Div", "Neg")
DIFFERENCES = ("Sub", "Expand")  # losses of torch expand what they compare
SUMMED = 2  # how torch stores reduction="sum"
FAR = 500  # nodes


def read_loss(node):
    """{attribute: what is known} of the loss that ``node`` made.

    ``loss_graph``: in words, what was normalized before it; ``wrong_axis``, whether a log-softmax
    runs over the examples; ``pairs``: which shapes it spreads to pairs; ``cross_entropy``, whether
    it is one, ``classes``: between how many it chooses; ``summed``, whether it is a sum over the
    batch.
    """
    if node is None:
        return {}
    chain = list(walk(node))
    found = {"loss_graph": normalized_twice(node), "pairs": spread_out(chain)}
    found["wrong_axis"] = int(over_the_batch(chain))
    found |= cross_entropy(chain)
    return {name: said for name, said in found.items() if said}


def walk(node):
    """From a node down, as long as one node leads on to one."""
    for _ in range(FAR):
        yield node
        below = [f for f, _ in node.next_functions if f is not None]
        if len(below) != 1:
            return
        node = below[0]


def nodes_below(root, far=None):
    """Every node that a node comes from, and itself; the first ``far`` of them."""
    stack, seen = [root] if root is not None else [], set()
    while stack and (far is None or len(seen) < far):
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            stack += [f for f, _ in node.next_functions if f is not None]


def normalized_twice(root):
    """In words, what normalizes the output before the loss does it again; "" if nothing does."""
    for node in nodes_below(root, FAR):
        for below in (f for f, _ in node.next_functions if f is not None):
            while operation(below) in SHAPES and len(below.next_functions) == 1:
                below = below.next_functions[0][0]
            if said := TWICE.get((operation(node), operation(below))):
                return said
    return ""


def cross_entropy(chain):
    """Number of classes and reduction, where the loss is a cross-entropy and nothing else."""
    summed = scaled = False
    for node in chain:
        name = operation(node)
        if name == "LogSoftmax":
            found = {"cross_entropy": 1, "summed": int(summed)}
            return found if scaled else found | {"classes": shape(node)[node._saved_dim]}
        if name == "Sum" or getattr(node, "_saved_reduction", None) == SUMMED:
            summed = True
        elif name == "Mul" and not shape(node):
            scaled = True
        elif name not in AVERAGES + SHAPES:
            break
    return {}


def over_the_batch(chain):
    """Whether a log-softmax runs along the axis of the examples, not along that of the classes."""
    for node, below in zip(chain, chain[1:]):
        if operation(node) == "NllLoss" and operation(below) == "LogSoftmax":
            dim, made = below._saved_dim, shape(below)
            if len(made) == 2 and dim in (0, 2**64 - 2):
                return True
    return False


def spread_out(chain):
    """In words, predictions and targets whose difference has a row for each pair; "" if not."""
    for node, below in zip(chain, chain[1:]):
        made, given = shape(node), shape(below)
        if operation(node) in DIFFERENCES and len(made) == 2 and made[0] == made[1] > 1:
            if given in ((made[0], 1), (made[0],)) and operation(below) not in SHAPES:
                other = (made[0],) if len(given) == 2 else (made[0], 1)
                return f"predictions {given}, targets {other}, and their difference {made}"
    return ""


def shape(node):
    """Of the tensor that a node of autograd's graph made."""
    given = getattr(node, "_input_metadata", None)
    return tuple(given[0].shape) if given else ()
