"""sweep() against a loop of torch modules, in one run; prints rows for README.md."""

import itertools
import sys
import time

import torch

import gradbook as gb
from gradbook import data

WIDTH, BATCH = 64, 32
DIGITS = data.digits()


def loop_of_modules(depth, networks, steps):
    """Seconds per network and step of what people write: nn.Sequential and torch.optim.SGD."""
    x, y = torch.from_numpy(DIGITS.x_train), torch.from_numpy(DIGITS.y_train)
    start = time.perf_counter()
    for seed in range(networks):
        torch.manual_seed(seed)
        sizes = [64, *[WIDTH] * depth, 10]
        layers = [m for i, o in itertools.pairwise(sizes) for m in (torch.nn.Linear(i, o), torch.nn.ReLU())][:-1]
        model = torch.nn.Sequential(*layers)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(steps):
            rows = torch.randint(len(x), (BATCH,))
            loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return (time.perf_counter() - start) / networks / steps


def stacked(depth, networks, steps):
    start = time.perf_counter()
    gb.sweep(depth=depth, width=WIDTH, batch=BATCH, seed=range(networks), lr=0.01, sigma_w=2**0.5, steps=steps, record_every=steps, progress=False)
    return (time.perf_counter() - start) / networks / steps


def peak():
    """Floating-point operations per second of a large float32 matrix product."""
    a = torch.randn(2048, 2048)
    best = min(_seconds(lambda: a @ a) for _ in range(8))
    return 2 * 2048**3 / best


def _seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def main(repeats=5):
    for depth, steps in ((10, 100), (50, 40)):
        stacked(depth, 100, 5), loop_of_modules(depth, 2, 5)
        ratios, shares = [], []
        for _ in range(repeats):
            ours, theirs = stacked(depth, 100, steps), loop_of_modules(depth, 5, steps)
            work = 6 * BATCH * (64 * WIDTH + (depth - 1) * WIDTH**2 + WIDTH * 10)  # two in a product; forward, δ, and ∂W
            ratios.append(theirs / ours)
            shares.append(work / ours / peak())
            print(depth, f"{ours*1e6:.1f} us  {theirs*1e6:.1f} us  ratio {ratios[-1]:.1f}  share {shares[-1]:.0%}", file=sys.stderr)
        print(f"| depth {depth} | {sorted(ratios)[repeats // 2]:.1f} × | {sorted(shares)[repeats // 2]:.0%} |")


if __name__ == "__main__":
    main()
