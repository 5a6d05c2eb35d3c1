"""What stands in several places is the same everywhere, and what is named exists."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import agree
import book
import nbformat
import notebooks
import pytest
import replicate
import yaml

ROOT = Path(__file__).resolve().parent.parent

CHAPTERS = sorted((ROOT / "chapters").glob("*/*.ipynb"))


@pytest.mark.parametrize(
    "path", notebooks.notebooks(), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_generated_cells_are_up_to_date(path):
    """Set-up cells and claim tables: `make sync` writes them."""
    notebook = nbformat.read(path, 4)
    expected = notebooks.expected(path, notebook)
    assert "setup" in expected
    assert {cell.id: cell.source for cell in notebook.cells if cell.id in expected} == expected


@pytest.mark.parametrize(
    "path", notebooks.notebooks(), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_notebooks_store_text_only(path):
    """`make outputs` stores them; a cell that prints has a stored output, or nbval would compare
    nothing.
    """
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            stored = nbformat.from_dict(cell)
            notebooks.text_only(stored)
            assert stored == cell, cell.id
            if "print(" in cell.source:
                assert cell.outputs, f"{cell.id} prints, but no output is stored"
        else:  # a command after two backslashes is a line break and plain letters
            assert not re.search(r"\\\\[a-zA-Z]", cell.source), (
                f"{cell.id}: a formula escaped twice"
            )


@pytest.mark.parametrize(
    "path", notebooks.notebooks(), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_two_builds_give_the_same_texts(path, site):
    """One build stored its texts in the notebook, the other is the site's: the same words, and
    numbers that agree. Nothing on the site is a warning.
    """
    from jupyter_cache import get_cache

    from conftest import MOVED

    if MOVED[0]:
        pytest.skip("the site was built with other seeds: it prints other numbers")
    stored = nbformat.read(path, 4)
    cache = get_cache(ROOT / "_build/.jupyter_cache")
    built = cache.get_cache_bundle(cache.match_cache_notebook(stored).pk).nb
    for before, after in zip(
        *([c for c in nb.cells if c.cell_type == "code"] for nb in (stored, built)), strict=True
    ):
        assert not [o.text for o in after.outputs if o.get("name") == "stderr"], after.id
        notebooks.text_only(after)
        agree.settled_outputs(after.outputs, before.outputs, agree.tolerance_of(before))
        assert [o.get("text") or o.get("data") for o in before.outputs] == [
            o.get("text") or o.get("data") for o in after.outputs
        ], before.id


def test_all_claims_are_there_once():
    ids = [claim["id"] for claim in notebooks.claims()]
    assert len(ids) == len(set(ids)) == 193
    assert all(claim["source"] == f"00{claim['id'][1]}" for claim in notebooks.claims())


def test_bibliography_is_up_to_date():
    assert (ROOT / "chapters/bibliography.md").read_text("utf-8") == notebooks.bibliography()


@pytest.mark.parametrize("claim", notebooks.claims(), ids=lambda c: c["id"])
def test_claims_are_decided_by_a_cell_that_exists(claim):
    assert claim["verdict"] in notebooks.VERDICTS
    assert all(claim[field] for field in ("source", "section", "claim", "original", "chapter"))
    if claim["verdict"] == "undecided":
        assert (
            "correct" not in claim
            and not (ROOT / "chapters" / f"{claim['chapter']}.ipynb").exists()
        )
        return
    assert claim["correct"]
    path = ROOT / "chapters" / f"{claim['chapter']}.ipynb"
    cells = {cell.id: cell for cell in nbformat.read(path, 4).cells}
    assert claim["cell"] in cells, f"{path.name} has no cell {claim['cell']!r}"
    # a paper was looked up, or the statement is not one
    if cells[claim["cell"]].cell_type == "markdown":
        assert claim["cell"] == "references" and not claim["figure"]
        return
    stored = "\n".join(
        o.get("text") or o.get("data", {}).get("text/plain", "")
        for o in cells[claim["cell"]].outputs
    )
    lines = [" ".join(line.split()) for line in stored.splitlines()]
    assert claim["figure"] in lines, (
        f"cell {claim['cell']} does not print the line {claim['figure']!r}"
    )


def test_the_table_of_replication_is_that_of_these_notebooks():
    """Whoever changes a notebook's code runs it again in every variant."""
    found = notebooks.replication()
    rows = found["notebooks"]
    codes = {
        replicate.name_of(path): replicate.code_of(nbformat.read(path, 4))
        for path in notebooks.notebooks()
    }
    stale = {name for name, code in codes.items() if rows.get(name, {}).get("code") != code}
    assert not stale, (
        f'run: make replicate NOTEBOOKS="{" ".join(name + ".ipynb" for name in sorted(stale))}"'
    )
    assert set(rows) == set(codes)
    assert found["variants"] == {
        name: " ".join(f"{k}={v}" for k, v in variant.items())
        for name, variant in replicate.VARIANTS.items()
    }
    assert all(
        re.fullmatch("[0-9a-f]{8}|cannot run here", mark)
        for marks in found["fingerprints"].values()
        for mark in marks.values()
    )
    assert {row["machine"] for row in rows.values()} <= set(found["fingerprints"])


def test_the_tests_run_the_notebooks_in_a_variant_of_the_table():
    assert (
        f"ELSEWHERE = "
        f"{' '.join(f'{k}={v}' for k, v in list(replicate.VARIANTS.values())[-1].items())}\n"
        in (ROOT / "Makefile").read_text("utf-8")
    )


