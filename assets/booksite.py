"""The book's own Sphinx extension: figures with their script, links to cells, one repository address."""

import os
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive, directives


class explorer_here(nodes.General, nodes.Element):
    """Stands on a page where an Explorer of a chapter is to be shown again."""


class ExplorerDirective(Directive):
    """``{explorer} NAME`` with ``:from: DOCUMENT``: the Explorer NAME of a chapter, on another page."""

    required_arguments = 1
    option_spec = {"from": directives.unchanged_required}

    def run(self):
        return [explorer_here(name=self.arguments[0], document=self.options["from"])]


def use_repository_of_environment(app, config):
    """$GRADBOOK_REPOSITORY, at build time, goes before the configuration: a fork needs no edit."""
    if address := os.environ.get("GRADBOOK_REPOSITORY"):
        config.html_theme_options["repository_url"] = address.rstrip("/")


def without_thebe(app, config):
    """Thebe would load a script from elsewhere; jupyter-book brings it along whether it is used or not."""
    for listeners in app.events.listeners.values():
        listeners[:] = [listener for listener in listeners if listener.handler.__module__ != "sphinx_thebe"]
    app.registry.css_files[:] = [(name, attributes) for name, attributes in app.registry.css_files if "thebe" not in name]


def without_links_to_solutions(app, docname, source):
    """In the build for students the solutions' pages do not exist."""
    if os.environ.get("GRADBOOK_SOLUTIONS") == "no":
        source[0] = re.sub(r"\[([^][\"\n]*)\]\((?:\.\./)+teaching/solutions/[^)]*\)", r"\1", source[0])


def name_cells(app, doctree):
    """Give every notebook cell its id, so that a claim can link to the cell that decides it."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    import nbformat

    ids = [cell.id for cell in nbformat.read(path, 4).cells]
    for container in doctree.findall(nodes.container):
        if container.get("nb_element") == "cell_code" and "cell_index" in container:
            container["ids"] = [ids[container["cell_index"]]]


def bars_are_bars(app, what, name, obj, options, lines):
    """Docstrings write |x| for a size; reStructuredText would look for a substitution."""
    lines[:] = [line if line.lstrip().startswith((">>>", "...")) else re.sub(r"(``.*?``)|\|", lambda m: m[1] or r"\|", line) for line in lines]


def elsewhere_or_a_field(app, what, name, obj, skip, options):
    """A module that gives another's names does not document them again; a tuple's fields stand in its own text."""
    here = app.env.temp_data.get("autodoc:module")
    return True if getattr(obj, "__module__", here) != here or "Alias for field" in (getattr(obj, "__doc__", None) or "") else None


def show_explorers(app, doctree, docname):
    for here in list(doctree.findall(explorer_here)):
        chapter = app.env.get_doctree(here["document"])
        found = [raw for raw in chapter.findall(nodes.raw) if f'class="gb-explorer" id="{here["name"]}"' in raw.astext()]
        if len(found) != 1:
            raise ValueError(f"{docname}: {here['document']} has {len(found)} Explorers named {here['name']!r}; one is needed")
        here.replace_self(found[0].deepcopy())


def add_script(app, pagename, templatename, context, doctree):
    if "gb-explorer" in context.get("body", ""):
        app.add_js_file("explorer.js", loading_method="defer")
    app.add_css_file("explorer.css")
    app.add_css_file("book.css")


def write_front_door(app, exception):
    """index.html leads to the front page, also for readers whose browser does not follow by itself."""
    if exception is None and app.builder.name == "html":
        front = app.builder.get_target_uri(app.config.root_doc)
        Path(app.outdir, "index.html").write_text(
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{app.config.html_title}</title>'
            f'<meta http-equiv="refresh" content="0; url={front}"></head><body><main><h1>{app.config.html_title}</h1>'
            f'<p><a href="{front}">To the book</a></p></main></body></html>\n', "utf-8")


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.add_node(explorer_here)
    app.add_directive("explorer", ExplorerDirective)
    app.connect("config-inited", use_repository_of_environment, priority=900)
    app.connect("config-inited", without_thebe)
    app.connect("source-read", without_links_to_solutions)
    app.connect("doctree-read", name_cells)
    app.connect("autodoc-process-docstring", bars_are_bars)
    app.connect("autodoc-skip-member", elsewhere_or_a_field)
    app.connect("doctree-resolved", show_explorers)
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write_front_door, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
