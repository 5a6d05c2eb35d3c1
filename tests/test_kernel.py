"""An Explorer in real notebook servers, driven by a browser: controls, traits, and a position off
the grid.

JupyterLab and Notebook 7 come with the book's own requirements (ipywidgets 8).  The classic
Notebook 6 with Colab's versions (ipywidgets 7.7) needs an environment of its own: `make test-hosts`
makes it and names its Python in $GRADBOOK_CLASSIC.
"""

import os
import sys

import nbformat
import pytest

from conftest import server

CELLS = [
    """
import time
import numpy as np, xarray as xr
import gradbook as gb

def rates(depth, kind):
    depth, kind = np.atleast_1d(depth), np.atleast_1d(kind)
    if depth.size == 1:
        time.sleep(2.5)  # long enough for the progress bar
    values = depth[:, None, None] * np.ones((1, kind.size, 1)) * np.arange(1, 4)
    found = {"loss": (("depth", "kind", "step"), values),
             "rate": (("depth", "kind"), values[..., 0] / 10)}
    return xr.Dataset(found, {"depth": depth.tolist(), "kind": kind.tolist(), "step": [0, 1, 2]})

explorer = gb.Explorer(rates([2, 10, 20], ["a", "b"]), gb.Lines(x="step", points=("loss",)),
                       name="lab", title="In a kernel", play="depth", live=rates, fine={"depth": 1},
                       caption="At depth {depth} the rate is {rate}, kind {kind}.")
explorer""",
    "print('depth is', explorer.depth); explorer.kind = 'b'",
]


OPEN = ["--allow-root", "--no-browser", "--ip=127.0.0.1"]
NEW = ["--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"]
HOSTS = {  # name: (Python, server's arguments, address of a notebook, its code cells)
    "JupyterLab": (
        sys.executable,
        ["jupyterlab", *OPEN, *NEW],
        "doc/tree/test.ipynb",
        ".jp-CodeCell .cm-content",
    ),
    "Notebook 7": (
        sys.executable,
        ["notebook", *OPEN, *NEW],
        "notebooks/test.ipynb",
        ".jp-CodeCell .cm-content",
    ),
    "classic Notebook, ipywidgets 7.7": (
        os.environ.get("GRADBOOK_CLASSIC"),
        ["notebook", *OPEN, "--NotebookApp.token=", "--NotebookApp.disable_check_xsrf=True"],
        "notebooks/test.ipynb",
        ".code_cell .CodeMirror",
    ),
}


@pytest.fixture(params=HOSTS)
def host(request, tmp_path):
    python, arguments, address, cells = HOSTS[request.param]
    if not python:
        pytest.skip("the classic Notebook needs an environment of its own: make test-hosts")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in CELLS]
    )
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, tmp_path / "test.ipynb")
    with server(tmp_path, python, arguments) as home:
        yield f"{home}/{address}", cells


def test_explorer_with_a_kernel(visit, host):
    address, cells = host
    page = visit(address)
    page.locator(cells).first.wait_for(timeout=60_000)
    page.wait_for_timeout(3000)

    def run(cell):
        page.locator(cells).nth(cell).click()
        page.keyboard.press("Shift+Enter")

    run(0)
    caption = page.locator(".gb-caption")
    caption.wait_for(timeout=60_000)
    assert caption.inner_text() == "At depth 2 the rate is 0.2, kind a."

    slider = page.locator(".gb-controls input[type=range]")
    assert (
        slider.get_attribute("min"),
        slider.get_attribute("max"),
        slider.get_attribute("step"),
    ) == ("2", "20", "1")
    slider.press("ArrowRight")  # depth 3 is not on the grid: the kernel computes it
    page.locator(".gb-busy progress").wait_for(timeout=20_000)
    page.wait_for_function(
        "document.querySelector('.gb-caption').textContent.includes('the rate is 0.3')",
        timeout=20_000,
    )
    assert caption.inner_text() == "At depth 3 the rate is 0.3, kind a."
    page.wait_for_function("!document.querySelector('.gb-busy progress')", timeout=20_000)

    run(1)  # Python reads the trait that the slider set, and sets one that the picture follows
    page.wait_for_function(
        "document.querySelector('.gb-caption').textContent "
        "== 'At depth 3 the rate is 0.3, kind b.'",
        timeout=20_000,
    )
    assert page.get_by_text("depth is 3").count() == 1
    assert not [c for c in page.complaints if "gb" in c.lower() or "anywidget" in c.lower()]


VOILA = (
    CELLS[0]
    + """
second = gb.Explorer(rates([2, 10, 20], ["a", "b"]), gb.Lines(x="step", points=("loss",)),
                     name="other", title="Linked", caption="Second: at depth {depth} it is {rate}.")
import ipywidgets, traitlets
traitlets.link((explorer, "depth"), (second, "depth"))
ipywidgets.VBox([explorer, second])"""
)


def test_voila_shows_two_linked_explorers(visit, tmp_path):
    python = os.environ.get("GRADBOOK_VOILA")
    if not python:
        pytest.skip("Voilà needs an environment of its own: make test-hosts")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(VOILA)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "app.ipynb")
    with server(tmp_path, python, ["voila", "app.ipynb", "--no-browser"], "") as home:
        page = visit(home)
        captions = page.locator(".gb-caption")
        captions.nth(1).wait_for(timeout=60_000)
        slider = page.locator(".gb-controls input[type=range]").nth(1)
        slider.press("ArrowRight")
        page.get_by_text("Second: at depth 10 it is 1.").wait_for(timeout=20_000)
        page.get_by_text("At depth 10 the rate is 1, kind a.").wait_for(timeout=20_000)
