"""Clipped trainings and means against torch's own clipping and autograd."""

import numpy as np
import pytest
import torch
from torch import nn

from gradbook import data, experiments, sweeps


def test_clipped_descent_is_that_of_torch():
    start, grads = torch.randn(3, 4).double(), [torch.randn(3, 4).double() * s for s in (5, 0.01)]
    p = nn.Parameter(start.clone())
    optimizer, rule, ours = torch.optim.SGD([p], 0.3), experiments.clipped_descent(1.0)(0.3), start
    for g in grads:
        p.grad = g.clone()
        nn.utils.clip_grad_norm_([p], 1.0)
        optimizer.step()
        [update], _ = rule.update([g], rule.init([ours]), [ours])
        ours = ours + update
    torch.testing.assert_close(ours, p.detach())


def test_the_map_is_made_of_trainings():
    options = {"gain": [1.5, 3.0], "units": 6, "steps": 40, "seed": [0, 3]}
    found = experiments.clipping_map([0.5, 50.0], [0.1, 1.0], length=5, **options)
    assert dict(found.end.sizes) == {"max_norm": 2, "lr": 2, "gain": 2}
    alone = sweeps.learn_sequences(
        "Gaussian", 5, lr=1.0, rule=experiments.clipped_descent(0.5), **options
    ).squeeze("bias")
    here = found.sel(max_norm=0.5, lr=1.0)
    end = alone.loss.isel(step=slice(-20, None)).mean("step").median("seed")
    np.testing.assert_allclose(here.end, end, rtol=1e-5)
    share = 100 * (alone.grad_norm > 0.5).mean(["seed", "step"])
    np.testing.assert_allclose(here.cut, share)


def test_means_of_clipped_gradients_are_those_of_a_loop():
    found = experiments.clipped_means([3], width=5, seed=[2])
    x, y = (torch.from_numpy(a) for a in data.digits()[:2])
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 10))
    optimizer, chance = torch.optim.SGD(model.parameters(), lr=0.1), np.random.default_rng(2)

    def gradient(x, y):
        model.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        return torch.cat([p.grad.flatten().clone() for p in model.parameters()])

    for _ in range(3):
        rows = torch.from_numpy(chance.integers(len(x), size=32))
        gradient(x[rows], y[rows])
        optimizer.step()
    each = torch.stack([gradient(a[None], b[None]) for a, b in zip(x, y)])
    norms, whole = each.norm(dim=1), gradient(x, y)
    median = norms.sort().values[(len(norms) - 1) // 2]
    left = torch.stack([g * min(1.0, (median / n).item()) for g, n in zip(each, norms)]).mean(0)
    here = found.sel(of="each example", step=3, seed=2)
    cosine = nn.functional.cosine_similarity(left, whole, dim=0).item()
    assert here.cosine.item() == pytest.approx(cosine, abs=1e-4)
    assert here.length.item() == pytest.approx((left.norm() / whole.norm()).item(), rel=1e-3)
    batches = found.sel(of="each mini-batch", step=3, seed=2)
    assert batches.cosine > here.cosine and batches.length > here.length


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: experiments.clipped_descent(0.0), "max_norm is 0.0"),
        (lambda: experiments.clipping_map(0.0, 0.1), "max_norm"),
        (lambda: experiments.clipping_map(1.0, 0.1, steps=10), "steps is 10"),
        (lambda: experiments.clipped_means([]), "step is empty"),
        (lambda: experiments.clipped_means([0], batch=0), "batch is 0"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
