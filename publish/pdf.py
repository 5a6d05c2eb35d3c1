"""Chapters on paper: each as a PDF beside its page (make book), and all, without solutions and
lesson plans, as one with an outline (make pdf).  Both are tagged.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import book
import notebooks
import pypdf
import yaml
from chrome import NOT_FOUND, chromium

PDF = book.BUILD / "gradients-that-flow.pdf"
# ids are unique within a chapter only; what is not in the PDF is on the published site
JOIN = """site => {
  const name = d => d.id.slice('document-chapters/'.length);
  const parts = [...document.querySelectorAll('[id^="document-"]')];
  const chapters = new Map(parts.map(d => [name(d), new Map([[null, d]])]));
  const anywhere = new Map();
  [...chapters.values()].forEach((ids, i) => {
    for (const e of ids.get(null).querySelectorAll('[id]:not(svg *)')) {
      if (e.id.startsWith('document-')) continue;
      ids.set(e.id, `${i}-${e.id}`);
      if (!anywhere.has(e.id)) anywhere.set(e.id, `${i}-${e.id}`);
      e.id = ids.get(e.id);
    }
  });
  for (const a of document.querySelectorAll('a[href]')) {
    const [path, id] = a.getAttribute('href').split('#');
    const page = path.replace(/^.*chapters\\//, '').replace(/\\.html$/, '');
    const chapter = chapters.get(page), part = a.closest('[id^="document-"]');
    const home = chapters.get(part && name(part));
    if (/^[a-z]+:/.test(path) || id?.startsWith('document-')) continue;
    if (!path) a.setAttribute('href', '#' + (home?.get(id) ?? anywhere.get(id) ?? id));
    else if (chapter) a.setAttribute('href', '#' + (chapter.get(id) ?? chapter.get(null).id));
    else a.href = new URL(a.getAttribute('href'), `${site}chapters/part/page.html`).href;
  }
}"""


def one_page():
    """Every chapter on one page of HTML; returns its path."""
    toc = book.BUILD / "toc-of-the-pdf.yml"
    toc.write_text(
        yaml.safe_dump(
            book.without_solutions(yaml.safe_load((book.ROOT / "_toc.yml").read_text("utf-8"))),
            allow_unicode=True,
        ),
        "utf-8",
    )
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        str(book.ROOT),
        "--toc",
        str(toc),
        "--builder",
        "singlehtml",
        "-q",
    ]
    run = subprocess.run(
        command,
        env=os.environ | {"TQDM_DISABLE": "1", "GRADBOOK_SOLUTIONS": "no"},
        capture_output=True,
        text=True,
    )
    written = book.BUILD / "singlehtml/chapters/intro.html"
    page = book.BUILD / "singlehtml/book.html"
    if run.returncode or not written.exists():
        sys.exit(f"The page to print was not built:\n{(run.stdout + run.stderr)[-3000:]}")
    page.write_text(written.read_text("utf-8"), "utf-8")  # its addresses begin at the top folder
    return page


# on paper, what a chapter links to is on the published site
LEAD_OUT = """address => {
  for (const a of document.querySelectorAll('a[href]:not([href^="#"])'))
    a.href = new URL(a.getAttribute('href'), address).href;
}"""


def published():
    return yaml.safe_load((book.ROOT / "_config.yml").read_text("utf-8"))["html"]["baseurl"]


def print_pages(pages):
    """Print every (page, PDF, script for its links, the script's argument)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        sheet = browser.new_page(color_scheme="light")
        # on paper an Explorer is its picture
        sheet.route("**/explorer.js*", lambda route: route.abort())
        for page, pdf, links, argument in pages:
            sheet.goto(page.as_uri(), timeout=120_000)
            sheet.evaluate(links, argument)
            sheet.pdf(
                path=pdf,
                tagged=True,
                outline=True,
                format="A4",
                print_background=True,
                scale=0.72,
                margin=dict.fromkeys(("top", "right", "bottom", "left"), "18mm"),
                display_header_footer=True,
                header_template="<span></span>",
                footer_template='<div style="width:100%;text-align:center;font-size:8px"><span '
                'class="pageNumber"></span></div>',
            )
        browser.close()


BUTTON = re.compile(
    r'<button onclick="window\.print\(\)"\s+class="([^"]*)"\s+title="[^"]*"(.*?)</button>', re.S
)


def offer(page, address):
    """The download button of ``page`` leads to a PDF; before, it printed."""
    link = rf'<a href="{address}" download class="\1" title="Download as PDF"\2</a>'
    page.write_text(BUTTON.sub(link, page.read_text("utf-8")), "utf-8")


def print_chapters():
    """A PDF beside every chapter's page that is new, and the page's download button leads to it."""
    html, todo, made = book.BUILD / "html", [], {}
    record = book.BUILD / "printed.json"
    before = json.loads(record.read_text("utf-8")) if record.exists() else {}
    for path in book.notebooks_of("no"):
        if not path.parent.name[0].isdigit():
            continue
        name = path.relative_to(book.ROOT).with_suffix(".html").as_posix()
        page, pdf = html / name, (html / name).with_suffix(".pdf")
        text = page.read_text("utf-8")
        sheets = re.findall(r"one-\w+\.css\?v=\w+", text)
        state = f"{sheets}{re.search('<article.*</article>', text, re.S)[0]}"
        made[name] = hashlib.sha256(state.encode()).hexdigest()
        if made[name] != before.get(name) or not pdf.exists():
            todo.append((page, pdf, LEAD_OUT, published() + name))
        offer(page, pdf.name)
    if todo:
        print_pages(todo)
    record.write_text(json.dumps(made), "utf-8")


def check(pdf):
    """A reader's and a screen reader's needs: tags, an outline with every chapter, mathematics that
    is typeset.
    """
    printed = pypdf.PdfReader(pdf)
    outline, entries = [], [*printed.outline]
    while entries:
        entry = entries.pop(0)
        entries[:0] = entry if isinstance(entry, list) else []
        outline += [] if isinstance(entry, list) else [entry.title]
    # Chromium's outline loses the space where a title breaks into two lines
    known = {"".join(title.split(". ", 1)[-1].split()) for title in outline}
    titles = map(notebooks.title, book.notebooks_of("no"))
    missing = [title for title in titles if "".join(title.split()) not in known]
    raw = [
        number
        for number, page in enumerate(printed.pages, 1)
        if "\\(" in (text := page.extract_text()) and "\\)" in text
    ]
    if missing or raw or not printed.trailer["/Root"].get("/MarkInfo", {}).get("/Marked"):
        sys.exit(
            f"The PDF is not as it should be: not in the outline: "
            f"{missing}; mathematics not typeset on pages {raw}; "
            f"tagged: {printed.trailer['/Root'].get('/MarkInfo')}"
        )
    return (
        f"{len(printed.pages)} pages, tagged, {len(outline)} "
        f"entries in the outline, {pdf.stat().st_size / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    if not chromium():
        sys.exit(f"The book was not printed: {NOT_FOUND}")
    print_pages([(one_page(), PDF, JOIN, published())])
    shutil.copy(PDF, book.BUILD / "html")
    offer(book.BUILD / "html/chapters/intro.html", f"../{PDF.name}")
    print(f"The book is in {PDF.relative_to(book.ROOT)}: {check(PDF)}.")
