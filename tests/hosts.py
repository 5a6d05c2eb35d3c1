"""The hosts that are not ours: Binder's files step by step, Colab's versions, the classic Notebook,
Voilà, and the lowest and the newest versions that pyproject.toml allows (make test-hosts).

``python tests/hosts.py [HOST …] [--python PYTHON] [--torch VERSION]``: each in a new environment.
``--torch`` takes another PyTorch where a host's own cannot be had.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted(ROOT.glob("chapters/*/*.ipynb"))


def environment(folder, python):
    subprocess.run([python, "-m", "venv", folder], check=True)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def pip(python, *arguments):
    return subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def execute(python, chapters):
    """Run these notebooks on ``python``'s kernel; an assertion that fails, fails here."""
    for path in chapters:
        start, kernel = time.monotonic(), AsyncKernelManager()
        kernel.kernel_spec.argv = [
            str(python),
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
        ]
        NotebookClient(
            nbformat.read(path, 4),
            km=kernel,
            timeout=600,
            resources={"metadata": {"path": str(path.parent)}},
        ).execute()
        print(f"  {path.stem}: {time.monotonic() - start:.0f} s", flush=True)


def binder(folder, python, torch):
    """What repo2docker does with .binder, in a clean clone."""
    subprocess.run(["git", "clone", "-q", ROOT, folder / "book"], check=True)
    book, made = folder / "book", environment(folder / "env", python)
    wanted = (book / ".binder/runtime.txt").read_text().strip()
    has = subprocess.run(
        [made, "-c", "import sys; print('python-%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert wanted == has, f"Binder would run {wanted}, this is {has}: choose it with --python"
    pip(made, "install", "-r", book / ".binder/requirements.txt")
    subprocess.run(
        [book / ".binder/postBuild"],
        cwd=book,
        env=os.environ | {"PATH": f"{made.parent}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    print("Binder: pip check says", pip(made, "check").strip())
    subprocess.run([made, "-m", "jupyterlab", "--version"], check=True, capture_output=True)
    execute(made, sorted(book.glob("chapters/*/*.ipynb"))[:1])


def colab(folder, python, torch):
    """Colab's versions, then the package as a chapter's first cell installs it: nothing that was
    there moves.
    """
    made = environment(folder / "env", python)
    constraints = (ROOT / "tests/colab-constraints.txt").read_text()
    wanted = [
        line.split("==")[0] + f"=={torch}" if torch and line.startswith("torch=") else line
        for line in constraints.splitlines()
        if "==" in line
    ]
    pip(made, "install", *wanted, "ipykernel")
    before = {*pip(made, "freeze").split("\n")}
    pip(made, "install", ROOT)
    after = {*pip(made, "freeze").split("\n")}
    assert before <= after, f"moved: {before - after}"
    print(
        "Colab: added",
        ", ".join(sorted(line.split(" @")[0] for line in after - before)),
        "and moved nothing;",
        pip(made, "check").strip(),
    )
    execute(made, CHAPTERS)


def classic(folder, python, torch):
    """Notebook 6 and ipywidgets 7.7, driven by a browser."""
    made = environment(folder / "env", python)
    pip(
        made,
        "install",
        "torch==" + (torch or "2.13.0"),
        "notebook==6.5.7",
        "ipywidgets==7.7.1",
        "ipython==7.34.0",
        "anywidget==0.9.21",
        "setuptools",
    )
    pip(made, "install", ROOT)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "tests/test_kernel.py"],
        cwd=ROOT,
        env=os.environ | {"GRADBOOK_CLASSIC": str(made)},
        check=True,
    )


def voila(folder, python, torch):
    """A notebook with two linked Explorers as an application, driven by a browser."""
    made = environment(folder / "env", python)
    pip(made, "install", "torch==" + (torch or "2.13.0"), "voila", "ipykernel", ROOT)
    print("Voilà:", pip(made, "freeze", "--all").partition("voila==")[2].split()[0])
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "tests/test_kernel.py", "-k", "voila"],
        cwd=ROOT,
        env=os.environ | {"GRADBOOK_VOILA": str(made)},
        check=True,
    )


def lowest(folder, python, torch):
    """The package's tests with the lowest version of everything that it needs."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    least = [line.replace(">=", "==") for line in needed]
    if torch:
        least = [f"torch=={torch}" if line.startswith("torch=") else line for line in least]
    package_tests(folder, python, least)


def newest(folder, python, torch):
    """The package's tests with whatever is newest today."""
    package_tests(folder, python, [f"torch=={torch}"] if torch else ["torch"])


def package_tests(folder, python, versions):
    made = environment(folder / "env", python)
    tools = ["pytest", "pytest-xdist", "hypothesis", "nbval", "playwright"]
    tools += ["scikit-learn", "schedulefree", "distributed"]
    pip(made, "install", *versions, ROOT, *tools)
    listed = pip(made, "freeze")
    print(", ".join(sorted(line for line in listed.split() if NEEDED.match(line))))
    rooms = [str(path.parent) for path in ROOT.glob("tests/*/test_*.py")]
    # what other versions say to each other is not ours
    command = [
        made,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-n",
        "2",
        "-o",
        "filterwarnings=default",
        "--disable-warnings",
        *{*rooms},
    ]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)


NEEDED = re.compile("(anywidget|ipywidgets|matplotlib|numpy|scipy|torch|tqdm|xarray)==")
HOSTS = {f.__name__: f for f in (binder, colab, classic, voila, lowest, newest)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("hosts", nargs="*", choices=[*HOSTS, []], default=[*HOSTS])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--torch")
    given = parser.parse_args()
    for host in given.hosts:
        with tempfile.TemporaryDirectory() as folder:
            HOSTS[host](Path(folder), given.python, given.torch)
