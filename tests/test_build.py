"""The build's bad days, on a book of three small notebooks: each ends in one sentence, and what was
done stays done.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import notebooks
import pytest
from bs4 import BeautifulSoup
from chrome import chromium

ROOT = Path(__file__).resolve().parent.parent
OLD = notebooks.repository()


@pytest.fixture
def small(tmp_path):
    """A checkout with this book's build script and pages of its own; ``small(a=[…])`` writes a
    notebook of these cells.
    """
    root = tmp_path / "book"
    for folder in ("assets", "publish"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "_config.yml", root)
    (root / "gradbook").symlink_to(ROOT / "gradbook")
    (root / "teaching/slides").mkdir(parents=True)
    (root / "teaching/slides/index.md").write_text("# Slides\n")
    (root / "chapters").mkdir()
    (root / "chapters/intro.md").write_text("# A small book\n")

    def write(**notebooks):
        for name, cells in notebooks.items():
            made = nbformat.v4.new_notebook(
                cells=[
                    nbformat.v4.new_markdown_cell(f"# {name}"),
                    *map(nbformat.v4.new_code_cell, cells),
                ]
            )
            made.metadata["kernelspec"] = {
                "name": "python3",
                "display_name": "Python 3",
                "language": "python",
            }
            nbformat.write(made, root / f"chapters/{name}.ipynb")
        pages = "".join(f"  - file: {name}\n" for name in notebooks)
        (root / "_toc.yml").write_text(
            f"format: jb-book\nroot: chapters/intro\nparts:\n- "
            f"caption: All\n  chapters:\n{pages}".replace("file: ", "file: chapters/")
        )
        return root

    return write


def build(root, *, before=(), **options):
    return subprocess.run(
        [*before, sys.executable, root / "publish/book.py"],
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def sentence(run):
    assert run.returncode and "Traceback" not in run.stderr, run.stderr
    return run.stderr.strip()


posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT or SIGKILL to send")
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@posix
def test_an_interrupted_build_resumes(small, tmp_path):
    ran, wait = tmp_path / "ran", tmp_path / "wait"
    wait.touch()
    root = small(
        quick=[f"open({str(ran)!r}, 'a').write('quick '); print('quick')"],
        slow=[
            f"import os, time\nwhile os.path.exists({str(wait)!r}): time.sleep(0.1)",
            f"open({str(ran)!r}, 'a').write('slow '); print('slow')",
        ],
    )
    process = subprocess.Popen(
        [sys.executable, root / "publish/book.py"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    cached = root / "_build/.jupyter_cache/executed"
    deadline = time.monotonic() + 120
    while not (cached.exists() and any(cached.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    assert (
        process.communicate(timeout=60)[1]
        .strip()
        .endswith("Run make again: chapters that are done are not executed again.")
    )
    wait.unlink()
    again = build(root)
    assert again.returncode == 0, again.stderr
    assert ran.read_text() == "quick slow "
    assert all(
        word in (root / f"_build/html/chapters/{word}.html").read_text()
        for word in ("quick", "slow")
    )


@pytest.mark.parametrize("variable", ["GRADBOOK_SEED_OFFSET", "GRADBOOK_NUDGE"])
def test_a_variable_that_is_no_number_stops_before_anything_is_executed(small, variable):
    root = small(fine=["1 + 1"])
    said = sentence(build(root, env=os.environ | {variable: "many"}))
    assert (
        said.startswith(f"The book was not built. {variable} is 'many'; it must be a whole number")
        and "\n" not in said
    )
    assert not (root / "_build").exists()


@posix
def test_a_killed_kernel(small):
    root = small(fine=["1 + 1"], killed=["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"])
    said = sentence(build(root))
    assert (
        said.startswith(
            "The book was not built. The kernel died in "
            "chapters/killed.ipynb: most often there was too little memory."
        )
        and "\n" not in said
    )


def test_cells_that_come_out_differently(small):
    """The reader gets the book: both cells are named at the end, their pages say so, what follows
    them is there, and a second build says it again.
    """
    root = small(
        wrong=["x = 1", "assert x == 2, 'no'", "print('and on')", "undefined"],
        fine=["print(1 + 1)"],
    )
    made = nbformat.read(root / "chapters/wrong.ipynb", 4)
    made.cells[4].metadata["tags"] = ["hide-cell"]
    nbformat.write(made, root / "chapters/wrong.ipynb")
    ids = [cell.id for cell in nbformat.read(root / "chapters/wrong.ipynb", 4).cells]
    for _ in range(2):
        run = build(root)
        assert run.returncode == 3 and "The site is in _build/html" in run.stdout
        assert run.stderr.splitlines() == [
            "It is complete, but on this machine these cells "
            "came out differently, and their pages say so:",
            f"chapters/wrong.ipynb, cell 3 ({ids[2]}): assert x == 2, 'no' → AssertionError: no",
            f"chapters/wrong.ipynb, cell 5 ({ids[4]}): undefined "
            f"→ NameError: name 'undefined' is not defined",
        ]
        page = (root / "_build/html/chapters/wrong.html").read_text()
        folded = BeautifulSoup(page, "html.parser").select("details.hide")
        assert (
            len(folded) == 1
            and "differently" not in folded[0].text
            and "undefined" in folded[0].text
        )
        assert (
            page.count("this came out differently") == 2
            and "AssertionError: no" in page
            and "and on" in page
            and "Traceback" not in page
        )
    assert "differently" not in (root / "_build/html/chapters/fine.html").read_text()


def with_mounts(commands):
    """What to put before a command so that ``commands`` mount something that it alone sees."""
    before = ["unshare", "-rm", "sh", "-ec", f'{commands}; exec "$@"', "sh"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*before, "true"], capture_output=True).returncode
    ):
        pytest.skip(
            "unshare and mount are not allowed here: no small disk and no read-only one can be made"
        )
    return before


def read_only(root):
    return with_mounts(f"mount --bind {root} {root}; mount -o remount,ro,bind {root}")


def test_a_full_disk(small):
    root = small(fine=["1 + 1"])
    (root / "_build").mkdir()
    said = sentence(
        build(root, before=with_mounts(f"mount -t tmpfs -o size=300k tmpfs {root}/_build"))
    )
    assert said.startswith("The book was not built. The disk is full") and "\n" not in said


def test_a_checkout_that_cannot_be_written(small):
    root = small(fine=["1 + 1"])
    said = sentence(build(root, before=read_only(root)))
    assert (
        said == f"The book was not built. {root}/_build cannot be "
        f"written: copy the checkout to a folder of your own."
    )


@needs_make
def test_a_checkout_that_cannot_be_written_has_no_environment_either(tmp_path):
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    run = subprocess.run(
        [*read_only(tmp_path), "make", "-C", tmp_path, "book"], capture_output=True, text=True
    )
    assert (
        run.returncode
        and f"{tmp_path} cannot be written: copy the checkout to a folder of your own.\n"
        in run.stdout
    )


@needs_make
@pytest.mark.parametrize("target", ["book", "serve", "pdf", "bench", "test"])
def test_what_a_student_may_see_is_kept_by_every_later_command(tmp_path, target):
    shutil.copy(ROOT / "Makefile", tmp_path)
    said = lambda: (
        subprocess.run(
            ["make", "-n", target], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
    )
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "requirements.lock").touch()
    assert "publish/book.py yes" in said()
    (tmp_path / "_build").mkdir()
    (tmp_path / "_build/solutions").write_text("no")
    assert "publish/book.py no" in said()


def test_a_browser_is_found_where_macos_and_windows_keep_it(tmp_path, monkeypatch):
    mac = tmp_path / "Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    windows = tmp_path / "Program Files/Microsoft/Edge/Application/msedge.exe"
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CHROMIUM", raising=False)
    for path, root in ((mac, tmp_path), (windows, tmp_path / "elsewhere")):
        monkeypatch.setenv("PROGRAMFILES", str(tmp_path / "Program Files"))
        path.parent.mkdir(parents=True)
        assert chromium(root) is None
        path.touch(0o755)
        assert chromium(root) == str(path)


def test_another_address_takes_the_place_of_the_repositorys_everywhere(tmp_path):
    git = lambda *a: subprocess.run(["git", *a], cwd=tmp_path, capture_output=True, text=True)
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    if not listed:
        pytest.skip("this is no git checkout, whose files make repository goes through")
    for name in listed.split("\n"):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    assert git("init", "-q").returncode == git("add", ".").returncode == 0
    new = "https://github.com/somebody/a-fork"
    run = subprocess.run(
        [sys.executable, tmp_path / "publish/repository.py", new], capture_output=True, text=True
    )
    assert run.returncode == 0 and run.stdout.endswith(f"{OLD} → {new}\n"), run.stderr
    assert not git("grep", "-lF", OLD).stdout
    assert not git("grep", "-lF", "gradients-that-flow." + "github.io").stdout
    for name in ("README.md", "gradbook/measure/findings.py", "pyproject.toml"):
        assert "somebody" in (tmp_path / name).read_text("utf-8")


def test_no_browser_to_print_with(tmp_path):
    run = subprocess.run(
        [sys.executable, ROOT / "publish/pdf.py"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (
        sentence(run) == "The book was not printed: no Chromium was found: install it "
        "(Debian: apt install chromium), or name it in CHROMIUM"
    )


def test_no_browser_to_test_with(tmp_path):
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rs",
            "-p",
            "no:cacheprovider",
            "tests/test_site.py",
            "-k",
            "reduced_motion",
        ],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (
        run.returncode == 0
        and "no Chromium was found: install it (Debian: apt install chromium)" in run.stdout
    )
