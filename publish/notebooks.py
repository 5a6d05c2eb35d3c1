"""Keep what stands in several notebooks in step with its one source, and store their text outputs.

python publish/notebooks.py sync              write set-up cells, claim tables, the bibliography
(make sync) python publish/notebooks.py outputs [FILE …]  run notebooks and store what they print
(make outputs)
"""

import copy
import itertools
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

import agree
import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "chapters/replication.yml"  # what make replicate found
SETUP = """\
import importlib.util
if importlib.util.find_spec("gradbook") is None:
    %pip install -q "gradbook @ git+{repository}\""""
VERDICTS = {
    "true": "✓ true",
    "partly": "◐ partly true",
    "false": "✗ false",
    "malformed": "? malformed",
    "undecided": "not yet decided",
}


def notebooks():
    """Every notebook of the book, chapters first."""
    return [
        p
        for folder in ("chapters", "teaching")
        for p in sorted((ROOT / folder).rglob("*.ipynb"))
        if ".ipynb_checkpoints" not in p.parts
    ]


def repository():
    return yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]["url"]


def without_solutions(text):
    """A page for students, who have no solutions and lesson plans: it does not speak of them."""
    text = text.replace(
        "a deck, lesson plans, exercises that answer back, and solutions on pages of their own",
        "a deck, and exercises that answer back",
    )
    text = re.sub(r" The \[solutions\]\([^)]*\) are on a page of their own\.", "", text)
    return re.sub(r"\[([^][\"\n]*)\]\((?:\.\./)+teaching/[^)]*\)", r"\1", text)


def claims():
    """The claims, as a list of dictionaries."""
    return yaml.safe_load((ROOT / "chapters/claims.yml").read_text("utf-8"))


def replication():
    """What the last `make replicate` found, as a dictionary."""
    return yaml.safe_load(TABLE.read_text("utf-8"))


@lru_cache(maxsize=32)
def cells_of(chapter):
    return nbformat.read(ROOT / "chapters" / f"{chapter}.ipynb", 4).cells


def deciding(claim):
    """The code cells whose assertions decide a claim: the one that it names, and those up to the
    next text; none if it names a text.
    """
    after = itertools.dropwhile(lambda cell: cell.id != claim["cell"], cells_of(claim["chapter"]))
    return list(itertools.takewhile(lambda cell: cell.cell_type == "code", after))


def repeated(claim, found):
    """(in how many variants the claim's cells held, in how many they were run), by what
    :func:`replication` found; None if they were not.
    """
    row, cells = found["notebooks"].get(f"chapters/{claim['chapter']}"), deciding(claim)
    if not row or not cells:
        return None
    ran = [variant for variant in found["variants"] if variant not in row["repeats"]]
    ids = {"(kernel)", *(cell.id for cell in cells)}
    return sum(not ids & set(row["failed"].get(variant, ())) for variant in ran), len(ran)


def claims_table(chapter):
    """The Markdown of one chapter's section "What people say": the statements that many people
    hold. The claims page has all.
    """
    rows = [
        "## What people say",
        "",
        "Statements like these stand in many tutorials. We put them to the test; the link in each "
        "row leads to the experiment. [All claims that we tested](../claims.md) have a page of "
        "their own.",
        "",
        "| people say | verdict | what the experiment says |",
        "|---|---|---|",
    ]
    for c in claims():
        if c["chapter"] == chapter and c.get("held"):
            link = f'<a href="#{c["cell"]}" title="{c["id"]}">{where(c)}</a>'
            said = (c["claim"], VERDICTS[c["verdict"]], f"{c['correct']} *See* {link}.")
            # a bar would end the entry
            rows.append(f"| {' | '.join(text.replace('|', chr(92) + '|') for text in said)} |")
    return "\n".join(rows).replace("σ_w²", "$\\sigma_w^2$").replace("σ_w", "$\\sigma_w$")


def where(claim):
    """What the reader finds at the cell that decides a claim: its section's headline."""
    headline = ""
    for cell in cells_of(claim["chapter"]):
        if cell.cell_type == "markdown":
            headline = ([headline] + re.findall(r"^#+ (.+)$", cell.source, re.M))[-1]
        if cell.id == claim["cell"]:
            return headline
    raise ValueError(f"{claim['id']}: {claim['chapter']} has no cell {claim['cell']!r}")


def title(path):
    """A notebook's headline."""
    return nbformat.read(path, 4).cells[0].source.splitlines()[0].removeprefix("# ")


