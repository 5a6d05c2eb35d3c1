"""make replicate, on a book of one notebook."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch

import gradbook as gb

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def notebook(tmp_path):
    """A notebook that prints a seed's draw, a nudged input and a loss, and asserts too much of
    each.
    """
    cells = [
        "import numpy as np\nimport gradbook as gb\n"
        "drawn = np.random.default_rng(0).random()\nprint(f'{drawn:.3f}')\n"
        "assert abs(drawn - 0.637) < 1e-3",
        "seen = float(gb.digits().x_train[3, 20])\nprint(f'{seen:.5f}')",
        "print('done')",
    ]
    path = tmp_path / "small.ipynb"
    made = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(source, id=name)
            for source, name in zip(cells, ("draw", "input", "end"))
        ]
    )
    made.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    seen = f"{float(gb.digits().x_train[3, 20]):.5f}"
    for cell, text in zip(made.cells, ("0.637\n", seen + "\n", "done\n")):
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
        cell.execution_count = 1
    nbformat.write(made, path)
    return path


def replicate(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "publish/replicate.py", *arguments], capture_output=True, text=True
    )


def test_a_statement_that_rests_on_luck_is_named(notebook):
    said = subprocess.run(
        [sys.executable, ROOT / "publish/replicate.py", "--one", notebook],
        env=os.environ | {"GRADBOOK_SEED_OFFSET": "1000"},
        capture_output=True,
        text=True,
    )
    found = json.loads(said.stdout.splitlines()[-1])
    assert list(found) == ["draw"] and found["draw"].startswith(
        "assert abs(drawn - 0.637) < 1e-3 → AssertionError; it had printed: 0."
    )
    plain = subprocess.run(
        [sys.executable, ROOT / "publish/replicate.py", "--one", notebook],
        capture_output=True,
        text=True,
    )
    assert json.loads(plain.stdout.splitlines()[-1]) == {}


def test_a_text_that_another_arithmetic_does_not_confirm_is_named(notebook):
    made = nbformat.read(notebook, 4)
    made.cells[2].outputs[0].text = "finished\n"
    nbformat.write(made, notebook)
    said = subprocess.run(
        [sys.executable, ROOT / "publish/replicate.py", "--one", notebook],
        env=os.environ | {"GRADBOOK_NUDGE": "1"},
        capture_output=True,
        text=True,
    )
    assert json.loads(said.stdout.splitlines()[-1]) == {"end": "printed was 'finished', is 'done'"}


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["--variants", "SSE, as it was"],
            "variant 'as it was' is unknown; there are: as it is, AVX2, SSE, nudge 1",
        ),
        (
            ["--offsets", "1000,many"],
            "offset 'many' is unknown; it must be a whole number from 0 on",
        ),
        (["chapters/nothing.ipynb"], "nothing.ipynb is no notebook of the book"),
        (["README.md"], "README.md is no notebook of the book"),
    ],
)
def test_bad_input_gets_a_sentence(arguments, sentence):
    said = replicate(*arguments)
    assert said.returncode == 1 and sentence in said.stderr and "Traceback" not in said.stderr


@pytest.fixture
def command():
    import replicate

    return replicate


def test_a_variant_without_effect_is_not_repeated(command, monkeypatch):
    monkeypatch.setattr(
        command,
        "fingerprint",
        lambda variant: {"A": "cannot run here"}.get(variant.get("V"), "same"),
    )
    prints, repeats = command.effects({"old": {"V": "B"}, "newer": {"V": "A"}})
    assert (
        repeats
        == {"old": "it computes as in 'as it is'", "newer": "this processor lacks its instructions"}
        and prints["old"] == "same"
    )


def test_a_device_that_is_missing_ends_in_its_sentence():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    said = subprocess.run(
        [sys.executable, ROOT / "publish/replicate.py"],
        env=os.environ | {"GRADBOOK_DEVICE": "cuda"},
        capture_output=True,
        text=True,
    )
    assert (
        said.returncode == 1
        and "'cuda' was asked for" in said.stderr
        and "Traceback" not in said.stderr
    )


def test_the_table_renews_rows_and_drops_what_is_gone(command, monkeypatch, tmp_path):
    paths, prints = command.notebooks.notebooks()[:2], dict.fromkeys(command.VARIANTS, "0123abcd")
    first, second = ({path: nbformat.read(path, 4)} for path in paths)
    names = [command.name_of(path) for path in paths]
    monkeypatch.setattr(command.notebooks, "TABLE", tmp_path / "table.yml")
    monkeypatch.setattr(command.notebooks, "notebooks", lambda: paths)

    def rows():
        return command.notebooks.replication()["notebooks"]

    command.write(
        first | second,
        {(paths[0], "SSE"): {"cell": "seen"}},
        prints,
        {"AVX2": "it computes as in 'as it is'"},
    )
    assert (
        list(rows()) == names
        and rows()[names[0]]["failed"] == {"SSE": {"cell": "seen"}}
        and rows()[names[1]]["failed"] == {}
    )
    command.write(first, {}, prints, {})
    assert (
        list(rows()) == names and rows()[names[0]]["failed"] == {} and rows()[names[1]]["repeats"]
    )
    before = rows()
    second[paths[1]].cells[-1] = nbformat.v4.new_code_cell("older code")
    command.write(second, {(paths[1], "SSE"): {"cell": "seen"}}, prints, {})
    assert rows() == before  # what ran is not what stands there now
    second[paths[1]] = nbformat.read(paths[1], 4)
    monkeypatch.setattr(command, "VARIANTS", command.VARIANTS | {"another": {}})
    command.write(second, {}, prints, {})
    assert list(rows()) == names[1:]  # the other row never saw the new variant


def test_the_table_on_the_page(command):
    from booksite import replication_table

    row = {
        "code": "",
        "date": "2026-01-01",
        "machine": "a <b>",
        "cells": 3,
        "repeats": {"two": "as one"},
        "failed": {"three": {"cell": "x < 1 → AssertionError"}},
    }
    html = replication_table(
        {
            "variants": dict.fromkeys(["one", "two", "three"]),
            "notebooks": {"chapters/part/name": row},
        }
    )
    assert (
        "<td>✓</td><td>=</td><td>1 ✗</td>" in html
        and "cell: x &lt; 1 → AssertionError" in html
        and "a &lt;b&gt;, 2026-01-01" in html
    )
