"""A progress bar that a finished notebook does not keep."""

import io
import os
from collections.abc import Iterable, Iterator
from typing import Any

from IPython import get_ipython
from IPython.display import display
from tqdm import tqdm

__all__ = ["bar"]


def bar(
    steps: Iterable[Any], name: str, total: int | None = None, quiet: bool = False
) -> Iterator[Any]:
    """``steps`` one by one, with a progress bar called ``name`` once a second has passed.

    In a notebook it is text that takes its last state away, where a widget would stay behind in the
    file. ``quiet`` or $TQDM_DISABLE switch it off.

    >>> from gradbook.progress import bar
    >>> [step for step in bar(range(3), "counting")]
    [0, 1, 2]
    """
    shell = get_ipython()
    kind = InNotebook if shell and hasattr(shell, "kernel") else tqdm
    quiet = quiet or bool(os.environ.get("TQDM_DISABLE"))
    return kind(steps, name, total, leave=False, delay=1, disable=quiet)


class InNotebook(tqdm):
    """Shows its line as an output of the cell, and replaces it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.place = None
        super().__init__(*args, file=io.StringIO(), ncols=80, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        line = {"text/plain": str(self) if msg is None else msg}
        if self.place is None:
            self.place = display(line, raw=True, display_id=True)
        else:
            self.place.update(line, raw=True)
