"""Which device the book computes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


__all__ = ["device"]


def device(name: str | torch.device | None = None) -> torch.device:
    """The torch device ``name``, else ``$GRADBOOK_DEVICE``, else the CPU.

    Raises ValueError for a name other than cpu and cuda, and RuntimeError for a device that this
    machine lacks: a device that is asked for and missing is never replaced silently.

    >>> gb.device("cpu")
    device(type='cpu')
    """
    import torch

    asked = name or os.environ.get("GRADBOOK_DEVICE") or "cpu"
    kind, _, index = str(asked).partition(":")
    if kind == "mps":
        raise ValueError(
            "device 'mps' has no float64, in which gradbook sums "
            "norms, so that 1e-30 does not become 0; use cpu or cuda"
        )
    if kind not in ("cpu", "cuda") or not (index.isdigit() or index == ""):
        raise ValueError(
            f"device {str(asked)!r} is unknown; use cpu, cuda or cuda:1 "
            "(argument device=, or environment variable GRADBOOK_DEVICE)"
        )
    count = {"cpu": 1, "cuda": torch.cuda.device_count()}[kind]
    if int(index or 0) >= count:
        raise RuntimeError(
            f"device {str(asked)!r} was asked for, but torch {torch.__version__} sees "
            f"{count} of kind {kind!r} here; use cpu or unset GRADBOOK_DEVICE"
        )
    return torch.device(str(asked))
