"""Rounding against NumPy, torch's neighbors of a number, and exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradbook import nets

FLOATS = st.floats(-1e4, 1e4, width=32)


@given(st.lists(FLOATS, min_size=1))
def test_rounding_to_float16_is_that_of_numpy(numbers):
    x = np.array(numbers, np.float32)
    ours = nets.round_to(torch.from_numpy(x), "float16")
    assert ours.dtype == torch.float32
    np.testing.assert_array_equal(ours, x.astype(np.float16).astype(np.float32))


@given(FLOATS)
def test_rounding_to_bfloat16_leads_to_the_nearest_number(number):
    rounded = nets.round_to(torch.tensor(number), "bfloat16").bfloat16()
    distance = abs(Fraction(rounded.item()) - Fraction(number))
    for way in (-torch.inf, torch.inf):
        other = torch.nextafter(rounded, torch.tensor(way, dtype=torch.bfloat16))
        assert distance <= abs(Fraction(other.item()) - Fraction(number))


@given(FLOATS, st.sampled_from(["float16", "bfloat16", "float32"]))
def test_spacing_leads_to_the_next_number(number, format):
    below = torch.tensor(abs(number)).to(getattr(torch, format))
    above = torch.nextafter(below, torch.tensor(torch.inf, dtype=below.dtype))
    assert nets.spacing(below.double(), format).item() == above.item() - below.item()


@given(st.floats(2.0**-100, 2.0**100, width=32))
def test_chance_chooses_a_neighbor_with_the_right_mean(number):
    x = torch.full((4000,), number)
    rounded = nets.round_stochastically(x, torch.Generator().manual_seed(1)).double()
    unit = nets.spacing(x[:1], "bfloat16").item()
    low = Fraction(number) // Fraction(unit) * Fraction(unit)
    assert {*rounded.tolist()} <= {float(low), float(low) + unit}
    share = (number - float(low)) / unit
    error = (share * (1 - share) / 4000) ** 0.5
    assert abs((rounded.mean().item() - number) / unit) <= 5 * error + 1e-9


def test_bad_input():
    with pytest.raises(ValueError, match="format is 'fp16'; choose from float64"):
        nets.round_to(torch.ones(1), "fp16")
    with pytest.raises(ValueError, match="choose from"):
        nets.spacing(torch.ones(1), "int8")
    with pytest.raises(ValueError, match="float32"):
        nets.round_stochastically(torch.ones(1).double(), torch.Generator())
