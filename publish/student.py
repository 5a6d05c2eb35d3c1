"""What a class may have: chapters, package and Binder's files, without solutions, speaker notes and
lesson plans, and without a link to them (make student-archive).

``python publish/student.py [URL]``: URL is the address that the class's own repository will have.
"""

import base64
import os
import re
import shutil
import sys
import zlib
from pathlib import Path

import nbformat
from notebooks import ROOT, repository, without_solutions
from repository import site

STUDENT = ROOT / "_build/student"
TAKEN = [
    "chapters/*/*.ipynb",
    *(f"chapters/{page}.md" for page in ("notation", "conventions", "sources", "bibliography")),
    "gradbook/**/*",
    ".binder/*",
    "requirements.lock",
    "pyproject.toml",
    "LICENSE",
]
README = """# Gradients That Flow: the chapters, for a class

From [the book]({site}). You need Python 3.11, 3.12 or 3.13.

```bash
python -m venv .venv
.venv/bin/pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu  # no CUDA
.venv/bin/pip install -e . jupyterlab
.venv/bin/jupyter lab chapters
```

On Windows, `.venv\\Scripts` for `.venv/bin`. Exercises answer in the notebook.
"""

UNPACK = """import base64, zlib

exec(zlib.decompress(base64.b85decode('{}')).decode())
"""


def main(url, target=STUDENT):
    """Write the folder ``target`` and, beside it, the same as a zip file."""
    shutil.rmtree(target, ignore_errors=True)
    for pattern in TAKEN:
        for path in ROOT.glob(pattern):
            if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & {*path.parts}:
                copy = target / path.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
    (target / "README.md").write_text(README.format(site=site(repository())), "utf-8")
    for page in target.glob("chapters/*.md"):
        page.write_text(for_class(page.read_text("utf-8"), page.parent, target), "utf-8")
    for path in target.glob("chapters/*/*.ipynb"):
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = for_class(cell.source, path.parent, target)
        nbformat.write(notebook, path)
    seal(target / "gradbook/show/exercises.toml", "packed = '{}'\n")
    for path in target.glob("gradbook/show/code_exercises/*.py"):
        if path.stem not in ("__init__", "trial"):
            seal(path, UNPACK)
    if url:
        for path in filter(Path.is_file, target.rglob("*")):
            data = path.read_bytes()
            path.write_bytes(data.replace(repository().encode(), url.rstrip("/").encode()))
    shutil.make_archive(str(target), "zip", target.parent, target.name)


def for_class(text, folder, target):
    """A page without a word on solutions; its links lead to the book's site where what they name
    was not taken along.
    """

    def link(found):
        place = os.path.normpath(folder.relative_to(target) / found[1])
        if (target / place).exists():
            return found[0]
        return f"]({site(repository())}{Path(place).with_suffix('.html').as_posix()}"

    return re.sub(r"\]\(([^)\s:#]+)(?=[)#\s])", link, without_solutions(text))


def seal(path, form):
    """Pack the answers: gb.check reads them, and nobody else by accident."""
    packed = base64.b85encode(zlib.compress(path.read_bytes(), 9)).decode()
    path.write_text(form.format(packed), "utf-8")


if __name__ == "__main__":
    main("".join(sys.argv[1:2]))
    print(f"The class's copy is in {STUDENT.relative_to(ROOT)} and {STUDENT.name}.zip beside it.")
