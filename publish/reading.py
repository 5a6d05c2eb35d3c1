"""What a page's reader meets besides the text: names of folded cells, tables on a phone, no script.

A Sphinx extension.
"""

import re
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup
from docutils import nodes

FOLDS = {  # what the id of a notebook's cell begins with, and the name of its fold
    "imports": "Imports and data",
    "figure": "Code of this figure",
    "explorer": "Code of this figure",
}


def name_folds(app, doctree):
    """A fold says what is in it; the cell that installs gradbook elsewhere is not for readers."""
    if Path(app.env.doc2path(app.env.docname)).suffix != ".ipynb":
        return
    for cell in list(doctree.findall(nodes.container)):
        if cell.get("nb_element") != "cell_code":
            continue
        name = next(iter(cell["ids"]), "")
        if name == "setup":
            cell.parent.remove(cell)
        elif cell.get("hide_mode"):
            cell["prompt_show"] = cell["prompt_hide"] = name_of_fold(name, cell.astext())


def name_of_fold(cell_id, text):
    words = cell_id.split("-")
    shown = next((title for start, title in FOLDS.items() if words[0] == start), None)
    if words[-1] == "check" or not shown and re.search(r"^ *assert ", text, re.M):
        return "Check of the numbers in the text"
    return shown or "Code"


def titles_in_summaries(app, pagename, templatename, context, doctree):
    """MyST-NB writes a paragraph into <summary>, where HTML allows words only, and gives it a name
    that is not what it shows.
    """
    context["body"] = context.get("body", "").replace(
        '<summary aria-label="Toggle hidden content">', "<summary>"
    )
    context["body"] = re.sub(
        r'<p class="(collapsed|expanded) admonition-title">(.*?)</p>',
        r'<span class="\1 admonition-title">\2</span>',
        context["body"],
    )


TABLE = re.compile(r'<div class="pst-scrollable-table-container">.*?</table>\s*</div>', re.S)


def words(html):
    """What a piece of HTML shows."""
    parsed = BeautifulSoup(html, "html.parser")
    for hidden in parsed.select(".katex-mathml"):
        hidden.extract()
    return " ".join(parsed.get_text().split())


def stack(table):
    """A table of three columns or more, whose rows a phone shows as blocks: each entry has its
    column's name.
    """
    head, body = table[0].split("<tbody>", 1)
    names = [words(th) for th in re.findall(r"<th\b[^>]*>(.*?)</th>", head, re.S)]
    if len(names) < 3:
        return table[0]

    def name_entries(row):
        left = iter(names)
        return re.sub(
            r"<(td|th)\b", lambda e: f'<{e[1]} data-column="{escape(next(left))}"', row[0]
        )

    body = re.sub(r"<tr\b.*?</tr>", name_entries, body, flags=re.S)
    return f"{head}<tbody>{body}".replace('class="table', 'class="gb-stack table', 1)


def stack_tables(app, pagename, templatename, context, doctree):
    context["body"] = TABLE.sub(stack, context.get("body", ""))


def setup(app):
    app.connect("doctree-read", name_folds, priority=600)  # after booksite's name_cells
    app.connect("html-page-context", titles_in_summaries)
    app.connect("html-page-context", stack_tables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
