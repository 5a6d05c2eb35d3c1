"""What a page without a kernel gets of an Explorer: a picture with words, and the data to go on."""

import json
import re

__all__ = ["static"]


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