@pytest.mark.parametrize(
    "claim", [c for c in notebooks.claims() if c["verdict"] != "undecided"], ids=lambda c: c["id"]
)
def test_a_verdict_was_repeated_in_every_variant(claim):
    cells = notebooks.deciding(claim)
    if claim["cell"] == "references":  # looked up
        assert not cells and notebooks.repeated(claim, notebooks.replication()) is None
        return
    assert any(
        re.search(r"\bassert |raise AssertionError|assert_allclose", cell.source) for cell in cells
    ), f"{claim['cell']} asserts nothing: what could refute it?"
    held, ran = notebooks.repeated(claim, notebooks.replication())
    assert held == ran >= 4, (
        f"{claim['cell']} held in {held} of {ran} variants: what does it really say?"
    )


def test_what_came_out_differently_is_counted():
    claim = next(c for c in notebooks.claims() if c["id"] == "D4-01")
    row = {
        "repeats": {"AVX2": "as it is"},
        "failed": {
            "SSE": {claim["cell"]: "seen"},
            "nudge 1": {"real-data": "another cell"},
            "nudge 2": {"(kernel)": "killed"},
        },
    }
    found = {
        "variants": dict.fromkeys(["as it is", "AVX2", "SSE", "nudge 1", "nudge 2"]),
        "notebooks": {"chapters/1-gradient-descent/gradient-descent": row},
    }
    assert notebooks.repeated(claim, found) == (2, 4)
    assert notebooks.repeated(claim, {"variants": {}, "notebooks": {}}) is None


def test_every_chapter_is_in_the_table_of_contents_and_has_solutions():
    listed = re.findall(r"file: (\S+)", (ROOT / "_toc.yml").read_text("utf-8"))
    for path in CHAPTERS:
        assert path.relative_to(ROOT).with_suffix("").as_posix() in listed
        assert f"teaching/solutions/{path.stem}" in listed
    toc = book.without_solutions(yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8")))
    assert "teaching/" not in json.dumps(toc) and "chapters/" in json.dumps(toc)


def test_every_exercise_is_asked_and_solved():
    exercises = tomllib.loads((ROOT / "gradbook/show/exercises.toml").read_text("utf-8"))
    asked = "".join(p.read_text("utf-8") for p in CHAPTERS)
    solved = "".join(p.read_text("utf-8") for p in (ROOT / "teaching/solutions").glob("*.ipynb"))
    for name in exercises:
        assert f'gb.check(\\"{name}\\"' in asked and f'gb.check(\\"{name}\\"' in solved, name


QUESTION = re.compile(r'<details name="(q-[a-z-]+)"><summary>(.+)</summary>\n\n(.+)\n\n</details>')


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_every_option_of_a_question_replies_and_one_is_right(path):
    asked = {}
    for cell in nbformat.read(path, 4).cells:
        found = QUESTION.findall(cell.source) if cell.cell_type == "markdown" else []
        assert len(found) == cell.source.count('<details name="'), cell.id
        for name, option, reply in found:
            assert reply.startswith(("✓ ", "✗ ")) and len(reply.split()) > 4, (name, option)
            asked.setdefault(name, []).append(reply[0])
    for name, marks in asked.items():
        assert 3 <= len(marks) <= 4 and marks.count("✓") == 1, name


def test_imports_keep_their_layers():
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout


def test_bundle_is_what_the_sources_give(tools, tmp_path):
    shutil.copytree(ROOT / "explorer/src", tmp_path / "src")
    shutil.copy(ROOT / "explorer/build.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(tools)
    subprocess.run(["node", "build.mjs", "out"], cwd=tmp_path, check=True)
    script, style = "gradbook/show/explorer.mjs", "gradbook/show/explorer.css"
    for name in (script, style, "gradbook/show/explorer.js", "assets/static/search.js"):
        made = (tmp_path / "out" / name).read_bytes()
        assert made == (ROOT / name).read_bytes(), f"{name} is stale: run `make explorer`"


def test_bundles_are_small():
    import gzip

    for name in ("gradbook/show/explorer.mjs", "gradbook/show/explorer.js"):
        assert len(gzip.compress((ROOT / name).read_bytes())) < 40_000


def test_every_page_names_the_same_pythons():
    """The README's, run.md's, the workflow's and pyproject's; 3.14 is said either way."""
    named = "3.11, 3.12 or 3.13"
    for page in ("README.md", "chapters/run.md"):
        text = (ROOT / page).read_text("utf-8")
        assert named in text and "3.14" in text, page
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == re.findall(r"3\.\d+", named)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"


@pytest.mark.parametrize("page", ["README.md", "chapters/api.md", "teaching/lessons/hosting.md"])
def test_who_installs_is_warned_of_gigabytes(page):
    text = (ROOT / page).read_text("utf-8")
    assert "gigabytes of CUDA" in text and "https://download.pytorch.org/whl/cpu" in text


def test_a_reader_finds_the_site_and_the_clone_line_first():
    head = (ROOT / "README.md").read_text("utf-8")[:2500]
    address = notebooks.repository()
    owner, name = address.split("/")[-2:]
    assert f"https://{owner}.github.io/{name}/" in head and f"git clone {address}" in head
    assert "not published yet" in head


def test_git_leaves_line_endings_alone():
    """Windows' git would otherwise write others into the figures' script, which a test compares."""
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text("utf-8").splitlines()
