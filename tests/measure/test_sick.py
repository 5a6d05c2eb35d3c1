"""Each fault is named, and its twin, which is nearly the same, is not accused of it."""

import pytest
import torch
from sick import CASES

import gradbook as gb


def told(case, seed):
    torch.manual_seed(seed)
    return gb.diagnose(case())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_named(name, seed):
    verdicts, words, sick, _ = CASES[name]
    found = told(sick, seed)
    assert found.verdict in verdicts.split(", ") and words in str(found), str(found)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[3]])
def test_its_twin_is_not(name, seed):
    _, words, _, well = CASES[name]
    found = told(well, seed)
    assert words not in str(found), str(found)
