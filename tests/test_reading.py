"""The site in its readers' hands: print, phone, keyboard, search, screen reader, no script."""

import re
import unicodedata
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from conftest import alive

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build/html"
CHAPTER = "chapters/2-vanishing-exploding/why-gradients-vanish-or-explode.html"
PAGES = sorted(
    p.relative_to(SITE).as_posix()
    for p in SITE.rglob("*.html")
    if not {"_static", "slides"} & {*p.parts} and p.name not in ("index.html", "404.html")
)
CHAPTERS = [p for p in PAGES if re.match(r"chapters/\d", p)]
LAID_OUT = "window.gbLaidOut"
GROUPS = ["Chapters", "Start and reference", "Solutions and lesson plans"]
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def read(path):
    return BeautifulSoup((SITE / path).read_text("utf-8"), "html.parser")


# mathematics


@pytest.mark.parametrize("path", PAGES)
def test_no_formula_is_left_as_tex(site, path):
    page = read(path).find("article") or read(path)
    assert not page.select(".katex-error, .math:not(:has(.katex))")
    for kept in page.select("pre, code, script, .katex-mathml"):
        kept.extract()
    assert not re.search(r"\\[a-zA-Z(\[]|\$[^$\d]+\$", page.get_text())


def test_formulas_are_there_when_the_page_is(visit, site, tmp_path):
    """Printed at once, and without scripts: in the right letters, from one style sheet."""
    import pypdf

    for scripts in (True, False):
        page = visit(f"{site}/{CHAPTER}", java_script_enabled=scripts)
        page.pdf(path=tmp_path / "printed.pdf")
        printed = pypdf.PdfReader(tmp_path / "printed.pdf")
        names = {
            font.get_object()["/BaseFont"]
            for p in printed.pages
            for font in p["/Resources"].get("/Font", {}).get_object().values()
        }
        assert any("KaTeX_Main" in n for n in names) and any("KaTeX_Math" in n for n in names)
        assert not any("fonts/KaTeX_Ma" in url and "Bold" not in url for url in page.loaded)
        assert page.complaints == []


@pytest.mark.parametrize("path", CHAPTERS)
def test_no_line_begins_with_the_stop_after_a_formula(visit, site, path):
    page = visit(f"{site}/{path}", **PHONE)
    alone = page.evaluate("""() => [...document.querySelectorAll('.gb-unbroken')].filter(e => {
        const range = document.createRange();
        range.selectNodeContents(e.lastChild);
        const stop = range.getBoundingClientRect();
        const parts = [...e.querySelectorAll('.katex-html > *')];
        return parts.length && stop.top > parts.at(-1).getBoundingClientRect().bottom;
    }).map(e => e.parentElement.textContent.slice(0, 60))""")
    assert alone == []


def test_formulas_are_copied_as_tex(visit, site):
    page = visit(f"{site}/{CHAPTER}")
    copied = page.evaluate("""() => {
        const said = [...document.querySelectorAll('article p:has(.katex)')].find(
            p => p.textContent.startsWith('Number the layers'));
        getSelection().selectAllChildren(said);
        const event = new ClipboardEvent('copy', { clipboardData: new DataTransfer(),
            bubbles: true, cancelable: true });
        said.dispatchEvent(event);
        return [event.clipboardData.getData('text/plain'),
            said.querySelector('annotation').textContent]; }""")
    assert copied[0].endswith(f"Layer ${copied[1]}$ computes")


def test_a_formula_that_cannot_be_read_is_named(tmp_path):
    from sphinx.cmd.build import main

    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'publish')!r})\n"
        'extensions = ["myst_parser", "mathematics"]\nmyst_enable_extensions = ["dollarmath"]\n'
        'html_math_renderer = "katex"\n'
    )
    (tmp_path / "index.md").write_text("# Title\n\nOne $\\frac{1}{2}$.\n\nTwo $\\frac{1}$.\n")
    log = tmp_path / "log"
    main(["-q", "-w", str(log), str(tmp_path), str(tmp_path / "out")])
    assert re.search(r"index\.md:5: WARNING: .*end of input.*\\frac", log.read_text("utf-8"))


# phone


