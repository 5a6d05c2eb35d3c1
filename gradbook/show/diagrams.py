"""Pictures that several chapters draw: a network, and how numbers are spread in its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..kinds import Array
from . import plot

__all__ = ["graph", "network", "spread"]


def network(
    sizes: Sequence[int],
    labels: Sequence[str],
    forward: str = "",
    backward: str = "",
    strength: Sequence[float] | None = None,
) -> Figure:
    """A fully connected network as dots and lines; the data go to the right.

    - ``sizes``: dots drawn in each layer; ``labels``: one below each.
    - ``forward``, ``backward``: words on the arrows above and below.
    - ``strength``: between 0 and 1, how thick each arrow back is, one for each step.

    >>> fig = gb.show.network([3, 4, 2], ["x", "h", "logits"])
    >>> len(fig.axes)
    1
    """
    if len(labels) != len(sizes):
        raise ValueError(f"there are {len(sizes)} sizes and {len(labels)} labels; give one to each")
    steps = len(sizes) - 1
    strength = [1.0] * steps if strength is None else strength
    if len(strength) != steps or not all(0 <= share <= 1 for share in strength):
        raise ValueError(
            f"strength is {strength}; give {steps} numbers between 0 and 1, one a step"
        )
    fig, ax = plot.axes(width=7.0, height=2.5)
    ax.set_axis_off()
    heights = [np.arange(n) - (n - 1) / 2 for n in sizes]
    top = max(sizes) / 2 + 0.6
    for k in range(steps):
        for a in heights[k]:
            ax.plot([k, k + 1], np.stack([np.full(sizes[k + 1], a), heights[k + 1]]), **THIN)
    for k, ys in enumerate(heights):
        ax.plot([k] * len(ys), ys, "o", color=plot.COLORS["signal"], ms=8)
        ax.text(k, -top - 1.3, labels[k], ha="center", va="top", fontsize=10)
    for k in range(steps):
        _arrow(ax, k + 0.08, k + 0.92, top, 1.0, "signal")
        _arrow(ax, k + 0.92, k + 0.08, -top, strength[k], "grad_norm")
    for y, words, color in ((top, forward, "signal"), (-top, backward, "grad_norm")):
        ax.text(
            steps / 2,
            y + (0.35 if y > 0 else -0.35),
            words,
            ha="center",
            va="bottom" if y > 0 else "top",
            color=plot.COLORS[color],
        )
    ax.set(xlim=(-0.5, steps + 0.5), ylim=(-top - 2.1, top + 1.1))
    return fig


THIN: dict[str, Any] = dict(color=plot.INK, lw=0.5, alpha=0.25, zorder=0)


def _arrow(ax, start, end, y, share, color):
    style = dict(arrowstyle="-|>", lw=0.6 + 3 * share, alpha=0.25 + 0.75 * share, shrinkA=0)
    ax.annotate("", (end, y), (start, y), arrowprops=style | {"color": plot.COLORS[color]})


def spread(ax: Axes, layers: Mapping[int, Array], color: str, label: str, bins: Array) -> None:
    """On ``ax``: a histogram of the numbers of each layer, one above the other.

    ``layers`` goes from a layer's number to its values, ``bins`` are the edges of the histograms.

    >>> import numpy as np
    >>> fig, ax = gb.plot.axes()
    >>> rng = np.random.default_rng(0)
    >>> gb.show.spread(ax, {1: rng.normal(size=99)}, "#0077bb", "z", np.linspace(-3, 3, 20))
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['1']
    """
    for height, values in enumerate(layers.values()):
        counts, _ = np.histogram(np.ravel(values), bins)
        shape = height + 0.85 * np.append(counts, counts[-1]) / max(counts.max(), 1)
        ax.fill_between(
            bins,
            height,
            shape,
            step="post",
            color=color,
            alpha=0.55,
            lw=0,
            label=label if height == 0 else None,
        )
    ax.set_yticks(range(len(layers)), [str(layer) for layer in layers])
    ax.grid(False, axis="y")


def graph(
    nodes: Mapping[str, tuple[float, float]],
    edges: Mapping[tuple[str, str], str],
    forward: Mapping[str, str],
    backward: Mapping[str, str],
    height: float = 2.6,
) -> Figure:
    """A computational graph: boxes with names, arrows in the direction of the forward pass.

    - ``nodes``: where each box is, (x, y); ``edges``: from which to which, and a word on the arrow.
    - ``forward``, ``backward``: what stands above and below a box.

    Raises ValueError where an edge, or a word above or below, belongs to no node.

    >>> fig = gb.show.graph({"x": (0, 0), "z": (1, 0)}, {("x", "z"): "w"}, {"x": "3"}, {"z": "δ"})
    >>> len(fig.axes)
    1
    """
    unknown = {n for pair in edges for n in pair} | {*forward, *backward}
    if unknown := sorted(unknown - {*nodes}):
        raise ValueError(f"{unknown} are no nodes; there are {', '.join(nodes)}")
    fig, ax = plot.axes(width=7.0, height=height)
    ax.set_axis_off()
    middle = dict(ha="center", va="center", color=plot.INK)
    arrow = dict(arrowstyle="-|>", lw=1.2, color=plot.INK, alpha=0.5, shrinkA=16, shrinkB=16)
    for (start, end), word in edges.items():
        (x0, y0), (x1, y1) = nodes[start], nodes[end]
        ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
        ax.text(x0 + 0.28 * (x1 - x0), y0 + 0.28 * (y1 - y0) + 0.15, word, fontsize=9, **middle)
    box = dict(boxstyle="round", fc="none", ec=plot.INK, lw=0.8)
    for name, (x, y) in nodes.items():
        ax.text(x, y, name, bbox=box, **middle)
        for words, shift, color in ((forward, 0.3, "signal"), (backward, -0.3, "grad_norm")):
            style = middle | {"color": plot.COLORS[color]}
            ax.text(x, y + shift, words.get(name, ""), fontsize=10, **style)
    xs, ys = zip(*nodes.values())
    ax.set(xlim=(min(xs) - 0.4, max(xs) + 0.4), ylim=(min(ys) - 0.5, max(ys) + 0.5))
    return fig
