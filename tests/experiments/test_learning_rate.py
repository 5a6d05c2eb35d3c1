"""The grid of learning rates and depths against a loop of modules, and the first sharpness against
a full Hessian.
"""

from functools import partial

import numpy as np
import pytest
import torch

from gradbook import data, experiments, nets, sweeps
from gradbook.experiments import learning_rate


def test_first_sharpness_is_the_hessians():
    for net, sigma in ((nets.mlp, 2**0.5), (partial(nets.residual, scale=0.7), 1.0)):
        few = data.digits()
        sizes = nets.layer_sizes(net, 64, 2, 4, 10)
        weights, _ = sweeps.draw_weights("normal", sizes, [3], [sigma], [0.0], "cpu")
        shapes = [*((i, o) for i, o in sizes), *((1, o) for _, o in sizes)]
        x, y = torch.tensor(few.x_train[:50]).double(), torch.tensor(few.y_train[:50])

        def loss(flat):
            parts = [p.view(s) for p, s in zip(flat.split([a * b for a, b in shapes]), shapes)]
            return torch.nn.functional.cross_entropy(
                net(x, parts[: len(sizes)], parts[len(sizes) :], nets.activation("tanh"))[-1], y
            )

        start = torch.cat(
            [*(W[0].detach().flatten() for W in weights), torch.zeros(sum(o for _, o in sizes))]
        ).double()
        exact = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, start))[-1].item()
        found = experiments.first_sharpness(
            net, 2, sigma, activation="tanh", width=4, examples=50, seed=3
        )
        assert found == pytest.approx(exact, rel=0.03)


def test_the_grid_is_what_sweeps_give():
    made = experiments.learning_rates(
        [1, 4],
        [0.05, 100.0],
        ["plain, He", "batch normalization"],
        steps=30,
        seed=[5],
        record_every=30,
    )
    one = sweeps.sweep(
        depth=4,
        activation="relu",
        sigma_w=2**0.5,
        lr=0.05,
        seed=5,
        width=40,
        steps=30,
        record_every=30,
    )
    here = made.sel(net="plain, He", depth=4, lr=0.05)
    assert (
        here.accuracy.item() == round(100 * one.accuracy.item(), 1)
        and here.loss[0].item() == one.loss[0].item()
    )
    assert (
        made.verdict.sel(net="plain, He", lr=100.0)
        .isin(["it blows up for some seed", "it does not learn"])
        .all()
    )
    assert np.isfinite(made.limit).all() and (made.share == made.lr / made.limit).all()


def test_transformers_in_a_stack_are_trained_as_one_by_one():
    rows, labels, x, y = (torch.from_numpy(part) for part in data.digits())
    alone = []
    for seed in (3, 4):
        torch.manual_seed(seed)
        model = learning_rate._Reader(2, 8, norm_first=True)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        draw = torch.Generator().manual_seed(seed)
        for _ in range(15):
            few = torch.randint(len(rows), (16,), generator=draw)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(rows[few]), labels[few]).backward()
            optimizer.step()
        alone.append(100 * (model(x).argmax(1) == y).double().mean().item())
    stacked = experiments.small_transformers(
        lambda t: 0.02, norm_first=True, layers=2, width=8, steps=15, batch=16, seed=[3, 4]
    )
    assert min(alone) > 15 and abs(np.array(alone) - stacked).max() < 2


@pytest.mark.parametrize(
    "bad, says",
    [
        ({"net": "plain"}, "choose from plain, He"),
        ({"lr": [0.0]}, "lr is"),
        ({"depth": 0}, "depth is 0"),
        ({"seed": []}, "seed is empty"),
    ],
)
def test_bad_input(bad, says):
    with pytest.raises(ValueError, match=says):
        experiments.learning_rates(**{"depth": 1, "lr": 0.1, **bad})