@pytest.mark.parametrize("width", [320, 360])
@pytest.mark.parametrize("path", PAGES)
def test_nothing_pans_on_a_phone(visit, site, path, width):
    page = alive(visit(f"{site}/{path}", **PHONE | {"viewport": {"width": width, "height": 640}}))
    page.wait_for_function(LAID_OUT)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    # what is wider says so
    mute = page.evaluate("""() => [...document.querySelectorAll('article *')].filter(e =>
        e.scrollWidth > e.clientWidth + 1 && e.clientWidth
        && /auto|scroll/.test(getComputedStyle(e).overflowX)
        && !e.dataset.more && e.tabIndex < 0).map(e => e.outerHTML.slice(0, 80))""")
    assert mute == []
    # WCAG 2.2, 2.5.8: 24 px, but for links in a sentence
    small = page.evaluate("""() => [...document.querySelectorAll(
            'main :is(button, select, summary, input)')].filter(e => {
        const box = (e.closest('label') ?? e).getBoundingClientRect();
        return box.width && (box.height < 23.5 || box.width < 23.5);
    }).map(e => e.outerHTML.slice(0, 80))""")
    assert small == []


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_the_drawers_close_on_a_tap(visit, site, side):
    page = visit(f"{site}/{CHAPTER}", **PHONE)
    drawer = page.locator(f"#pst-{side}-sidebar-modal")
    toggle = page.locator(f".{side}-toggle:visible").first
    toggle.tap()
    assert drawer.is_visible()
    drawer.get_by_role("button", name="Close").tap()
    assert not drawer.is_visible()
    toggle.tap()
    here = "#" if side == "secondary" else "why-gradients"
    link = drawer.locator(f'a[href^="{here}"]:visible, a.current:visible').first
    link.tap()
    drawer.wait_for(state="hidden")
    assert page.complaints == []


@pytest.mark.parametrize("path", CHAPTERS)
def test_claims_are_whole_on_a_phone(visit, site, path):
    page = visit(f"{site}/{path}", **PHONE)
    cut = page.evaluate("""() => [...document.querySelectorAll('table.gb-stack td')].filter(
        e => e.getBoundingClientRect().right > innerWidth).length""")
    entry = page.locator("table.gb-stack td").last
    assert cut == 0
    rows = page.locator("table.gb-stack:has(td a[href^='#']) tbody tr")
    assert (
        rows.count() == rows.locator("td:last-child a[href^='#']").count() > 0
    )  # each leads to its cell
    assert entry.evaluate("e => getComputedStyle(e, '::before').content").strip('"').endswith(": ")


# keyboard and screen reader


@pytest.mark.parametrize("path", ["chapters/intro.html", CHAPTER, "search.html"])
def test_the_focus_can_be_seen_everywhere(visit, site, path):
    page = alive(visit(f"{site}/{path}"))
    page.keyboard.press("Tab")  # so that the browser shows the focus
    hidden = page.evaluate("""() => [...document.querySelectorAll(
            'a[href], button, input, select, summary')].filter(e => {
        if (!e.checkVisibility({ visibilityProperty: true }) || e.matches('.skip-link a'))
            return false;
        e.focus();
        const drawn = at => { const s = getComputedStyle(at);
            return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2
                || s.boxShadow !== 'none'; };
        return ![e, e.closest('.sd-card'), e.closest('form')].some(at => at && drawn(at));
    }).map(e => e.outerHTML.slice(0, 100))""")
    assert hidden == []


