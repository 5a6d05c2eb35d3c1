"""What readers see: figures, Explorers, the package's own source, and exercises that answer back.

It shows numbers, and computes none.
"""

from . import plot
from .diagrams import graph, network, spread
from .exercises import Reply, check
from .explorer import Explorer
from .listing import source
from .views import Heat, Lines, Path

__all__ = [
    "Explorer",
    "Lines",
    "Path",
    "Heat",
    "plot",
    "graph",
    "network",
    "spread",
    "check",
    "Reply",
    "source",
]
