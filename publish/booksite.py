"""The book's own Sphinx extension: figures with their script, links to cells, one repository
address.
"""

import os
import re
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import light
import notebooks
from docutils import nodes
from docutils.parsers.rst import Directive, directives
from mathematics import typeset_text


class explorer_here(nodes.General, nodes.Element):
    """Stands on a page where a figure of a chapter is to be shown again."""


class ExplorerDirective(Directive):
    """``{explorer} NAME`` with ``:from: DOCUMENT``: the Explorer NAME of a chapter, or what its
    cell NAME shows, on another page.
    """

    required_arguments = 1
    option_spec = {"from": directives.unchanged_required}

    def run(self):
        return [explorer_here(name=self.arguments[0], document=self.options["from"])]


class ClaimsDirective(Directive):
    """``{claims}``: every claim of the sources with its verdict, as a table that can be filtered,
    and the totals as a picture.
    """

    def run(self):
        path = Path(notebooks.ROOT, "chapters/claims.yml")
        for source in (path, notebooks.TABLE):
            self.state.document.settings.env.note_dependency(str(source))
        claims = sorted(notebooks.claims(), key=lambda c: c["id"])
        return [nodes.raw("", html, format="html") for html in (totals(claims), table(claims))]


class ReplicationDirective(Directive):
    """``{replication}``: notebook × variant, as the last ``make replicate`` wrote it."""

    def run(self):
        self.state.document.settings.env.note_dependency(str(notebooks.TABLE))
        return [nodes.raw("", replication_table(notebooks.replication()), format="html")]


def replication_table(found):
    """The variants, numbered; for every notebook a mark in each; and what was seen where a cell
    came out differently.
    """
    variants, notebooks_run = list(found["variants"]), found["notebooks"]
    rows, seen = [], []
    for name, row in notebooks_run.items():
        label = name.split("/")[-1].replace("-", " ")
        label += ", solutions" if name.startswith("teaching/") else ""
        marks = "".join(f"<td>{_mark(row, variant)}</td>" for variant in variants)
        rows.append(f'<tr><th scope="row">{escape(label)}</th>{marks}</tr>')
        for number, variant in enumerate(variants, 1):
            for cell, said in row["failed"].get(variant, {}).items():
                where = f"{escape(name)}, variant {number}, {escape(cell)}"
                seen.append(f"<li>{where}: {escape(said)}</li>")
    listed = "".join(f"<li>{escape(name)}</li>" for name in variants)
    numbered = "".join(f'<th scope="col">{n}</th>' for n in range(1, len(variants) + 1))
    head = f'<thead><tr><th scope="col">notebook</th>{numbered}</tr></thead>'
    table = f'<table class="table">{head}<tbody>{"".join(rows)}</tbody></table>'
    failures = f"<ul>{''.join(seen)}</ul>" if seen else ""
    cells = sum(row["cells"] for row in notebooks_run.values())
    words = f"{cells} cells in each variant. ✓: all held. ✗: so many came out differently. "
    if any(row["repeats"] for row in notebooks_run.values()):
        words += (
            "=: on this machine there was nothing to repeat, because "
            "it computes there as in an earlier variant, or cannot. "
        )
    machines = sorted({f"{row['machine']}, {row['date']}" for row in notebooks_run.values()})
    words += f"Computed on {escape('; '.join(machines))}."
    return f'<div class="gb-replication"><ol>{listed}</ol>{table}{failures}<p>{words}</p></div>'


def _mark(row, variant):
    if failed := row["failed"].get(variant):
        return f"{len(failed)} ✗"
    return "=" if variant in row["repeats"] else "✓"


