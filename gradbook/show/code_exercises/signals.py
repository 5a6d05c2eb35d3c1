"""Exercises of the part on vanishing and exploding gradients."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ...nets.activations import activation
from ...theory.meanfield import gaussian_mean
from .trial import CodeExercise


def _layers():
    """Batches of δ, W and z as they meet in one backward step, of unlike sizes."""
    rng = np.random.default_rng(0)
    return [
        (rng.normal(size=(4, m)), rng.normal(size=(n, m)), rng.normal(size=(4, n)))
        for n, m in ((3, 2), (5, 5))
    ]


def _back_through_tanh(delta, W, z):
    return delta @ W.T * (1 - np.tanh(z) ** 2)


def _chi(slope, sigma_w, q):
    return sigma_w**2 * gaussian_mean(lambda z: slope(z) ** 2, q)


SLOPES = [(activation(name).slope, w, q) for name, w, q in (("tanh", 1.5, 0.6), ("gelu", 2.0, 3.0))]

TANH = activation("tanh")
MAPS = [(np.tanh, 1.5, 0.3, 9.0, 0.6), (np.tanh, 2.5, 0.2, 0.1, 0.9)]


def _next_correlation(phi, sigma_w, sigma_b, q, c, divide_by=None):
    def pair_mean(c):
        def inner(u):
            return gaussian_mean(lambda v: phi(c * u + math.sqrt(1 - c * c) * v), q)

        return gaussian_mean(lambda u: phi(u) * np.vectorize(inner)(u), q)

    numerator = sigma_w**2 * pair_mean(c) + sigma_b**2
    return numerator / (
        divide_by or sigma_w**2 * gaussian_mean(lambda z: phi(z) ** 2, q) + sigma_b**2
    )


def _chi_after(layers, start=1.0):
    """χ₁ at the q that so many layers make of ``start``."""

    def chi_1(phi, slope, sigma_w, sigma_b):
        q = start
        for _ in range(layers):
            q = sigma_w**2 * gaussian_mean(lambda z: phi(z) ** 2, q) + sigma_b**2
        return _chi(slope, sigma_w, q)

    return chi_1


def _relu_length(sigma_w, sigma_b, gain=0.5):
    rest = 1 - gain * sigma_w**2
    return sigma_b**2 / rest if rest > 0 else math.inf


def _models():
    """Small ReLU networks, without biases, with a batch and its labels."""
    for seed, sizes in ((0, (5, 6, 3)), (1, (4, 8, 8, 3))):
        rng = torch.Generator().manual_seed(seed)
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(sizes, sizes[1:]):
            layers += [nn.Linear(fan_in, fan_out, bias=False), nn.ReLU()]
            nn.init.normal_(layers[-2].weight, generator=rng)
        x = torch.randn(7, sizes[0], generator=rng)
        yield nn.Sequential(*layers[:-1]), x, torch.arange(7) % 3


def _batches(batches=3):
    for model, x, y in _models():
        yield model, [(x + k, y) for k in range(batches)]


def _signals(model, x, y, of="grad", norm=True):
    outputs = [x]
    for layer in model:
        outputs.append(layer(outputs[-1]))
    kept = [z for layer, z in zip(model, outputs[1:]) if isinstance(layer, nn.Linear)]
    wanted = kept if of == "grad" else [m.weight for m in model if isinstance(m, nn.Linear)]
    found = torch.autograd.grad(F.cross_entropy(outputs[-1], y), wanted)
    return [g.norm().item() if norm else g.abs().max().item() for g in found]


def _norms(model, batches, accumulate=False, total=True):
    sums, norms = None, []
    for x, y in batches:
        found = torch.autograd.grad(F.cross_entropy(model(x), y), [*model.parameters()])
        sums = [s + g for s, g in zip(sums, found)] if sums and accumulate else [*found]
        squares = [g.square().sum().item() for g in sums]
        norms.append(math.sqrt(sum(squares)) if total else sum(math.sqrt(q) for q in squares))
    return norms


def _product(f, y, mean=True, softmax=True):
    f = np.asarray(f)
    p = np.exp(f) / np.exp(f).sum(1, keepdims=True) if softmax else np.zeros_like(f)
    return float(((p - np.eye(f.shape[1])[y]) * f).sum() / (len(f) if mean else 1))


def _logits():
    rng = np.random.default_rng(5)
    return [(rng.normal(size=(6, 4)), np.arange(6) % 4), (rng.normal(size=(3, 5)), np.arange(3))]


EXERCISES = {
    "backward-bug": CodeExercise(
        _layers, _back_through_tanh, {"slope-of-h": lambda d, W, z: d @ W.T * (1 - z**2)}
    ),
    "chi-by-sampling": CodeExercise(
        lambda: SLOPES,
        _chi,
        {
            "square-of-the-mean": lambda s, w, q: w**2 * gaussian_mean(s, q) ** 2,
            "no-square": lambda s, w, q: w**2 * gaussian_mean(s, q),
            "no-weights": lambda s, w, q: _chi(s, 1.0, q),
            "sigma-not-squared": lambda s, w, q: w * _chi(s, 1.0, q),
            "variance-for-deviation": lambda s, w, q: _chi(s, w, q * q),
            "unit-variance": lambda s, w, q: _chi(s, w, 1.0),
            "factor-of-the-signal": lambda s, w, q: math.sqrt(_chi(s, w, q)),
        },
        rtol=0.03,
    ),
    "chi-of-leaky-relu": CodeExercise(
        lambda: [(0.0, 1.0), (0.2, 1.5), (1.0, 0.7)],
        lambda a, sigma_w: sigma_w**2 * (1 + a**2) / 2,
        {
            "relu": lambda a, sigma_w: sigma_w**2 / 2,
            "mean-of-slopes": lambda a, sigma_w: sigma_w**2 * ((1 + a) / 2) ** 2,
            "slopes-not-squared": lambda a, sigma_w: sigma_w**2 * (1 + a) / 2,
            "factor-of-the-signal": lambda a, sigma_w: sigma_w * math.sqrt((1 + a**2) / 2),
        },
    ),
    "correlation-by-sampling": CodeExercise(
        lambda: MAPS,
        _next_correlation,
        {
            "divided-by-q": lambda *a: _next_correlation(*a, divide_by=a[3]),
            "no-bias": lambda phi, w, b, q, c: _next_correlation(phi, w, 0.0, q, c),
            "unit-variance": lambda phi, w, b, q, c: _next_correlation(phi, w, b, 1.0, c),
        },
        rtol=0.02,
    ),
    "chi-bug": CodeExercise(
        lambda: [(TANH, TANH.slope, 1.7, 0.3), (TANH, TANH.slope, 2.5, 0.1)],
        _chi_after(200),
        {"at-one": _chi_after(0), "one-step": _chi_after(1)},
    ),
    "fixed-point-of-relu": CodeExercise(
        lambda: [(1.0, 0.3), (1.3, 1.0), (1.5, 0.2)],
        _relu_length,
        {
            "bias-not-squared": lambda w, b: _relu_length(w, math.sqrt(b)),
            "no-half": lambda w, b: _relu_length(w, b, gain=1.0),
            "negative": lambda w, b: b * b / (1 - w * w / 2),
        },
    ),
    "signals-by-hooks": CodeExercise(
        _models,
        _signals,
        {
            "weights": lambda *a: _signals(*a, of="weights"),
            "reversed": lambda *a: _signals(*a)[::-1],
            "largest": lambda *a: _signals(*a, norm=False),
        },
        rtol=1e-3,
    ),
    "norms-bug": CodeExercise(
        _batches,
        _norms,
        {
            "accumulated": lambda *a: _norms(*a, accumulate=True),
            "sum-of-norms": lambda *a: _norms(*a, total=False),
        },
        rtol=1e-3,
    ),
    "common-product": CodeExercise(
        _logits,
        _product,
        {
            "summed": lambda *a: _product(*a, mean=False),
            "labels-only": lambda *a: _product(*a, softmax=False),
        },
    ),
}
