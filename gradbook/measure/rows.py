"""From the calls of a pass to rows of numbers."""

import math
from operator import itemgetter

import numpy as np

from .calls import Call
from .inputs import look_together
from .norms import norms, ratio
from .recurrent import IN_TIME

__all__ = [
    "QUANTITIES",
    "NOT_FINITE",
    "reduce",
    "paths",
    "as_array",
    "over_steps",
    "padded",
    "longest",
]

LOOKED_AT = ("activation_rms", "activation_mean", "dead", "saturation")
NOT_FINITE = ("not_finite", "not_finite_forward", "not_finite_backward")
QUANTITIES = ("signal", "grad_norm", "weight_norm", *LOOKED_AT, *NOT_FINITE)
COLUMNS = (*QUANTITIES[:3], "update_ratio", *QUANTITIES[3:])


def reduce(calls, layers, grad, weight, step=None, broken=None, scale=1.0):
    """{row: {quantity: number}} of the calls that took part, in their order.

    ``grad``, ``weight`` and ``step`` are {parameter: its norm}, ``broken`` {parameter: entries of
    its gradient that are not finite}; gradients are too large by ``scale``.
    """
    calls, rows = took_part(calls, layers, grad), {}
    for name, call, numbers in zip(row_names(calls), calls, numbers_of(calls)):
        own = layers[call.module].weights
        numbers["signal"] /= scale
        numbers["grad_norm"] = math.hypot(*(grad[w] for w in own if w in grad)) / scale
        numbers["weight_norm"] = math.hypot(*(weight[w] for w in own))
        if step is not None:
            length = math.hypot(*(step.get(w, math.nan) for w in own))
            numbers["update_ratio"] = ratio(length, numbers["weight_norm"])
        numbers["not_finite_backward"] += sum(broken.get(w, 0) for w in own)
        numbers["not_finite"] = numbers["not_finite_forward"] + numbers["not_finite_backward"]
        rows[name] = numbers
    return rows


def paths(calls, layers, grad):
    """["row → row that gets its output", …] for :func:`reduce`'s rows."""
    calls = took_part(calls, layers, grad)
    named = dict(zip((call.rank for call in calls if call.deltas), row_names(calls)))
    return [
        f"{named[rank]} → {name}"
        for name, call in zip(row_names(calls), calls)
        for rank in sorted(call.after)
        if rank in named
    ]


def took_part(calls, layers, grad):
    """The calls to which a gradient came back; then the layers used without a call.

    Attention uses its output projection so.
    """
    called = sorted((call for call in calls if call.deltas), key=lambda call: call.rank)
    seen = {call.module for call in called}
    used = [n for n, row in layers.items() if n not in seen and any(w in grad for w in row.weights)]
    return called + [Call(name) for name in used]


def row_names(calls):
    """The layers' names; the second call of a layer is name[1]."""
    times = {}
    for call in calls:
        n = times[call.module] = times.get(call.module, -1) + 1
        yield f"{call.module}[{n}]" if n else call.module


def numbers_of(calls):
    """The QUANTITIES of every call as a dictionary of Python numbers, reduced together."""
    found = {id(call): dict.fromkeys(QUANTITIES, math.nan) for call in calls}
    fed = [call for call in calls if call.input]
    for call, seen in zip(fed, look_together([call.input for call in fed])):
        found[id(call)] |= zip(LOOKED_AT, seen)
    sizes = iter(norms([delta for call in calls for delta in call.deltas.values()]))
    for call in calls:
        numbers = found[id(call)]
        if call.deltas:
            # the loss is a mean over the batch; one example's own δ is larger by the batch size
            numbers["signal"] = math.hypot(*(next(sizes) for _ in call.deltas)) * call.batch**0.5
        counted = call.forward is not None
        given = call.input is not None and not math.isfinite(numbers["activation_rms"])
        signal = bool(call.deltas) and not math.isfinite(numbers["signal"])
        numbers["not_finite_forward"] = float(call.forward if counted else given)
        numbers["not_finite_backward"] = float(call.backward if counted else signal)
        yield numbers


def as_array(rows):
    """The rows of :func:`reduce` without their names, (row, column), which takes a tenth of the
    memory.
    """
    return np.array([*map(itemgetter(*COLUMNS), rows.values())]).reshape(-1, len(COLUMNS))


def over_steps(records, times):
    """({quantity: column}, {axis: values}) over ``step`` and ``layer``.

    ``records`` are (step, names, :func:`as_array`), ``times`` the recurrent layers' gradients in
    time.
    """
    layers = list(dict.fromkeys(name for _, names, _ in records for name in names))
    place = {name: i for i, name in enumerate(layers)}
    values = np.full((len(records), len(layers), len(COLUMNS)), np.nan)
    for k, (_, names, numbers) in enumerate(records):
        values[k, [place[name] for name in names]] = numbers
    columns = {q: (("step", "layer"), values[..., i]) for i, q in enumerate(COLUMNS)}
    axes = {"step": [step for step, *_ in records], "layer": layers}
    if any(map(any, (seen.values() for seen in times))):
        length = max(map(longest, times))
        for q in IN_TIME:
            found = [seen.get(name, {}).get(q, []) for seen in times for name in layers]
            flat = padded(found, length).reshape(len(times), len(layers), length)
            columns[q] = (("step", "layer", "time"), flat)
        axes["time"] = range(length)
    return columns, axes


def longest(times):
    """The number of time steps in {layer: {quantity: [number of every time step]}}."""
    return max((len(vs) for found in times.values() for vs in found.values()), default=0)


def padded(rows, length):
    """Lists of unlike lengths as one array, NaN where nothing is."""
    out = np.full((len(rows), length), np.nan)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out
