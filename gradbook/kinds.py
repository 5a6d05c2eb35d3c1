"""Kinds of arguments, for annotations: an editor completes their names, a checker holds them."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

# a NumPy array or a torch tensor, with any number of axes in front: a stack of networks
Array: TypeAlias = Any
Function: TypeAlias = Callable[..., Any]
Schedule: TypeAlias = Callable[[int], float]
# one value, or several that become an axis of the result
Whole: TypeAlias = int | Sequence[int]
Numbers: TypeAlias = float | Sequence[float]
Names: TypeAlias = str | Sequence[str]

Activations: TypeAlias = Literal[
    "linear", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu"
]
Initializations: TypeAlias = Literal[
    "zeros",
    "constant",
    "orthogonal",
    "normal",
    "uniform",
    "lecun",
    "lecun_uniform",
    "xavier",
    "xavier_uniform",
    "he",
    "he_uniform",
    "torch_default",
]
Method: TypeAlias = Literal["gradient descent", "heavy ball", "nesterov"]
Normalization: TypeAlias = Literal["batch", "layer", "group", "RMS"]
