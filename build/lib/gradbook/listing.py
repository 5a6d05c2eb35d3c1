"""Show the package's own source in a chapter, so that text and library cannot drift apart."""

import inspect
import re
import textwrap

__all__ = ["source"]


class _Source(str):
    def __repr__(self):
        return str(self)


def source(*functions):
    """The source of ``functions`` without their docstrings, as text for display.

    >>> from gradbook import theory
    >>> source(theory.length_map)
    def length_map(q, activation, sigma_w, sigma_b=0.0):
        _check(sigma_w, sigma_b, q)
        phi = find(activation)
        return sigma_w**2 * gaussian_mean(lambda z: phi(z) ** 2, q) + sigma_b**2
    """
    texts = (textwrap.dedent(inspect.getsource(f)) for f in functions)
    return _Source("\n\n".join(re.sub(r'\n *""".*?"""', "", text, count=1, flags=re.S).rstrip() for text in texts))
