"""An Explorer in a real JupyterLab, driven by a browser: controls, traits, and a position off the grid."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

CELLS = ["""
import time
import numpy as np, xarray as xr
import gradbook as gb

def rates(depth, kind):
    depth, kind = np.atleast_1d(depth), np.atleast_1d(kind)
    if depth.size == 1:
        time.sleep(2.5)  # long enough for the progress bar
    values = depth[:, None, None] * np.ones((1, kind.size, 1)) * np.arange(1, 4)
    return xr.Dataset({"loss": (("depth", "kind", "step"), values), "rate": (("depth", "kind"), values[..., 0] / 10)},
                      {"depth": depth.tolist(), "kind": kind.tolist(), "step": [0, 1, 2]})

explorer = gb.Explorer(rates([2, 10, 20], ["a", "b"]), gb.Lines(x="step", points=("loss",)), name="lab", title="In a kernel",
                       caption="At depth {depth} the rate is {rate}, kind {kind}.", play="depth", live=rates, fine={"depth": 1})
explorer""", "print('depth is', explorer.depth); explorer.kind = 'b'"]


@pytest.fixture
def lab(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "test.ipynb")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
               "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={tmp_path}", "--LabApp.collaborative=False"]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "JUPYTER_DATA_DIR": str(tmp_path / "data"),
                                "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=2).close()
            break
        except OSError:
            time.sleep(0.5)
    yield address
    server.terminate()
    server.wait(20)


def run(page, cell):
    page.locator(".jp-CodeCell .cm-content").nth(cell).click()
    page.keyboard.press("Shift+Enter")


def test_explorer_in_jupyterlab(visit, lab):
    page = visit(f"{lab}/doc/tree/test.ipynb")
    page.locator(".jp-CodeCell .cm-content").first.wait_for(timeout=60_000)
    page.wait_for_timeout(2000)
    run(page, 0)
    caption = page.locator(".gb-caption")
    caption.wait_for(timeout=60_000)
    assert caption.inner_text() == "At depth 2 the rate is 0.2, kind a."

    slider = page.locator(".gb-controls input[type=range]")
    assert (slider.get_attribute("min"), slider.get_attribute("max"), slider.get_attribute("step")) == ("2", "20", "1")
    slider.press("ArrowRight")  # depth 3 is not on the grid: the kernel computes it
    page.locator(".gb-busy progress").wait_for(timeout=20_000)
    page.wait_for_function("document.querySelector('.gb-caption').textContent.includes('the rate is 0.3')", timeout=20_000)
    assert caption.inner_text() == "At depth 3 the rate is 0.3, kind a."
    page.wait_for_function("!document.querySelector('.gb-busy progress')", timeout=20_000)

    run(page, 1)  # Python reads the trait that the slider set, and sets one that the picture follows
    page.wait_for_function("document.querySelector('.gb-caption').textContent == 'At depth 3 the rate is 0.3, kind b.'", timeout=20_000)
    assert page.get_by_text("depth is 3").count() == 1
    assert not [c for c in page.complaints if "gb" in c.lower() or "anywidget" in c.lower()]
