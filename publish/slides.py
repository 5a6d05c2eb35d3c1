"""Decks of slides: a Sphinx extension that shows cells of an executed chapter, and the command that
builds them (make slides).

A deck is ``teaching/slides/CHAPTER.md``: a talk in Markdown, one slide a heading, that takes
figures, Explorers, printed numbers and code from the chapter's own notebook, by the ids of its
cells.
"""

import subprocess
import sys
from functools import lru_cache
from html import escape

import light
import nbformat
import notebooks
from booksite import different_here
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

BUILD = notebooks.ROOT / "_build"


def chapter_of(deck):
    """The notebook to which the deck called ``deck`` belongs, or None."""
    return next((notebooks.ROOT / "chapters").rglob(f"{deck}.ipynb"), None)


@lru_cache(maxsize=4)
def executed(path):
    """Cell id → cell of a chapter as the last build of the book ran it."""
    from jupyter_cache import get_cache

    notebook = nbformat.read(path, 4)
    ids = [cell.id for cell in notebook.cells]
    try:
        _, ran = get_cache(BUILD / ".jupyter_cache").merge_match_into_notebook(notebook)
    except KeyError:
        raise ExtensionError(
            f"{path.name} was not executed since it was changed; run: make book"
        ) from None
    return dict(zip(ids, ran.cells, strict=True))


class CellDirective(SphinxDirective):
    """``{cell} ID``: what the chapter's cell shows, or with ``:code:`` its source; ``:lines: 2-5``
    picks some of the lines.

    With ``:fragment:`` it appears at the next press of a key, so that a question can be asked
    first.
    """

    required_arguments = 1
    option_spec = {
        "code": directives.flag,
        "fragment": directives.flag,
        "lines": directives.unchanged,
    }

    def run(self):
        chapter, cell_id = chapter_of(self.env.docname), self.arguments[0]
        self.env.note_dependency(str(chapter))
        cell = executed(chapter).get(cell_id)
        if cell is None:
            raise self.error(f"{chapter.name} has no cell {cell_id!r}")
        # it may have printed less than the slide wants to show
        self.failed = notebooks.error_of(cell)
        if "code" in self.options:
            return [nodes.literal_block("", self.pick(cell.source), language="python")]
        from gradbook import plot  # which asks the environment for the offset of the seeds

        outputs = cell.get("outputs", [])
        html = [
            plot.inline(o.data["text/html"]) for o in outputs if "text/html" in o.get("data", {})
        ]
        text = "".join(
            o.text if o.output_type == "stream" else o.data["text/plain"]
            for o in outputs
            if o.get("name") == "stdout"
            or o.output_type == "execute_result"
            and "text/html" not in o.data
        )
        if text:
            html.insert(0, printed(self.pick(text)))
        if self.failed:
            html.append(different_here(notebooks.what_failed(cell.source, self.failed), "../"))
        if not html:
            raise self.error(f"cell {cell_id!r} of {chapter.name} shows nothing")
        if "fragment" in self.options:
            html = ['<div class="fragment">', *html, "</div>"]
        return [nodes.raw("", "".join(html), format="html")]

    def pick(self, text):
        if "lines" not in self.options:
            return text.rstrip()
        lines = text.splitlines()
        wanted = directives.positive_int_list(self.options["lines"].replace("-", " "))
        if not 1 <= wanted[0] <= wanted[-1] <= len(lines) and not self.failed:
            raise self.error(f"lines {self.options['lines']} of {len(lines)}")
        return "\n".join(lines[wanted[0] - 1 : wanted[-1]])


def printed(text):
    """Printed lines, in letters in which a table fits on a slide; longer lines of prose wrap."""
    longest = max(map(len, text.splitlines()))
    size = min(24, max(18, int(1180 / (0.61 * longest))))
    return f'<pre class="gb-printed" style="font-size: {size}px">{escape(text)}</pre>'


def lead_back(app, doctree):
    """The first slide links to the chapter."""
    if chapter := chapter_of(app.env.docname):
        address = f"../{chapter.relative_to(notebooks.ROOT).with_suffix('.html').as_posix()}"
        link = (
            f'<p>From the book <em>Gradients That Flow</em>. <a href="{address}">The '
            f"chapter</a> has the code, the proofs and the exercises.</p>"
        )
        doctree.next_node(nodes.title).parent.insert(1, nodes.raw("", link, format="html"))


def without_notes(app, doctree):
    """What only a teacher should say is not in the build for students."""
    from sphinx_revealjs._ext.notes import revealjs_notes

    mark = BUILD / "solutions"
    if mark.exists() and mark.read_text() == "no":
        for note in list(doctree.findall(revealjs_notes)):
            note.parent.remove(note)


def close_sections(app, pagename, templatename, context, doctree):
    """sphinx-revealjs leaves the last section open."""
    body = context.get("body", "")
    context["body"] = body + "</section>" * (body.count("<section") - body.count("</section>"))


def build():
    """Every deck, into the built site; returns the finished process."""
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-b",
            "revealjs",
            "-q",
            "-W",
            "--keep-going",
            "-c",
            notebooks.ROOT / "publish/decks",
            "-d",
            BUILD / ".doctrees-slides",
            notebooks.ROOT / "teaching/slides",
            BUILD / "html/slides",
        ],
        capture_output=True,
        text=True,
    )
    if not run.returncode:
        pages = [page.read_text("utf-8") for page in BUILD.glob("html/slides/*.html")]
        used, letters = light.words(pages), light.formulas(pages)
        for font in light.SLIDES.glob("*.woff"):
            light.cut(
                font,
                BUILD / "html/slides/_static" / font.relative_to(light.SLIDES.parents[4]),
                used,
            )
        for font in light.KATEX.glob("fonts/*.woff2"):
            target = BUILD / "html/slides/_static/fonts" / font.name
            light.cut(font, target, letters)
    return run


def main():
    if not (BUILD / "html/index.html").exists():
        sys.exit("The slides stand in the site and show its figures; build it first: make book")
    run = build()
    if run.returncode:
        sys.exit(f"The slides were not built:\n{run.stdout}{run.stderr}")
    print(f"The slides are in {BUILD.name}/html/slides: open index.html there.")


def setup(app):
    app.add_directive("cell", CellDirective)
    app.connect("doctree-read", lead_back)
    app.connect("doctree-read", without_notes)
    app.connect("html-page-context", close_sections)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    main()
