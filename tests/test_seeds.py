"""Seeds that move."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

DRAWS = """
import json, numpy as np, torch
import gradbook as gb
print(json.dumps([
    np.random.default_rng(seed).random(), np.random.default_rng([seed, 7]).random(),
    np.random.RandomState(seed).rand(), (np.random.seed(seed), np.random.rand())[1],
    (torch.manual_seed(seed), torch.rand(1).item())[1],
    torch.rand(1, generator=torch.Generator().manual_seed(seed)).item(),
    float(gb.digits(seed=seed).x_train[3, 20]),
    gb.sweep(depth=1, seed=[seed], progress=False).loss.values.ravel().tolist()[0]]))
"""


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_an_offset_moves_every_seed_by_as_much():
    moved = json.loads(run("seed = 3" + DRAWS, GRADBOOK_SEED_OFFSET="1000").stdout)
    plain = json.loads(run("seed = 1003" + DRAWS).stdout)
    # the sweep's digits are split with another seed, too
    assert moved[:-1] == plain[:-1] and moved[-1] != plain[-1]
    assert moved != json.loads(run("seed = 3" + DRAWS).stdout)


@pytest.mark.parametrize("variable", ["GRADBOOK_SEED_OFFSET", "GRADBOOK_NUDGE"])
@pytest.mark.parametrize("value", ["x", "-1", "1.5"])
def test_a_variable_that_is_no_number_is_named(variable, value):
    said = run("import gradbook as gb; gb.digits()", **{variable: value})
    assert (
        said.returncode
        and f"ValueError: {variable} is {value!r}; it must be a whole number from 0 on"
        in said.stderr
    )
