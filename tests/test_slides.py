"""Decks: what they show exists, a talk has 12 to 20 slides, and in a browser nothing is cut off,
dead or fetched from elsewhere.
"""

import re
from pathlib import Path

import pytest

from conftest import BELOW, weight

ROOT = Path(__file__).resolve().parent.parent
DECKS = sorted(p.stem for p in (ROOT / "teaching/slides").glob("*.md") if p.stem != "index")
CHAPTERS = sorted(p.stem for p in (ROOT / "chapters").glob("*/*.ipynb"))

STICKS_OUT = """() => {
  const slide = Reveal.getCurrentSlide(), marked = slide.querySelectorAll('.fragment');
  for (const fragment of marked) fragment.classList.add('visible');
  const hidden = 'aside.notes, .katex-mathml, .katex-mathml *, svg *, .reveal > :not(.slides)';
  return [...slide.querySelectorAll('*')]
    .filter(e => !e.matches(hidden) && !e.closest('aside.notes, .katex-mathml'))
    .map(e => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width && r.height)
    .filter(([, r]) => r.bottom > innerHeight + 1 || r.right > innerWidth + 1
      || r.top < -1 || r.left < -1)
    .map(([e]) => e.outerHTML.slice(0, 80)); }"""


def test_every_chapter_has_a_deck():
    assert DECKS == CHAPTERS


@pytest.mark.parametrize("deck", DECKS)
def test_a_deck_is_a_talk(deck):
    text = (ROOT / f"teaching/slides/{deck}.md").read_text("utf-8")
    slides = re.split(r"^#{1,2} ", text, flags=re.M)[1:]
    assert 12 <= len(slides) <= 20
    assert all("```{revealjs-notes}" in slide for slide in slides), "a slide without notes"
    assert all(
        len(re.sub(r"```.*?```|\$\$.*?\$\$", "", slide, flags=re.S).split()) < 70
        for slide in slides
    ), "a slide to read instead of a talk"


@pytest.mark.parametrize("width, height", [(1280, 720), (1024, 768)])
@pytest.mark.parametrize("deck", DECKS)
def test_nothing_is_cut_off_in_a_hall(visit, site, deck, width, height):
    page = visit(f"{site}/slides/{deck}.html", viewport={"width": width, "height": height})
    page.wait_for_function(
        "window.Reveal?.isReady() && document.querySelector('.katex, section:only-of-type')"
    )
    page.wait_for_timeout(500)
    count = page.evaluate("Reveal.getTotalSlides()")
    assert count >= 12
    for number in range(count):
        page.evaluate("n => Reveal.slide(n)", number)
        page.wait_for_timeout(30)
        assert page.evaluate(STICKS_OUT) == [], f"slide {number + 1}"
    assert page.complaints == []


@pytest.mark.parametrize("deck", DECKS)
def test_explorers_live_on_slides_and_the_chapter_is_linked_both_ways(visit, site, deck):
    page = visit(f"{site}{BELOW}slides/{deck}.html")
    page.wait_for_function("window.Reveal?.isReady()")
    assert weight(page) <= 400_000
    href = page.locator("section a").first.evaluate("a => a.href")
    number = page.evaluate("""() => {
        const all = [...document.querySelectorAll('.slides > section')];
        return all.findIndex(s => s.querySelector('.gb-explorer')); }""")
    assert number > 0
    page.evaluate("n => Reveal.slide(n)", number)
    page.wait_for_timeout(300)
    figure = page.locator(".gb-explorer")
    before, slider = figure.inner_text(), figure.get_by_role("slider").first
    slider.press(
        "ArrowLeft" if slider.input_value() == slider.get_attribute("max") else "ArrowRight"
    )
    # the arrow belongs to the slider
    assert figure.inner_text() != before and page.evaluate("Reveal.getIndices().h") == number
    assert page.complaints == []
    page.goto(href)
    assert page.locator(f'a[href$="slides/{deck}.html"]').count() == 1 and page.complaints == []


def test_a_wrong_cell_is_named(tmp_path):

    from sphinx.cmd.build import main

    (tmp_path / "gradient-descent.md").write_text(
        "# A talk\n\n```{cell} no-such-cell\n```\n\n```{cell} "
        "program\n```\n\n```{cell} program\n:code:\n:lines: 90-99\n```\n",
        "utf-8",
    )
    (tmp_path / "index.md").write_text("# Talks\n\n```{toctree}\n*\n```\n", "utf-8")
    log = tmp_path / "log"
    decks = ["-c", str(ROOT / "publish/decks")]
    main(["-b", "revealjs", "-q", *decks, "-w", str(log), str(tmp_path), str(tmp_path / "out")])
    said = log.read_text("utf-8")
    assert (
        "no cell 'no-such-cell'" in said
        and "'program' of gradient-descent.ipynb shows nothing" in said
        and "lines 90-99 of" in said
    )


def words_on(deck):
    """Words to be said for each slide of a deck: what it shows and its notes."""
    text = (ROOT / f"teaching/slides/{deck}.md").read_text("utf-8")
    return [
        len(re.sub(r"```\{cell\}.*?```|\$\$.*?\$\$|^```.*$", "", slide, flags=re.S | re.M).split())
        for slide in re.split(r"^#{1,2} ", text, flags=re.M)[1:]
    ]


@pytest.mark.parametrize("minutes", [50, 80])
@pytest.mark.parametrize(
    "lesson", sorted((ROOT / "teaching/lessons").glob("[1-5]-*.md")), ids=lambda path: path.stem
)
def test_a_lesson_fits_its_minutes(lesson, minutes):
    """Read aloud, 130 words a minute, the slides of each step take less than two thirds of its
    time: the rest is for questions.
    """
    text = lesson.read_text("utf-8")
    decks = re.findall(r"slides/([\w-]+)\.html", text.split("##")[0])
    table = text.split(f"## {minutes} minutes")[1].split("##")[0]
    rows = [
        (int(start), do) for start, do in re.findall(r"^\| (\d+) \| (.*?) \|", table, flags=re.M)
    ]
    starts = [start for start, _ in rows]
    assert len(rows) >= 3 and starts == sorted({*starts}) and starts[-1] < minutes
    deck, showing = 0, 0
    for (start, do), end in zip(rows, [*starts[1:], minutes]):
        deck = next(
            (i for i, word in enumerate(("First deck", "Second deck", "Third deck")) if word in do),
            deck,
        )
        spoken = words_on(decks[deck])
        shown = set()
        for first, last in re.findall(
            r"(\d+)(?: to (\d+))?",
            " ".join(re.findall(r"[Ss]lides? ((?:\d+(?:, | and | to )?)+)", do)),
        ):
            shown |= {*range(int(first), int(last or first) + 1)}
        showing += bool(shown)
        assert max(shown, default=1) <= len(spoken), (
            f"minute {start}: {decks[deck]} has {len(spoken)} slides"
        )
        assert sum(spoken[n - 1] for n in shown) / 130 < 2 / 3 * (end - start), f"minute {start}"
    assert showing >= 2 or minutes == 80  # the second half of a lesson may be work alone
