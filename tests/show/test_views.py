"""Both views of an Explorer on a page of their own, in a real browser, from a file."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import gradbook as gb

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def page_with(visit, tmp_path):
    def write(explorer):
        body = explorer._repr_mimebundle_()[0]["text/html"]
        style, script = (ROOT / "gradbook/show/explorer.css", ROOT / "gradbook/show/explorer.js")
        (tmp_path / "page.html").write_text(
            f'<!doctype html><html lang="en"><meta '
            f'charset="utf-8"><title>t</title><style>{style.read_text("utf-8")}</style>'
            f'<body>{body}<script src="{script.as_uri()}"></script></body></html>',
            "utf-8",
        )
        return visit((tmp_path / "page.html").as_uri())

    return write


def trainability():
    sigma_w, depth, step = [0.5, 1.0, 2.0, 4.0], [2, 8, 32], [1, 10, 100, 1000]
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            "accuracy": (("depth", "sigma_w"), rng.uniform(0.1, 1, (3, 4))),
            "limit": ("sigma_w", [3.0, 20.0, 64.0, np.nan]),
            "loss": (("depth", "sigma_w", "step"), np.exp(rng.normal(size=(3, 4, 4)))),
            "floor": (("depth", "sigma_w", "step"), np.zeros((3, 4, 4))),
        },
        {"depth": depth, "sigma_w": sigma_w, "step": step},
    )


def test_heat_map_and_lines_on_logarithmic_axes(page_with):
    page = page_with(
        gb.Explorer(
            trainability(),
            [
                gb.Heat(x="sigma_w", y="depth", value="accuracy", line="limit"),
                gb.Lines(x="step", points=("loss", "floor"), xscale="log", yscale="log"),
            ],
            name="map",
            title="Map",
            caption="At depth {depth} and σ_w = {sigma_w} accuracy is {accuracy:2}.",
        )
    )
    heat, caption = page.locator("svg.gb-heat"), page.locator(".gb-caption")
    assert (
        heat.locator(".gb-cell").count() == 12
        and heat.locator(".gb-under").get_attribute("d").count("L") == 1
    )
    before = (
        caption.inner_text(),
        page.locator("svg.gb-lines").inner_html(),
        heat.locator(".gb-chosen").get_attribute("x"),
    )
    box = heat.locator(".gb-cell").nth(3 * 3 + 2).bounding_box()  # sigma_w = 4, depth = 32
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    after = (
        caption.inner_text(),
        page.locator("svg.gb-lines").inner_html(),
        heat.locator(".gb-chosen").get_attribute("x"),
    )
    accuracy = gb.plot.human(float(trainability().accuracy.sel(depth=32, sigma_w=4.0)), 2)
    assert after[0] == f"At depth 32 and σw = 4 accuracy is {accuracy}." and all(
        a != b for a, b in zip(after, before)
    )
    assert page.get_by_role("slider", name="hidden layers L").input_value() == "2"
    assert (
        page.locator(".gb-edge").count() == 4
        and "exactly 0" in page.locator(".gb-key").nth(1).inner_text()
    )
    assert {"10", "100"} <= set(page.locator("svg.gb-lines .gb-tick").all_text_contents())
    assert page.complaints == []


def test_path_over_contours(page_with):
    step = np.arange(6)
    point = np.arange(40)
    lr = [0.5, 1.5, 3.0, 1e6]
    angle = np.linspace(0, 2 * np.pi, 40)
    data = xr.Dataset(
        {
            "x1": (("lr", "step"), [(1 - r) ** step for r in lr]),
            "x2": (("lr", "step"), [0.5 * (1 - r) ** step for r in lr]),
            "ring_x": ("point", np.where(point == 20, np.nan, np.cos(angle))),
            "ring_y": ("point", np.sin(angle)),
        },
        {"lr": lr, "step": step},
    )
    made = gb.Explorer(
        data,
        gb.Path(
            x="x1",
            y="x2",
            xlim=(-1.2, 1.2),
            ylim=(-1, 1),
            contours=("ring_x", "ring_y"),
            key="steps of descent",
        ),
        name="path",
        title="Path",
        caption="At learning rate {lr} the point moves along its way.",
    )
    page = page_with(made)
    view, slider = page.locator("svg.gb-path"), page.get_by_role("slider")
    assert (
        view.locator(".gb-point").count() == 6
        and view.locator(".gb-contour").get_attribute("d").count("M") == 2
    )
    across = [float(p.get_attribute("cx")) for p in view.locator(".gb-point").all()]
    unit = (across[0] - across[1]) / 0.5  # x1 is 1 at the start and halved at each step
    np.testing.assert_allclose(
        [(a - across[0]) / unit for a in across], [0.5**s - 1 for s in range(6)], atol=3e-3
    )
    before = view.inner_html()
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert (
        view.inner_html() != before
        and "learning rate 3" in page.locator(".gb-caption").inner_text()
    )
    box, frame = view.locator(".gb-contour").bounding_box(), view.bounding_box()
    # diverging steps stay inside
    assert frame["x"] <= box["x"] and box["x"] + box["width"] <= frame["x"] + frame["width"]
    assert "steps of descent" in page.locator(".gb-key").inner_text() and page.complaints == []
    made.lr = 3.0
    assert "<img" in made._repr_mimebundle_()[0]["text/html"]


def test_damaged_data_leave_the_picture(page_with):
    made = gb.Explorer(
        trainability(),
        gb.Lines(x="step", points=("loss",)),
        name="map",
        title="Map",
        caption="At depth {depth} it is so, mostly.",
    )
    made._data = {"axes": {}, "labels": {}, "values": {}}
    page = page_with(made)
    assert page.locator(".gb-still img[alt]").is_visible() and page.complaints == []
