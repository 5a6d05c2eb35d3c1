"""Keep what stands in several notebooks in step with its one source, and store their text outputs.

    python assets/notebooks.py sync              write set-up cells, claim tables, the bibliography (make sync)
    python assets/notebooks.py outputs [FILE …]  run notebooks and store what they print (make outputs)
"""

import itertools
import re
import sys
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
SETUP = """\
import importlib.util
if importlib.util.find_spec("gradbook") is None:
    %pip install -q "gradbook @ git+{repository}\""""
VERDICTS = {"true": "✓ true", "partly": "◐ partly true", "false": "✗ false", "malformed": "? malformed", "undecided": "not yet decided"}


def notebooks():
    """Every notebook of the book, chapters first."""
    return [p for folder in ("chapters", "teaching") for p in sorted((ROOT / folder).rglob("*.ipynb"))
            if ".ipynb_checkpoints" not in p.parts]


def repository():
    return yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]["url"]


def claims():
    """The claims, as a list of dictionaries."""
    return yaml.safe_load((ROOT / "chapters/claims.yml").read_text("utf-8"))


def claims_table(chapter):
    """The Markdown of one chapter's section "What people say"."""
    rows = ["## What people say", "",
            "The syllabus of this book comes from five tutorials in Chinese, numbered 000 to 004. This is what they say "
            "about the subject of this chapter, and what the cells above found. *Overturned* marks a verdict of ours "
            "that the experiment changed.", "",
            "| where | the claim | verdict | what the experiment says |", "|---|---|---|---|"]
    for c in claims():
        if c["chapter"] == chapter and c["verdict"] != "undecided":
            note = f' *Overturned: {c["overturns"]}.*' if "overturns" in c else ""
            rows.append(f'| {c["source"]} §{c["section"]} | {c["claim"]} | {VERDICTS[c["verdict"]]} | {c["correct"]}{note} '
                        f'<a href="#{c["cell"]}" title="{c["id"]}">the cell</a> |')
    return "\n".join(rows).replace("σ_w²", "$\\sigma_w^2$").replace("σ_w", "$\\sigma_w$")


def title(path):
    """A notebook's headline."""
    return nbformat.read(path, 4).cells[0].source.splitlines()[0].removeprefix("# ")


def bibliography():
    """The page of all references: what stands in the chapters' last cells, with links to the chapters."""
    cited = {}
    for path in sorted((ROOT / "chapters").rglob("*.ipynb")):
        cells = nbformat.read(path, 4).cells
        link = f"[{title(path)}]({path.relative_to(ROOT / 'chapters').as_posix()})"
        for entry in re.findall(r"^- (.+)$", next(c.source for c in cells if c.id == "references"), re.M):
            cited.setdefault(identity(entry), [entry, []])[1].append(link)
    rows = [f"- {entry} *In:* {'; '.join(links)}." for _, (entry, links) in sorted(cited.items())]
    return "\n".join(["# Bibliography", "", f"What the chapters cite, {len(rows)} works, each with the chapters that cite it. Made from the chapters' own lists.",
                      "", *rows, ""])


def identity(entry):
    """What makes two references one: first author's family name, year, first words of the title."""
    authors, year, title = re.match(r"(.+?) \((\d{4})\)\. (.{12})", entry).groups()
    return authors.split(",")[0].split()[-1].lower(), year, re.sub(r"\W", "", title).lower()


def expected(path, notebook):
    """The cells of ``notebook`` that are generated: id → source."""
    cells = {"setup": SETUP.format(repository=repository())}
    if path.is_relative_to(ROOT / "chapters"):
        cells["claims"] = claims_table(path.relative_to(ROOT / "chapters").with_suffix("").as_posix())
    return {id: source for id, source in cells.items() if any(cell.id == id for cell in notebook.cells)}


def sync():
    for path in notebooks():
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            cell.source = expected(path, notebook).get(cell.id, cell.source)
        nbformat.write(notebook, path)
    (ROOT / "chapters/bibliography.md").write_text(bibliography(), "utf-8")


def text_only(cell):
    """Drop from a code cell what a build makes anew: pictures, widgets, counts, progress bars."""
    cell.metadata = {k: v for k, v in cell.metadata.items() if k == "tags"}
    if "nbval-ignore-output" in cell.metadata.get("tags", []):
        cell.outputs = []
    pictured = any(mime.startswith(("image/", "text/html")) for o in cell.outputs for mime in o.get("data", {}))
    cell.outputs = [] if pictured else [o for o in cell.outputs if o.get("name") != "stderr"]
    for earlier, later in reversed(list(itertools.pairwise(cell.outputs))):
        if earlier.get("name") == later.get("name") == "stdout":  # how often the kernel flushed is chance
            earlier.text += later.text
            cell.outputs.remove(later)
    for output in cell.outputs:
        if "execution_count" in output:
            output.execution_count = None
    cell.execution_count = 1 if cell.outputs else None  # nbval refuses outputs of a cell without a count


def outputs(paths):
    from nbclient import NotebookClient

    for path in paths:
        notebook = nbformat.read(path, 4)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
        for cell in notebook.cells:
            if cell.cell_type == "code":
                text_only(cell)
        notebook.metadata = {k: notebook.metadata[k] for k in ("kernelspec",)} | {"language_info": {"name": "python"}}
        nbformat.write(notebook, path)
        print(f"stored the text outputs of {path.relative_to(ROOT)}")


if __name__ == "__main__":
    command, *files = sys.argv[1:] or [""]
    if command == "sync":
        sync()
    elif command == "outputs":
        outputs([Path(f).resolve() for f in files] or notebooks())
    else:
        sys.exit(__doc__)
