"""The package as a whole: what it imports, and where its names stand."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gradbook as gb

ROOT = Path(__file__).resolve().parent.parent


def test_import_costs_no_torch():
    code = (
        "import sys, gradbook; gradbook.nets, gradbook.data, "
        "gradbook.theory; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_unknown_name_is_told_a_near_one():
    with pytest.raises(AttributeError, match="did you mean sweep"):
        gb.swep


def test_every_name_is_its_modules_and_every_public_name_is_reachable():
    for name in gb.__all__:
        assert getattr(gb, name) is not None
    for name in set(gb.rules.__all__) - {
        "Stack",
        "down",
        "stateless",
        "moments",
        "adam_direction",
        "orthogonalize",
    }:
        assert getattr(gb, name) is getattr(gb.rules, name)


def test_requirements_are_those_of_the_lock():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    listed = pins("requirements.txt")
    locked = pins("requirements.lock") | {"torch": listed["torch"]}  # its builds differ by machine
    assert listed.items() <= locked.items()
    book = dict(line.split("==") for line in wanted["optional-dependencies"]["book"])
    assert book.items() <= listed.items()
    assert {re.split("[>=]", line)[0] for line in wanted["dependencies"]} <= set(listed)
    given = {"jupyter-book", "numpy", "torch", "ipywidgets", "matplotlib", "nbval"}
    assert given <= set(listed)


def pins(name):
    """{package: version} of a file of requirements."""
    text = (ROOT / name).read_text("utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.M))


def test_version_is_listed_and_the_projects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "__version__" in dir(gb) and gb.__version__ == project["version"]
