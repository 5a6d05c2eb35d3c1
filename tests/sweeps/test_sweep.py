"""Stacks of networks against a loop of torch modules."""

import math
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gradbook as gb
from gradbook import data, nets, record
from gradbook.sweeps import grids
from gradbook.sweeps.sweep import cores

DIGITS = data.digits()


def module_like(depth, width, activation, sigma_w, seed, dtype):
    """A torch module with the weights that sweep draws."""
    rng = np.random.default_rng(seed)
    phi = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}[activation]
    layers = []
    for fan_in, fan_out in zip([64, *[width] * depth], [*[width] * depth, 10]):
        linear = torch.nn.Linear(fan_in, fan_out, dtype=dtype)
        with torch.no_grad():
            linear.weight.copy_(
                sigma_w * torch.from_numpy(nets.initialization("normal")(rng, fan_in, fan_out)).T
            )
            rng.standard_normal((1, fan_out), dtype=np.float32)
            linear.bias.zero_()
        layers += [linear, phi()]
    return torch.nn.Sequential(*layers[:-1])


def losses_of_a_module(model, optimizer, seed, steps, clip=math.inf):
    """The training losses of a torch module on the mini-batches that sweep draws."""
    batches, losses = np.random.default_rng([seed, 1]), []
    for _ in range(steps + 1):
        rows = batches.integers(len(DIGITS.x_train), size=8)
        loss = torch.nn.functional.cross_entropy(
            model(torch.from_numpy(DIGITS.x_train[rows])), torch.from_numpy(DIGITS.y_train[rows])
        )
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    return losses


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_training_equals_a_loop_of_modules(activation):
    lrs, seeds = [0.05, 0.2], [0, 3]
    ours = gb.sweep(
        depth=3,
        width=16,
        activation=activation,
        lr=lrs,
        seed=seeds,
        steps=30,
        batch=8,
        device="cpu",
    )
    for lr in lrs:
        for seed in seeds:
            model = module_like(3, 16, activation, 1.0, seed, torch.float32)
            losses = losses_of_a_module(
                model, torch.optim.SGD(model.parameters(), lr=lr), seed, steps=30
            )
            np.testing.assert_allclose(ours.loss.sel(lr=lr, seed=seed), losses, rtol=2e-4)


def test_layer_quantities_equal_per_example_autograd():
    ours = gb.sweep(
        depth=4, width=12, activation="tanh", sigma_w=1.3, seed=5, batch=6, device="cpu"
    ).isel(step=0)
    model = module_like(4, 12, "tanh", 1.3, 5, torch.float64)
    rows = np.random.default_rng([5, 1]).integers(len(DIGITS.x_train), size=6)
    x, y = torch.from_numpy(DIGITS.x_train[rows]).double(), torch.from_numpy(DIGITS.y_train[rows])
    linears = [m for m in model if isinstance(m, torch.nn.Linear)]
    signal, weight = np.zeros((6, 5)), np.zeros((6, 5))
    for a in range(6):  # the loss of one example at a time
        loss = torch.nn.functional.cross_entropy(model(x[a : a + 1]), y[a : a + 1])
        grads = torch.autograd.grad(loss, [p for m in linears for p in (m.weight, m.bias)])
        weight[a] = [g.norm().item() for g in grads[::2]]
        signal[a] = [g.norm().item() for g in grads[1::2]]  # ∂loss/∂b is δ
    loss = torch.nn.functional.cross_entropy(model(x), y)
    batch = [g.norm().item() for g in torch.autograd.grad(loss, [m.weight for m in linears])]
    np.testing.assert_allclose(ours.signal, np.sqrt((signal**2).mean(0)), rtol=1e-4)
    np.testing.assert_allclose(ours.example_grad_norm, np.sqrt((weight**2).mean(0)), rtol=1e-4)
    np.testing.assert_allclose(ours.grad_norm, batch, rtol=1e-4)
    assert ours.activation_rms[0] == pytest.approx(x.square().mean().sqrt().item(), rel=1e-5)


