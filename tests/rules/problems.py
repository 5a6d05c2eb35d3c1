"""What the rules are tried on, in float64: a small network, and Rosenbrock's valley."""

import pytest
import torch


@pytest.fixture(autouse=True)
def float64():
    """torch keeps NAdam's product of μ in the default type: in float32 the two agree to 1e-9
    only.
    """
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rosenbrock(theta):
    x, y = theta
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def network(theta):
    torch.manual_seed(1)
    x, y = torch.randn(20, 5, dtype=torch.float64), torch.randint(3, (20,))
    W, b, V = theta
    return torch.nn.functional.cross_entropy(torch.tanh(x @ W + b) @ V, y)


def start_of_network():
    torch.manual_seed(0)
    return [torch.randn(s, dtype=torch.float64) for s in ((5, 8), (8,), (8, 3))]
