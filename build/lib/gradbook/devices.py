"""Which device the book computes on."""

import os

__all__ = ["device"]


def device(name=None):
    """The torch device ``name``, else ``$GRADBOOK_DEVICE``, else the CPU.

    Raises ValueError for a name that torch does not know and RuntimeError for a device that this
    machine lacks: a device that is asked for and missing is never replaced silently.
    """
    import torch

    asked = name or os.environ.get("GRADBOOK_DEVICE") or "cpu"
    kind, _, index = str(asked).partition(":")
    if kind not in ("cpu", "cuda", "mps") or not (index.isdigit() or index == ""):
        raise ValueError(f"device {str(asked)!r} is unknown; use cpu, cuda, cuda:1 or mps "
                         "(argument device=, or environment variable GRADBOOK_DEVICE)")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(index or 0) >= count:
        raise RuntimeError(f"device {str(asked)!r} was asked for, but torch {torch.__version__} sees "
                           f"{count} of kind {kind!r} here; use cpu or unset GRADBOOK_DEVICE")
    return torch.device(str(asked))
