"""Notebooks that travel: handed in, not trusted, converted; never rubble, never nothing."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from conftest import server

CELLS = [
    """
import time
import ipywidgets, torch, xarray as xr
import gradbook as gb
from gradbook.progress import bar

fig, ax = gb.plot.axes(xlabel="some label")
lines = ax.plot([0, 1, 2], [1.0, 0.5, 0.25])
gb.plot.show(fig, "A curve that halves at every step", "Below the curve")""",
    """
def losses(name):
    loss = xr.DataArray([[2.3, 0.1], [2.3, 2.2]], {"depth": [5, 30], "step": [0, 100]})
    words = "With {depth} layers the loss is this."
    return gb.Explorer(xr.Dataset({"loss": loss}), gb.Lines("step", "loss"),
                       name=name, title=f"Loss, {name}", caption=words)

losses("alone")""",
    'ipywidgets.VBox([losses("upper"), ipywidgets.HBox([losses("lower")])])',
    """
for _ in bar(range(3), "slowly"):
    time.sleep(0.7)
print("done")""",
    """
model = torch.nn.Sequential(*[torch.nn.Linear(9, 9) for _ in range(3)])
gb.report(model, lambda: model(torch.ones(4, 9)).sum())""",
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """A folder with test.ipynb, executed with the state of its widgets."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    NotebookClient(made, timeout=120).execute()
    folder = tmp_path_factory.mktemp("travel")
    nbformat.write(made, folder / "test.ipynb")
    return folder


def pictures(page):
    """Alternative texts of the images that are really there."""
    found = page.locator("img[src^=data]").all()
    return [
        e.get_attribute("alt")
        for e in found
        if e.is_visible() and e.evaluate("e => e.naturalWidth > 99")
    ]


def test_untrusted_in_jupyterlab(visit, notebook):
    arguments = ["jupyterlab", "--allow-root", "--no-browser", "--ip=127.0.0.1"]
    arguments += ["--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"]
    with server(notebook, sys.executable, arguments) as home:
        page = visit(f"{home}/doc/tree/test.ipynb", viewport={"width": 1200, "height": 5000})
        page.locator(".jp-OutputArea img").nth(4).wait_for(timeout=60_000)
        page.wait_for_timeout(1000)
        shown = pictures(page)
        text = page.locator(".jp-OutputArea").all_inner_texts()
    assert len(shown) == 5 and all(len(alt.split()) >= 5 for alt in shown)
    assert "Below the curve" in text[0] and "some label" not in text[0]  # no letters of an axis
    assert "Loss, alone" in text[1] and "With 5 layers" in text[1] and "script" not in text[1]
    assert "Loss, upper" in text[2] and "Loss, lower" in text[2]
    assert "Verdict" in text[-1]


def test_converted_to_html_offline(visit, notebook):
    """As the README's environment converts it."""
    settings = Path("publish/jupyter_nbconvert_config.json").resolve()
    command = [
        "jupyter",
        "nbconvert",
        "--to",
        "html",
        "--config",
        settings,
        notebook / "test.ipynb",
    ]
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
    page = visit((notebook / "test.html").as_uri())
    assert len(pictures(page)) == 5
    said = page.locator("body").inner_text()
    assert said.count("With 5 layers the loss is this.") == 3 and "VBox(children" not in said


def test_environment_of_the_book_converts_so():
    made = Path(sys.prefix, "etc/jupyter/jupyter_nbconvert_config.json")
    if not Path("_build/html/index.html").exists() or sys.prefix == sys.base_prefix:
        pytest.skip("the book was not built in an environment of its own")
    assert made.read_bytes() == Path("publish/jupyter_nbconvert_config.json").read_bytes()


def test_progress_leaves_nothing(notebook):
    outputs = nbformat.read(notebook / "test.ipynb", 4).cells[3].outputs
    kept = [o.get("text") or o.data["text/plain"] for o in outputs]
    assert [text for text in kept if text] == ["done\n"]


def test_without_scripts_or_kernel_a_box_says_its_words(notebook):
    text = nbformat.read(notebook / "test.ipynb", 4).cells[2].outputs[0].data["text/plain"]
    assert text.count("With 5 layers the loss is this.") == 2
