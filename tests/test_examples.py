"""The examples of docstrings, as a reader would paste them: after ``import gradbook as gb``, and
nothing else.
"""

import doctest
import importlib
import inspect
import pkgutil
import re

import pytest
from bs4 import BeautifulSoup

import gradbook as gb
from conftest import SITE

MODULES = [importlib.import_module(m.name) for m in pkgutil.walk_packages(gb.__path__, "gradbook.")]
EXAMPLES = {
    test.name: test
    for module in MODULES
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, globs={"gb": gb})
    if test.examples
}
PARSER = doctest.DocTestParser()
for module in MODULES:  # comments that Sphinx reads, over a constant
    comments = re.findall(r"((?:^#:.*\n)+)(\w+) = ", inspect.getsource(module), re.M)
    for comment, name in comments:
        text, at = re.sub("^#: ?", "", comment, flags=re.M), f"{module.__name__}.{name}"
        EXAMPLES[at] = PARSER.get_doctest(text, {"gb": gb}, at, module.__file__, 0)
FLAGS = doctest.IGNORE_EXCEPTION_DETAIL


ROOMS = (gb.data, gb.rules, gb.nets, gb.backprop, gb.theory, gb.sweeps, gb.measure, gb.show)
ROOMS += (gb.plot, gb.experiments, gb.record, gb.devices)


def public():
    """{name: where it is defined} of all that the rooms give to the world."""
    values = {name: getattr(room, name) for room in ROOMS for name in room.__all__}
    homes = {
        name: v.__module__
        if inspect.isroutine(v) or inspect.isclass(v)
        else next(m.__name__ for m in MODULES if f"{m.__name__}.{name}" in EXAMPLES)
        for name, v in [*values.items(), ("as_torch", gb.as_torch)]
        if not inspect.ismodule(v)
    }
    return {name: f"{home}.{name}" for name, home in homes.items()}


def test_every_public_name_has_an_example():
    without = {at for at in public().values() if at not in EXAMPLES}
    assert len(public()) > 130 and not without


def test_the_page_of_the_package_shows_every_public_name_with_its_example():
    page = SITE / "chapters/api.html"
    if not page.exists():
        pytest.skip("the site is not built: run make book first")
    parsed = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    shown = {
        at["id"].rpartition(".")[2]
        for at in parsed.select("dt.sig[id]")
        if ">>>" in at.parent.get_text()
    }
    assert not public().keys() - shown


def test_an_example_is_copied_without_its_prompts(visit, site):
    page = visit(f"{site}/chapters/api.html")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block = page.locator("#gradbook\\.measure\\.watch + dd .highlight").first
    block.hover()
    block.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert ">>>" not in copied and "with gb.watch(" in copied
    exec(compile(copied, "pasted", "exec"), {"gb": gb})


@pytest.mark.filterwarnings("default")  # of dashboards
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name, tmp_path, monkeypatch):
    source = "".join(example.source for example in EXAMPLES[name].examples)
    for library in ("tensorboard", "wandb", "sklearn"):
        if re.search(rf"\b{library}\b", source):
            pytest.importorskip(library)
    for trainer, library in (("lightning", "lightning"), ("hugging_face", "transformers")):
        if f"for_{trainer}(" in source:
            pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    said = []
    doctest.DocTestRunner(optionflags=FLAGS).run(EXAMPLES[name], out=said.append)
    assert not said, "".join(said)