def totals(claims):
    """A bar for each source, divided by verdict, as SVG with its text alternative."""
    from gradbook import plot

    sources, verdicts = sorted({c["source"] for c in claims}), list(notebooks.VERDICTS)
    count = {
        v: [sum(c["source"] == s and c["verdict"] == v for c in claims) for s in sources]
        for v in verdicts
    }
    fig, ax = plot.axes(width=5.0, height=2.9, xlabel="claims")
    left = [0] * len(sources)
    for verdict, color in zip(verdicts, ("#009e73", "#e69f00", "#d55e00", "#cc79a7", "#999999")):
        ax.barh(sources, count[verdict], left=left, color=color, label=notebooks.VERDICTS[verdict])
        for y, (start, n) in enumerate(zip(left, count[verdict])):
            if n > 2:
                ax.text(
                    start + n / 2, y, str(n), ha="center", va="center", color="#111111", fontsize=9
                )
        left = [a + b for a, b in zip(left, count[verdict])]
    ax.invert_yaxis()
    ax.grid(False)
    ax.legend(
        ncols=3,
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        fontsize=9,
        handlelength=1,
        columnspacing=1,
    )
    alt = "Claims of the five sources by verdict. " + " ".join(
        f"{s}: "
        + ", ".join(
            f"{count[v][i]} "
            f"{notebooks.VERDICTS[v].split(' ', 1)[-1] if v != 'undecided' else 'not yet decided'}"
            for v in verdicts
        )
        + "."
        for i, s in enumerate(sources)
    )
    return f'<figure class="gb-figure">{plot.show(fig, alt).svg}</figure>'


def table(claims):
    """One row a claim; its classes are what the filters look at."""
    choices = {
        "source": sorted({c["source"] for c in claims}),
        "verdict": list(notebooks.VERDICTS),
        "chapter": sorted({c["chapter"] for c in claims}),
    }
    shown = notebooks.VERDICTS | {c: chapter_name(c) for c in choices["chapter"]}
    filters = "".join(
        f'<label>{name} <select data-filter="{name}"><option value="">all</option>'
        + "".join(f'<option value="{v}">{escape(shown.get(v, v))}</option>' for v in values)
        + "</select></label> "
        for name, values in choices.items()
    )
    rows, replication = [], notebooks.replication()
    for c in claims:
        decided = c["verdict"] != "undecided"
        place = f"{c['chapter']}.html#{c['cell']}" if decided else ""
        note = (
            f" <em>Overturned: {escape(c['overturns'].rstrip('.'))}.</em>"
            if "overturns" in c
            else ""
        )
        count = notebooks.repeated(c, replication) if decided else None
        held = " <br>held in {} of {} variants".format(*count) if count else ""
        printed = f" <code>{escape(c['figure'])}</code>" if c.get("figure") else ""
        says = (
            f'{typeset_text(c["correct"])}{note} <em>See</em> <a href="{place}">'
            f"{escape(notebooks.where(c))}</a>{', which printed:' if printed else '.'}{printed}"
            if decided
            else f"{escape(chapter_name(c['chapter']).capitalize())}."
        )
        rows.append(
            f'<tr id="{c["id"]}" data-source="{c["source"]}" '
            f'data-verdict="{c["verdict"]}" data-chapter="{c["chapter"]}">'
            f'<th scope="row">{c["id"]} <br>{c["source"]} §{escape(c["section"])} '
            f"<br><strong>{notebooks.VERDICTS[c['verdict']]}</strong>{held}</th>"
            f"<td>{typeset_text(c['claim'])}<br>"
            f'<span lang="zh">{typeset_text(c["original"])}</span></td>'
            f"<td>{says}</td></tr>"
        )
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("where, verdict", "the claim", "what the experiment says")
    )
    shown = f'<output aria-live="polite">{len(claims)} claims</output>'
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return (
        f'<div class="gb-claims"><div class="gb-filters" hidden>{filters}{shown}</div>'
        f'<table class="table">{table}</table></div>'
    )


def chapter_name(chapter):
    """A chapter's title; the name of its file if it is still to come."""
    path = Path(notebooks.ROOT, "chapters", f"{chapter}.ipynb")
    return (
        notebooks.title(path)
        if path.exists()
        else f"a chapter to come: {path.stem.replace('-', ' ')}"
    )


