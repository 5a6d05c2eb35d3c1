"""Build the site: ``python publish/book.py [yes|no]`` with or without the solutions (make book)."""

import errno
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import notebooks
import replicate
import slides
import yaml
from chrome import NOT_FOUND, chromium
from jupyter_cache import get_cache

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
DIFFERENT = 3  # exit status: the site is complete, some cells came out differently
FULL = (
    "The disk is full: a build needs 100 MB beside its environment; free some, and run make again"
)


def without_solutions(toc):
    """The table of contents without the parts that are not for students."""
    return toc | {
        "parts": [part for part in toc["parts"] if part["caption"] not in ("Teaching", "Solutions")]
    }


def _device():
    return os.environ.get("GRADBOOK_DEVICE") or "cpu"


def _arithmetic():
    """What, beside the code, decides which numbers come out: device, kernels, seeds (see
    replicate.py).
    """
    return " ".join(
        [
            _device(),
            *(
                f"{name}={os.environ[name]}"
                for name in sorted(replicate.OWN)
                if os.environ.get(name)
            ),
        ]
    )


def forget_what_depends_on(sources, mark, folders, word):
    """Drop ``folders`` when ``sources``, device, kernels or seeds changed; neither jupyter-book's
    cache nor Sphinx looks at them.
    """
    state = (
        hashlib.sha256(b"".join(p.read_bytes() for p in sorted(sources) if p.is_file())).hexdigest()
        + _arithmetic()
    )
    if not mark.exists() or mark.read_text() != state:
        print(word, flush=True)
        for folder in folders:
            shutil.rmtree(BUILD / folder, ignore_errors=True)
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(state)


def notebooks_of(solutions):
    return [
        path
        for path in notebooks.notebooks()
        if solutions == "yes" or path.is_relative_to(ROOT / "chapters")
    ]


def execute(solutions):
    """Fill jupyter-book's cache; on a CPU a notebook on each core. A cell that fails does not stop
    the next: its page will say so.
    """
    from jupyter_cache.executors import load_executor

    cache = get_cache(BUILD / ".jupyter_cache")
    for path in notebooks_of(solutions):
        cache.add_nb_to_project(str(path))
    side_by_side = (
        os.cpu_count() or 1
    ) > 1 and _device() == "cpu"  # on one device notebooks would only wait for each other
    if side_by_side:
        os.environ["OMP_NUM_THREADS"] = "1"
    load_executor(
        "local-parallel" if side_by_side else "local-serial", cache, logger=logging.getLogger()
    ).run_and_cache(timeout=600, allow_errors=True)


def cells_that_failed(solutions):
    """'notebook, cell number (id): what failed' for every cell of the executed book that ended in
    an error.
    """
    cache, found = get_cache(BUILD / ".jupyter_cache"), []
    for path in notebooks_of(solutions):
        written = nbformat.read(path, 4)
        try:
            _, ran = cache.merge_match_into_notebook(nbformat.read(path, 4))
        except KeyError:  # a notebook beside the book
            continue
        for number, (cell, after) in enumerate(zip(written.cells, ran.cells, strict=True), 1):
            if error := notebooks.error_of(after):
                found.append(
                    f"{path.relative_to(ROOT)}, cell {number} ({cell.id}): "
                    f"{notebooks.what_failed(cell.source, error)}"
                )
    return found


def first_not_executed(solutions):
    cache = get_cache(BUILD / ".jupyter_cache")
    for path in notebooks_of(solutions):
        try:
            cache.match_cache_file(str(path))
        except KeyError:
            return path.relative_to(ROOT)


def why_it_stopped(log, solutions):
    """One sentence for a failed build; None where only the log itself can tell."""
    if re.search(r"No space left on device|disk is full", log):
        return FULL
    if "DeadKernelError" in log:
        return (
            f"The kernel died in {first_not_executed(solutions)}: "
            f"most often there was too little memory. "
            "A chapter needs up to 1.5 GB, and two run side "
            "by side; close something, and run make again"
        )
    if "CellTimeoutError" in log:
        return f"A cell in {first_not_executed(solutions)} took more than ten minutes"
    return None


def convert_with_pictures():
    """nbconvert, in the book's own environment, prefers pictures to widgets, which it could not
    show offline.
    """
    if sys.prefix != sys.base_prefix:
        settings = Path(sys.prefix, "etc/jupyter")
        settings.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "publish/jupyter_nbconvert_config.json", settings)


