"""Train and measure many networks at once, as one stack of matrices.

A grid of arguments goes in, one data set over that grid comes out.  For a model of your own, look
in ``measure``.
"""

from .cells import learn_sequences
from .images import image_networks
from .sweep import in_words, side_by_side, sweep
from .training import batches, draw_weights

__all__ = [
    "sweep",
    "learn_sequences",
    "image_networks",
    "in_words",
    "draw_weights",
    "batches",
    "side_by_side",
]
