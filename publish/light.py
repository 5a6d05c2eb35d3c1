"""What the theme makes every page load, cut down to what the pages use: they are read on phones."""

import base64
import hashlib
import html
import re
from functools import cache
from pathlib import Path

import pydata_sphinx_theme
import sphinx_revealjs
import tinycss2
from fontTools import subset

ICONS = (
    Path(pydata_sphinx_theme.__file__).parent
    / "theme/pydata_sphinx_theme/static/vendor/fontawesome/webfonts"
)
KATEX = Path(__file__).resolve().parents[1] / "assets/static/katex"
SLIDES = Path(sphinx_revealjs.__file__).parent / "_static/revealjs/dist/theme/fonts/source-sans-pro"


def icons(pages, styles):
    """The characters of Font Awesome that the pages name by class, and those that a style sheet or
    a script names.
    """
    written = "".join(pages)
    named = {*re.findall(r"fa-[a-z0-9-]+", written), "fa-xmark"}  # which the theme's script adds
    by_class = {
        name: code
        for names, code in re.findall(
            r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+)"', styles
        )
        for name in re.findall(r"fa-[\w-]+", names)
    }
    codes = {by_class[name] for name in named if name in by_class} | set(
        re.findall(r'content:"\\(f[0-9a-f]{3})";font-family:Font Awesome', styles)
    )
    return "".join(chr(int(code, 16)) for code in codes)


def rules(parsed, names):
    """Those rules of a style sheet whose classes all stand among ``names``; what it asks for beside
    classes is not looked at.
    """
    kept = []
    for rule in parsed:
        if rule.type == "qualified-rule":
            selectors = re.sub(r":not\([^)]*\)", "", tinycss2.serialize(rule.prelude)).split(",")
            if not any(
                {*re.findall(r"\.(-?[A-Za-z_][\w-]*)", selector)} <= names for selector in selectors
            ):
                continue
        elif (
            rule.type == "at-rule"
            and rule.lower_at_keyword in ("media", "supports")
            and rule.content
        ):
            rule.content = rules(
                tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True),
                names,
            )
            if not rule.content:
                continue
        kept.append(rule)
    return kept


def words(pages):
    """The characters that stand in the pages, and those of a printed page of code or
    mathematics.
    """
    return "".join({*map(chr, range(32, 127)), *"".join(html.unescape(page) for page in pages)})


def formulas(pages):
    """The characters that stand in formulas."""
    part = re.compile(r'class="katex-html".*?</(?:p|div|li|td|th|h\d|section)>', re.S)
    found = (text for page in pages for text in part.findall(page))
    letters = (c for text in found for c in re.findall(r"<span[^>]*>([^<]+)</span>", text))
    return "".join({*html.unescape("".join(letters))})


def cut(source, target, characters):
    """Write ``source``, .woff or .woff2, with these ``characters`` to ``target``."""
    options = subset.Options(flavor=source.suffix[1:])
    options.drop_tables += ["FFTM", "webf"]  # a font editor's own notes
    font = subset.load_font(source, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text=characters)
    subsetter.subset(font)
    subset.save_font(font, target, options)


# a script for icons that a book adds, while ours are in the theme's fonts; the Explorers' data a
# second time, for a kernel
UNUSED = re.compile(
    r"\s*<!-- So that users can add custom icons "
    r"-->\s*<script defer[^>]*fontawesome\.js[^>]*></script>"
    r'|\s*<script type="application/vnd\.jupyter\.widget-state\+json">.*?</script>'
    r'|\s*<link rel="preload" as="script"[^>]*>',
    re.S,
)
# Sphinx's own search: search.mjs takes its place
SEARCH = re.compile(
    r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^>]*></script>'
)
# the theme's own script sets the colors late: the page would be drawn twice, first without them
COLORS = (
    'localStorage.getItem("theme") || "auto"',
    "/^(light|dark)$/.exec(document.documentElement.dataset.mode)?.[0] || "
    '(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")',
)
# whoever comes back finds the place only on a page that is laid out (book.css)
RETURNS = (
    "if(performance.getEntriesByType('navigation')[0]?.type!=='navigate')"
    "document.documentElement.classList.add('gb-all');"
)
# a style sheet of the site's own, whatever the order of its attributes
SHEET = re.compile(
    r'[ \t]*<link[^>]*?href="([^"?]*_static/)([^"?]+\.css)[^>]*rel="stylesheet"[^>]*>\n?'
    r'|[ \t]*<link rel="stylesheet"[^>]*?href="([^"?]*_static/)([^"?]+\.css)[^>]*>\n?'
)
# the fonts of nearly every formula come with the style sheet: no formula is drawn in another first
AT_ONCE = re.compile(r'url\("?(katex/fonts/KaTeX_(?:Main-Regular|Math-Italic)\.woff2)"?\)')
# fonts by the classes that ask for them
FACES = {
    "katex": "1em KaTeX_Main",
    "mathnormal": "italic 1em KaTeX_Math",
    "mathbf": "bold 1em KaTeX_Main",
    "mathit": "italic 1em KaTeX_Main",
    "boldsymbol": "italic bold 1em KaTeX_Math",
    "mathbb|amsrm": "1em KaTeX_AMS",
    "mathcal": "1em KaTeX_Caligraphic",
    "delimsizing size1|delim-size1|small-op": "1em KaTeX_Size1",
    "delimsizing size2|large-op": "1em KaTeX_Size2",
    "delimsizing size3": "1em KaTeX_Size3",
    "delimsizing size4|delim-size4": "1em KaTeX_Size4",
}


