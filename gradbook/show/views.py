"""The views of an Explorer: what each shows, and its picture for pages without scripts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from . import plot

__all__ = ["Lines", "Path", "Heat"]

View: TypeAlias = "Lines | Path | Heat"


@dataclass(frozen=True)
class Lines:
    """Quantities against an axis (or against a quantity) ``x``.

    ``points`` measured, ``lines`` predicted.

    ``lines[i]`` has the color of ``points[i]``.  Where the data hold ``NAME_low`` and
    ``NAME_high``, a bar joins them.  ``ylim`` fixes the range; without it the axis follows the
    data.

    >>> gb.Lines("layer", points="signal", lines="signal_theory", yscale="log").points
    ('signal',)
    """

    x: str
    points: str | Sequence[str] = ()
    lines: str | Sequence[str] = ()
    xscale: str = "linear"
    yscale: str = "linear"
    xlabel: str = ""
    ylabel: str = ""
    ylim: tuple[float, float] | None = None
    kind: str = field(default="lines", init=False)

    def __post_init__(self) -> None:
        for name in ("points", "lines"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))


@dataclass(frozen=True)
class Path:
    """The points (``x``, ``y``) that a descent visits, joined, within ``xlim`` and ``ylim``.

    The first is larger.

    ``contours``: two quantities along an axis of their own, the coordinates of curves of equal
    loss, NaN between them. ``key`` says what the points are.

    >>> gb.Path("x", "y", xlim=(-2.0, 2.0), ylim=(-1.0, 3.0)).key
    'the steps'
    """

    x: str
    y: str
    xlim: tuple[float, float]
    ylim: tuple[float, float]
    contours: tuple[str, str] | None = None
    xlabel: str = ""
    ylabel: str = ""
    key: str = "the steps"
    kind: str = field(default="path", init=False)


@dataclass(frozen=True)
class Heat:
    """The quantity ``value`` over the axes ``x`` and ``y``, which stay controls.

    A cell can be chosen.

    ``line``, if given, is a quantity over ``x`` alone and is drawn over the map as a y value.

    >>> gb.Heat("sigma_w", "depth", "accuracy", limits=(0.0, 100.0)).value
    'accuracy'
    """

    x: str
    y: str
    value: str
    line: str = ""
    xlabel: str = ""
    ylabel: str = ""
    limits: tuple[float, float] | None = None
    kind: str = field(default="heat", init=False)


def drawn(view):
    """The quantities that a view shows."""
    if view.kind == "lines":
        return [*view.points, *view.lines]
    return (
        [view.x, view.y, *(view.contours or ())]
        if view.kind == "path"
        else [view.value, *filter(None, [view.line])]
    )


def is_control(data, views, axis):
    """Every axis is a control, but those along which a Lines view draws."""
    along = {
        d
        for v in views
        if v.kind != "heat"
        for q in (v.x, *(getattr(v, "contours", None) or ()))
        for d in data[q].dims[-1:]
    }
    return axis not in along


def draw(ax, view, here, explorer):
    """``view`` of the data ``here`` at the Explorer's present position; returns it in words."""
    {"lines": _draw_lines, "heat": _draw_heat, "path": _draw_path}[view.kind](
        ax, view, here, explorer
    )
    return shows(ax, view, explorer)


def shows(ax, view, explorer):
    """In words, what is drawn: the axes, and each series with its first and last value."""
    series = []
    for line in ax.get_lines():
        name = line.get_label()
        if not name.startswith("_"):
            points = [(x, y) for x, y in zip(*line.get_data()) if np.isfinite(y)]
            ends = [f"{plot.human(y)} at {plot.human(x)}" for x, y in points]
            series.append(f"{name}: {ends[0]} to {ends[-1]}" if ends else name)
    if view.kind == "heat":
        whole = explorer._grid[view.value]
        low, high = (plot.human(bound) for bound in (whole.min().item(), whole.max().item()))
        series = [f"{low} to {high} {whole.attrs['long_name']}, as colors", *series]
    axes = " over ".join(filter(None, [ax.get_ylabel(), ax.get_xlabel()]))
    return f"{axes}. {'; '.join(series)}."


def _draw_lines(ax, view, here, explorer):
    x = here[view.x].values
    for place, name in enumerate(view.points):
        y, color = here[name].values, plot.COLORS.get(name)
        # the first quantity has dots, the others rings around them
        look = {"mfc": "none", "ms": 7.5} if place else {}
        ax.plot(
            x,
            np.where(np.isfinite(y), y, np.nan),
            "o",
            color=color,
            label=here[name].attrs["long_name"],
            **look,
        )
        if f"{name}_low" in here:
            ax.vlines(x, here[f"{name}_low"], here[f"{name}_high"], color=color, lw=1, alpha=0.6)
    for name, measured in zip(view.lines, [*view.points, *[None] * len(view.lines)]):
        ax.plot(
            x,
            here[name].values,
            color=plot.COLORS.get(measured or name),
            label=here[name].attrs["long_name"],
        )
    ax.set(
        xscale=view.xscale,
        yscale=view.yscale,
        xlabel=view.xlabel or here[view.x].attrs["long_name"],
        ylabel=view.ylabel,
        ylim=view.ylim,
    )
    if view.yscale == "log":
        ax.yaxis.set_major_formatter(lambda v, _: plot.human(v, 1))
    # one entry for lines of one name
    handles = dict(zip(*reversed(ax.get_legend_handles_labels())))
    ax.legend(handles.values(), handles, fontsize=9)


def _draw_path(ax, view, here, explorer):
    if view.contours:
        ax.plot(*(here[q].values for q in view.contours), color="gray", lw=0.8, alpha=0.6)
    x, y = here[view.x].values, here[view.y].values
    ax.plot(x, y, "o-", ms=3.5, lw=1.5, color=plot.COLORS.get(view.x), label=view.key)
    ax.set(
        xlim=view.xlim,
        ylim=view.ylim,
        xlabel=view.xlabel or here[view.x].attrs["long_name"],
        ylabel=view.ylabel or here[view.y].attrs["long_name"],
    )
    ax.legend(fontsize=9)
    ax.grid(False)


def _draw_heat(ax, view, here, explorer):
    grid = explorer._grid.sel(
        {a: v for a, v in explorer.position().items() if a not in (view.x, view.y)}
    )
    x, y = grid[view.x].values, grid[view.y].values
    mesh = ax.pcolormesh(
        range(len(x)),
        range(len(y)),
        grid[view.value].transpose(view.y, view.x).values,
        cmap="cividis",
        vmin=view.limits and view.limits[0],
        vmax=view.limits and view.limits[1],
    )
    ax.set(
        xlabel=view.xlabel or grid[view.x].attrs["long_name"],
        ylabel=view.ylabel or grid[view.y].attrs["long_name"],
    )
    for axis, values in ((ax.xaxis, x), (ax.yaxis, y)):
        every = -(-len(values) // 6)
        axis.set_ticks(
            range(0, len(values), every), [plot.human(v) for v in values.tolist()[::every]]
        )
    ax.figure.colorbar(mesh, ax=ax, label=grid[view.value].attrs["long_name"])
    if view.line:
        ax.plot(
            range(len(x)),
            np.interp(grid[view.line].values, y, range(len(y)), left=np.nan, right=np.nan),
            color="white",
        )
    ax.grid(False)
