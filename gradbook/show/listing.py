"""Show the package's own source in a chapter, so that text and library cannot drift apart."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap

from ..kinds import Function

__all__ = ["source"]

WIDE = 88  # columns of a listing on the page


class _Source(str):
    def __repr__(self):
        return str(self)


def source(*functions: Function) -> str:
    """The source of ``functions`` as text for display, without docstrings and types.

    >>> gb.source(gb.length_map)
    def length_map(q, activation, sigma_w, sigma_b=0.0):
        check(sigma_w, sigma_b, q)
        phi = find(activation)
        return sigma_w**2 * gaussian_mean(lambda z: phi(z) ** 2, q) + sigma_b**2
    """
    texts = (textwrap.dedent(inspect.getsource(function)) for function in functions)
    return _Source("\n\n".join(map(_plain, texts)))


def _plain(text):
    """One function's code without its docstring and its types."""
    function, lines = ast.parse(text).body[0], text.rstrip().split("\n")
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return "\n".join([_signature(function, text), *lines[body[0].lineno - 1 :]])


def _signature(function, text):
    """``def name(arguments):`` on one line, or on as few as it takes."""
    start, end = function.lineno - 1, function.body[0].lineno - 1
    head = "\n".join(text.split("\n")[start:end])
    typed = [a.annotation for a in ast.walk(function.args) if isinstance(a, ast.arg)]
    for kind in filter(None, [*typed, function.returns]):
        written = re.escape(ast.get_source_segment(text, kind))
        head = re.sub(rf"(: | -> ){written}", "", head, count=1)
    one_line = re.sub(r"\s+", " ", head).replace("( ", "(").replace(" = ", "=")
    one_line = re.sub(r",? \)", ")", one_line)
    indent = " " * (one_line.index("(") + 1)
    return textwrap.fill(one_line, WIDE, subsequent_indent=indent, break_on_hyphens=False)
