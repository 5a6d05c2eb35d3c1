"""A release, step by step as far as it goes without a network."""

import shutil
import subprocess
import sys
import zipfile

import pypdf
import pytest
import release
import yaml
from notebooks import ROOT


def test_a_tag_that_is_not_the_version_releases_nothing():
    assert release.version(f"v{release.version()}") == release.version()
    with pytest.raises(SystemExit, match="the tag says 99.0") as said:
        release.version("v99.0")
    assert f"pyproject.toml says {release.version()}" in str(said.value)


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "BUILD", tmp_path)
    monkeypatch.setattr(release, "version", lambda tag: "1.0")
    with pytest.raises(SystemExit, match="index.html is missing; run: make pdf"):
        release.main()


def test_everything_is_there_and_opens(tmp_path, monkeypatch, site, visit):
    build = tmp_path / "_build"
    shutil.copytree(ROOT / "_build/html", build / "html")
    paper = pypdf.PdfWriter()
    paper.add_blank_page(72, 72)
    paper.write(build / "gradients-that-flow.pdf")
    monkeypatch.setattr(release, "BUILD", build)
    monkeypatch.setattr(release, "RELEASE", build / "release")
    for path in [*(ROOT / "gradbook").rglob("*"), ROOT / "pyproject.toml", *ROOT.glob("*.md")]:
        if path.is_file() and "__pycache__" not in path.parts:
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    for name in ("LICENSE", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    release.main(f"v{release.version()}")
    made = {path.name: path for path in (build / "release").iterdir()}
    name = f"gradients-that-flow-{release.version()}"
    assert {*made} == {
        f"gradbook-{release.version()}-py3-none-any.whl",
        f"gradbook-{release.version()}.tar.gz",
        f"{name}.pdf",
        f"{name}-offline.zip",
        f"{name}-student.zip",
    }
    with zipfile.ZipFile(made[f"{name}-offline.zip"]) as file:
        file.extractall(tmp_path / "downloaded")
    page = visit((tmp_path / "downloaded" / name / "index.html").as_uri())
    page.locator(".gb-explorer .gb-live").first.wait_for()
    assert page.complaints == []
    with zipfile.ZipFile(made[f"{name}-student.zip"]) as file:
        assert not [n for n in file.namelist() if "solution" in n or "lesson" in n]


def test_the_workflow_runs_commands_that_exist():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))["jobs"]
    commands = "\n".join(step.get("run", "") for step in jobs["release"]["steps"])
    for target in ("test", "release"):
        assert f"make {target}" in commands
    if shutil.which("make"):
        run = ["make", "-n", "release", "TAG=v1", f"PYTHON={sys.executable}"]
        said = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert "publish/release.py v1" in said and "publish/pdf.py" in said
