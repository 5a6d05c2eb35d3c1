"""What people install: a wheel, made from the source distribution, used far from this checkout."""

import os
import re
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = {
    "gradbook/__init__.pyi",
    "gradbook/py.typed",
    "gradbook/data/digits.npz",
    "gradbook/show/exercises.toml",
    "gradbook/show/explorer.css",
    "gradbook/show/explorer.js",
    "gradbook/show/explorer.mjs",
}
USE = """
import gradbook as gb, torch
assert "wheel" in gb.__file__, gb.__file__
model = torch.nn.Linear(64, 10)
x = torch.from_numpy(gb.digits().x_train[:8])
print(gb.diagnose(gb.probe(model, lambda: model(x).square().mean())).verdict)
data = gb.sweep(depth=[1, 2], steps=2, progress=False)[["loss"]]
view = gb.Lines(x="step", points=("loss",))
figure = gb.Explorer(data, view, name="wheel", title="A wheel", caption="At depth {depth} it runs.")
print("gb-explorer" in figure._repr_mimebundle_()[0]["text/html"], len(figure._esm) > 9000)
print(gb.check("loss-of-linear-chain", ...))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the source distribution, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("made")
    source = folder / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "gradbook", source / "gradbook", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", folder, next(folder.glob("*.tar.gz"))], check=True)
    return folder


def test_both_hold_data_and_scripts_and_nothing_of_the_book(made):
    wheel = set(zipfile.ZipFile(next(made.glob("*.whl"))).namelist())
    with tarfile.open(next(made.glob("*.tar.gz"))) as file:
        source = {name.partition("/")[2] for name in file.getnames()}
    assert wheel >= DATA and source >= DATA
    assert not [n for n in wheel if not n.startswith("gradbook")]


def test_an_installed_wheel_works(made):
    """In an environment that has what gradbook depends on, and not this checkout."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made / "wheel"], check=True)
    python = made / ("wheel/Scripts/python.exe" if os.name == "nt" else "wheel/bin/python")
    place = "import sysconfig; print(sysconfig.get_path('purelib'))"
    said = subprocess.run([python, "-c", place], capture_output=True, text=True, check=True)
    packages = Path(said.stdout.strip())
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", packages]
    subprocess.run([*pip, next(made.glob("*.whl"))], check=True)
    run = subprocess.run([python, "-c", USE], cwd=made, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n")[:2] == ["healthy", "True True"] and "No answer yet" in run.stdout


@pytest.mark.parametrize(
    "script", ["gradbook/show/explorer.mjs", "gradbook/show/explorer.js", "assets/static/search.js"]
)
def test_a_script_carries_the_notices_of_what_is_bundled_in_it(script):
    entry = {"explorer.mjs": "explorer.mjs", "explorer.js": "page.mjs", "search.js": "search.mjs"}
    waiting, packages = [ROOT / "explorer/src" / entry[Path(script).name]], set()
    while waiting:
        source = waiting.pop()
        for name in re.findall(r"^import .*?from '(.*?)'", source.read_text("utf-8"), re.M | re.S):
            if name.startswith("."):
                waiting.append(source.parent / name)
            else:
                packages.add(name)
    notices = (ROOT / script).read_text("utf-8").partition("*/")[0]
    assert packages and "permission notice" in notices
    assert all(re.search(rf"^{name}: Copyright ", notices, re.M) for name in packages)
