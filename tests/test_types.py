"""What a type checker sees of the public interface: every name complete, right uses pass, wrong
ones do not.
"""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gradbook as gb

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("data", "rules", "nets", "theory", "sweeps", "measure", "show", "experiments", "record")


def pyright(tools, *arguments):
    command = [tools / ".bin/pyright", "--pythonpath", sys.executable, "--outputjson"]
    said = subprocess.run(
        [*command, *arguments],
        cwd=tools.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return json.loads(said.stdout)


def public():
    """Every function and class that the rooms give to the world, as module.name."""
    values = [getattr(room, name) for room in map(gb.__getattr__, ROOMS) for name in room.__all__]
    return {
        f"{v.__module__}.{v.__qualname__}"
        for v in [*values, gb.device, gb.as_torch, gb.gradient_check]
        if inspect.isfunction(v) or inspect.isclass(v)
    }


def test_every_public_name_is_complete(tools):
    report = pyright(tools, "--verifytypes", "gradbook", "--ignoreexternal")["typeCompleteness"]
    symbols = {s["name"]: s for s in report["symbols"]}
    assert len(public()) > 100 and public() <= set(symbols)
    methods = {
        name
        for name, s in symbols.items()
        if s["category"] == "method" and name.rpartition(".")[0] in public()
        if not name.rpartition(".")[2].startswith("_") or name.endswith("__init__")
    }
    unknown = {name for name in public() | methods if symbols[name]["diagnostics"]}
    assert unknown == {"gradbook.show.explorer.Explorer"}  # whose base, anywidget's, has no types


USES = """
import gradbook as gb
import torch
import xarray as xr

model = torch.nn.Linear(3, 1)
seen: xr.Dataset = gb.probe(model, lambda: model(torch.ones(2, 3)).mean())
print(gb.diagnose(seen).verdict.upper(), gb.digits().x_train.shape)
gb.sweep(depth=[2, 3], activation=["relu", "tanh"], rule={"SGD": gb.sgd, "Adam": gb.adam})
rule: gb.Rule = gb.chain(gb.clip_norm(1.0), gb.adam(lr=gb.cosine(1.0, 100)))
"""
MISUSES = """
import gradbook as gb

gb.activation("rleu")  # wrong
gb.digits("all")  # wrong
gb.initialization("kaiming")  # wrong
gb.sweep(depth=2.5)  # wrong
gb.stability_limit(1.0, method="adam")  # wrong
gb.swep()  # wrong
"""


@pytest.mark.parametrize("code", [USES, MISUSES], ids=["right", "wrong"])
def test_right_uses_pass_and_wrong_ones_do_not(tools, tmp_path, code):
    path = tmp_path / "uses.py"
    path.write_text(code, "utf-8")
    wrong = [n for n, line in enumerate(code.split("\n")) if line.endswith("# wrong")]
    found = pyright(tools, path)["generalDiagnostics"]
    errors = [d["range"]["start"]["line"] for d in found if d["severity"] == "error"]
    assert errors == wrong
