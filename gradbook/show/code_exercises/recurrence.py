"""Exercises of the chapter on recurrent networks."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from .trial import CodeExercise


def _sequences():
    rng = np.random.default_rng(6)
    shapes = [((t, f), (f, n), (n, n), (n,), (t, n)) for t, f, n in ((4, 2, 3), (7, 3, 5))]
    return [[rng.normal(size=shape) for shape in some] for some in shapes]


def _through_time(x, W_x, W_h, b, V, direct=True, carried=True, shift=0):
    h = [np.zeros(len(W_h))]
    for x_t in x:
        h.append(np.tanh(x_t @ W_x + h[-1] @ W_h + b))
    delta, back = np.zeros_like(V), np.zeros(len(W_h))
    for t in reversed(range(len(x))):
        if direct or t == len(x) - 1:
            back = back + V[t]
        delta[t] = back * (1 - h[t + 1] ** 2)
        back = carried * (delta[t] @ W_h.T)
    return x.T @ delta, np.array(h)[shift : len(x) + shift].T @ delta


def _lstms():
    for seed, units, bias in ((0, 3, 3.0), (1, 5, 1.5)):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield nn.LSTM(2, units), bias


def _forget_bias(lstm, bias, gate=1, times=1.0, left=0.0):
    acting = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy().copy()
    own = slice(gate * lstm.hidden_size, (gate + 1) * lstm.hidden_size)
    acting[own] = times * bias + left * lstm.bias_ih_l0.detach().numpy()[own]
    return acting


EXERCISES = {
    "bptt-every-time": CodeExercise(
        _sequences,
        _through_time,
        {
            "last-only": lambda *a: _through_time(*a, direct=False),
            "no-carry": lambda *a: _through_time(*a, carried=False),
            "own-state": lambda *a: _through_time(*a, shift=1),
        },
    ),
    "forget-gate-bug": CodeExercise(
        _lstms,
        _forget_bias,
        {
            "doubled": lambda *a: _forget_bias(*a, times=2.0),
            "left-over": lambda *a: _forget_bias(*a, left=1.0),
            "other-gate": lambda *a: _forget_bias(*a, gate=2),
        },
        rtol=1e-5,
    ),
    "largest-of-powers": CodeExercise(
        lambda: [(0.9, 10.0), (0.5, 2.0), (0.99, 1.0)],
        lambda a, c: -c / (math.e * a * math.log(a)),
        {
            "where": lambda a, c: -1 / math.log(a),
            "one-power-less": lambda a, c: -c / (math.e * math.log(a)),
            "at-the-start": lambda a, c: c,
        },
    ),
}
