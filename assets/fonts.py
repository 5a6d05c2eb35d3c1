"""Fonts with the characters that the pages use, and no others: whole, they weigh more than all else on a page."""

import html
import re
from pathlib import Path

import pydata_sphinx_theme
import sphinx_revealjs
from fontTools import subset

ICONS = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static/vendor/fontawesome/webfonts"
SLIDES = Path(sphinx_revealjs.__file__).parent / "_static/revealjs/dist/theme/fonts/source-sans-pro"


def icons(pages, styles):
    """The characters of Font Awesome that the pages name by class, and those that a style sheet or a script names."""
    written = "".join(pages)
    named = {*re.findall(r"fa-[a-z0-9-]+", written), "fa-xmark"}  # which the theme's script adds
    by_class = {name: code for names, code in re.findall(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+)"', styles)
                for name in re.findall(r"fa-[\w-]+", names)}
    codes = {by_class[name] for name in named if name in by_class} | set(re.findall(r'content:"\\(f[0-9a-f]{3})";font-family:Font Awesome', styles))
    return "".join(chr(int(code, 16)) for code in codes)


def rules(styles, characters):
    """The style sheet without the rules of the other 2,000 icons."""
    return re.sub(r'(?:\.fa-[\w-]+:before,?)+\{content:"\\([0-9a-f]+)"\}', lambda rule: rule[0] if chr(int(rule[1], 16)) in characters else "", styles)


def words(pages):
    """The characters that stand in the pages, and those of a printed page of code or mathematics."""
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
