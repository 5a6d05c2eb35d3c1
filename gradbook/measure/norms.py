"""Norms that neither underflow nor overflow.

A float32 norm is 0 below 3e-23 and infinite above 2e19: there sums are taken in float64.
"""

import math

import numpy as np
import torch

__all__ = ["norms", "entries", "row_norms", "ratio"]

SMALL = 2**16  # entries


def norms(tensors):
    """Euclidean norms as Python numbers, right for entries from 1e-45 to 1e38.

    One transfer from a device.
    """
    tensors = [entries(t) for t in tensors]
    if all(t.is_cpu for t in tensors):
        with np.errstate(all="ignore"):
            return [_norm_on_cpu(t) for t in tensors]
    sizes = torch._foreach_norm(tensors, 2, dtype=torch.float64)
    return torch.stack([s.to(sizes[0].device) for s in sizes]).tolist()


def entries(t):
    """What is stored of a tensor, as real numbers: of a sparse one its values, added up."""
    t = t.detach() if t.requires_grad else t
    if t.dtype is torch.float32 and t.layout is torch.strided:
        return t
    if t.layout is torch.sparse_coo:
        t = t.coalesce().values()
    elif t.layout is not torch.strided:
        t = t.values()
    return torch.view_as_real(t.resolve_conj()) if t.is_complex() else t


def row_norms(rows):
    """The norm of each row, in float64.

    On a CPU summed in float32, where that is twice as fast, if nothing is lost.
    """
    if rows.is_cpu and rows.dtype is torch.float32 and rows.shape[1]:
        sizes = torch.linalg.vector_norm(rows, dim=1).double()
        if all(1e-10 < size < 1e15 for size in sizes.tolist()):
            return sizes
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)


def ratio(step, size):
    """step/size, for sizes that may be 0."""
    return step / size if size else (math.inf if step else math.nan)


def _norm_on_cpu(t):
    if t.dtype is torch.float32 and t.numel() < SMALL:
        v = t.numpy().reshape(-1)  # NumPy's calls cost less than torch's
        square = float(v.dot(v))
        if 1e-20 < square < 1e30:  # else something under- or overflowed that could show
            return math.sqrt(square)
    return row_norms(t.reshape(1, -1)).item()
