"""How the decks are built: reveal.js from the package, everything else from the site that they
stand in.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

project = "Gradients That Flow"
language = "en"
extensions = ["myst_parser", "sphinx_revealjs", "mathematics", "slides"]
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
suppress_warnings = ["toc.not_included"]
html_copy_source = False
html_math_renderer = "katex"
revealjs_static_path = ["../../assets/static/katex"]
revealjs_style_theme = "white"
revealjs_css_files = ["../../_static/explorer.css", "../../_static/slides.css", "katex.min.css"]
revealjs_js_files = [
    ("../../_static/explorer.js", {"defer": "defer"}),
    ("../../_static/slides.js", {"defer": "defer"}),
]
revealjs_script_conf = {
    "width": 1280,
    "height": 720,
    "margin": 0.03,
    "hash": True,
    "slideNumber": "c/t",
    "transition": "none",
    "center": False,
}
revealjs_script_plugins = [{"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"}]
