"""The book's sections for its search page, as explorer/src/search.mjs reads them.

A Sphinx extension.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

BLOCK = (nodes.paragraph, nodes.entry, nodes.term, nodes.line)
LEFT_OUT = (nodes.raw, nodes.comment, nodes.title, nodes.image)
CODE = (nodes.literal_block, nodes.doctest_block)


def group(docname):
    """0: chapters, 1: start and reference, 2: solutions and lesson plans."""
    if docname.startswith("teaching/"):
        return 2
    return 0 if re.match(r"chapters/\d", docname) else 1


def own(section):
    """The nodes of a section that are not those of a section in it."""
    for child in section.children:
        if not isinstance(child, (nodes.section, addnodes.desc)):
            yield child


LETTERS = dict(
    zip(
        "alpha beta gamma delta epsilon eta theta kappa lambda mu xi rho sigma tau varphi phi chi "
        "ell partial nabla times cdot infty approx le leq ge geq sqrt to lvert rvert vert".split(),
        "α β γ δ ϵ η θ κ λ μ ξ ρ σ τ φ φ χ ℓ ∂ ∇ × · ∞ ≈ ≤ ≤ ≥ ≥ √ → | | |".split(),
    )
)


def plain(tex):
    """A short formula in one line of text; "…" for any other."""
    line = re.sub(r"\\([a-zA-Z]+) ?", lambda m: LETTERS.get(m[1], m[0]), tex)
    line = re.sub(r"[{}]|\\[,;!]", "", line)
    return line if "\\" not in line and len(line) < 25 else "…"


def words(nodes_, code):
    """Text, or code, of nodes, a line a paragraph."""

    def walk(node):
        if isinstance(node, CODE):
            return node.astext() if code else ""
        if isinstance(node, (nodes.math, nodes.math_block)):
            return "" if code else plain(node.astext())
        if isinstance(node, LEFT_OUT):
            return ""
        if isinstance(node, nodes.Text):
            return "" if code else node.astext()
        end = "\n" if isinstance(node, BLOCK) else ""
        return "".join(map(walk, node.children)) + end

    lines = "".join(map(walk, nodes_)).split("\n")
    return "\n".join(line for line in (" ".join(line.split()) for line in lines) if line)


def names(code):
    """The different words of code: it is searched, and never shown."""
    return " ".join(dict.fromkeys(re.findall(r"[^\W\d]\w{2,}", code)))


def terms(nodes_):
    """What is set in bold: the book does so where it says what a word means."""
    return " ".join(strong.astext() for n in nodes_ for strong in n.findall(nodes.strong))


def sections(doctree):
    """(id, title, nodes) of a page, its sections and its documented objects."""
    for section in doctree.findall(lambda n: isinstance(n, (nodes.section, addnodes.desc))):
        if isinstance(section, addnodes.desc):
            signature = section.next_node(addnodes.desc_signature)
            if signature["ids"]:
                name = signature["ids"][0]
                body = [part for c in section.findall(addnodes.desc_content) for part in own(c)]
                yield name, name.replace("gradbook", "gb", 1), body
        elif section["ids"]:
            yield section["ids"][0], section.next_node(nodes.title).astext(), list(own(section))


def write(app, exception):
    if exception is not None or app.builder.name != "html":
        return
    found = []
    for docname in sorted(app.env.found_docs, key=lambda name: (group(name), name)):
        doctree = app.env.get_doctree(docname)
        page = app.env.titles[docname].astext()
        address = app.builder.get_target_uri(docname)
        for number, (name, title, parts) in enumerate(sections(doctree)):
            found.append(
                {
                    "title": title,
                    "page": page,
                    "url": f"{address}#{name}" if number else address,
                    "group": group(docname),
                    "terms": terms(parts),
                    "text": words(parts, code=False),
                    "code": names(words(parts, code=True)),
                }
            )
    target = Path(app.outdir, "_static/sections.js")
    target.write_text(f"window.gbSections = {json.dumps(found, ensure_ascii=False)};\n", "utf-8")


def setup(app):
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
