"""What networks are trained on, and surfaces to descend.

Digits that ship with the package, regressions, sequences.

Plain NumPy arrays.  No model stands here, and nothing that trains one.
"""

from .sets import Classification, Regression, adding, digits, line, mnist, nudged, plane, recall
from .surfaces import Surface, beale, double_well, quadratic, rosenbrock, saddle

__all__ = [
    "Classification",
    "Regression",
    "digits",
    "mnist",
    "line",
    "plane",
    "adding",
    "recall",
    "nudged",
    "Surface",
    "quadratic",
    "rosenbrock",
    "beale",
    "double_well",
    "saddle",
]
