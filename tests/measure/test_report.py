"""A report: its figure has words, its text fits a terminal, its file opens by itself."""

import re

import numpy as np
import pytest
import torch
from models import train
from torch import nn

import gradbook as gb
from conftest import alive


def deep(n=8):
    torch.manual_seed(0)
    layers = [make() for _ in range(n) for make in (lambda: nn.Linear(16, 16), nn.Sigmoid)]
    return nn.Sequential(*layers, nn.Linear(16, 3))


X, Y = torch.randn(32, 16), torch.randint(0, 3, (32,))


def loss_of(model):
    return nn.functional.cross_entropy(model(X), Y)


def run(model, steps, every, loss=loss_of):
    return train(model, torch.optim.SGD(model.parameters(), 0.1), loss, steps, every)


def test_one_pass(tmp_path):
    model = deep()
    made = gb.report(model, lambda: loss_of(model))
    assert made.diagnosis.verdict == "vanishing" == gb.diagnose(made.data).verdict
    text = str(made)
    links = [line for line in text.split("\n") if "https://" in line]
    assert all(len(line) <= 80 for line in text.split("\n") if line not in links)
    assert text.index("signal") < text.index("grad_norm") and len(links) == 1
    html = made._repr_html_()
    assert "<img" in html and "Verdict: vanishing" in html and "shrinks by" in html
    made.save(tmp_path / "run.html")
    assert_opens_offline((tmp_path / "run.html").read_text("utf-8"))


def test_what_is_no_html_is_not_written(tmp_path):
    model = deep()
    with pytest.raises(ValueError, match=r"a\.pdf'; what save writes is HTML"):
        gb.report(model, lambda: loss_of(model)).save(tmp_path / "a.pdf")
    assert not (tmp_path / "a.pdf").exists()


def test_a_run(tmp_path):
    log = run(deep(), 40, 4)
    made = log.report()
    assert made.diagnosis.verdict == "vanishing" and "over the steps" in made.picture.alt
    made.save(tmp_path / "run.html")
    assert_opens_offline((tmp_path / "run.html").read_text("utf-8"))


def assert_opens_offline(page):
    """Nothing is loaded: addresses are links to follow, and what SVG refers to is inside."""
    loaded = re.findall(r'(?:src|xlink:href|href)="([^"]+)"', re.sub(r"<a [^>]*>", "", page))
    assert all(address.startswith(("#", "data:")) for address in loaded)
    assert page.startswith("<!doctype html>") and len(page) < 1_000_000


def test_a_long_run_of_a_deep_model_stays_small(tmp_path):
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(200)))
    X4 = torch.randn(8, 4)
    data = run(model, 5, 1, lambda model: model(X4).square().mean()).dataset()
    long = data.isel(step=np.arange(500) % 5).assign_coords(step=np.arange(500))
    gb.report(long).save(tmp_path / "run.html")
    assert_opens_offline((tmp_path / "run.html").read_text("utf-8"))


def test_a_run_with_nan_is_drawn():
    def loss(model):
        return loss_of(model) * (float("nan") if next(steps) > 5 else 1)

    steps = iter(range(100))
    made = run(deep(2), 12, 1, loss).report()
    assert made.diagnosis.verdict == "non-finite" and "step 6" in str(made)


def test_a_model_may_have_a_data_set_of_its_own():
    model = deep(2)
    model.dataset = X
    assert gb.report(model, lambda: loss_of(model)).data.sizes["layer"] == 3


def test_bad_input():
    with pytest.raises(TypeError, match="loss is missing"):
        gb.report(deep())
    with pytest.raises(TypeError, match="must be a torch.nn.Module"):
        gb.report("model", lambda: 0)


def test_the_saved_page_of_a_run_is_alive_offline(tmp_path, visit):
    run(deep(2), 12, 1).report().save(tmp_path / "run.html")
    page = alive(visit((tmp_path / "run.html").as_uri()))
    assert not page.complaints and all(url.startswith(("file:", "data:")) for url in page.loaded)
    before = page.locator(".gb-caption").inner_text()
    page.get_by_role("slider").fill("11")
    after = page.locator(".gb-caption").inner_text()
    assert "At step 0 " in before and "At step 11 " in after
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_terminal_is_not_flooded():
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(200)))
    text = str(gb.report(model, lambda: model(torch.ones(8, 4)).square().mean()))
    assert "160 layers more" in text and len(text.split("\n")) < 70
