"""What a verdict consists of, and what it is judged from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xarray as xr

__all__ = ["Threshold", "Finding", "Diagnosis", "Evidence", "UNSCALED", "of_its_size"]

BOOK = "https://gradients-that-flow.github.io/gradients-that-flow/chapters/"
CHAPTERS = {  # where each verdict, or a quantity of its own, is explained, and its remedies
    "vanishing": "3-remedies/initialization",
    "exploding": "3-remedies/initialization",
    "saturated": "3-remedies/normalization",
    "dead": "2-vanishing-exploding/measuring-gradients",
    "non-finite": "2-vanishing-exploding/measuring-gradients",
    "wrong loss": "2-vanishing-exploding/measuring-gradients",
    "wrong input": "2-vanishing-exploding/measuring-gradients",
    "symmetric": "3-remedies/initialization",
    "not trained": "2-vanishing-exploding/measuring-gradients",
    "unstable": "4-optimizers/learning-rate",
    "stalled": "4-optimizers/learning-rate",
    "signal_in_time": "2-vanishing-exploding/recurrent-networks",
}
HEALTHY = (
    "Signal and weight gradients are of one size through the layers, "
    "and nothing is dead, saturated or not finite."
)


class Threshold(NamedTuple):
    """A limit, and the reason for it."""

    value: float
    reason: str


UNSCALED = Threshold(
    10.0, "standardized inputs have a size of 1; at 10 the first layer's curvature is a hundredfold"
)


def of_its_size(share: float) -> str:
    """A change in words: 43% of its size, 2.4e+04 times its size."""
    return f"{share:.0%} of its size" if share < 10 else f"{share:.2g} times its size"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the ``value`` of ``quantity`` in ``layer``, beyond ``threshold``.

    ``what`` is seen, ``why``, and the ``remedy``: three texts.

    >>> import torch
    >>> linear, sigmoid = lambda: torch.nn.Linear(8, 8), torch.nn.Sigmoid
    >>> model = torch.nn.Sequential(*[make() for _ in range(30) for make in (linear, sigmoid)])
    >>> found = gb.diagnose(gb.probe(model, lambda: model(torch.randn(16, 8)).square().mean()))
    >>> worst = found.findings[0]
    >>> worst.verdict, worst.value < worst.threshold
    ('vanishing', True)
    """

    verdict: str
    layer: str
    quantity: str
    value: float
    threshold: float
    what: str
    why: str
    remedy: str

    @property
    def link(self) -> str:
        """The chapter that explains it."""
        return f"{BOOK}{CHAPTERS.get(self.quantity, CHAPTERS[self.verdict])}.html"

    def __str__(self) -> str:
        return f"{self.what}\n  Why: {self.why}.\n  Remedy: {self.remedy}\n  {self.link}"


@dataclass(frozen=True)
class Diagnosis:
    """A ``verdict``, the ``findings`` behind it with the gravest first, and ``notes``.

    ``partial``: a part that is trained was not measured.  ``str`` and ``print`` show all of it as
    a text.

    >>> import torch
    >>> linear, sigmoid = lambda: torch.nn.Linear(8, 8), torch.nn.Sigmoid
    >>> model = torch.nn.Sequential(*[make() for _ in range(30) for make in (linear, sigmoid)])
    >>> found = gb.diagnose(gb.probe(model, lambda: model(torch.randn(16, 8)).square().mean()))
    >>> found.verdict, len(found.findings) > 0
    ('vanishing', True)
    """

    verdict: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    partial: bool = False

    def __str__(self) -> str:
        where = " where it was measured" if self.partial and not self.findings else ""
        head = f"Verdict: {self.verdict}{where}." + ("" if self.findings else f" {HEALTHY}")
        return "\n".join([head, *map(str, self.findings), *(f"Note: {n}" for n in self.notes)])

    __repr__ = __str__


@dataclass(frozen=True)
class Evidence:
    """A data set of probe or watch, as the rules read it.

    Of a data set with steps, ``window`` is the median over its later half: the later half of what
    came before anything was NaN or infinite.
    """

    data: xr.Dataset
    sharpness: float | None = None

    @cached_property
    def window(self):
        if "step" not in self.data.dims:
            return self.data
        sound = self.data.isel(step=slice(None, self.first_bad or None))
        later = slice(sound.sizes["step"] // 2, None)
        return sound.isel(step=later).median("step", skipna=True)

    @cached_property
    def bad(self):
        """Whether anything was NaN or infinite, (step,).

        Infinity in an output is no fault by itself: a mask of −inf is meant so.
        """
        forward, backward = self.broken("forward"), self.broken("backward")
        loss = self.told("loss")
        ill = backward.any() or self.told("not_finite_parameters")
        if not (ill or (loss is not None and not np.isfinite(loss))):
            forward = np.zeros_like(forward)
        return (forward | backward).any(1)

    @cached_property
    def first_bad(self):
        """The place of the first such step, None if there is none."""
        return int(np.argmax(self.bad)) if self.bad.any() else None

    @cached_property
    def layers(self):
        return [str(name) for name in self.data.layer.values]

    @cached_property
    def steps(self):
        """The steps that were measured; None of one pass alone."""
        return self.data.step.values if "step" in self.data.dims else None

    def told(self, attribute):
        """What the data set says of the whole, None if it does not."""
        return self.data.attrs.get(attribute)

    @cached_property
    def last_loss(self):
        """The loss that was seen last, None if none was."""
        if "seen" in self.data.dims:
            return float(self.data.loss.values[-1])
        return self.told("loss")

    def of(self, quantity):
        """A quantity of every layer in the window, as floats; NaN where it was not measured."""
        if quantity not in self.window:
            return np.full(len(self.layers), np.nan)
        return self.window[quantity].values.astype(float)

    def course_of(self, quantity):
        """A quantity of every layer at every step, (step, layer); NaN where it was not measured."""
        if quantity not in self.data:
            return np.full((self.data.sizes.get("step", 1), len(self.layers)), np.nan)
        return np.atleast_2d(self.data[quantity].values.astype(float))

    def first(self, quantity):
        """The same at the first step."""
        return self.course_of(quantity)[0]

    def broken(self, way):
        """Whether ``way``, forward or backward, was not finite, (step, layer)."""
        name = f"not_finite_{way}"
        count = self.data[name if name in self.data else "not_finite"].values
        return np.atleast_2d(count > 0)

    @cached_property
    def arrows(self):
        """(from, to) for every pair of layers, the second of which gets the first's output."""
        place = {name: i for i, name in enumerate(self.layers)}
        pairs = [arrow.split(" → ") for arrow in self.told("paths") or []]
        return [(place[a], place[b]) for a, b in pairs if a in place and b in place]

    def leading_to(self, last):
        """Places of the layers from which the layer ``last`` is reached, and its own."""
        if not self.arrows:
            return set(range(last + 1))
        found, before = {last}, [last]
        while before:
            i = before.pop()
            new = {a for a, b in self.arrows if b == i} - found
            found |= new
            before += new
        return found

    @cached_property
    def exits(self):
        """Places of the layers whose output goes into no other layer that was measured."""
        starts = {arrow.split(" → ")[0] for arrow in self.told("paths") or []}
        return [i for i, name in enumerate(self.layers) if name not in starts]
