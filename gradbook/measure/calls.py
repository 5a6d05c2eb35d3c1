"""One call of a layer, and the calls that it comes after."""

from dataclasses import dataclass, field

import torch

from .inputs import Input
from .norms import entries

__all__ = ["Call", "calls_before", "nodes_of", "count_not_finite"]

NEAR = 300  # nodes in which the layer before is looked for


@dataclass
class Call:
    """One call of a layer: what its hooks saw on the way forward, and then on the way back.

    ``deltas`` are ∂loss/∂z of the outputs z that take part, added up over backward passes: small
    tensors themselves, of large ones the norm.  ``forward`` and ``backward`` count the entries of z
    and δ that are not finite, None where nobody asked for it.  ``rank`` is its place in the order
    of the forward pass, ``after`` the ranks of the calls that its input comes from.
    """

    module: str
    batch: int = 1
    input: Input | None = None
    deltas: dict = field(default_factory=dict)
    forward: torch.Tensor | None = None
    backward: torch.Tensor | None = None
    rank: int = 0
    after: frozenset = frozenset()


def nodes_of(tensors):
    """The nodes of autograd's graph that made these tensors."""
    return [t.grad_fn for t in tensors if t.grad_fn is not None]


def calls_before(nodes, mark):
    """The ranks of the calls that these nodes come from.

    A node that a call made carries the call's rank in its metadata, under ``mark``.
    """
    found, seen = set(), set()
    for node in nodes:
        stack, near = [node], 0
        while stack and near < NEAR:
            node, near = stack.pop(), near + 1
            if node in seen:
                continue
            seen.add(node)
            rank = node.metadata.get(mark)
            if rank is not None:
                found.add(rank)
            else:
                stack += [f for f, _ in node.next_functions if f is not None]
    return frozenset(found)


def count_not_finite(t):
    t = entries(t)
    return t.numel() - t.isfinite().sum()