def use_repository_of_environment(app, config):
    """$GRADBOOK_REPOSITORY, at build time, goes before the configuration: a fork needs no edit."""
    if address := os.environ.get("GRADBOOK_REPOSITORY"):
        config.html_theme_options["repository_url"] = address.rstrip("/")
        owner, name = address.rstrip("/").split("/")[-2:]
        config.html_baseurl = f"https://{owner}.github.io/{name}/"
    config.ogp_site_url = config.html_baseurl
    # a server sends 404.html for any address
    config.notfound_urls_prefix = below = urlsplit(config.html_baseurl).path
    config.notfound_context = {
        "title": "Page not found",
        "body": f"<h1>Page not found</h1><p>There is no page with this address. The "
        f'<a href="{below}chapters/intro.html">front page</a> has a list of all.</p>',
    }


def without_thebe(app, config):
    """Thebe would load a script from elsewhere; jupyter-book brings it along whether it is used or
    not.
    """
    for listeners in app.events.listeners.values():
        listeners[:] = [
            listener for listener in listeners if listener.handler.__module__ != "sphinx_thebe"
        ]
    app.registry.css_files[:] = [
        (name, attributes) for name, attributes in app.registry.css_files if "thebe" not in name
    ]


def without_links_to_solutions(app, docname, source):
    """In the build for students the solutions and the lesson plans do not exist."""
    if os.environ.get("GRADBOOK_SOLUTIONS") == "no":
        source[0] = notebooks.without_solutions(source[0])


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


def inline_pictures(app, doctree):
    """What a notebook carries as an image takes the page's colors and typeface here."""
    from gradbook import plot

    for raw in doctree.findall(nodes.raw):
        if raw["format"] == "html":
            raw.children = [nodes.Text(plot.inline(raw.astext()))]


def note_what_differs(app, doctree):
    """In place of a traceback: what came out differently on the machine that built this site."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    import nbformat

    cells = nbformat.read(path, 4).cells
    for block in list(
        doctree.findall(
            lambda node: isinstance(node, nodes.literal_block) and "traceback" in node["classes"]
        )
    ):
        place = block
        while "cell_index" not in place:
            place = place.parent
        cell = cells[place["cell_index"]]
        if "raises-exception" not in cell.metadata.get("tags", []):
            failed = notebooks.what_failed(cell.source, block.astext())
            block.parent.remove(block)
            note = nodes.raw(
                "", different_here(failed, "../" * app.env.docname.count("/")), format="html"
            )
            # behind the cell, which may be folded
            place.parent.insert(place.parent.index(place) + 1, note)


def different_here(failed, up):
    """The note as HTML; ``up`` leads to the site's first folder."""
    return (
        f'<div class="admonition warning gb-different"><p class="admonition-title">On '
        f"the machine that built this page this came out differently</p>"
        f"<p><code>{escape(failed)}</code></p><p>What "
        f"the text says here was seen on other machines. "
        f'<a href="{up}chapters/replication.html">Does it replicate?</a> '
        f"says on which, and why machines differ.</p></div>"
    )


def link_to_slides(app, doctree, docname):
    """Under a chapter's first box: its deck, which `make book` builds into the same site."""
    box = next(doctree.findall(nodes.block_quote), None)
    if (
        box
        and docname.startswith("chapters/")
        and Path(notebooks.ROOT, "teaching/slides", f"{docname.split('/')[-1]}.md").exists()
    ):
        address = f"{'../' * docname.count('/')}slides/{docname.split('/')[-1]}.html"
        notes = "" if os.environ.get("GRADBOOK_SOLUTIONS") == "no" else ", with speaker notes"
        box.append(
            nodes.raw(
                "",
                f'<p><strong>Slides</strong> <a href="{address}">a '
                f"talk on this chapter</a>{notes}.</p>",
                format="html",
            )
        )


def bars_are_bars(app, what, name, obj, options, lines):
    """Docstrings write |x| for a size; reStructuredText would look for a substitution."""
    lines[:] = [
        line
        if line.lstrip().startswith((">>>", "..."))
        else re.sub(r"(``.*?``)|\|", lambda m: m[1] or r"\|", line)
        for line in lines
    ]


