"""Hooks inside other people's loops: they change nothing there, and nothing of them stays."""

import contextlib
import sys
from functools import wraps

import torch

__all__ = ["Hook", "quietly", "suspended", "is_suspended", "is_wrapped", "run_uncompiled"]

_suspended = [0]  # how many probes run
_armed = [0]  # how many watches measure the present step


class Hook:
    """A hook that stays with its model: its copy, and what torch.save keeps of it, does nothing."""

    def __init__(self, call):
        self.call = call

    def __call__(self, *given):
        return self.call(*given)

    def __deepcopy__(self, memo):
        return NOTHING

    def __reduce__(self):
        return getattr, (contextlib.nullcontext(), "__exit__")  # which needs no gradbook to load


NOTHING = contextlib.nullcontext().__exit__  # takes anything, and gives nothing


@contextlib.contextmanager
def suspended():
    """Inside, no watch measures: a probe runs."""
    _suspended[0] += 1
    try:
        yield
    finally:
        _suspended[0] -= 1


def is_suspended():
    return _suspended[0] > 0


def is_wrapped(t):
    return torch._C._functorch.is_functorch_wrapped_tensor(t)


def quietly(method):
    """``method``, but an error in it is kept in ``failed``: it runs inside the user's own calls."""

    @wraps(method)
    def safe(self, *given):
        try:
            return method(self, *given)
        except Exception as error:
            self._failed[method.__name__.strip("_")] = f"{type(error).__name__}: {error}"

    return safe


def run_uncompiled(change):
    """Compiled models run uncompiled while any watch is armed: else hooks would not fire."""
    _armed[0] += change
    first_comes_or_last_goes = _armed[0] == max(change, 0)
    if "torch._dynamo" in sys.modules and first_comes_or_last_goes:
        torch.compiler.set_stance("force_eager" if change > 0 else "default")
