"""What a page without a kernel gets of an Explorer: a picture with words, and the data to go on."""

import json
import re

import ipywidgets
from IPython import get_ipython

__all__ = ["static", "pictures_in_boxes"]


def static(name, title, words, picture, state):
    """The HTML of an Explorer; where scripts run, one of the page's takes its place."""
    packed = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
    packed = packed.replace("<", "\\u003c")  # no data can end the script
    return (
        f'<div class="gb-explorer" id="{name}"><div class="gb-still">'
        f'<p class="gb-title">{escape(title)}</p>{picture}'
        f'<p class="gb-caption">{escape(words)}</p></div>'
        f'<script type="application/json">{packed}</script></div>'
    )


def escape(text):
    """``text`` as HTML, with the w of σ_w below the line."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"_(\w)\b", r"<sub>\1</sub>", plain)


def pictures_in_boxes():
    """From now on a ``VBox``, ``HBox`` or ``Tab`` of Explorers, too, has their pictures for a page
    without a kernel.
    """
    if shell := get_ipython():
        shell.display_formatter.mimebundle_formatter.for_type(ipywidgets.Box, _box)


def _box(box):
    bundle, metadata = _bundle(box)
    children = [_box(c) if isinstance(c, ipywidgets.Box) else _bundle(c) for c in box.children]
    shown = [data for data, _ in children if "text/html" in data]
    for kind, between in {"text/html": "", "text/plain": "\n"}.items() if shown else ():
        bundle = bundle | {kind: between.join(data[kind] for data in shown)}
    return bundle, metadata


def _bundle(widget):
    found = widget._repr_mimebundle_() if hasattr(widget, "_repr_mimebundle_") else None
    return found if isinstance(found, tuple) else (found or {}, {})
