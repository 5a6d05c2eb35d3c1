"""The book's one style of figure.

Readable on a light page, a dark page and a phone, and never without words.

Measurements are points, theory is a line, and a thing keeps its color from chapter to chapter.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import math
import re
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

__all__ = ["COLORS", "axes", "show", "inline", "Picture", "human"]

#: The color of a quantity or a name, the same in every chapter: Okabe & Ito's palette, distinct
#: for color-blind readers, visible on white and on black.
#:
#: >>> gb.plot.COLORS["signal"]
#: '#0077bb'
COLORS = {
    "signal": "#0077bb",
    "example_grad_norm": "#d55e00",
    "grad_norm": "#d55e00",
    "activation_rms": "#009e73",
    "linear": "#888888",
    "sigmoid": "#cc6699",
    "tanh": "#0077bb",
    "relu": "#d55e00",
    "gelu": "#009e73",
    "forward": "#d55e00",
    "central": "#0077bb",
    "complex": "#009e73",
    "vanishing": "#0077bb",
    "healthy": "#009e73",
    "exploding": "#d55e00",
}
INK = "#010203"  # stands for the page's own text color
# where SVG is an image, it cannot see the page's colors: it brings paper and ink for light and dark
CARD = (
    "<style>svg{background:#fff;color:#222;font-family:sans-serif!important}"
    "@media(prefers-color-scheme:dark){svg{background:#14181e;color:#ced6dd}}</style>"
)
DATA = "data:image/svg+xml;base64,"
_numbers = itertools.count()

STYLE = {
    "svg.fonttype": "none",
    "font.size": 11,
    "font.family": "sans-serif",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "lines.markersize": 4.5,
    "lines.linewidth": 1.8,
    "savefig.facecolor": "none",
}


def human(value: Any, digits: int = 3) -> str:
    """A number as people write it.

    >>> [gb.plot.human(v) for v in (0.23456, 1.2e-7, 30, float("inf"))]
    ['0.235', '1.2 × 10⁻⁷', '30', '∞']
    >>> gb.plot.human(7976.5, digits=1)
    '8000'
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (
        math.isfinite(value) and value == int(value) and abs(value) < 1e5
    ):
        return str(int(value)).replace("-", "−")
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else "−∞" if value < 0 else "∞"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    exponent = int(exponent)
    if -3 <= exponent < 5:
        text = f"{float(f'{mantissa}e{exponent}'):.{max(digits - 1 - exponent, 0)}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    power = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa} × 10{power}".replace("-", "−").removeprefix("1 × ")


def axes(
    ncols: int = 1,
    nrows: int = 1,
    width: float | None = None,
    height: float = 3.2,
    xlabel: str = "",
    ylabel: str = "",
    xscale: str = "linear",
    yscale: str = "linear",
    **options: Any,
) -> tuple[Figure, Any]:
    """A figure in the book's style and its axes: one, or a list of ``ncols`` side by side, or of
    ``nrows`` one below the other.

    ``width`` and ``height`` are in inches; ``options`` go to ``Figure.subplots`` (sharey, …).

    >>> fig, ax = gb.plot.axes(xlabel="layer", ylabel="|δ|", yscale="log")
    >>> ax.get_yscale()
    'log'
    """
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(width or (5.4 if ncols == 1 else 7.4), height), layout="constrained")
        grid = fig.subplots(nrows, ncols, squeeze=False, **options).ravel()
        for i, ax in enumerate(grid):
            ax.set(
                xlabel=xlabel,
                ylabel=ylabel if i == 0 or not options.get("sharey") else "",
                xscale=xscale,
                yscale=yscale,
            )
            for axis, scale in ((ax.xaxis, xscale), (ax.yaxis, yscale)):
                if scale == "log":
                    axis.set_major_formatter(FuncFormatter(lambda v, _: human(v, 1)))
                    axis.set_minor_formatter("")
    return fig, grid[0] if len(grid) == 1 else list(grid)


class Picture:
    """A figure as SVG that takes the page's text color, with its text alternative.

    >>> fig, ax = gb.plot.axes()
    >>> gb.plot.Picture(fig, "Two axes without any curve").svg[:4]
    '<svg'
    """

    def __init__(self, fig: Figure, alt: str, caption: str = "") -> None:
        if len(alt.split()) < 5:
            raise ValueError(f"alt is {alt!r}; say in a sentence what the figure shows")
        self.alt: str = " ".join(alt.split())
        self.caption: str = caption
        for text in fig.findobj(Text, include_self=False):
            if text.get_color() == "black":
                text.set_color(INK)
        for legend in fig.findobj(Legend, include_self=False):
            legend.set_frame_on(False)
        out = io.StringIO()
        with matplotlib.rc_context({**STYLE, "svg.hashsalt": f"{next(_numbers)}{alt}"}):
            fig.savefig(
                out, format="svg", metadata=dict.fromkeys(["Creator", "Date", "Format", "Type"])
            )
        svg = out.getvalue()
        svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
        svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # names that repeat from figure to figure
        svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.S)
        # the page's own typeface
        svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
        # the w of σ_w stands below the line
        svg = re.sub(
            r"_(\w)\b(?=[^<>]*</text>)",
            r'<tspan dy="3" font-size="75%">\1</tspan><tspan dy="-3">&#8203;</tspan>',
            svg,
        )
        self.width: int = round(1.45 * float(re.search(r'width="([\d.]+)pt"', svg)[1]))
        svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
        label = html.escape(self.alt, quote=True)
        self.svg: str = svg.replace(
            "<svg ",
            f'<svg role="img" aria-label="{label}" '
            f'style="width:100%;max-width:{self.width}px;height:auto;font-family:inherit" ',
            1,
        )

    def image(self) -> str:
        """The picture as HTML that every host shows, also one that strips SVG, styles and scripts
        from notebooks that it does not trust.

        >>> fig, ax = gb.plot.axes()
        >>> gb.plot.Picture(fig, "Two axes without any curve").image()[:16]
        '<img width="564"'
        """
        card = re.sub(r"(<svg[^>]*>)", rf"\1{CARD}", self.svg, count=1)
        source = DATA + base64.b64encode(card.encode()).decode()
        label = html.escape(self.alt, quote=True)
        return f'<img width="{self.width}" alt="{label}" style="max-width:100%" src="{source}">'

    def _repr_mimebundle_(self, include=None, exclude=None):
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else ""
        return {
            "text/html": f'<figure class="gb-figure">{self.image()}{caption}</figure>',
            "text/plain": f"Figure: {self.alt}",
        }


def inline(page: str) -> str:
    """``page`` with the SVG itself in place of the images of :meth:`Picture.image`: it takes the
    page's colors and typeface.

    >>> fig, ax = gb.plot.axes()
    >>> picture = gb.plot.Picture(fig, "Two axes without any curve")
    >>> gb.plot.inline(picture.image()) == picture.svg
    True
    """
    return re.sub(
        rf'<img [^>]*src="{re.escape(DATA)}([^"]*)">',
        lambda found: base64.b64decode(found[1]).decode().replace(CARD, ""),
        page,
    )


def show(fig: Figure, alt: str, caption: str = "") -> Picture:
    """The figure ``fig`` for display.  ``alt`` says in words what it shows.

    ``caption`` stands below it.

    >>> fig, ax = gb.plot.axes(xlabel="step")
    >>> lines = ax.plot([0, 1, 2], [1.0, 0.5, 0.25])
    >>> gb.plot.show(fig, "A curve that halves at every step").alt
    'A curve that halves at every step'
    """
    return Picture(fig, alt, caption)
