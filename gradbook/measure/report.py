"""A measurement as a picture, with what is wrong beside it."""

from __future__ import annotations

import html
import itertools
import textwrap
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import xarray as xr

from ..show import plot
from .diagnosis import Diagnosis, diagnose
from .pictures import pass_figure, run_explorer, run_figure
from .probe import probe

if TYPE_CHECKING:
    from .watch import watch

__all__ = ["report", "Report"]

LINES = 40  # of the table, in a terminal
COLUMNS = ("signal", "grad_norm", "update_ratio", "dead", "not_finite")  # 80 characters wide
STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
padding: 0 1rem } li { margin: 0.7rem 0 } figure { margin: 1rem 0 }
pre { overflow-x: auto; font-size: 0.85rem } :root { color-scheme: light dark }"""


def report(
    model: torch.nn.Module | xr.Dataset | watch,
    loss: Callable[[], torch.Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    sharpness: float | None = None,
) -> Report:
    """Measure a model, and show what was seen: a figure, and in words what is wrong.

    The arguments are those of :func:`gradbook.measure.probe`; or a watch, or a data set of probe or
    watch, stands alone.  In a notebook it is shown as a figure, ``print`` gives text of 80 columns,
    ``save`` writes one file of HTML.  Raises what probe and diagnose raise.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> print(gb.report(model, lambda: model(torch.ones(5, 3)).mean()).diagnosis.verdict)
    healthy
    """
    if not isinstance(model, torch.nn.Module) and hasattr(model, "dataset"):  # a watch
        model = model.dataset()
    if not isinstance(model, xr.Dataset):
        if loss is None:
            raise TypeError("loss is missing: report(model, lambda: criterion(model(x), y))")
        model = probe(model, loss, optimizer)
    return Report(model, sharpness)


class Report:
    """What :func:`report` gives: ``data``, ``diagnosis``, ``picture``.

    >>> import torch
    >>> linear, sigmoid = lambda: torch.nn.Linear(8, 8), torch.nn.Sigmoid
    >>> model = torch.nn.Sequential(*[make() for _ in range(30) for make in (linear, sigmoid)])
    >>> r = gb.report(model, lambda: model(torch.randn(16, 8)).square().mean())
    >>> r.diagnosis.verdict, r.data.sizes["layer"]
    ('vanishing', 30)
    """

    def __init__(self, data: xr.Dataset, sharpness: float | None = None) -> None:
        self.data: xr.Dataset = data
        self.diagnosis: Diagnosis = diagnose(data, sharpness)
        fig = run_figure(data) if "step" in data.dims else pass_figure(data)
        self.picture: plot.Picture = plot.show(fig, self._alternative())

    def _alternative(self):
        """What the figure shows, in a sentence or two."""
        kind = "layer by layer over the steps" if "step" in self.data.dims else "layer by layer"
        first = self.diagnosis.findings[0].what if self.diagnosis.findings else ""
        return f"Signal and weight gradient, {kind}. Verdict: {self.diagnosis.verdict}. {first}"

    def __str__(self) -> str:
        lines = str(self.diagnosis).split("\n")
        indent = [len(line) - len(line.lstrip()) for line in lines]
        whole = {"break_long_words": False, "break_on_hyphens": False}
        words = [
            textwrap.wrap(line, 80, subsequent_indent=" " * n, **whole)
            for line, n in zip(lines, indent)
        ]
        return "\n".join([*itertools.chain(*words), "", self._table(LINES)])

    def _table(self, most=10_000):
        """The numbers; of a run those of its last step at which all is finite."""
        data, head = self.data, []
        if "step" in data.dims:
            sound = (data.not_finite == 0).all("layer").values
            data = data.isel(step=int(sound.nonzero()[0][-1]) if sound.any() else 0)
            head = [f"At step {int(data.step)}:"]
        columns = [name for name in COLUMNS if name in data]
        names = [str(name) for name in data.layer.values]
        width = min(max(map(len, ["layer", *names])), 15)
        rows = []
        for i, name in enumerate(names):
            numbers = (float(data[column][i]) for column in columns)
            rows.append(f"{name[-width:]:{width}}" + "".join(f"{n:13.3g}" for n in numbers))
        if len(rows) > most:
            rows[most // 2 : -most // 2] = [f"… {len(rows) - most} layers more …"]
        head.append(f"{'layer':{width}}" + "".join(f"{name:>13}" for name in columns))
        return "\n".join([*head, *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<div class="gb-report">{self._figure()}{self._findings()}</div>'

    def _figure(self):
        return self.picture._repr_mimebundle_()["text/html"]

    def _findings(self):
        head, *_ = str(self.diagnosis).split("\n")
        rows = [
            f"<li>{html.escape(f.what)}<br><em>Why:</em> {html.escape(f.why)}.<br><em>Remedy:</em> "
            f'{html.escape(f.remedy)}. <a href="{f.link}">The chapter</a></li>'
            for f in self.diagnosis.findings
        ]
        notes = "".join(f"<p>Note: {html.escape(note)}</p>" for note in self.diagnosis.notes)
        return f"<p><strong>{html.escape(head)}</strong></p><ul>{''.join(rows)}</ul>{notes}"

    def save(self, path: str | Path) -> None:
        """Write one file of HTML that opens offline: figure, findings and numbers.

        Of a run, every step too, to move through, if that is more than one. Raises ValueError if
        ``path`` does not end in .html.
        """
        if Path(path).suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"path is {str(path)!r}; what save writes is HTML, so end it in .html")
        room, moving, script = files("gradbook.show"), "", ""
        if self.data.sizes.get("step", 1) > 1:
            moving = run_explorer(self.data)._repr_mimebundle_()[0]["text/html"]
            script = f"<script>{(room / 'explorer.js').read_text('utf-8')}</script>"
        style = STYLE + (room / "explorer.css").read_text("utf-8")
        text = plot.inline(
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>Gradients</title>'
            f"<style>{style}</style><main><h1>Gradients, layer by layer</h1>{self._figure()}"
            f'{self._findings()}{moving}<pre tabindex="0">{html.escape(self._table())}</pre></main>'
            f"{script}</html>"
        )
        Path(path).write_text(text, "utf-8")
