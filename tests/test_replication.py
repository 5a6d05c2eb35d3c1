"""Seeds that move, inputs that are nudged, twins; and the command that repeats the book, on a book of two cells."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import gradbook as gb
from gradbook.data import nudged

ROOT = Path(__file__).resolve().parent.parent
DRAWS = """
import json, numpy as np, torch
import gradbook as gb
print(json.dumps([np.random.default_rng(seed).random(), np.random.default_rng([seed, 7]).random(), np.random.RandomState(seed).rand(),
    (np.random.seed(seed), np.random.rand())[1], (torch.manual_seed(seed), torch.rand(1).item())[1],
    torch.rand(1, generator=torch.Generator().manual_seed(seed)).item(), float(gb.digits(seed=seed).x_train[3, 20]),
    gb.sweep(depth=1, seed=[seed], progress=False).loss.values.ravel().tolist()[0]]))
"""


def run(code, **environment):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)


def test_an_offset_moves_every_seed_by_as_much():
    moved = json.loads(run("seed = 3" + DRAWS, GRADBOOK_SEED_OFFSET="1000").stdout)
    plain = json.loads(run("seed = 1003" + DRAWS).stdout)
    assert moved[:-1] == plain[:-1] and moved[-1] != plain[-1]  # the sweep's digits are split with another seed, too
    assert moved != json.loads(run("seed = 3" + DRAWS).stdout)


@pytest.mark.parametrize("variable", ["GRADBOOK_SEED_OFFSET", "GRADBOOK_NUDGE"])
@pytest.mark.parametrize("value", ["x", "-1", "1.5"])
def test_a_variable_that_is_no_number_is_named(variable, value):
    said = run("import gradbook as gb; gb.digits()", **{variable: value})
    assert said.returncode and f"ValueError: {variable} is {value!r}; it must be a whole number from 0 on" in said.stderr


@given(arrays(np.float32, (3, 4), elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False)), st.integers(1, 9))
def test_a_nudge_is_one_unit_in_the_last_place(x, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADBOOK_NUDGE", str(seed))
        moved = nudged(x)
        assert np.array_equal(moved, nudged(x)) and moved.dtype == x.dtype
    assert np.array_equal(moved == x, x == 0)
    assert all(b in (np.nextafter(a, np.float32(np.inf)), np.nextafter(a, np.float32(-np.inf))) for a, b in zip(x[x != 0], moved[x != 0]))
    assert nudged(x) is x


def test_a_fingerprint_repeats_and_sees_a_nudge(monkeypatch):
    mark = gb.replication.fingerprint()
    assert mark == gb.replication.fingerprint() and len(mark) == 8
    monkeypatch.setenv("GRADBOOK_NUDGE", "1")
    assert gb.replication.fingerprint() != mark


def test_twins_without_the_bit_stay_equal_and_one_bit_is_one_bit():
    given = dict(seed=range(2), depth=3, width=16, steps=5)
    assert gb.replication.twins(bits=0, **given).distance.max() == 0
    first = gb.replication.twins(**given).distance.isel(step=0)
    assert (first.sel(layer=1) > 0).all() and first.sel(layer=1).max() < 2**-23 and first.sel(layer=slice(2, None)).max() == 0


def test_the_bit_is_never_on_a_pixel_that_is_always_0():
    """Seed 10's largest weight is on one."""
    assert gb.replication.twins([10], depth=2, width=64, steps=30, lr=0.3).distance.isel(step=-1).sel(layer=3) > 0


def test_twins_cannot_be_farther_apart_than_both_have_gone():
    run = gb.replication.twins(range(2), depth=3, width=16, steps=40, lr=1.0)
    assert run.moved.isel(step=0).max() == 0 < run.moved.isel(step=-1).min()
    assert (run.distance <= 2.1 * run.moved.max("seed") + 1e-6).all()


def test_twins_train_as_torch_does():
    """The first twin is the network that PyTorch trains from the same weights on the same rows: the same answers on the test digits."""
    from gradbook import nets, sweeps

    depth, width, steps, lr = 2, 16, 40, 0.1
    found = gb.replication.twins([5], depth=depth, width=width, steps=steps, lr=lr, sigma_b=0.0)
    d = gb.digits()
    sizes = nets.layer_sizes(nets.mlp, 64, depth, width, 10)
    weights, _ = sweeps.draw_weights("normal", sizes, [5], [1.3], [0.0], "cpu")
    model = torch.nn.Sequential(*[part for i, o in sizes for part in (torch.nn.Linear(i, o), torch.nn.Tanh())][:-1])
    with torch.no_grad():
        for layer, W in zip(model[::2], weights):
            layer.weight.copy_(W[0].T)
            layer.bias.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for rows in list(sweeps.batches([5], len(d.x_train), 32, steps)):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.from_numpy(d.x_train[rows[0]])), torch.from_numpy(d.y_train[rows[0]])).backward()
        optimizer.step()
    right = (model(torch.from_numpy(d.x_test)).argmax(1).numpy() == d.y_test).mean()
    assert abs(found.accuracy.sel(twin=0).item() - right) < 0.01  # sums are in another order


def test_strangers_are_as_far_apart_as_independent_vectors():
    first = gb.replication.twins(range(4), depth=3, width=128, steps=0).strangers
    assert abs(first - 2**0.5).max() < 0.05


@pytest.mark.parametrize("wrong", [{"bits": -1}, {"steps": 1.5}, {"depth": 0}, {"activation": "sine"}])
def test_twins_refuse(wrong):
    with pytest.raises(ValueError, match="must be|does not exist|unknown|choose"):
        gb.replication.twins(**{"seed": [0], "steps": 1} | wrong)


# ------------------------------------------------------------------------------------------ make replicate

