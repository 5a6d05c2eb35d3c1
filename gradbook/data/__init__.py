"""What networks are trained on, and surfaces to descend.

Digits that ship with the package, regressions, sequences.

Plain NumPy arrays.  No model stands here, and nothing that trains one.
"""

from .sequences import adding, copying, recall
from .sets import Classification, Regression, digits, line, mnist, nudged, plane
from .surfaces import Surface, beale, double_well, quadratic, rosenbrock, saddle

__all__ = [
    "Classification",
    "Regression",
    "digits",
    "mnist",
    "line",
    "plane",
    "adding",
    "copying",
    "recall",
    "nudged",
    "Surface",
    "quadratic",
    "rosenbrock",
    "beale",
    "double_well",
    "saddle",
]
