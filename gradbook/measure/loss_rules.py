"""What the course of the loss says: one function for each verdict, which reads as its rule."""

from typing import NamedTuple

import numpy as np

from .findings import UNSCALED, Finding, Threshold

__all__ = ["LIMITS", "RULES", "FALL", "course", "slow"]

RISE = Threshold(
    0.5, "a loss that rose by half of its size at the start is not noise around a descent"
)
JUMP = Threshold(0.5, "half as much again as at the start, and far more than the noise")
NOISES = 4  # times what the loss changes from step to step
GAINED = Threshold(0.2, "a fifth of the loss is more than noise gains")
FALL = Threshold(
    0.02, "a loss that fell by less than 2 % of its size over the whole window stands still"
)
SLOW = Threshold(0.15, "a loss that fell by less than 15 % of its size has learned little")


class Course(NamedTuple):
    """The loss of a run: at first, at its least, at its worst afterwards, and at last.

    ``early`` is the largest of the first tenth, ``late`` of the rest, ``noise`` how much it changes
    from step to step.
    """

    first: float
    least: float
    worst: float
    last: float
    early: float
    late: float
    noise: float


def course(seen):
    """The loss over the run, smoothed by the median of a twentieth of it; None if it is short."""
    if "seen" not in seen.data.dims or seen.data.sizes["seen"] < 8:
        return None
    loss = np.where(np.isfinite(seen.data.loss.values), seen.data.loss.values, np.inf)
    n = max(3, len(loss) // 20)
    windows = np.lib.stride_tricks.sliding_window_view(loss, n)
    smooth = np.append(loss[0], np.median(windows, axis=1))  # the first steps may blow up already
    best_so_far = np.minimum.accumulate(smooth)
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        rises = np.nan_to_num(smooth - best_so_far, posinf=np.inf)
    at = int(np.argmax(rises))
    last = np.median(loss[-(len(loss) // 4) :])
    start = max(len(loss) // 10, 5)
    early, late = loss[:start].max(), loss[start:].max()
    sound = loss[: max(at + n, len(loss) // 4)]  # before it went wrong, if it did
    changes = np.abs(np.diff(sound[np.isfinite(sound)]))
    noise = np.median(changes) if changes.size else 0.0
    return Course(smooth[0], best_so_far[at], smooth[at], last, early, late, noise)


def rising(seen):
    """The loss ends, or was for a while, far above its best.

    By RISE of its size at the start, or of what it had gained.
    """
    if not (c := course(seen)):
        return
    if not np.isfinite(c.least):
        what = "The loss is not finite, from the first value on."
        why = "what the loss is computed from is not finite"
        remedy = "look at the data, the labels and the loss function"
        yield Finding("non-finite", "(loss)", "loss", c.first, 0, what, why, remedy)
        return
    size = max(RISE.value * abs(c.first), NOISES * c.noise)
    gained = c.first - c.least
    given_back = gained > GAINED.value * abs(c.first) and c.last - c.least > max(
        RISE.value * gained, NOISES * c.noise
    )
    ended = given_back or c.last - c.least > size or not np.isfinite(c.last)
    blew_up = c.worst - c.least > size and c.worst - c.first > size
    if (seen.data.loss < 0).any() or seen.told("two_players"):  # such a loss need not fall
        blew_up = False
        ended = not np.isfinite(c.last) or c.last - c.first > 2 * size
    if not (ended or blew_up):
        return
    what = f"The loss rises: from {c.least:.3g} to {c.last:.3g}."
    if not ended:
        what = (
            f"The loss blew up, from {c.least:.3g} to {c.worst:.3g}, and came back to {c.last:.3g}."
        )
    why, remedy = reasons_to_rise(seen)
    value, limit = float(c.last if ended else c.worst), float(c.least + size)
    yield Finding("unstable", "(loss)", "loss", value, limit, what, why, remedy)


def jumping(seen):
    """In its first steps the loss jumps: by JUMP of its size, beyond its noise, and never again."""
    if not (c := course(seen)) or not np.isfinite(c.early) or list(rising(seen)):
        return
    limit = c.first + max(JUMP.value * abs(c.first), 2 * NOISES * c.noise)
    if c.early > max(limit, (1 + JUMP.value) * c.late):
        what = f"In the first steps the loss jumps from {c.first:.3g} to {c.early:.3g}."
        why = "the first steps are too long: what the initialization gave is lost in them"
        remedy = "warm-up, or a smaller learning rate"
        yield Finding("unstable", "(loss)", "loss", float(c.early), limit, what, why, remedy)


def reasons_to_rise(seen):
    """Why the loss rises, and a remedy: what the data set knows of it."""
    why = "the step is longer than the curvature allows"
    remedy = "a smaller learning rate; gb.sharpness says how small, gb.lr_range finds one"
    if (seen.data.loss < 0).any():
        why = "the steps may be too long; or the loss, which is negative, need not fall"
    if grown := limit_seen(seen):
        factor, longest = grown
        why += (
            f"; the gradient grows by {factor:.3g} per step, "
            f"so the limit 2/λₘₐₓ is near {longest:.3g}"
        )
        remedy = f"a learning rate below {longest:.2g}"
    if (size := seen.first("activation_rms")[0]) > UNSCALED.value:
        why += f"; the inputs have a size of {size:.3g}, and the curvature grows as its square"
        remedy = f"standardize the inputs; {remedy}"
    if seen.told("summed"):
        why += "; the loss is a sum over the batch, so its gradient grows with the batch"
        remedy = f'reduction="mean"; {remedy}'
    return why, remedy


def limit_seen(seen):
    """The gradient's factor r = |1 − lr·λₘₐₓ| per step, and the limit 2/λₘₐₓ that it implies.

    It holds where the gradient grows by one factor, four steps in a row from the start: of plain
    gradient descent, watched at every step, before the loss is no longer quadratic.
    """
    lr, momentum = seen.told("lr"), seen.told("momentum")
    if lr is None or momentum != 0 or seen.steps is None or len(seen.steps) < 5:
        return None
    if (np.diff(seen.steps) != 1).any():
        return None
    total = np.sqrt((seen.data.grad_norm.astype(float) ** 2).sum("layer").values)
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = total[1:] / total[:-1]
    growing = factors[:4]
    if not np.isfinite(growing).all() or growing.min() <= 1 or growing.max() > 1.1 * growing.min():
        return None
    r = float(np.median(growing))
    return r, 2 * lr / (1 + r)


def standing(seen):
    """The loss neither rose nor fell, by FALL of its size."""
    if not (c := course(seen)) or not np.isfinite([c.first, c.last]).all():
        return
    limit = c.first - FALL.value * abs(c.first)
    if (
        limit < c.last
        and not seen.told("two_players")
        and c.worst - c.least <= RISE.value * abs(c.first)
    ):
        what = f"The loss stays: {c.first:.3g} at first, {c.last:.3g} at last."
        why = "the steps lead nowhere: too short, or in a direction without information"
        remedy = "gb.lr_range shows whether any learning rate learns"
        yield Finding("stalled", "(loss)", "loss", float(c.last), float(limit), what, why, remedy)


def slow(seen):
    """The loss has fallen by less than SLOW of its size."""
    c = course(seen)
    return bool(c) and np.isfinite(c.first) and c.last > c.first - SLOW.value * abs(c.first)


LIMITS = {
    "rise": RISE,
    "jump": JUMP,
    "gained": GAINED,
    "fall": FALL,
    "slow": SLOW,
    "unscaled": UNSCALED,
}
RULES = (rising, jumping, standing)
