"""What a verdict consists of, and what it is judged from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xarray as xr

__all__ = ["Threshold", "Finding", "Diagnosis", "Evidence"]

BOOK = "https://gradients-that-flow.github.io/gradients-that-flow/chapters/"
CHAPTERS = {  # where each verdict is explained, and its remedies
    "vanishing": "3-remedies/initialization",
    "exploding": "3-remedies/initialization",
    "saturated": "3-remedies/normalization",
    "dead": "2-vanishing-exploding/measuring-gradients",
    "non-finite": "2-vanishing-exploding/measuring-gradients",
    "unstable": "4-optimizers/learning-rate",
    "stalled": "4-optimizers/learning-rate",
}
HEALTHY = (
    "Signal and weight gradients are of one size through the layers, "
    "and nothing is dead, saturated or not finite."
)


class Threshold(NamedTuple):
    """A limit, and the reason for it."""

    value: float
    reason: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the ``value`` of ``quantity`` in ``layer``, beyond ``threshold``.

    ``what`` is seen, ``why``, and the ``remedy``: three texts.
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
        return f"{BOOK}{CHAPTERS[self.verdict]}.html"

    def __str__(self) -> str:
        return f"{self.what}\n  Why: {self.why}.\n  Remedy: {self.remedy}\n  {self.link}"


@dataclass(frozen=True)
class Diagnosis:
    """A ``verdict``, the ``findings`` behind it with the gravest first, and ``notes``.

    ``str`` and ``print`` show all of it as a text.
    """

    verdict: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"Verdict: {self.verdict}." + ("" if self.findings else f" {HEALTHY}")
        return "\n".join([head, *map(str, self.findings), *(f"Note: {n}" for n in self.notes)])

    __repr__ = __str__


@dataclass(frozen=True)
class Evidence:
    """A data set of probe or watch, as the rules read it.

    Of a data set with steps, ``window`` is the median over its later half.
    """

    data: xr.Dataset
    sharpness: float | None = None

    @cached_property
    def window(self):
        if "step" not in self.data.dims:
            return self.data
        later = slice(self.data.sizes["step"] // 2, None)
        return self.data.isel(step=later).median("step", skipna=True)

    @cached_property
    def layers(self):
        return [str(name) for name in self.data.layer.values]

    def of(self, quantity):
        """A quantity of every layer in the window, as floats; NaN where it was not measured."""
        if quantity not in self.window:
            return np.full(len(self.layers), np.nan)
        return self.window[quantity].values.astype(float)

    def first(self, quantity):
        """The same at the first step."""
        data = self.data.isel(step=0) if "step" in self.data.dims else self.data
        return data[quantity].values.astype(float)
