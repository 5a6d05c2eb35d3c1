"""Number formats against torch's."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradbook import theory


@pytest.mark.parametrize("name", theory.FORMATS)
def test_formats_are_torchs(name):
    theirs, ours = torch.finfo(getattr(torch, name)), theory.FORMATS[name]
    assert (ours.max, ours.tiny, ours.smallest, ours.eps) == (
        theirs.max,
        theirs.tiny,
        theirs.smallest_normal * theirs.eps,
        theirs.eps,
    )


@given(
    st.sampled_from(sorted(set(theory.FORMATS) - {"float64"})),
    st.floats(0.05, 20),
    st.floats(0.1, 10),
)
def test_format_depth_is_where_the_number_leaves_the_format(name, factor, start):
    dtype, depth = getattr(torch, name), theory.format_depth(factor, name, start)
    if depth == math.inf or abs(math.log(factor)) < 1e-3:
        return
    log = [math.log(start) + k * math.log(factor) for k in (depth, depth + 1)]
    here, there = (
        torch.tensor(math.exp(v), dtype=torch.float64).to(dtype).double().item()
        if v > -700
        else 0.0
        for v in log
    )
    f = theory.FORMATS[name]
    near = [abs(v - math.log(end)) < 1e-6 for v in log for end in (f.max, f.smallest / 2)]
    if not any(near):
        assert 0 < here < math.inf
        # casts near the top round down
        assert there == 0 or not there <= f.max or math.exp(log[1]) > f.max
