"""What the theme makes every page load, cut down to what the pages use: they are read on phones."""

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
SEARCH = re.compile(
    r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^>]*></script>'
)
MATHEMATICS = re.compile(r'<script defer="defer" src="([^"]*mathjax/startup\.js[^"]*)"></script>')
# when the reader comes near, at the latest after five seconds
LATER = r"""<script>addEventListener('load', () => {
  const load = () => {
    near.disconnect();
    clearTimeout(clock);
    document.head.append(Object.assign(document.createElement('script'), { src: '\1' }));
  };
  const come = seen => seen.some(s => s.isIntersecting) && load();
  const near = new IntersectionObserver(come, { rootMargin: '50%' });
  const clock = setTimeout(load, 5000);
  document.querySelectorAll('.math').forEach(m => near.observe(m));
});</script>"""
# the theme's own script sets the colors late: the page would be drawn twice, first without them
COLORS = (
    'localStorage.getItem("theme") || "auto"',
    "/^(light|dark)$/.exec(document.documentElement.dataset.mode)?.[0] || "
    '(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")',
)
SHEET = re.compile(
    r'[ \t]*<link[^>]*?href="([^"?]*_static/)([^"?]+\.css)[^>]*rel="stylesheet"[^>]*>\n?|[ '
    r'\t]*<link rel="stylesheet"[^>]*?href="([^"?]*_static/)([^"?]+\.css)[^>]*>\n?'
)


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


def page(text, name, static):
    """One style sheet for ten, colors at once, scripts that do not hold up the text, mathematics
    after it, the search's own only where one searches.

    A page that was not written anew since the last build is as this left it, and stays so.
    """
    text = UNUSED.sub("", text).replace(*COLORS)
    if name != "search.html":
        text = SEARCH.sub("", text)
    sheets = [(m[1] or m[3], m[2] or m[4]) for m in SHEET.finditer(text)]
    if len(sheets) > 1:
        names = " ".join(name for _, name in sheets)
        one = f"one-{hashlib.sha256(names.encode()).hexdigest()[:8]}.css"
        (static / one).write_text(f"/* {names} */", "utf-8")
        link = f'<link rel="stylesheet" href="{sheets[0][0]}{one}" />\n'
        text = SHEET.sub("", SHEET.sub("\0", text, count=1)).replace("\0", link)
    text = MATHEMATICS.sub(LATER if 'class="math' in text else "", text)
    # which scripts in the page itself look at
    options = (static / "documentation_options.js").read_text("utf-8")
    text = re.sub(
        r'<script src="[^"]*documentation_options\.js[^>]*></script>',
        lambda m: f"<script>{options}</script>",
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
    text = f"/* {names} */\n{tinycss2.serialize(rules(parsed, classes))}"
    one.write_text(text, "utf-8")
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def site(out):
    """Lighten every page of the site in the folder ``out``, but not the slides, which are small."""
    static = out / "_static"
    pages = {
        p: page(p.read_text("utf-8"), p.name, static)
        for p in out.rglob("*.html")
        if not {"_static", "slides"} & {*p.relative_to(out).parts}
    }
    scripts = "".join(
        p.read_text("utf-8")
        for p in static.rglob("*.js")
        if "mathjax" not in p.parts and not p.name.startswith("fontawesome")
    )
    classes = {*re.findall(r"[\w-]+", "".join(pages.values()) + scripts)}
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
            "scripts/[!f]*.map",
            "scripts/fontawesome*",
            "vendor/fontawesome/webfonts/*.ttf",
        )
        for p in static.glob(pattern)
    ]:
        unused.unlink()
