"""Activations against torch's and autograd."""

import numpy as np
import pytest
import torch

from gradbook import nets


@pytest.mark.parametrize("name", nets.ACTIVATIONS)
def test_activation_and_slope_equal_torch_and_autograd(name):
    phi, x = nets.activation(name), np.concatenate([np.linspace(-40, 40, 801), [-1e-9, 1e-9]])
    x = x[x != 0]  # slopes at a kink are a convention
    t = torch.tensor(x, requires_grad=True)
    value = phi(t)
    slope = torch.autograd.grad(value.sum(), t)[0]
    np.testing.assert_allclose(phi(x), value.detach(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(phi.slope(x), slope, rtol=1e-9, atol=1e-15)
    assert abs(slope).max().item() == pytest.approx(phi.lipschitz, rel=1e-3)
