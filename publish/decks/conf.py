"""How the decks are built: reveal.js from the package, everything else from the site that they
stand in.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

project = "Gradients That Flow"
language = "en"
extensions = ["myst_parser", "sphinx_revealjs", "sphinx.ext.mathjax", "slides"]
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
suppress_warnings = ["toc.not_included"]
html_copy_source = False
mathjax_path = "../../_static/mathjax/startup.js"
mathjax3_config = {"loader": {"load": ["core", "input/tex", "output/chtml", "a11y/assistive-mml"]}}
revealjs_style_theme = "white"
revealjs_css_files = ["../../_static/explorer.css", "../../_static/slides.css"]
revealjs_js_files = [("../../_static/explorer.js", {"defer": "defer"})]
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