def test_a_stack_is_its_networks_one_by_one():
    many = gb.sweep(
        depth=[2, 4], width=8, sigma_w=[0.5, 2.0], lr=[0.1, 1.0], seed=range(12), steps=3
    )
    one = gb.sweep(depth=4, width=8, sigma_w=2.0, lr=1.0, seed=7, steps=3)
    np.testing.assert_allclose(
        many.loss.sel(depth=4, sigma_w=2.0, lr=1.0, seed=7), one.loss, rtol=1e-5
    )
    assert many.loss.dims == ("depth", "sigma_w", "lr", "seed", "step")
    again = gb.sweep(
        depth=[2, 4], width=8, sigma_w=[0.5, 2.0], lr=[0.1, 1.0], seed=range(12), steps=3
    )
    assert many.identical(again)


def test_overflow_and_underflow_are_named():
    net = gb.sweep(depth=60, width=16, activation="relu", sigma_w=30.0, seed=0).isel(step=0)
    assert 20 < net.overflow_layer < 40 and net.diverged
    net = gb.sweep(depth=60, width=16, activation="sigmoid", sigma_w=0.2, seed=0).isel(step=0)
    assert net.signal.sel(layer=1) == 0 and net.overflow_layer == 0
    tiny = gb.sweep(depth=28, width=16, activation="sigmoid", sigma_w=0.2, seed=0).isel(step=0)
    assert 0 < tiny.signal.sel(layer=1) < 1e-30


@settings(deadline=None, max_examples=25)
@given(
    depth=st.integers(1, 6),
    width=st.integers(1, 9),
    steps=st.integers(0, 3),
    every=st.integers(1, 4),
    batch=st.integers(1, 5),
)
def test_shapes(depth, width, steps, every, batch):
    net = gb.sweep(depth=depth, width=width, steps=steps, record_every=every, batch=batch)
    assert net.step.values.tolist() == sorted({*range(0, steps + 1, every), steps})
    assert net.signal.shape == (len(net.step), depth + 1)
    assert ("accuracy" in net) == (steps > 0)


def test_stack_size_does_not_show(monkeypatch):
    wide = gb.sweep(depth=2, width=8, seed=range(6), steps=2)
    monkeypatch.setitem(grids.STACK, "cpu", 2)
    narrow = gb.sweep(depth=2, width=8, seed=range(6), steps=2)
    np.testing.assert_allclose(wide.loss, narrow.loss, rtol=1e-6)


def test_several_nets_and_rules_are_axes():
    made = gb.sweep(
        depth=[4, 30],
        net={
            "plain": nets.mlp,
            "residual": partial(nets.residual, scale=0.2),
            "dense": nets.dense,
            "normalized": nets.normalized,
        },
        rule={"SGD": gb.rules.sgd, "Adam": gb.rules.adam},
        width=16,
        lr=0.01,
        sigma_w=2**0.5,
        steps=3,
    )
    assert made.loss.dims == ("net", "rule", "depth", "step") and made.net.values.tolist()[:2] == [
        "plain",
        "residual",
    ]
    alone = gb.sweep(
        depth=30,
        net=partial(nets.residual, scale=0.2),
        rule=gb.rules.adam,
        width=16,
        lr=0.01,
        sigma_w=2**0.5,
        steps=3,
    )
    np.testing.assert_allclose(
        made.loss.sel(net="residual", rule="Adam", depth=30), alone.loss, rtol=1e-5
    )
    assert "net" not in alone.coords and "example_grad_norm" not in alone
    growth = [
        record.growth_per_layer(
            made.signal.isel(step=0).sel(depth=30, rule="SGD", net=n, layer=slice(1, 30))
        ).item()
        for n in ("residual", "normalized")
    ]
    assert growth[0] == pytest.approx(1.04**0.5, rel=0.05) and growth[1] == pytest.approx(
        (math.pi / (math.pi - 1)) ** 0.5, rel=0.1
    )