@pytest.fixture
def notebook(tmp_path):
    """A notebook that prints a seed's draw, a nudged input and a loss, and asserts too much of each."""
    cells = ["import numpy as np\nimport gradbook as gb\ndrawn = np.random.default_rng(0).random()\nprint(f'{drawn:.3f}')\nassert abs(drawn - 0.637) < 1e-3",
             "seen = float(gb.digits().x_train[3, 20])\nprint(f'{seen:.5f}')", "print('done')"]
    path = tmp_path / "small.ipynb"
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, id=name) for source, name in zip(cells, ("draw", "input", "end"))])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    seen = f"{float(gb.digits().x_train[3, 20]):.5f}"
    for cell, text in zip(made.cells, ("0.637\n", seen + "\n", "done\n")):
        cell.outputs, cell.execution_count = [nbformat.v4.new_output("stream", name="stdout", text=text)], 1
    nbformat.write(made, path)
    return path


def replicate(*arguments):
    return subprocess.run([sys.executable, ROOT / "assets/replicate.py", *arguments], capture_output=True, text=True)


def test_a_statement_that_rests_on_luck_is_named(notebook):
    said = subprocess.run([sys.executable, ROOT / "assets/replicate.py", "--one", notebook], env=os.environ | {"GRADBOOK_SEED_OFFSET": "1000"}, capture_output=True, text=True)
    found = json.loads(said.stdout.splitlines()[-1])
    assert list(found) == ["draw"] and found["draw"].startswith("assert abs(drawn - 0.637) < 1e-3 → AssertionError; it had printed: 0.")
    plain = subprocess.run([sys.executable, ROOT / "assets/replicate.py", "--one", notebook], capture_output=True, text=True)
    assert json.loads(plain.stdout.splitlines()[-1]) == {}


def test_a_text_that_another_arithmetic_does_not_confirm_is_named(notebook):
    made = nbformat.read(notebook, 4)
    made.cells[2].outputs[0].text = "finished\n"
    nbformat.write(made, notebook)
    said = subprocess.run([sys.executable, ROOT / "assets/replicate.py", "--one", notebook], env=os.environ | {"GRADBOOK_NUDGE": "1"}, capture_output=True, text=True)
    assert json.loads(said.stdout.splitlines()[-1]) == {"end": "printed was 'finished', is 'done'"}


@pytest.mark.parametrize("arguments, sentence", [
    (["--variants", "SSE, as it was"], "variant 'as it was' is unknown; there are: as it is, AVX2, SSE, nudge 1"),
    (["--offsets", "1000,many"], "offset 'many' is unknown; it must be a whole number from 0 on"),
    (["chapters/nothing.ipynb"], "nothing.ipynb is no notebook of the book"), (["README.md"], "README.md is no notebook of the book")])
def test_bad_input_gets_a_sentence(arguments, sentence):
    said = replicate(*arguments)
    assert said.returncode == 1 and sentence in said.stderr and "Traceback" not in said.stderr


@pytest.fixture
def command():
    sys.path.insert(0, str(ROOT / "assets"))
    import replicate

    return replicate


def test_a_variant_without_effect_is_not_repeated(command, monkeypatch):
    monkeypatch.setattr(command, "fingerprint", lambda variant: {"A": "cannot run here"}.get(variant.get("V"), "same"))
    prints, repeats = command.effects({"old": {"V": "B"}, "newer": {"V": "A"}})
    assert repeats == {"old": "it computes as in 'as it is'", "newer": "this processor lacks its instructions"} and prints["old"] == "same"


def test_a_device_that_is_missing_ends_in_its_sentence():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    said = subprocess.run([sys.executable, ROOT / "assets/replicate.py"], env=os.environ | {"GRADBOOK_DEVICE": "cuda"}, capture_output=True, text=True)
    assert said.returncode == 1 and "'cuda' was asked for" in said.stderr and "Traceback" not in said.stderr


def test_the_table_renews_rows_and_drops_what_is_gone(command, monkeypatch, tmp_path):
    paths, prints = command.notebooks.notebooks()[:2], dict.fromkeys(command.VARIANTS, "0123abcd")
    names = [command.name_of(path) for path in paths]
    monkeypatch.setattr(command.notebooks, "TABLE", tmp_path / "table.yml")
    monkeypatch.setattr(command.notebooks, "notebooks", lambda: paths)

    def rows():
        return command.notebooks.replication()["notebooks"]

    command.write(paths, {(paths[0], "SSE"): {"cell": "seen"}}, prints, {"AVX2": "it computes as in 'as it is'"})
    assert list(rows()) == names and rows()[names[0]]["failed"] == {"SSE": {"cell": "seen"}} and rows()[names[1]]["failed"] == {}
    command.write(paths[:1], {}, prints, {})
    assert list(rows()) == names and rows()[names[0]]["failed"] == {} and rows()[names[1]]["repeats"]
    monkeypatch.setattr(command, "VARIANTS", command.VARIANTS | {"another": {}})
    command.write(paths[1:], {}, prints, {})
    assert list(rows()) == names[1:]  # the other row never saw the new variant


def test_the_table_on_the_page(command):
    from booksite import replication_table

    row = {"code": "", "date": "2026-01-01", "machine": "a <b>", "cells": 3, "repeats": {"two": "as one"}, "failed": {"three": {"cell": "x < 1 → AssertionError"}}}
    html = replication_table({"variants": dict.fromkeys(["one", "two", "three"]), "notebooks": {"chapters/part/name": row}})
    assert "<td>✓</td><td>=</td><td>1 ✗</td>" in html and "cell: x &lt; 1 → AssertionError" in html and "a &lt;b&gt;, 2026-01-01" in html
