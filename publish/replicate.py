"""Run every notebook's assertions again under other arithmetic and with other seeds (make
replicate).  Where the seeds are the same, texts are compared, too.

    python publish/replicate.py [--variants "NAME, NAME"] [--offsets "5000, 6000"] [NOTEBOOK …]

Writes chapters/replication.yml: notebook × variant, the cells that failed with what they saw,
machine and versions. With notebooks named, only their rows are renewed.  Exits with an error if any
cell failed in any variant.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import notebooks
import yaml

ROOT = notebooks.ROOT
# SSE: what every x86-64 processor has
OLD = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Nehalem"}
NEWER = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
VARIANTS = {
    "as it is": {},
    "AVX2": NEWER,
    "SSE": OLD,
    "nudge 1": {"GRADBOOK_NUDGE": "1"},
    **{
        f"seeds + {offset}": {"GRADBOOK_SEED_OFFSET": str(offset)} for offset in (1000, 2000, 31337)
    },
    "seeds + 99991 with AVX2 and nudge 2": NEWER
    | {"GRADBOOK_SEED_OFFSET": "99991", "GRADBOOK_NUDGE": "2"},
}
# what a variant does not set, it does not have
OWN = {"GRADBOOK_SEED_OFFSET", "GRADBOOK_NUDGE", *OLD}


def environment(variant):
    """A process's environment in this variant; one thread, as in the build, so that two notebooks
    can run side by side.
    """
    rest = {name: value for name, value in os.environ.items() if name not in OWN}
    return rest | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"} | variant


def code_of(notebook):
    """Eight letters for a notebook's code."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:8]


def name_of(path):
    return path.relative_to(ROOT).with_suffix("").as_posix()


def run_one(path):
    """Execute a notebook to its end, whatever fails; its failing cells as JSON: id → what was
    seen.
    """
    notebook = notebooks.executed(path, allow_errors=True)
    found = failures(notebook)
    if not os.environ.get("GRADBOOK_SEED_OFFSET"):  # other seeds print other numbers
        for line in notebooks.differences(nbformat.read(path, 4), notebook):
            cell, _, said = line.partition(": ")
            found.setdefault(cell, f"printed {said}")
    print(json.dumps(found))


def failures(notebook):
    """The cells of an executed notebook that ended in an error: id → the error, and what the cell
    had printed until then.
    """
    found = {}
    for cell in notebook.cells:
        if error := notebooks.error_of(cell):
            said = "".join(o.text for o in cell.outputs if o.get("name") == "stdout").strip()
            found[cell.id] = notebooks.what_failed(cell.source, error) + (
                f"; it had printed: {said}" if said else ""
            )
    return found


def fingerprint(variant):
    """How this machine adds in a variant; ends in a sentence if it cannot compute at all, and is
    'cannot run here' if the processor lacks an instruction.
    """
    code = "import gradbook as gb; print(gb.experiments.fingerprint())"
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment(variant), capture_output=True, text=True
    )
    if run.returncode < 0:
        return "cannot run here"
    if run.returncode:
        sys.exit(last_line(run))
    return run.stdout.strip()


def last_line(run):
    return (run.stderr.strip().splitlines() or [f"it ended with status {run.returncode}"])[-1]


def effects(variants):
    """Which variants compute differently here: name → fingerprint; and name → why it would only
    repeat what an earlier one said.
    """
    prints, repeats, first = {}, {}, {fingerprint({}): "as it is"}
    for name, variant in variants.items():
        mark = prints[name] = fingerprint(variant)
        if mark == "cannot run here":
            repeats[name] = "this processor lacks its instructions"
        elif first.setdefault(mark, name) != name:
            repeats[name] = f"it computes as in {first[mark]!r}"
    return prints, repeats


def machine():
    """What ran: processor, kernels, device, versions, as one line."""
    import numpy
    import torch

    info = Path("/proc/cpuinfo")
    model = (
        next(
            (
                line.split(":")[1].strip()
                for line in info.read_text().splitlines()
                if line.startswith("model name")
            ),
            "",
        )
        if info.exists()
        else ""
    )
    device = ", " + torch.cuda.get_device_name(os.environ["GRADBOOK_DEVICE"]) if on_gpu() else ""
    return (
        f"{model or platform.processor() or platform.machine()} "
        f"({torch.backends.cpu.get_cpu_capability()}){device}, {platform.system()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}, NumPy {numpy.__version__}"
    )


def on_gpu():
    return os.environ.get("GRADBOOK_DEVICE", "cpu").startswith("cuda")


