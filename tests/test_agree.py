"""What nbval lets pass and what it does not: words, numbers, lines, on notebooks that are really
run.
"""

import re
import subprocess
import sys
from pathlib import Path

import agree
import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent

PRINTS = 'print("decay 0.235 per layer, 8 of 10 seeds")'


@pytest.fixture(scope="module")
def run_nbval(tmp_path_factory):
    """One run of nbval over a notebook of many cells; (what a cell prints, what was stored, tags) →
    whether it passed.
    """
    cases = {
        "the same": (PRINTS, "decay 0.235 per layer, 8 of 10 seeds\n", []),
        "last digit": (PRINTS, "decay 0.236 per layer, 8 of 10 seeds\n", []),
        "two digits": (PRINTS, "decay 0.237 per layer, 8 of 10 seeds\n", []),
        "a count": (PRINTS, "decay 0.235 per layer, 6 of 10 seeds\n", []),
        "a count, 30 %": (PRINTS, "decay 0.235 per layer, 6 of 10 seeds\n", ["varies-30%"]),
        "a third, 30 %": (PRINTS, "decay 0.350 per layer, 8 of 10 seeds\n", ["varies-30%"]),
        "twice, 3x": (PRINTS, "decay 0.480 per layer, 8 of 10 seeds\n", ["varies-3x"]),
        "a word": (PRINTS, "growth 0.235 per layer, 8 of 10 seeds\n", ["varies-3x"]),
        "a sign": (PRINTS, "decay -0.235 per layer, 8 of 10 seeds\n", ["varies-3x"]),
        "a line less": ('print("one")', "one\ntwo\n", ["varies-3x"]),
        "a line more": ('print("one\\ntwo")', "one\n", ["varies-3x"]),
        "a line less of numbers": ('print("1 2 3 4")', "1 2\n3 4\n", ["varies-3x"]),
        "powers apart": ('print("10⁻⁹")', "10⁻⁴\n", []),
        "nan": ('print("loss", float("nan"))', "loss 2.3\n", ["varies-3x"]),
        "wider": ('print(f"{99:5} {101:3}")', "  100 100\n", []),
    }
    path = tmp_path_factory.mktemp("nbval") / "cases.ipynb"
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    for code, stored, tags in cases.values():
        output = nbformat.v4.new_output("stream", name="stdout", text=stored)
        notebook.cells.append(
            nbformat.v4.new_code_cell(
                code, outputs=[output], execution_count=1, metadata={"tags": tags}
            )
        )
    nbformat.write(notebook, path)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-c",
        ROOT / "pyproject.toml",
        "--confcutdir",
        ROOT,
        "-p",
        "conftest",
        "--nbval",
        "--nbval-current-env",
        path,
    ]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": str(Path(sys.executable).parent), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    verdict = {
        int(n): word == "PASSED"
        for word, n in re.findall(r"^(PASSED|FAILED) .*?::Cell (\d+)", run.stdout, re.M)
    }
    assert len(verdict) == len(cases), run.stdout + run.stderr
    return {name: verdict[n] for n, name in enumerate(cases)}


@pytest.mark.parametrize("case", ["the same", "last digit", "a count, 30 %", "twice, 3x", "wider"])
def test_nbval_lets_pass(run_nbval, case):
    assert run_nbval[case]


@pytest.mark.parametrize(
    "case",
    [
        "two digits",
        "a count",
        "a third, 30 %",
        "a word",
        "a sign",
        "a line less",
        "a line more",
        "a line less of numbers",
        "powers apart",
        "nan",
    ],
)
def test_nbval_stops(run_nbval, case):
    assert not run_nbval[case]


@given(st.floats(1e-30, 1e30), st.integers(1, 6), st.sampled_from("ef"))
def test_a_number_agrees_with_itself_and_not_with_twice_itself(x, digits, kind):
    printed, doubled = (f"{factor * x:.{digits}{kind}}" for factor in (1, 2))
    assert agree.agrees(printed, printed)
    assert kind == "f" and x < 1 or not agree.agrees(printed, doubled)


@pytest.mark.parametrize(
    "a, b, same",
    [
        ("30", "30.1", True),
        ("0.99", "1.00", True),
        ("-0.00", "0.00", True),
        ("1e-05", "0.00001", True),
        ("10⁻⁴", "9 × 10⁻⁵", True),
        ("1e+02", "99", True),
        ("1,815", "1,816", True),
        ("10⁻⁹", "10⁻⁴", False),
        ("10⁹", "10⁻³⁰", False),
        ("1e-30", "1e-05", False),
        ("0.05", "1", False),
        ("20", "1e+02", False),
        ("3 × 10⁴", "3 × 10⁻⁹", False),
        ("1", "1.9", False),
    ],
)
def test_pairs_of_numbers(a, b, same):
    assert agree.agrees(a, b) == agree.agrees(b, a) == same


@pytest.mark.parametrize(
    "a, b, tolerance, same",
    [
        ("0.4", "0.6", 0.3, True),  # 0.449 and 0.551 are 18 % apart
        ("0.4", "0.8", 0.3, False),  # 0.449 and 0.751, the nearest, are 40 % apart
        ("41", "58", 0.3, True),
        ("41", "62", 0.3, False),
        ("10", "29", 2 / 3, True),
        ("10", "34", 2 / 3, False),
    ],
)
def test_rounding_comes_on_top_of_a_tolerance(a, b, tolerance, same):
    assert agree.agrees(a, b, tolerance) == agree.agrees(b, a, tolerance) == same


@pytest.mark.parametrize(
    "new, old",
    [
        ("(3, 4)", "(3 4)"),
        ("1,2,3", "123"),
        ("1 2\n3", "1 2 3"),
        ("1 2 3", "1 # 3"),
        ("float32", "float64"),
        ("x = 1", "y = 1"),
    ],
)
def test_texts_that_do_not_say_the_same(new, old):
    assert agree.settled(new, old, 2 / 3) == new != old


@given(st.floats(1e-6, 1e6))
def test_the_value_is_what_python_reads(x):
    for text in (f"{x:.3e}", f"{x:.8f}", f"-{x:.2f}", f"{x:,.3f}"):
        assert agree.value_and_place(text)[0] == float(text.replace(",", ""))


def test_powers_as_the_book_prints_them():
    from gradbook.show.plot import human

    for x in (3e-26, 1e9, 6000.0, 20000.0, 0.4, 1e-7):
        assert agree.value_and_place(human(x, 1))[0] == pytest.approx(x)


@given(st.text("ab 0123456789.e-×⁻⁹\n", max_size=30), st.text("ab 0123456789.e-×⁻⁹\n", max_size=30))
def test_settled_keeps_the_words_and_is_done_at_once(new, old):
    kept = agree.settled(new, old)
    assert agree.words(kept) == agree.words(new)
    assert agree.settled(kept, old) == kept
    assert agree.settled(new, new) == new
