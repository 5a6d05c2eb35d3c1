"""Every seed moved, without a change in the notebook that sets it.

Two environment variables, read when gradbook is imported, change what a notebook draws and sees:
``GRADBOOK_SEED_OFFSET=1000`` moves every seed, ``GRADBOOK_NUDGE=1`` moves every input of
:mod:`gradbook.data` to a neighboring number.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch

__all__ = ["move_seeds"]


def move_seeds(offset: int) -> None:
    """From now on, add ``offset`` to every seed that NumPy and PyTorch are given in this process.

    Seeds of ``np.random.default_rng`` (of a sequence, its first number), ``np.random.RandomState``,
    ``np.random.seed``, ``torch.manual_seed`` and ``torch.Generator().manual_seed``.
    """

    def moved(seed):
        if isinstance(seed, (list, tuple)):
            return [int(seed[0]) + offset, *seed[1:]]
        return int(seed) + offset if isinstance(seed, Integral) else seed

    def with_moved_seed(draw):
        return lambda seed=None: draw(moved(seed))

    class RandomState(np.random.RandomState):
        def __init__(self, seed=None):
            super().__init__(moved(seed))

    class Generator(torch.Generator):
        def manual_seed(self, seed):
            return super().manual_seed(moved(seed))

    np.random.default_rng, np.random.seed = map(
        with_moved_seed, (np.random.default_rng, np.random.seed)
    )
    torch.manual_seed = torch.random.manual_seed = with_moved_seed(torch.manual_seed)
    np.random.RandomState, torch.Generator = RandomState, Generator