@pytest.mark.parametrize(
    "rule, theirs",
    [
        (gb.rules.adam, torch.optim.Adam),
        (lambda lr: gb.rules.chain(gb.rules.clip_norm(0.5), gb.rules.sgd(lr, momentum=0.9)), None),
    ],
)
def test_rules_train_a_stack_as_torch_trains_modules(rule, theirs):
    seeds = range(3)
    ours = gb.sweep(
        depth=3, width=16, activation="tanh", lr=0.01, seed=seeds, rule=rule, steps=20, batch=8
    )
    for seed in seeds:
        model = module_like(3, 16, "tanh", 1.0, seed, torch.float32)
        optimizer = (
            theirs(model.parameters(), lr=0.01)
            if theirs
            else torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        )
        losses = losses_of_a_module(
            model, optimizer, seed, steps=20, clip=math.inf if theirs else 0.5
        )
        np.testing.assert_allclose(ours.loss.sel(seed=seed), losses, rtol=2e-3)


def test_lsuv_starts_with_unit_variance():
    made = gb.sweep(depth=12, width=64, activation="tanh", init="lsuv", seed=[0, 1], batch=64)
    lsuv, orthogonal = (
        gb.sweep(depth=12, width=64, activation="relu", init=init).activation_rms[0]
        for init in ("lsuv", "orthogonal")
    )
    assert lsuv[-1] > 30 * orthogonal[-1]  # ReLU halves the mean square 11 times
    assert np.isfinite(made.loss).all()
    plain, gaussian = (
        gb.sweep(depth=12, width=64, activation="relu", init=init).activation_rms[0]
        for init in ("normal", "lsuv_normal")
    )
    assert gaussian[-1] > 30 * plain[-1]
    assert not np.allclose(gaussian, lsuv, rtol=1e-3)


def test_an_executors_map_gives_the_same(monkeypatch):
    monkeypatch.setitem(grids.STACK, "cpu", 3)
    arguments = dict(depth=2, width=8, seed=range(7), lr=[0.01, 0.1], steps=3)
    here = gb.sweep(**arguments)
    with ThreadPoolExecutor(2) as pool:
        assert here.identical(gb.sweep(**arguments, map=pool.map))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        np.testing.assert_allclose(here.loss, gb.sweep(**arguments, map=pool.map).loss, rtol=1e-5)


@pytest.mark.filterwarnings("default")  # what Dask warns of is not ours
def test_dask_spreads_the_same_work(monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setitem(grids.STACK, "cpu", 3)
    arguments = dict(depth=2, width=8, seed=range(7), steps=3)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = gb.sweep(**arguments, map=lambda f, jobs: client.gather(client.map(f, jobs)))
    np.testing.assert_allclose(gb.sweep(**arguments).loss, there.loss, rtol=1e-5)


def test_interrupted_it_returns_what_is_there(monkeypatch):
    monkeypatch.setitem(grids.STACK, "cpu", 2)

    def stopped(f, jobs):
        for count, job in enumerate(jobs):
            if count == 2:
                raise KeyboardInterrupt
            yield f(job)

    with pytest.warns(UserWarning, match="after 2 of 3 stacks"):
        made = gb.sweep(depth=2, width=8, seed=range(6), steps=2, map=stopped)
    assert np.isfinite(made.loss).all("step").values.tolist() == [True] * 4 + [False] * 2
    with pytest.raises(KeyboardInterrupt):
        gb.sweep(
            depth=2,
            width=8,
            seed=range(6),
            map=lambda f, jobs: (_ for _ in jobs if (_ for _ in ()).throw(KeyboardInterrupt)),
        )


def test_a_real_interrupt_ends_the_threads():
    code = (
        "import threading, os, signal, warnings, gradbook as gb; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "warnings.simplefilter('ignore'); gb.sweep(depth=2, steps=1);"
        "threading.Timer(6, lambda: os.kill(os.getpid(), signal.SIGINT)).start();"
        "made = gb.sweep(depth=10, seed=range(20_000), steps=20, record_every=20);"
        "n = made.loss.notnull().all('step').sum().item();"
        "print(0 < n < 20_000)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "True", run.stderr[-2000:]


def test_threads_are_given_back():
    before = torch.get_num_threads()
    gb.sweep(depth=2, width=8, seed=range(60), steps=1)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    "asked, most", [("1", 1), ("0", None), ("", None), ("many", None), ("1,2", 1), ("100000", None)]
)
def test_a_thread_limit_that_means_nothing_limits_nothing(monkeypatch, asked, most):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert cores() == (most or 3)