def chosen(names, offsets):
    """The variants asked for; ends in a sentence for a name or an offset that does not exist."""
    names = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in names if name not in VARIANTS]:
        sys.exit(f"variant {unknown[0]!r} is unknown; there are: {', '.join(VARIANTS)}")
    offsets = [offset.strip() for offset in offsets.split(",") if offset.strip()]
    if wrong := [offset for offset in offsets if not offset.isdecimal()]:
        sys.exit(
            f"offset {wrong[0]!r} is unknown; it must be a whole "
            f"number from 0 on, such as 5000, added to every seed"
        )
    moved = {f"seeds + {offset}": {"GRADBOOK_SEED_OFFSET": offset} for offset in offsets}
    return {name: VARIANTS[name] for name in names or ([] if moved else VARIANTS)} | moved


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--variants", default="")
    parser.add_argument("--offsets", default="")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        return run_one(given.notebooks[0])
    variants = chosen(given.variants, given.offsets)
    paths = [path.resolve() for path in given.notebooks] or notebooks.notebooks()
    if unknown := [path for path in paths if path not in notebooks.notebooks()]:
        sys.exit(
            f"{unknown[0]} is no notebook of the book; they "
            f"stand in chapters/ and teaching/solutions/"
        )
    prints, repeats = effects(variants)
    for name, why in repeats.items():
        print(f"{name} has no effect on this machine: {why}. It is not run.")
    if len(repeats) == len(variants):
        sys.exit("Nothing is left to run.")
    ran = {path: nbformat.read(path, 4) for path in paths}
    found = run_all(
        [(path, name) for name in variants if name not in repeats for path in paths], variants
    )
    failing = sum(map(len, found.values()))
    print(
        f"{len(paths)} notebooks, {len(variants) - len(repeats)} "
        f"variants: {failing or 'no'} cells came out differently."
    )
    if variants == VARIANTS:
        write(ran, found, prints, repeats)
    else:
        print(f"Some variants only: {os.path.relpath(notebooks.TABLE)} stays as it is.")
    sys.exit(bool(failing))


def run_all(jobs, variants):
    """(notebook, variant) → its failing cells, as many notebooks at a time as there are cores; up
    to four, as each may need 1.5 GB.
    """

    def work(job):
        path, name = job
        run = subprocess.run(
            [sys.executable, __file__, "--one", str(path)],
            env=environment(variants[name]),
            capture_output=True,
            text=True,
        )
        failed = (
            json.loads(run.stdout.splitlines()[-1])
            if run.returncode == 0
            else {"(kernel)": last_line(run)}
        )
        print(
            f"{name}: {name_of(path)}",
            "holds" if not failed else "",
            *(f"\n    {cell}: {seen}" for cell, seen in failed.items()),
            flush=True,
        )
        return failed

    with ThreadPoolExecutor(1 if on_gpu() else min(4, os.cpu_count() or 1)) as pool:
        return dict(zip(jobs, pool.map(work, jobs)))


def write(ran, found, prints, repeats):
    """Renew the rows of the notebooks that ``ran`` (path → notebook) in the table, unless their
    code was changed meanwhile.

    Rows of notebooks that are gone go, and all of them if a variant is another now."""
    described = {
        name: " ".join(f"{key}={value}" for key, value in variant.items())
        for name, variant in VARIANTS.items()
    }
    old = notebooks.replication() if notebooks.TABLE.exists() else {}
    same = old.get("variants") == described
    rows, marks = (old["notebooks"], old["fingerprints"]) if same else ({}, {})
    here, today = machine(), datetime.date.today().isoformat()
    for path, notebook in ran.items():
        if code_of(notebook) != code_of(nbformat.read(path, 4)):
            print(f"{name_of(path)} was changed while it ran: its row stays as it was.")
            continue
        rows[name_of(path)] = {
            "code": code_of(notebook),
            "date": today,
            "machine": here,
            "cells": sum(c.cell_type == "code" for c in notebook.cells),
            "repeats": repeats,
            "failed": {name: cells for name in VARIANTS if (cells := found.get((path, name)))},
        }
    order = [name_of(path) for path in notebooks.notebooks()]
    table = {
        "variants": described,
        "fingerprints": marks | {here: prints},
        "notebooks": {name: rows[name] for name in order if name in rows},
    }
    notebooks.TABLE.write_text(
        yaml.dump(table, Dumper=Plain, allow_unicode=True, sort_keys=False, width=1000), "utf-8"
    )
    print(f"The table is in {os.path.relpath(notebooks.TABLE)}.")


class Plain(yaml.SafeDumper):
    """Every row says all of it, without references to other rows."""

    def ignore_aliases(self, data):
        return True


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted: the table stays as it is.")