def elsewhere_or_a_field(app, what, name, obj, skip, options):
    """A room documents what lives in it, and no names of others; a tuple's fields stand in its own
    text.
    """
    here = app.env.temp_data.get("autodoc:module")
    return (
        True
        if not getattr(obj, "__module__", here).startswith(here)
        or "Alias for field" in (getattr(obj, "__doc__", None) or "")
        else None
    )


def show_explorers(app, doctree, docname):
    for here in list(doctree.findall(explorer_here)):
        chapter = app.env.get_doctree(here["document"])
        mark = f'class="gb-explorer" id="{here["name"]}"'
        found = [raw for raw in chapter.findall(nodes.raw) if mark in raw.astext()] or [
            raw
            for cell in chapter.findall(nodes.container)
            if here["name"] in cell.get("ids", ())
            for raw in cell.findall(nodes.raw)
            if raw["format"] == "html"
        ]
        if not found and (
            notes := [raw for raw in chapter.findall(nodes.raw) if "gb-different" in raw.astext()]
        ):
            here.replace_self(notes[-1].deepcopy())
            continue
        if len(found) != 1:
            raise ValueError(
                f"{docname}: {here['document']} has {len(found)} "
                f"figures named {here['name']!r}; one is needed"
            )
        here.replace_self(found[0].deepcopy())


def add_script(app, pagename, templatename, context, doctree):
    if "gb-explorer" in context.get("body", ""):
        app.add_js_file("explorer.js", loading_method="defer")
    if "gb-claims" in context.get("body", ""):
        app.add_js_file("claims.js", loading_method="defer")
    if 'class="katex' in context.get("body", ""):
        app.add_css_file("katex/katex.min.css")
    app.add_css_file("explorer.css")
    app.add_css_file("book.css")
    app.add_js_file("site.js", loading_method="defer")


def lighten(app, exception):
    if exception is None and app.builder.name == "html":
        light.site(Path(app.outdir).resolve())


def sources_for_students(app, exception):
    """The notebooks and pages that a reader may download say no more than the site."""
    if exception is None and os.environ.get("GRADBOOK_SOLUTIONS") == "no":
        for page in Path(app.outdir, "_sources").rglob("*.*"):
            page.write_text(notebooks.without_solutions(page.read_text("utf-8")), "utf-8")


def write_front_door(app, exception):
    """index.html leads to the front page, also for readers whose browser does not follow by
    itself.
    """
    if exception is None and app.builder.name == "html":
        front = app.builder.get_target_uri(app.config.root_doc)
        Path(app.outdir, "index.html").write_text(
            f'<!doctype html><html lang="en"><head><meta '
            f'charset="utf-8"><title>{app.config.html_title}</title>'
            f'<meta http-equiv="refresh" content="0; '
            f'url={front}"></head><body><main><h1>{app.config.html_title}</h1>'
            f'<p><a href="{front}">To the book</a></p></main></body></html>\n',
            "utf-8",
        )


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.add_node(explorer_here)
    app.add_directive("explorer", ExplorerDirective)
    app.add_directive("claims", ClaimsDirective)
    app.add_directive("replication", ReplicationDirective)
    app.connect("config-inited", use_repository_of_environment, priority=900)
    app.connect("config-inited", without_thebe)
    app.connect("source-read", without_links_to_solutions)
    app.connect("doctree-read", name_cells)
    app.connect("doctree-read", note_what_differs)
    app.connect("doctree-read", inline_pictures)
    app.connect("autodoc-process-docstring", bars_are_bars)
    app.connect("autodoc-skip-member", elsewhere_or_a_field)
    app.connect("doctree-resolved", show_explorers)
    app.connect("doctree-resolved", link_to_slides)
    app.connect("html-page-context", add_script)
    app.connect("build-finished", lighten, priority=900)
    app.connect("build-finished", write_front_door, priority=900)
    app.connect("build-finished", sources_for_students, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