LISTEN = """() => {
  window.heard = [];
  const live = e => e?.closest('[role=status], [aria-live], output');
  new MutationObserver(seen => seen.forEach(s => {
    const at = live(s.target.nodeType === 1 ? s.target : s.target.parentElement);
    if (at && at.getAttribute('aria-live') !== 'off') window.heard.push(at.textContent);
  })).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def test_figures_speak_once_and_after_a_rest(visit, site):
    page = alive(visit(f"{site}/{CHAPTER}"))
    figure = page.locator(".gb-explorer")
    page.wait_for_timeout(1500)
    page.evaluate(LISTEN)
    slider = figure.get_by_role("slider").first
    for _ in range(3):
        slider.press("ArrowLeft")
    assert page.evaluate("heard") == []
    page.wait_for_timeout(1200)
    assert page.evaluate("heard.length") == 1
    assert page.evaluate("heard[0]") == figure.locator(".gb-caption").text_content()
    page.evaluate("heard.length = 0")
    slider.press("Home")
    figure.get_by_role("button", name="Play").click()
    page.wait_for_timeout(3200)
    assert page.evaluate("heard") == []
    label = figure.locator("svg[role=img]").first.get_attribute("aria-label")
    caption = figure.locator(".gb-caption").inner_text()
    assert " over " in label and label not in caption and caption not in label


@pytest.mark.parametrize("path", CHAPTERS)
def test_folds_say_what_is_in_them(site, path):
    page = read(path)
    names = [s.get_text(" ", strip=True) for s in page.select("article details.hide > summary")]
    assert names and not [n for n in names if "hidden" in n.lower() or "Toggle" in n]
    first = page.find("h2")
    before = [d for d in page.select("article details.hide") if d.find_next("h2") is first]
    assert len(before) <= 1


def test_search_results_are_accessible(visit, site):
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        page = visit(f"{site}/search.html?q=clipping", color_scheme=scheme)
        page.locator("#search-results mark").first.wait_for()
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [v["id"] for v in found] == [] and page.complaints == []


# search


@pytest.mark.parametrize(
    "query, first",
    [
        ("He initialization", "chapters/3-remedies/initialization.html#"),
        ("vanishing", CHAPTER),
        ("clipping", "chapters/3-remedies/clipping.html"),
        ("edge of chaos", "chapters/2-vanishing-exploding/signal-propagation.html#angles"),
        ("batch norm", "chapters/3-remedies/normalization.html"),
        ("warmup", "chapters/4-optimizers/learning-rate.html"),
        ("backprop", "chapters/1-gradient-descent/backpropagation.html"),
        ("residual connections", "chapters/"),
        ("warm-up", "chapters/4-optimizers/learning-rate.html#"),
        ("exploding gradints", "chapters/2-vanishing-exploding/"),
    ],
)
@pytest.mark.parametrize("folder", [False, True])
def test_search_leads_to_the_section(visit, site, query, first, folder):
    page = visit(f"{SITE.as_uri() if folder else site}/search.html?q={query}")
    hits = page.locator("#search-results li > a")
    hits.first.wait_for()
    addresses = [a.get_attribute("href") for a in hits.all()]
    assert addresses[0].startswith(first), addresses[:4]
    kinds = [0 if re.match(r"chapters/\d", a) else 2 if "teaching" in a else 1 for a in addresses]
    assert kinds == sorted(kinds)
    groups = page.locator("#search-results h2:visible").all_inner_texts()
    assert groups and groups == [g for g in GROUPS if g in groups]
    for address in addresses:
        path, _, name = address.partition("#")
        assert not name or f'id="{name}"' in (SITE / path).read_text("utf-8"), address
    assert page.complaints == []


def test_search_marks_whole_words_and_shows_sentences(visit, site):
    page = visit(f"{site}/search.html?q=He initialization")
    page.locator("#search-results mark").first.wait_for()
    assert {m.lower() for m in page.locator("mark").all_inner_texts()} <= {
        "he",
        "initialization",
        "initializations",
    }
    said = page.locator("#search-results li p").all_inner_texts()
    assert said and all(len(s) <= 330 for s in said)
    box = page.locator(".bd-search-container input")
    icon = page.locator(".bd-search-container .fa-magnifying-glass").bounding_box()
    left = box.bounding_box()["x"] + box.evaluate(
        "e => parseFloat(getComputedStyle(e).paddingLeft)"
    )
    assert left >= icon["x"] + icon["width"]


@pytest.mark.parametrize("query", ["", "<img src=x onerror=alert(1)>", "zzzzqqq", "%E0%A4%A"])
def test_search_stands_any_query(visit, site, query):
    page = visit(f"{site}/search.html?q={query}")
    page.wait_for_timeout(300)
    assert page.locator("img[src=x]").count() == 0 and page.complaints == []


# ways in


def test_the_sidebar_shows_where_one_is(visit, site):
    page = visit(f"{site}/chapters/claims.html", viewport={"width": 1280, "height": 500})
    page.locator("#pst-primary-sidebar").evaluate("e => e.scrollTo(0, 0)")
    page.wait_for_timeout(200)
    page.goto(f"{site}/chapters/bibliography.html")
    page.wait_for_timeout(300)
    here = page.locator("#pst-primary-sidebar .current.active").last.bounding_box()
    assert 0 <= here["y"] <= 500 - here["height"]


def test_without_scripts_there_are_colors_and_a_way_to_every_page(visit, site):
    for size in ({}, PHONE):
        page = visit(f"{site}/chapters/intro.html", java_script_enabled=False, **size)
        links = page.locator("#pst-primary-sidebar a:visible")
        assert links.count() > 30
        assert not page.get_by_text("Move the controls").first.is_visible()
        assert not page.locator(".sidebar-toggle:visible, .theme-switch-button:visible").count()
        color = page.locator("#pst-primary-sidebar .current > a, h1 a, article a").first
        assert color.evaluate("e => getComputedStyle(e).color") != "rgb(0, 0, 0)"
        assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_the_404_page_leads_back(visit, site):
    page = visit(f"{site}/404.html")
    assert page.locator("article a[href$='chapters/intro.html']").count() == 1


def test_a_printed_figure_shows_what_is_chosen(visit, site):
    page = alive(visit(f"{site}/{CHAPTER}"))
    page.emulate_media(media="print")
    chosen = page.locator(".gb-explorer label:has(:checked)").first
    other = page.locator(".gb-explorer fieldset label:not(:has(:checked))").first
    outline = "e => getComputedStyle(e).outlineStyle"
    assert chosen.evaluate(outline) == "solid" and other.evaluate(outline) == "none"


@pytest.mark.parametrize("context", [{}, PHONE], ids=["wide", "phone"])
def test_far_blocks_are_laid_out_and_places_are_kept(visit, site, context):
    page = visit(f"{site}/{CHAPTERS[3]}", **context)
    page.wait_for_function(LAID_OUT)
    left = "document.scrollingElement.scrollHeight - innerHeight - scrollY"
    page.evaluate("scrollTo({ top: 1e6, behavior: 'instant' })")
    page.wait_for_timeout(300)
    assert abs(page.evaluate(left)) < 3
    mute = page.evaluate("""() => [...document.querySelectorAll('div.math.block')].filter(
        e => e.scrollWidth > e.clientWidth + 1 && !e.dataset.more).length""")
    assert mute == 0
    page.evaluate("scrollTo({ top: 5000, behavior: 'instant' })")
    page.wait_for_timeout(600)
    tops = """[...document.querySelectorAll('article p')].map(e => e.getBoundingClientRect().top)"""
    before = page.evaluate(tops)
    page.reload(wait_until="load")
    page.wait_for_timeout(1500)
    moved = [abs(a - b) for a, b in zip(before, page.evaluate(tops)) if 0 < a < 800]
    assert moved and max(moved) < 370  # half a screen: figures above start later
    assert page.complaints == []


def test_paper_is_white(visit, site):
    page = visit(f"{site}/{CHAPTER}", color_scheme="dark")
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(theme) == "light"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(theme) == "dark"


# in class


@pytest.mark.parametrize("height", [400, 720])
def test_the_decks_index_is_in_book_order_and_scrolls(visit, site, height):
    import yaml

    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    files = [c["file"] for part in toc["parts"] for c in part["chapters"]]
    order = [Path(file).name for file in files if file.startswith("chapters/")]
    page = visit(f"{site}/slides/index.html", viewport={"width": 1280, "height": height})
    page.wait_for_function("window.Reveal?.isReady()")
    links = page.locator("section li a")
    decks = [Path(a.get_attribute("href")).stem for a in links.all()]
    assert decks == [name for name in order if name in decks] and len(decks) == len(CHAPTERS)
    links.last.scroll_into_view_if_needed()
    box = links.last.bounding_box()
    assert 0 <= box["y"] and box["y"] + box["height"] <= height
    assert page.complaints == []


def test_a_clicker_turns_pages_after_a_figure_was_touched(visit, site):
    page = visit(f"{site}/slides/initialization.html")
    page.wait_for_function("window.Reveal?.isReady()")
    number = page.evaluate("""() => [...document.querySelectorAll('.slides > section')]
        .findIndex(s => s.querySelector('.gb-explorer'))""")
    at = lambda: page.evaluate("Reveal.getIndices().h")
    show = lambda: (page.evaluate("n => Reveal.slide(n)", number), page.wait_for_timeout(300))
    show()
    figure = page.locator(".gb-explorer")
    words = lambda: figure.locator(".gb-caption").inner_text()
    for key in ("PageDown", "ArrowRight", "Space"):
        show()
        figure.get_by_role("slider").first.click()
        before = words()
        page.keyboard.press(key)
        assert at() == number + 1, key
        show()
        assert words() == before, key
    page.get_by_role("slider").first.click()
    radio = figure.get_by_role("radio").first
    radio.focus()
    for _ in range(2):  # with the keyboard, arrows stay the figure's
        page.keyboard.press("ArrowRight")
    assert at() == number
    figure.get_by_role("slider").first.focus()
    page.keyboard.press("PageDown")
    assert at() == number + 1
    show()
    play = figure.get_by_role("button", name="Play")
    play.focus()
    page.keyboard.press("Space")
    figure.get_by_role("button", name="Pause").wait_for()
    assert at() == number and page.complaints == []


@pytest.mark.parametrize("deck", sorted(p.stem for p in (ROOT / "teaching/slides").glob("*.md")))
def test_printed_tables_on_slides_do_not_wrap(visit, site, deck):
    page = visit(f"{site}/slides/{deck}.html")
    page.wait_for_function("window.Reveal?.isReady()")
    wrapped = page.evaluate("""() => [...document.querySelectorAll('pre.gb-printed')].filter(e =>
            e.textContent.match(/\\S {2,}\\S/g)?.length > 1).filter(e => {
        Reveal.slide([...document.querySelectorAll('.slides > section')].indexOf(
            e.closest('.slides > section')));
        const style = getComputedStyle(e), lines = e.textContent.trimEnd().split('\\n').length;
        const padding = parseFloat(style.paddingTop) + parseFloat(style.paddingBottom);
        return (e.clientHeight - padding) / parseFloat(style.lineHeight) > lines + .5;
    }).map(e => e.textContent.slice(0, 60))""")
    assert wrapped == []


# the front page


def test_the_front_page_says_for_whom_and_where_to_begin(visit, site):
    import yaml

    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    files = [c["file"] for part in toc["parts"] for c in part["chapters"]]
    chapters = [f"{file}.html" for file in files if re.match(r"chapters/\d", file)]
    page = visit(f"{site}/chapters/intro.html")
    assert page.title() == "Gradients That Flow"
    first = f"{site}/{chapters[0]}"
    href = "a => a.href"
    assert page.get_by_role("link", name="Start reading").evaluate(href) == first
    assert page.locator("a.right-next").evaluate(href) == first
    sidebar = page.locator("#pst-primary-sidebar nav.bd-links a").all()
    assert [a.evaluate(href) for a in sidebar][1 : len(chapters) + 1] == [
        f"{site}/{c}" for c in chapters
    ]
    listed = page.locator("article ol a").all()
    assert [a.evaluate(href) for a in listed] == [f"{site}/{c}" for c in chapters]
    minutes = sum(
        int(re.search(r"\*\*Time\*\* (\d+) minutes to read", (ROOT / f).read_text("utf-8"))[1])
        for f in (f"{c.removesuffix('.html')}.ipynb" for c in chapters)
    )
    said = page.locator("article").inner_text()
    hours = {
        5: "five",
        6: "six",
        7: "seven",
        8: "eight",
        9: "nine",
        10: "ten",
        11: "eleven",
        12: "twelve",
    }
    assert f"about {hours[round(minutes / 60)]} hours" in said and "You need derivatives" in said


@pytest.mark.parametrize("path", CHAPTERS)
def test_a_source_is_introduced_before_its_number(site, path):
    page = read(path)
    said = page.find("article").get_text()
    first = re.search(r"[Ss]ource 00\d", said)
    assert not first or re.search(r"[Tt]utorial\W{1,3}$", said[: first.start()])
    assert not re.match("Source 00", page.find("meta", attrs={"name": "description"})["content"])


@pytest.mark.parametrize("path", CHAPTERS)
def test_the_download_button_has_a_pdf_of_the_chapter(site, path):
    import pypdf

    page = read(path)
    name = page.select_one("a.btn-download-pdf-button")["href"]
    printed = pypdf.PdfReader((SITE / path).parent / name)
    assert printed.trailer["/Root"]["/MarkInfo"]["/Marked"] and len(printed.pages) > 5
    pages = [p.extract_text() for p in printed.pages]
    title = words(page.find("h1").get_text(" ").replace("#", ""))
    assert title in words(pages[0]) and "References" in " ".join(pages[-3:])
    # no page but the last is left half empty; A4 is 842 points high
    for number, sheet in enumerate(printed.pages[:-1], 1):
        lowest = []
        sheet.extract_text(
            visitor_text=lambda text, cm, tm, font, size, lowest=lowest: (
                lowest.append(tm[4] * cm[1] + tm[5] * cm[3] + cm[5])
                if len(text.strip()) > 3
                else None
            )
        )
        assert min(lowest) < 421, number


def words(text):
    return " ".join(unicodedata.normalize("NFKC", text).split())
