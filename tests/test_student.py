"""What a class gets: everything it needs, and no answer."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import student
from notebooks import ROOT

URL = "https://github.com/somebody/a-class"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class") / "student"
    student.main(URL, folder)
    assert folder.with_suffix(".zip").exists()
    return folder


def words(text):
    return " ".join(re.sub(r"[^\w]+", " ", text).split())


@pytest.fixture(scope="module")
def everything(archive):
    """All words of the archive; those of a notebook without JSON's marks."""
    found = []
    for path in filter(Path.is_file, archive.rglob("*")):
        if path.suffix == ".ipynb":
            found += [cell.source for cell in nbformat.read(path, 4).cells]
        else:
            found.append(path.read_text("utf-8", "ignore"))
    return words("\n".join(found))


def of_the_chapters():
    notebooks = ROOT.glob("chapters/*/*.ipynb")
    return words("\n".join(c.source for p in notebooks for c in nbformat.read(p, 4).cells))


def test_no_reply_to_an_exercise_can_be_read(everything):
    exercises = tomllib.loads((ROOT / "gradbook/show/exercises.toml").read_text("utf-8"))
    replies = [
        reply
        for exercise in exercises.values()
        for reply in (
            exercise["right"],
            exercise["otherwise"],
            *(mistake["reply"] for mistake in exercise.get("mistakes", [])),
        )
    ]
    assert len(replies) > 100
    chapters = of_the_chapters()  # "That is √n." is said there, too
    assert [r for r in replies if words(r) in everything and words(r) not in chapters] == []
    assert sum(words(reply) in chapters for reply in replies) < 3


def test_no_answer_in_code_can_be_read(everything):
    answers = []
    for path in ROOT.glob("gradbook/show/code_exercises/*.py"):
        if path.stem not in ("__init__", "trial"):
            lines = path.read_text("utf-8").splitlines()
            answers += [words(line) for line in lines if "lambda" in line or "tanh(z)" in line]
    assert len(answers) > 20 and [line for line in answers if line in everything] == []


@pytest.mark.parametrize("source", ["solutions/*.ipynb", "lessons/*.md", "slides/*.md"])
def test_nothing_that_is_for_teachers_can_be_read(everything, source):
    """Lines of a solution, a plan, a deck; those that a chapter has too are the chapter's."""
    lines = set()
    for path in ROOT.glob(f"teaching/{source}"):
        text = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            cells = nbformat.reads(text, 4).cells
            text = "\n".join(c.source for c in cells if c.id not in ("setup", "exercises"))
        lines |= {words(line) for line in text.splitlines() if len(words(line)) > 50}
    chapters = of_the_chapters()
    answers = [line for line in lines if line not in chapters]
    assert len(answers) > 100
    assert [line for line in answers if line in everything] == []


def test_no_link_leads_to_an_answer_or_nowhere(archive):
    for page in [*archive.glob("chapters/**/*.ipynb"), *archive.glob("chapters/*.md")]:
        text = page.read_text("utf-8")
        assert "teaching/" not in text and "solutions](" not in text, page
        if page.suffix == ".ipynb":
            cells = nbformat.reads(text, 4).cells
            text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for address in re.findall(r"\]\(([^)\s#]+)", text):
            if not address.startswith("http"):
                assert (page.parent / address).exists(), (page, address)


def test_links_to_pages_that_stay_behind_lead_to_the_site(tmp_path):
    (tmp_path / "chapters/1-a").mkdir(parents=True)
    (tmp_path / "chapters/1-a/there.ipynb").touch()
    text = "[a](there.ipynb#x) [b](../claims.md#D0-01) [c](https://a.b/c.md) [d](#here)"
    relinked = student.for_class(text, tmp_path / "chapters/1-a", tmp_path)
    site = student.site(student.repository())
    assert relinked == text.replace("../claims.md", f"{site}chapters/claims.html")


def test_its_code_is_the_books(archive):
    for page in archive.glob("chapters/*/*.ipynb"):
        book = nbformat.read(ROOT / page.relative_to(archive), 4).cells
        for here, there in zip(nbformat.read(page, 4).cells, book, strict=True):
            if here.cell_type == "code" and here.id != "setup":
                assert here.source == there.source, (page, here.id)


def test_it_is_installed_from_the_class_and_not_from_the_book(archive):
    for page in archive.glob("chapters/*/*.ipynb"):
        setup = json.loads(page.read_text("utf-8"))["cells"]
        text = "".join(line for cell in setup for line in cell["source"])
        assert f"gradbook @ git+{URL}" in text and student.repository() not in text


def test_exercises_answer_and_the_package_builds(archive, tmp_path):
    use = """
import gradbook as gb
print(gb.__file__)
print(gb.check("loss-of-linear-chain", 0.8913))
print(gb.check("chi-of-leaky-relu", lambda a, sigma_w: sigma_w**2 / 2).text)
"""
    run = subprocess.run(
        [sys.executable, "-c", use], cwd=archive, capture_output=True, text=True, check=True
    )
    file, reply, mistake = run.stdout.splitlines()
    assert Path(file).is_relative_to(archive) and reply.startswith("✓") and "ReLU's" in mistake
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", tmp_path, archive], check=True, capture_output=True)
    assert len([*tmp_path.glob("gradbook-*.whl")]) == 1