def fonts_at_once(text):
    """Letters that nobody sees, one in each font of the page's formulas: a browser fetches a font
    for what it lays out, and prints without those that it did not fetch.
    """
    found = [f for names, f in FACES.items() if re.search(rf'class="[^"]*\b(?:{names})\b', text)]
    shown = "".join(f'<span style="font: {font}">(</span>' for font in found)
    return f'<div class="gb-fonts" aria-hidden="true">{shown}</div>' if found else ""


def as_data(static):
    """A replacement for the address of a font: the font."""

    def data(address):
        font = base64.b64encode((static / address[1]).read_bytes()).decode()
        return f"url(data:font/woff2;base64,{font})"

    return data


@cache
def sheet(static, name):
    """A style sheet with what it imports, as if it stood in ``static`` itself."""
    folder = (static / name).parent
    text = re.sub(
        r'@import\s+(?:url\()?["\']?([^"\');]+)["\']?\)?;',
        lambda m: sheet(static, (folder / m[1]).resolve().relative_to(static).as_posix()),
        (static / name).read_text("utf-8"),
    )
    return re.sub(
        r'url\((?!data:|#)["\']?([^"\')]+)["\']?\)',
        lambda m: (
            f"url({(folder / m[1]).resolve().relative_to(static).as_posix()})"
            if folder != static
            else m[0]
        ),
        text,
    )


def page(text, static):
    """One style sheet for ten, colors at once, scripts that do not hold up the text.

    A page that was not written anew since the last build is as this left it, and stays so.
    """
    text = SEARCH.sub("", UNUSED.sub("", text)).replace(*COLORS)
    text = text.replace('data-theme="auto"', 'data-theme="light"', 1)  # without scripts
    sheets = [(m[1] or m[3], m[2] or m[4]) for m in SHEET.finditer(text)]
    if len(sheets) > 1:
        names = " ".join(name for _, name in sheets)
        one = f"one-{hashlib.sha256(names.encode()).hexdigest()[:8]}.css"
        (static / one).write_text(f"/* {names} */", "utf-8")
        link = f'<link rel="stylesheet" href="{sheets[0][0]}{one}" />\n'
        text = SHEET.sub("", SHEET.sub("\0", text, count=1)).replace("\0", link)
    if 'class="gb-fonts"' not in text:
        text = re.sub(r"<body[^>]*>", lambda m: m[0] + fonts_at_once(text), text, count=1)
    if number := re.search(r'<h1><span class="section-number">(.*?)</span>', text):
        title = r'(<div id="jb-print-docs-body"[^>]*>\s*<h1>)(?!\d)'
        text = re.sub(title, lambda m: m[1] + number[1], text)
    text = re.sub(r"<title>(.*?) &#8212; \1</title>", r"<title>\1</title>", text)
    # which scripts in the page itself look at
    options = (static / "documentation_options.js").read_text("utf-8")
    text = re.sub(
        r'<script src="[^"]*documentation_options\.js[^>]*></script>',
        lambda m: f"<script>{options}{RETURNS}</script>",
        text,
    )
    return re.sub(r'<script((?: data-[\w-]+="[^"]*")?) src=', r"<script defer\1 src=", text)


def fill(one, static, classes):
    """Write the style sheets that the first line of ``one`` names into it, without the rules of
    what no page has; its version.
    """
    names = re.match(r"/\* (.*?) \*/", one.read_text("utf-8"))[1]
    parsed = tinycss2.parse_stylesheet(
        "\n".join(sheet(static, name) for name in names.split()),
        skip_comments=True,
        skip_whitespace=True,
    )
    text = AT_ONCE.sub(as_data(static), tinycss2.serialize(rules(parsed, classes)))
    text = f"/* {names} */\n{text}"
    one.write_text(text, "utf-8")
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def site(out):
    """Lighten every page of the site in the folder ``out``, but not the slides, which are small."""
    static = out / "_static"
    pages = {
        p: page(p.read_text("utf-8"), static)
        for p in out.rglob("*.html")
        if not {"_static", "slides"} & {*p.relative_to(out).parts}
    }
    scripts = "".join(
        p.read_text("utf-8") for p in static.rglob("*.js") if not p.name.startswith("fontawesome")
    )
    classes = {*re.findall(r"[\w-]+", "".join(pages.values()) + scripts)}
    letters = formulas(pages.values())
    for font in KATEX.glob("fonts/*.woff2"):
        cut(font, static / "katex/fonts" / font.name, letters)
    used = icons(pages.values(), "".join(p.read_text("utf-8") for p in static.glob("styles/*.css")))
    for font in ICONS.glob("*.woff2"):
        cut(font, static / "vendor/fontawesome/webfonts" / font.name, used)
    versions = {one.name: fill(one, static, classes) for one in static.glob("one-*.css")}
    for path, text in pages.items():
        path.write_text(
            re.sub(
                r"(one-[0-9a-f]{8}\.css)(\?v=\w+)?", lambda m: f"{m[1]}?v={versions[m[1]]}", text
            ),
            "utf-8",
        )
    for unused in [
        p
        for pattern in (
            "../searchindex.js",
            "searchtools.js",
            "language_data.js",
            "scripts/[!f]*.map",
            "scripts/fontawesome*",
            "vendor/fontawesome/webfonts/*.ttf",
        )
        for p in static.glob(pattern)
    ]:
        unused.unlink()
