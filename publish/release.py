"""What a release holds: wheel, source distribution, the site to read offline, the book's PDF, the
class's copy (make release).

``python publish/release.py [TAG]``: with a tag, only if it is the version that package and citation
name.
"""

import re
import shutil
import subprocess
import sys
import tomllib

import student
import yaml
from notebooks import ROOT

BUILD = ROOT / "_build"
RELEASE = BUILD / "release"
SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
OFFLINE = "Open index.html in a browser. Nothing is loaded from elsewhere.\n"


def version(tag=""):
    """The version; one sentence and no release where package, citation and tag disagree."""
    package = (ROOT / "gradbook/__init__.py").read_text("utf-8")
    named = {
        "pyproject.toml": tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
            "version"
        ],
        "gradbook/__init__.py": re.search(r'__version__ = "(.*)"', package)[1],
        "CITATION.cff": str(yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"]),
    }
    if tag:
        named["the tag"] = tag.removeprefix("v")
    if len({*named.values()}) > 1:
        said = ", ".join(f"{where} says {name}" for where, name in named.items())
        sys.exit(f"No release: {said}")
    return named["pyproject.toml"]


def distributions(target):
    """The source distribution, and the wheel made from it: what is published was built from what
    is published.
    """
    subprocess.run([sys.executable, "-c", SDIST, target], cwd=ROOT, check=True, capture_output=True)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", target, next(target.glob("*.tar.gz"))], check=True)


def main(tag=""):
    name = f"gradients-that-flow-{version(tag)}"
    for built in (BUILD / "html/index.html", BUILD / "gradients-that-flow.pdf"):
        if not built.exists():
            sys.exit(f"No release: {built.relative_to(ROOT)} is missing; run: make pdf")
    shutil.rmtree(RELEASE, ignore_errors=True)
    RELEASE.mkdir()
    distributions(RELEASE)
    shutil.copy(BUILD / "gradients-that-flow.pdf", RELEASE / f"{name}.pdf")
    offline = BUILD / name
    shutil.rmtree(offline, ignore_errors=True)
    shutil.copytree(BUILD / "html", offline)
    (offline / "README.txt").write_text(OFFLINE, "utf-8")
    shutil.make_archive(str(RELEASE / f"{name}-offline"), "zip", BUILD, name)
    shutil.rmtree(offline)
    student.main("", BUILD / f"{name}-student")
    shutil.move(BUILD / f"{name}-student.zip", RELEASE)
    shutil.rmtree(BUILD / f"{name}-student")
    for path in sorted(RELEASE.iterdir()):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main("".join(sys.argv[1:2]))
