"""How the code is written: what `make format` would change, and what the linters find."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "command", [["check"], ["format", "--check", "--diff"]], ids=lambda c: c[0]
)
def test_python(command):
    said = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_javascript_and_css(tools):
    biome = [tools / ".bin/biome", "ci", "--colors=off"]
    said = subprocess.run(biome, cwd=ROOT / "explorer", capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr


def test_no_module_of_the_package_is_long():
    lines = {p: len(p.read_text("utf-8").splitlines()) for p in (ROOT / "gradbook").rglob("*.py")}
    assert len(lines) > 50 and not [path for path, n in lines.items() if n > 250]
