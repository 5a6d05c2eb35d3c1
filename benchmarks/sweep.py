"""sweep() against a loop of torch modules, in one run; prints rows for README.md."""

import itertools
import subprocess
import sys
import time
from pathlib import Path

import torch

import gradbook as gb
from gradbook import data
from gradbook.devices import device

WIDTH, BATCH, WHERE = 64, 32, device()
DIGITS = data.digits()


def loop_of_modules(depth, networks, steps):
    """Seconds per network and step of what people write: nn.Sequential and torch.optim.SGD."""
    x, y = torch.from_numpy(DIGITS.x_train).to(WHERE), torch.from_numpy(DIGITS.y_train).to(WHERE)
    start = time.perf_counter()
    for seed in range(networks):
        torch.manual_seed(seed)
        sizes = [64, *[WIDTH] * depth, 10]
        layers = [
            m
            for i, o in itertools.pairwise(sizes)
            for m in (torch.nn.Linear(i, o), torch.nn.ReLU())
        ][:-1]
        model = torch.nn.Sequential(*layers).to(WHERE)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(steps):
            rows = torch.randint(len(x), (BATCH,), device=WHERE)
            loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    wait()
    return (time.perf_counter() - start) / networks / steps


def stacked(depth=10, networks=100, steps=100, width=WIDTH):
    """Seconds per network and step of sweep."""
    start = time.perf_counter()
    gb.sweep(
        depth=depth,
        width=width,
        batch=BATCH,
        seed=range(networks),
        lr=0.01,
        sigma_w=2**0.5,
        steps=steps,
        record_every=steps,
        progress=False,
    )
    return (time.perf_counter() - start) / networks / steps


def wait():
    """A device works on after Python has gone on."""
    if WHERE.type != "cpu":
        getattr(torch, WHERE.type).synchronize()


def peak(side=2048 if WHERE.type == "cpu" else 8192):
    """Floating-point operations per second of a large float32 matrix product."""
    a, seconds = torch.randn(side, side, device=WHERE), []
    for _ in range(8):
        wait()
        start = time.perf_counter()
        a @ a
        wait()
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)


def products(depth, networks=25, seconds=1.0):
    """Floating-point operations per second of a layer's batched product alone, layer after
    layer.
    """
    h = torch.randn(depth, networks, BATCH, WIDTH, device=WHERE)
    W = torch.randn(depth, networks, WIDTH, WIDTH, device=WHERE)
    out, rounds, start = torch.empty_like(h), 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for layer in range(depth):
            torch.bmm(h[layer], W[layer], out=out[layer])
        rounds += 1
    wait()
    return rounds * 2 * h.numel() * WIDTH / (time.perf_counter() - start)


def against_a_loop(repeats=7, steps=200):
    print(
        "| depth | against a loop of modules (least – most) | share of "
        "the matrix-product peak | products alone |\n|---|---|---|---|"
    )
    for depth in (10, 50):
        stacked(depth, 100, 5), loop_of_modules(depth, 2, 5)
        ratios, shares, bare = [], [], []
        for _ in range(repeats):
            ours, theirs = stacked(depth, 100, steps), loop_of_modules(depth, 5, steps)
            # forward, δ (not for the data), ∂W
            work = 6 * BATCH * (64 * WIDTH * 2 / 3 + (depth - 1) * WIDTH**2 + WIDTH * 10)
            ratios.append(theirs / ours)
            top = peak()
            shares.append(work / ours / top)
            bare.append(products(depth) / top)
        ratios.sort()
        print(
            f"| {depth} | {ratios[repeats // 2]:.1f} × ({ratios[0]:.1f} – {ratios[-1]:.1f}) "
            f"| {sorted(shares)[repeats // 2]:.0%} | {sorted(bare)[repeats // 2]:.0%} |",
            flush=True,
        )


def cost_plot(path):
    """Cost of a network-step against depth, width and number of networks, relative to depth 10,
    width 64, 100 networks.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    panels = {
        "depth": [2, 5, 10, 20, 50],
        "width": [16, 32, 64, 128, 256],
        "networks": [1, 3, 10, 30, 100, 300],
    }
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained", sharey=True)
    reference = min(stacked(steps=50) for _ in range(3))
    for axis, (name, values) in zip(axes, panels.items()):
        costs = [
            min(
                stacked(**{name: v}, steps=50 if name != "networks" or v > 1 else 400)
                for _ in range(3)
            )
            / reference
            for v in values
        ]
        axis.loglog(values, costs, "o-")
        axis.set(xlabel=name, xticks=values, xticklabels=values)
        axis.minorticks_off()
        print(
            f"| {name} | " + ", ".join(f"{v}: {c:.2f}" for v, c in zip(values, costs)) + " |",
            flush=True,
        )
    axes[0].set_ylabel("cost of a network-step\n(depth 10, width 64, 100 networks: 1)")
    figure.savefig(path, metadata={"Date": None})


def memory():
    """Peak resident memory of the whole grid, in a process of its own."""
    code = (
        "import resource, gradbook as gb; gb.sweep(depth=[2, 4, 6, 8, 10, 14, 20, "
        "30, 40, 50], seed=range(100), steps=5, record_every=5, progress=False);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(f"| depth 2 – 50 × 100 networks | {float(run.stdout):.2f} GiB |")


if __name__ == "__main__":
    against_a_loop()
    cost_plot(Path(__file__).with_name("cost.svg"))
    memory()