def bibliography():
    """The page of all references: what stands in the chapters' last cells, with links to the
    chapters.
    """
    cited = {}
    for path in sorted((ROOT / "chapters").rglob("*.ipynb")):
        cells = nbformat.read(path, 4).cells
        link = f"[{title(path)}]({path.relative_to(ROOT / 'chapters').as_posix()})"
        for entry in re.findall(
            r"^- (.+)$", next(c.source for c in cells if c.id == "references"), re.M
        ):
            cited.setdefault(identity(entry), [entry, []])[1].append(link)
    rows = [f"- {entry} *In:* {'; '.join(links)}." for _, (entry, links) in sorted(cited.items())]
    return "\n".join(
        [
            "# Bibliography",
            "",
            f"What the chapters cite, {len(rows)} works, each with the "
            f"chapters that cite it. Made from the chapters' own lists.",
            "",
            *rows,
            "",
        ]
    )


def identity(entry):
    """What makes two references one: first author's family name, year, first words of the title."""
    authors, year, title = re.match(r"(.+?) \((\d{4})\)\. (.{12})", entry).groups()
    return authors.split(",")[0].split()[-1].lower(), year, re.sub(r"\W", "", title).lower()


def expected(path, notebook):
    """The cells of ``notebook`` that are generated: id → source."""
    cells = {"setup": SETUP.format(repository=repository())}
    if path.is_relative_to(ROOT / "chapters"):
        cells["claims"] = claims_table(
            path.relative_to(ROOT / "chapters").with_suffix("").as_posix()
        )
    return {
        id: source for id, source in cells.items() if any(cell.id == id for cell in notebook.cells)
    }


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
    pictured = any(
        mime.startswith(("image/", "text/html")) for o in cell.outputs for mime in o.get("data", {})
    )
    cell.outputs = [] if pictured else [o for o in cell.outputs if o.get("name") != "stderr"]
    for earlier, later in reversed(list(itertools.pairwise(cell.outputs))):
        # how often the kernel flushed is chance
        if earlier.get("name") == later.get("name") == "stdout":
            earlier.text += later.text
            cell.outputs.remove(later)
    for output in cell.outputs:
        if "execution_count" in output:
            output.execution_count = None
    # nbval refuses outputs of a cell without a count
    cell.execution_count = 1 if cell.outputs else None


def error_of(cell):
    """The traceback with which an executed cell ended, without its colors; '' if it did not fail,
    or was meant to.
    """
    for output in cell.get("outputs", []):
        if output.output_type == "error" and "raises-exception" not in cell.metadata.get(
            "tags", []
        ):
            return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback))
    return ""


def what_failed(source, traceback):
    """A cell's failure in one line: the line of its code that failed, and the error."""
    number = re.search(r"^-*> *(\d+) ", traceback, re.M)
    lines = source.splitlines()
    line = lines[int(number[1]) - 1].strip() if number and int(number[1]) <= len(lines) else ""
    errors = re.findall(r"^[\w.]*(?:Error|Exception|Interrupt|Warning)\b.*", traceback, re.M)
    error = errors[-1] if errors else traceback.strip().splitlines()[-1]
    return (f"{line} → " if line else "") + error.strip().rstrip(":")


def executed(path, allow_errors=False):
    """A notebook after a run from top to bottom."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, 4)
    NotebookClient(
        notebook,
        timeout=900,
        allow_errors=allow_errors,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    return notebook


def differences(before, after):
    """'cell: was … is …' for every stored line that another run does not confirm; a cell of
    ``after`` whose lines all agree gets the stored ones.
    """
    found = []
    for old, new in zip(before.cells, after.cells, strict=True):
        if new.cell_type == "code":
            text_only(new)
            settled = agree.settled_outputs(
                copy.deepcopy(new.outputs), old.outputs, agree.tolerance_of(old)
            )
            if settled == old.outputs:
                new.outputs = settled
            was, now = printed(old.outputs).splitlines(), printed(settled).splitlines()
            found += [
                f"{new.id}: was {a!r}, is {b!r}"
                for a, b in itertools.zip_longest(was, now, fillvalue="")
                if a != b
            ]
    return found


def printed(outputs):
    """What a cell's outputs show as text."""
    return "\n".join(
        output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs
    )


def outputs(paths):
    """Store what the notebooks print, and say which lines moved: numbers beyond what their cell
    allows, or words.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for path, notebook in zip(paths, pool.map(executed, paths)):
            moved = differences(nbformat.read(path, 4), notebook)
            notebook.metadata = {k: notebook.metadata[k] for k in ("kernelspec",)} | {
                "language_info": {"name": "python"}
            }
            nbformat.write(notebook, path)
            print(
                f"{path.relative_to(ROOT)}: {len(moved) or 'no'} lines moved",
                *moved,
                sep="\n    ",
                flush=True,
            )


if __name__ == "__main__":
    command, *files = sys.argv[1:] or [""]
    if command == "sync":
        sync()
    elif command == "outputs":
        outputs([Path(f).resolve() for f in files] or notebooks())
    else:
        sys.exit(__doc__)