def run(solutions):
    """Execute the notebooks that are new, write the site and its slides."""
    convert_with_pictures()
    toc = ROOT / "_toc.yml"
    BUILD.mkdir(exist_ok=True)
    if solutions == "no":
        chosen = BUILD / "toc-without-solutions.yml"
        chosen.write_text(
            yaml.safe_dump(
                without_solutions(yaml.safe_load(toc.read_text("utf-8"))), allow_unicode=True
            ),
            "utf-8",
        )
        toc = chosen
    pages = (".doctrees", ".doctrees-slides")
    package = [p for p in (ROOT / "gradbook").rglob("*") if "__pycache__" not in p.parts]
    # the site's copies: what a notebook shows holds data, not scripts
    scripts = [*(ROOT / "gradbook/show").glob("explorer.[cjm]*")]
    forget_what_depends_on(
        (p for p in package if p not in scripts),
        BUILD / "gradbook-state",
        (".jupyter_cache", *pages),
        "gradbook, the device, the arithmetic or the seeds are new: every chapter is executed, "
        "which takes about five minutes on two cores",
    )
    forget_what_depends_on(
        [*scripts, *(ROOT / "publish").rglob("*.py"), *(ROOT / "assets").rglob("*")],
        BUILD / "assets-state",
        pages,
        "the site's own code is new: every page is written",
    )
    if (mark := BUILD / "solutions").exists() and mark.read_text() != solutions:
        for folder in ("html", *pages):
            shutil.rmtree(BUILD / folder, ignore_errors=True)
    mark.write_text(solutions)
    subprocess.run(
        [sys.executable, __file__, solutions, "execute"],
        env=os.environ | {"TQDM_DISABLE": "1"},
        capture_output=True,
    )
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        str(ROOT),
        "--toc",
        str(toc),
        "-W",
        "-n",
        "--keep-going",
        "-q",
    ]
    build = subprocess.run(
        command,
        env=os.environ | {"TQDM_DISABLE": "1", "GRADBOOK_SOLUTIONS": solutions},
        capture_output=True,
        text=True,
    )
    log = re.sub(r"\x1b\[[0-9;]*m", "", build.stdout + build.stderr)
    (BUILD / "build.log").write_text(log, "utf-8")
    if build.returncode:
        why = why_it_stopped(log, solutions)
        if why is None:
            print(log[-6000:], file=sys.stderr)
        sys.exit(
            f"The book was not built. {why or 'See the messages above'}. "
            f"The whole log is in {(BUILD / 'build.log').relative_to(ROOT)}."
        )
    without = (
        ""
        if solutions == "yes"
        else " without solutions, lesson plans and speaker notes (make student)"
    )
    print(
        f"The site{without} is in {(BUILD / 'html').relative_to(ROOT)}: "
        f"open {BUILD / 'html' / 'index.html'}, or run `make serve`.",
        flush=True,
    )
    if failed := cells_that_failed(solutions):
        print(
            "It is complete, but on this machine these cells "
            "came out differently, and their pages say so:",
            *failed,
            sep="\n",
            file=sys.stderr,
            flush=True,
        )
    decks = slides.build()
    if decks.returncode:
        sys.exit(f"The slides were not built:\n{(decks.stdout + decks.stderr)[-3000:]}")
    import pdf  # which imports this module

    if chromium():
        pdf.print_chapters()
    else:
        print(f"Chapters have no PDF: {NOT_FOUND}.")
    if failed:
        sys.exit(DIFFERENT)


def main(solutions):
    if solutions not in ("yes", "no"):
        sys.exit(f"SOLUTIONS={solutions}: use yes or no")
    try:
        from gradbook.checks import whole_variable  # gradbook itself checks the offset of the seeds

        whole_variable("GRADBOOK_NUDGE", 1)
    except ValueError as error:
        sys.exit(f"The book was not built. {error}.")
    try:
        run(solutions)
    except KeyboardInterrupt:
        sys.exit("Interrupted. Run make again: chapters that are done are not executed again.")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sys.exit(f"The book was not built. {FULL}.")
        if error.errno in (errno.EACCES, errno.EROFS):
            sys.exit(
                f"The book was not built. {error.filename} cannot be "
                f"written: copy the checkout to a folder of your own."
            )
        raise


if __name__ == "__main__":
    solutions, *step = sys.argv[1:] or ["yes"]
    (execute if step == ["execute"] else main)(solutions)
