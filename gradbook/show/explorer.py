"""Interactive figures that live with a kernel, on a static page, and as a picture with words.

An :class:`Explorer` shows a data set that was computed on a grid.  Every axis of the data that a
view does not use becomes a control: a slider for numbers, a choice for words.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from .. import record
from ..kinds import Function
from . import plot
from .page import pictures_in_boxes, static
from .views import Heat, Lines, Path, View, draw, drawn, is_control

if TYPE_CHECKING:
    import xarray as xr


__all__ = ["Explorer"]


class Explorer(anywidget.AnyWidget):
    """A figure with controls: ``Explorer(data, views, name=…, title=…, caption=…)``.

    - ``data``: xarray.Dataset on a grid; quantities that depend on the controls alone may be words.
    - ``views``: a ``Lines``, ``Path`` or ``Heat`` of ``gradbook``, or a sequence of them.
    - ``name``: letters, digits and hyphens; the link to a position is ``#name?depth=30&…``.
    - ``caption``: a sentence or several, in which ``{depth}`` or ``{growth:2}`` (digits) stands for
      the value at the position; a sentence with a value that is NaN is left out there.
    - ``notes``: pairs (quantity, text); the text joins caption and picture where the quantity is
      above 0.
    - ``start``: the first position, ``{"depth": 30}``; an axis that is not named starts at its
      first value.
    - ``play``: the axis along which the play button moves.
    - ``live``: a function of the controls that returns the data at a position off the grid, for a
      kernel.
    - ``fine``: for ``live``: the step of each slider, ``{"depth": 1}``.

    Every control is a trait: ``explorer.depth = 30`` moves the figure, and it can be observed and
    linked. On a page without kernel the figure is the same; without scripts it is a picture and the
    caption.

    >>> import xarray as xr
    >>> loss = xr.DataArray([[2.3, 0.1], [2.3, 2.2]], {"depth": [5, 30], "step": [0, 100]})
    >>> view = gb.Lines("step", "loss")
    >>> words = "With {depth} layers the loss is this."
    >>> data = xr.Dataset({"loss": loss})
    >>> e = gb.Explorer(data, view, name="losses", title="Loss", caption=words)
    >>> e.depth = 30
    >>> e.words()
    'With 30 layers the loss is this.'
    """

    _esm = files("gradbook.show") / "explorer.mjs"
    _css = files("gradbook.show") / "explorer.css"
    _spec = traitlets.Dict().tag(sync=True)
    _data = traitlets.Dict().tag(sync=True)
    _live = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    _asked = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    def __init__(
        self,
        data: xr.Dataset,
        views: View | Sequence[View],
        *,
        name: str,
        title: str,
        caption: str | Sequence[str],
        notes: Sequence[tuple[str, str]] = (),
        start: dict[str, Any] | None = None,
        play: str | None = None,
        live: Function | None = None,
        fine: dict[str, float] | None = None,
    ) -> None:
        views = [views] if isinstance(views, (Lines, Heat, Path)) else list(views)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise ValueError(
                f"name is {name!r}; use small letters, digits and hyphens, a letter first"
            )
        caption = [caption] if isinstance(caption, str) else list(caption)
        if len(" ".join(caption).split()) < 5:
            raise ValueError(
                f"caption is {caption!r}; say in words what a "
                f"position shows, with {{quantity}} for its values"
            )
        shown = {q for v in views for q in drawn(v)}
        for quantity in sorted(
            shown
            | {q for q, _ in notes}
            | set(re.findall(r"{(\w+)", " ".join(caption)))
            | {v.x for v in views}
        ):
            if quantity not in data.variables:
                raise ValueError(
                    f"{quantity!r} is not in the data, which "
                    f"have {', '.join(map(str, data.variables))}"
                )
        self._axes = {
            str(d): data[d].values.tolist() for d in data.dims if is_control(data, views, d)
        }
        self._grid, self._views, self._compute = record.describe(data), views, live
        start = {a: values[0] for a, values in self._axes.items()} | (start or {})
        for axis, value in start.items():
            if axis not in self._axes or value not in self._axes[axis]:
                raise ValueError(f"start has {axis}={value!r}; the controls are {self._axes}")
            if hasattr(self, axis):
                raise ValueError(f"axis {axis!r} has the name of a widget's attribute; rename it")
        for given, axes in (("play", [play] if play else []), ("fine", fine or {})):
            for axis in axes:
                if axis not in self._axes or isinstance(self._axes[axis][0], str):
                    raise ValueError(
                        f"{given} names {axis!r}; it must be a control "
                        f"with numbers, one of {list(self._axes)}"
                    )
        controls = [
            {
                "name": a,
                "label": data[a].attrs["long_name"],
                "values": values,
                "fine": (fine or {}).get(a),
            }
            for a, values in self._axes.items()
        ]
        spec = {
            "name": name,
            "title": title,
            "caption": caption,
            "notes": [list(n) for n in notes],
            "play": play,
            "views": [asdict(v) for v in views],
            "colors": {q: plot.COLORS.get(q, "#0077bb") for q in shown},
            "controls": controls,
            "live": live is not None,
        }
        self.add_traits(
            **{a: _trait(values, start[a]).tag(sync=True) for a, values in self._axes.items()}
        )
        super().__init__(_spec=spec, _data=self._pack(self._grid), **start)
        self.observe(self._follow, names=list(self._axes))
        pictures_in_boxes()

    def _pack(self, data):
        """The data as JSON.

        A path that explodes stops far outside the picture, or it would take the digits of the
        others.
        """
        for view in self._views:
            if isinstance(view, Path):
                for name, (low, high) in ((view.x, view.xlim), (view.y, view.ylim)):
                    far = 20 * (high - low)
                    data = data.assign(
                        {name: data[name].clip(low - far, high + far, keep_attrs=True)}
                    )
        return record.pack(data)

    def position(self) -> dict[str, Any]:
        """Where the controls stand, axis → value."""
        return {axis: getattr(self, axis) for axis in self._axes}

    def on_grid(self) -> bool:
        """Whether the data hold the present position."""
        return all(value in self._axes[axis] for axis, value in self.position().items())

    def _follow(self, change):
        if self.on_grid():
            return
        if self._compute is None:
            setattr(self, change["name"], change["old"])
            raise traitlets.TraitError(
                f"{change['name']} is {change['new']!r}; without live= it must be one of "
                f"{self._axes[change['name']]}"
            )
        asked = self.position()
        self._asked = {**asked, "since": time.time()}
        try:
            data = self._compute(**asked)
        finally:
            self._asked = None
        self._live = {
            "position": asked,
            "data": self._pack(data.squeeze([a for a in asked if a in data.dims])),
        }

    def here(self) -> xr.Dataset:
        """The data at the present position, without the controls' axes."""
        if self.on_grid():
            return self._grid.sel(self.position())
        if self._live is None or self._live["position"] != self.position():
            raise RuntimeError(
                f"the position {self.position()} was not computed: live() failed there"
            )
        return record.unpack(self._live["data"])

    def words(self) -> str:
        """The caption at the present position."""
        here, position = self.here(), self.position()

        def value(match):
            name, digits = match[1], int(match[2] or 3)
            return plot.human(
                position[name] if name in position else here[name].values.tolist(), digits
            )

        notes = [text for quantity, text in self._spec["notes"] if float(here[quantity]) > 0]
        sentences = [
            re.sub(r"{(\w+):?(\d*)}", value, text) for text in [*self._spec["caption"], *notes]
        ]
        return " ".join(text for text in sentences if "undefined" not in text)

    def _picture(self):
        here = self.here()
        fig, grid = plot.axes(ncols=len(self._views), height=3.4)
        panels = zip(np.atleast_1d(grid), self._views)
        return plot.Picture(fig, " ".join(draw(ax, view, here, self) for ax, view in panels))

    def _repr_mimebundle_(self, **kwargs):
        kernel = super()._repr_mimebundle_(**kwargs)
        bundle, metadata = kernel if isinstance(kernel, tuple) else (kernel or {}, {})
        state = {"_spec": self._spec, "_data": self._data, **self.position()}
        words = self.words()
        page = static(
            self._spec["name"], self._spec["title"], words, self._picture().image(), state
        )
        return {**bundle, "text/html": page, "text/plain": f"Explorer: {words}"}, metadata

    def __setattr__(self, name, value):
        if not name.startswith("_") and not hasattr(self, name):
            raise AttributeError(
                f"this Explorer has no control {name!r}; its controls are {list(self._axes)}"
            )
        super().__setattr__(name, value)


def _trait(values, start):
    if isinstance(start, str):
        return traitlets.Enum(values, default_value=start)
    number = traitlets.Int if all(isinstance(v, int) for v in values) else traitlets.Float
    return number(start, min=min(values), max=max(values))
