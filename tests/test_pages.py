"""Every page of the built site, decks included: valid HTML, links that lead somewhere, words for
every picture, little to load.
"""

import json
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from conftest import BELOW

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build/html"
PAGES = sorted(
    p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html") if "_static" not in p.parts
)
WITH_EXPLORER = [p for p in PAGES if 'class="gb-explorer"' in (SITE / p).read_text("utf-8")]
HOSTILE = [
    "depth=<img src=x onerror=alert(1)>",
    "%E0%A4%A",
    "depth=1e999",
    "__proto__=1&constructor=2",
    "depth=javascript:alert(1)",
    "\"'><script>alert(1)</script>",
]


@cache
def soup(path):
    return BeautifulSoup((SITE / path).read_text("utf-8"), "html.parser")


@cache
def anchors(path):
    return {
        "",
        "top",
        *(e["id"] for e in soup(path).find_all(id=True)),
        *(e["name"] for e in soup(path).find_all("a", attrs={"name": True})),
    }


def test_html_is_valid(site, tools):
    run = subprocess.run(
        [
            tools / ".bin/html-validate",
            "--preset",
            "standard",
            "--formatter",
            "json",
            *(SITE / p for p in PAGES),
        ],
        cwd=tools.parent,
        capture_output=True,
        text=True,
    )
    report = json.loads(run.stdout or "[]")
    assert [
        f"{f['filePath']}:{m['line']} {m['message']}" for f in report for m in f["messages"]
    ] == [] and run.returncode == 0, run.stderr


@pytest.mark.parametrize("path", PAGES)
def test_links_lead_somewhere(site, path):
    broken = []
    for element in soup(path).find_all(["a", "img", "script", "link", "source", "iframe"]):
        address = element.get("href") or element.get("src")
        if not address or (url := urlsplit(address)).scheme in ("https", "data", "mailto"):
            continue
        target = (SITE / path).parent / unquote(url.path) if url.path else SITE / path
        # sent for any address: its links begin at the root
        if url.path.startswith(BELOW) and path == "404.html":
            target = SITE / unquote(url.path).removeprefix(BELOW)
        # raises if it leads out of the site
        inside = target.resolve().relative_to(SITE.resolve()).as_posix()
        if (
            url.scheme
            or not target.is_file()
            or inside.endswith(".html")
            and url.fragment.split("?")[0] not in anchors(inside)
            and "searchbox" not in url.fragment
        ):
            broken.append(address)
    assert broken == []


@pytest.mark.parametrize("path", PAGES)
def test_pictures_have_words(site, path):
    def words(element):
        return (
            element.get("alt")
            or element.get("aria-label")
            or (element.title and element.title.get_text())
            or ""
        )

    pictures = [
        e
        for e in soup(path).find_all(["img", "svg"])
        if not e.find_parent("svg")
        and e.get("aria-hidden") != "true"
        and not e.find_parent(class_="katex-html")  # which MathML says in words
    ]
    bare = [
        str(e)[:120] for e in pictures if len(words(e)) < 10 and "logo" not in str(e.get("class"))
    ]
    assert bare == []
    for figure in soup(path).select("figure.gb-figure img, .gb-figure svg"):
        assert len(words(figure).split()) >= 8, str(figure)[:120]


@pytest.mark.parametrize("path", [p for p in PAGES if p != "404.html"])  # which a server sends
def test_from_a_folder_with_and_without_scripts(visit, site, path):
    address = (SITE / path).as_uri()
    page = visit(address, java_script_enabled=False)
    said = page.locator("main:visible, .slides:visible").first.inner_text()
    assert (
        page.locator("h1:visible, h2:visible").first.inner_text() in said and len(said.split()) > 5
    )
    assert page.complaints == []
    page = visit(address)
    assert page.locator("h1:visible").first.inner_text()
    assert [
        url for url in page.loaded if not url.startswith((SITE.as_uri(), "data:", "blob:"))
    ] == [] and page.complaints == []


@pytest.mark.parametrize("path", WITH_EXPLORER)
def test_hostile_links_inject_nothing(visit, site, path):
    page = visit(f"{site}/{path}")
    name = page.locator(".gb-explorer").first.get_attribute("id")
    page.on("dialog", lambda dialog: page.complaints.append(f"dialog: {dialog.message}"))
    seen = lambda: (
        page.locator(".gb-caption").first.inner_text(),
        page.locator("img[src=x]").count(),
    )
    page.evaluate("name => { location.hash = name; }", name)  # which starts the figure
    page.locator(".gb-live").first.wait_for(state="attached")
    before = seen()
    for query in HOSTILE:
        page.evaluate("hash => { location.hash = hash; }", f"{name}?{query}")
        page.wait_for_timeout(50)
        assert seen() == before and page.complaints == [], query
