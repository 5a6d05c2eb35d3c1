"""The built site in a real browser, with every address but loopback refused."""

import re
from pathlib import Path

import pytest
import yaml

import gradbook as gb
from conftest import BELOW, alive, weight
from gradbook import record

SITE = Path(__file__).resolve().parent.parent / "_build/html"
CHAPTER = "chapters/2-vanishing-exploding/why-gradients-vanish-or-explode.html"
PAGES = sorted(
    p.relative_to(SITE).as_posix()
    for p in SITE.rglob("*.html")
    if not {"_static", "slides"} & {*p.parts}
)
WITH_EXPLORER = [p for p in PAGES if 'class="gb-explorer"' in (SITE / p).read_text("utf-8")]


def test_there_are_pages_to_test(site):
    assert {"chapters/intro.html", CHAPTER, "index.html", "search.html", "404.html"} <= set(PAGES)
    assert {"chapters/intro.html", CHAPTER} <= set(WITH_EXPLORER)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_page_below_an_address_is_quiet_light_and_accessible(visit, site, path, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(f"{site}{BELOW}{path}", color_scheme=scheme)
    page.wait_for_url(re.compile("^(?!.*/index.html)"))  # which leads elsewhere
    alive(page).wait_for_timeout(300)
    page.wait_for_function("document.getAnimations().every(a => a.playState !== 'running')")
    assert page.complaints == []
    assert [
        url for url in page.loaded if not url.startswith((f"{site}{BELOW}", "data:", "blob:"))
    ] == []
    assert weight(page) <= 400_000
    # all that the scheme changes
    only = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    # whoever says what the button shows must hit it
    also = {"rules": {"label-content-name-mismatch": {"enabled": True}}}
    result = Axe().run(page, options={"resultTypes": ["violations"]} | (only or also))
    found = [
        f"{v['id']}: {[n['target'] for n in v['nodes']][:3]}" for v in result.response["violations"]
    ]
    assert found == []


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_cut_off_on_a_phone(visit, site, path):
    page = visit(
        f"{site}/{path}", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    page.wait_for_url(re.compile("^(?!.*/index.html)"))  # which leads elsewhere
    alive(page).wait_for_timeout(300)
    wide = page.evaluate("""() => [...document.querySelectorAll('article *')].filter(e => {
        if (e.getBoundingClientRect().right <= innerWidth + 1) return false;
        for (let a = e; a; a = a.parentElement)
            if (/auto|scroll|hidden/.test(getComputedStyle(a).overflowX)) return false;
        return true; }).map(e => e.tagName + '.' + e.className)""")
    assert wide == [] and page.complaints == []


@pytest.mark.parametrize("path", WITH_EXPLORER)
def test_every_control_changes_picture_and_words(visit, site, path):
    page = alive(visit(f"{site}/{path}"))
    for figure in page.locator(".gb-explorer").all():
        state = lambda: (
            figure.locator(".gb-stage").inner_html(),
            figure.locator(".gb-caption").inner_text(),
        )
        for view in figure.locator("svg.gb-view").all():  # what is drawn lies within the picture
            box = view.bounding_box()
            marks = view.evaluate(
                "v => [...v.querySelectorAll('.gb-point, .gb-theory, .gb-cell')].map(m => "
                "m.getBoundingClientRect()).map(r => [r.x + r.width / 2, r.y + r.height / 2])"
            )
            assert any(
                box["x"] < x < box["x"] + box["width"] and box["y"] < y < box["y"] + box["height"]
                for x, y in marks
            ), f"{path}: an empty view"
        inputs = figure.locator("input")
        assert inputs.count() >= 2
        same = []  # a network's own initialization may be the one that it has
        for control in inputs.all():
            before = state()
            if control.get_attribute("type") == "range":
                control.press(
                    "ArrowLeft"
                    if control.input_value() == control.get_attribute("max")
                    else "ArrowRight"
                )
            elif control.is_checked():
                continue
            else:
                control.check()
            after = state()
            assert before[1] != after[1], control.evaluate("e => e.outerHTML")
            same += [control.evaluate("e => e.outerHTML")] if before[0] == after[0] else []
        assert len(same) <= 1, same
        figure.get_by_role("button", name="Reset").click()
        first = state()
        figure.get_by_role("button", name="Play").click()
        seen = []  # Play may come back to where it began, and end there
        for _ in range(13):
            page.wait_for_timeout(100)
            seen.append(state())
        assert any(at != first for at in seen)
        figure.get_by_role("button", name="Reset").click()
        page.wait_for_timeout(600)
        assert state() == first
    assert page.complaints == []


def explorer_of(page):
    """The Python Explorer with the data that the page holds: an oracle for its script."""
    state = page.evaluate(
        "window.fetch(location.pathname).then(r => r.text()).then(t => JSON.parse(new DOMParser()"
        ".parseFromString(t, 'text/html').querySelector('.gb-explorer script').textContent))"
    )
    spec = state["_spec"]
    view = {
        k: tuple(v) if isinstance(v, list) else v
        for k, v in spec["views"][0].items()
        if k != "kind"
    }
    made = gb.Explorer(
        record.unpack(state["_data"]),
        gb.Lines(**view),
        name=spec["name"],
        title=spec["title"],
        caption=spec["caption"],
        notes=spec["notes"],
    )
    return made, {c["name"]: c["values"] for c in spec["controls"]}


def plain(text):
    return re.sub(r"\s+", "", text.replace("_", ""))


def test_words_are_pythons_words_and_links_lead_to_the_position(visit, site):
    page = alive(visit(f"{site}/{CHAPTER}"))
    made, axes = explorer_of(page)
    last = {axis: values[-1] for axis, values in axes.items()}
    for position in (
        last,
        {"depth": 2, "activation": "linear", "sigma_w": 0.5},
        {"depth": 100, "activation": "sigmoid", "sigma_w": 0.5},
    ):
        for axis, value in position.items():
            setattr(made, axis, value)
        query = "&".join(
            f"{a}={v:g}" if not isinstance(v, str) else f"{a}={v}" for a, v in position.items()
        )
        page.goto("about:blank")
        page.goto(f"{site}/{CHAPTER}#emblem?{query}")
        assert plain(page.locator(".gb-caption").inner_text()) == plain(made.words())
    assert "Underflow" in made.words() and "exactly 0" in page.locator(".gb-key").inner_text()
    assert page.complaints == []


def test_overflow_is_said_in_picture_and_words(visit, site):
    page = visit(f"{site}/{CHAPTER}#emblem?depth=100&activation=relu&sigma_w=4")
    assert "Overflow at layer 8" in page.locator(".gb-caption").inner_text()
    assert "Overflow at layer 8" in page.locator(".gb-note").text_content()
    assert page.complaints == []


@pytest.mark.parametrize(
    "damage",
    [
        "#emblem?depth=31&activation=relu&sigma_w=1",
        "#emblem?depth=<img src=x onerror=alert(1)>",
        "#emblem?%E0%A4%A",
        "#emblem",
        "#?",
        "#emblem?depth=30",
        "#emblem?depth=1e999&activation=relu&sigma_w=NaN",
        "#[\"'",
    ],
)
def test_damaged_link_falls_back(visit, site, damage):
    page = alive(visit(f"{site}/{CHAPTER}"))
    default = page.locator(".gb-caption").text_content()
    page.goto("about:blank")
    page.goto(f"{site}/{CHAPTER}{damage}")
    page.wait_for_timeout(200)
    assert page.locator(".gb-caption").text_content() == default
    assert page.locator("img[src=x]").count() == 0 and page.complaints == []


def test_link_button_writes_the_position(visit, site):
    page = alive(visit(f"{site}/chapters/intro.html"))
    page.get_by_label("tanh").check()
    page.get_by_role("button", name="Link to this position").click()
    page.wait_for_function("location.hash.length > 1")
    assert "activation=tanh" in page.url
    words = page.locator(".gb-caption").inner_text()
    page.reload()
    assert page.locator(".gb-caption").inner_text() == words


@pytest.mark.parametrize("path", WITH_EXPLORER)
def test_without_scripts_there_is_a_picture_with_words(visit, site, path):
    page = visit(f"{site}/{path}", java_script_enabled=False)
    still = page.locator(".gb-still").first
    assert still.locator("svg[role=img]").is_visible() and still.locator(".gb-caption").is_visible()
    words = still.locator("svg").get_attribute("aria-label")
    assert len(words.split()) > 5 and " over " in words  # and not the caption once more
    assert words not in still.locator(".gb-caption").inner_text().replace("σw", "σ_w")


def test_a_figure_waits_for_the_reader_and_colors_do_not(visit, site):
    page = visit(f"{site}/{CHAPTER}", color_scheme="dark")
    assert page.locator(".gb-still").count() == 1
    alive(page)
    assert page.locator(".gb-still").count() == 0 and page.complaints == []
    page.goto("about:blank")
    page.goto(f"{site}/{CHAPTER}", wait_until="load")
    page.locator(".gb-live").wait_for(timeout=8_000)  # nobody came for five seconds
    page.route("**/*.js*", lambda route: route.abort())
    page.goto(f"{site}/chapters/intro.html")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_every_icon_is_in_the_fonts_that_were_cut(visit, site):
    """What the browser would draw before an icon, against the glyphs that are left."""
    from fontTools.ttLib import TTFont

    left = {
        code
        for font in (SITE / "_static/vendor/fontawesome/webfonts").glob("*.woff2")
        for code in TTFont(font).getBestCmap()
    }
    for path in ("chapters/intro.html", CHAPTER, "search.html"):
        page = visit(f"{site}/{path}")
        drawn = page.evaluate("""() => [...document.querySelectorAll('*')].flatMap(e =>
            ['::before', '::after'].map(p => getComputedStyle(e, p))
                .filter(s => s.fontFamily.includes('Font Awesome') && s.content.length === 3)
                .map(s => s.content[1]))""")
        assert len({*drawn}) >= 5 and {*map(ord, drawn)} <= left, path


def test_reduced_motion(visit, site):
    page = alive(visit(f"{site}/{CHAPTER}", reduced_motion="reduce"))
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.gb-stage')).transitionDuration")
        == "0s"
    )
    assert page.complaints == []


def test_claims_link_to_cells_that_exist(visit, site):
    page = visit(f"{site}/{CHAPTER}")
    targets = page.evaluate(
        "[...document.querySelectorAll('table "
        "a[href^=\"#\"]')].map(a => a.getAttribute('href').slice(1))"
    )
    assert 3 <= len(targets) <= 5 and all(
        page.evaluate("id => !!document.getElementById(id)", t) for t in targets
    )


@pytest.mark.parametrize(
    "path", [p for p in PAGES if (SITE.parent.parent / p).with_suffix(".ipynb").exists()]
)
def test_launch_and_download_lead_to_the_notebook(site, path):
    """The addresses name files of the repository; Binder's own files are there."""
    root = SITE.parent.parent
    text = (SITE / path).read_text("utf-8")
    notebook = path.replace(".html", ".ipynb")
    repository = re.escape(
        yaml.safe_load((root / "_config.yml").read_text("utf-8"))["repository"]["url"].removeprefix(
            "https://github.com/"
        )
    )
    assert re.search(
        rf'href="https://mybinder\.org/v2/gh/{repository}/main\?urlpath=lab/tree/{re.escape(notebook)}"',
        text,
    )
    assert re.search(
        rf'href="https://colab\.research\.google\.com/github/{repository}/blob/main/{re.escape(notebook)}"',
        text,
    )
    assert {p.name for p in (root / ".binder").iterdir()} == {
        "postBuild",
        "requirements.txt",
        "runtime.txt",
    }
    download = re.search(
        r'href="([^"]+\.ipynb)" target="_blank"\s+class="[^"]*btn-download-source-button', text
    )
    assert (SITE / path).parent.joinpath(download[1]).read_bytes() == (root / notebook).read_bytes()


def test_explorers_are_light(site):
    for path in WITH_EXPLORER:
        for data in re.findall(
            r'<script type="application/json">(.*?)</script>',
            (SITE / path).read_text("utf-8"),
            re.S,
        ):
            assert len(data) < 150_000


def test_claims_filter_and_lead_to_their_cells(visit, site):
    page = visit(f"{site}/chapters/claims.html?verdict=false")
    rows = page.locator(".gb-claims tbody tr")
    shown = lambda: rows.locator("visible=true").count()
    assert (
        rows.count() == 193
        and 0 < shown() == page.locator('.gb-claims tr[data-verdict="false"]').count() < 193
    )
    page.locator("select[data-filter=source]").select_option("001")
    assert (
        shown() == page.locator('.gb-claims tr[data-verdict="false"][data-source="001"]').count()
        and "source=001" in page.url
    )
    assert page.locator(".gb-claims output").inner_text() == f"{shown()} claims"
    visit(f"{site}/chapters/claims.html?verdict=%3Cscript%3E&source=9")
    for href in {a.get_attribute("href") for a in rows.locator("a").all()}:
        path, anchor = href.split("#")
        assert re.search(
            f'id="{re.escape(anchor)}"', (SITE / "chapters" / path).read_text("utf-8")
        ), href


def test_claims_without_scripts(browser, site):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{site}/chapters/claims.html")
    assert (
        page.locator(".gb-claims tbody tr").locator("visible=true").count() == 193
        and not page.locator(".gb-filters").is_visible()
    )
