"""Figures with words, and numbers as people write them."""

import base64
import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradbook import plot


def test_a_figure_needs_words():
    fig, ax = plot.axes()
    with pytest.raises(ValueError, match="say in a sentence"):
        plot.show(fig, alt="a plot")


def test_pictures_take_the_pages_color_and_share_no_ids():
    fig, ax = plot.axes(ncols=2, ylabel="σ_w", sharey=True)
    ax[0].plot([1, 2], [3, 4], "o", label="a")
    ax[0].legend()
    pages = [plot.show(fig, "Two points rise from three to four.").svg for _ in range(2)]
    ids = [id for page in pages for id in re.findall(r' id="([^"]+)"', page)]
    assert len(ids) == len(set(ids)) and "currentColor" in pages[0] and "#000000" not in pages[0]
    assert "alt" not in pages[0] and 'aria-label="Two points rise from three to four."' in pages[0]


def test_an_image_is_the_picture_and_needs_nothing_around_it():
    fig, ax = plot.axes(ylabel="σ_w")
    made = plot.show(fig, "Two axes & <nothing> between them.", "Below")
    page = made._repr_mimebundle_()["text/html"]
    assert 'alt="Two axes &amp; &lt;nothing&gt; between them."' in page and "<svg" not in page
    assert (
        plot.inline(page)
        == f'<figure class="gb-figure">{made.svg}<figcaption>Below</figcaption></figure>'
    )
    source = base64.b64decode(re.search(r'base64,([^"]*)"', page)[1]).decode()
    assert ET.fromstring(source).tag.endswith("svg") and "prefers-color-scheme" in source


@pytest.mark.parametrize(
    "value, text",
    [
        (0.99995, "1"),
        (999.6, "1000"),
        (99999.0, "99999"),
        (1e5, "10⁵"),
        (123456.0, "1.23 × 10⁵"),
        (-0.5, "−0.5"),
        (1.5e-45, "1.5 × 10⁻⁴⁵"),
        (0.001, "0.001"),
        (0.0009994, "9.99 × 10⁻⁴"),
        (math.nan, "undefined"),
        (-math.inf, "−∞"),
        ("tanh", "tanh"),
        (1797, "1797"),
        (2.0, "2"),
    ],
)
def test_human(value, text):
    assert plot.human(value) == text


@given(st.floats(1e-300, 1e300))
def test_human_keeps_three_digits(value):
    text = plot.human(value)
    mantissa, _, power = (
        text.partition("10")
        if "×" in text or text.startswith("10") and len(text) > 2 and not text[2:].isascii()
        else (text, "", "")
    )
    scale = 10.0 ** int((power or "⁰").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
    assert float(mantissa.replace("×", "").strip() or 1) * scale == pytest.approx(value, rel=5.1e-3)
