"""Formulas, set by KaTeX when the book is built: a page needs no script for them, paper neither."""

import atexit
import json
import re
from functools import cache
from html import escape
from pathlib import Path

from docutils import nodes
from py_mini_racer import JSEvalException, MiniRacer
from sphinx.util import logging

KATEX = Path(__file__).with_name("katex.min.js")
STOPS = re.compile(r"[.,;:!?)\]’”…]+")  # no line begins with these
logger = logging.getLogger(__name__)


@cache
def engine():
    """A JavaScript engine that knows KaTeX."""
    engine = MiniRacer()
    engine.eval(KATEX.read_text("utf-8"))
    atexit.register(engine.close)  # else Python would wait for it
    return engine


@cache
def typeset(tex, display=False):
    """HTML of a formula, with MathML inside for screen readers."""
    if display and r"\\" in tex and r"\begin" not in tex:
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    options = {"displayMode": display, "strict": "error"}
    call = f"katex.renderToString({json.dumps(tex)}, {json.dumps(options)})"
    return engine().eval(call)


def typeset_text(text):
    """A text as HTML: what stands between dollars is a formula, as is a text that is all TeX, and
    what stands between backticks is code.
    """
    if re.match(r"\\\w+[{\s]", text) and "$" not in text:
        return typeset(text)
    pieces = re.findall(r"\$([^$]+)\$|`([^`]+)`|([^$`]+)", text)
    return "".join(
        typeset(formula) if formula else f"<code>{escape(code)}</code>" if code else escape(words)
        for formula, code, words in pieces
    )


def html(node, display):
    """The HTML of a formula in a document; a warning, and its TeX, where KaTeX cannot read it."""
    try:
        return typeset(node.astext(), display)
    except JSEvalException as error:
        why = re.search(r"KaTeX parse error: .*|ParseError: .*", str(error))
        logger.warning("%s", why[0] if why else error, location=node)
        return f"<code>{escape(node.astext())}</code>"


def inline(translator, node):
    formula = f'<span class="math">{html(node, False)}</span>'
    if stop := node.get("stop"):
        formula = f'<span class="gb-unbroken">{formula}{escape(stop)}</span>'
    translator.body.append(formula)
    raise nodes.SkipNode


def block(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="math block"))
    translator.body.append(f"{html(node, True)}</div>\n")
    raise nodes.SkipNode


def keep_stops(app, doctree, docname):
    """A full stop after a formula stays on the formula's line."""
    for formula in doctree.findall(nodes.math):
        after = formula.next_node(siblings=True, descend=False)
        if isinstance(after, nodes.Text) and (stop := STOPS.match(after)):
            formula["stop"] = stop[0]
            after.parent.replace(after, nodes.Text(after[stop.end() :]))


def setup(app):
    app.add_html_math_renderer("katex", (inline, None), (block, None))
    app.connect("doctree-resolved", keep_stops)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
