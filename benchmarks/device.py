"""Ten thousand networks on $GRADBOOK_DEVICE, and how far its results are from the CPU's; prints a
row for README.md.
"""

import time

import numpy as np
import torch
from sweep import WHERE, peak

import gradbook as gb

DEPTH, WIDTH, BATCH, STEPS = 10, 64, 32, 20


def ten_thousand():
    """Network-steps per second, set-up and final test accuracy included."""
    given = dict(
        depth=DEPTH,
        width=WIDTH,
        batch=BATCH,
        sigma_w=np.linspace(0.5, 2.5, 20).tolist(),
        lr=np.geomspace(0.001, 1, 20).tolist(),
    )
    gb.sweep(**given, steps=1)
    start = time.perf_counter()
    found = gb.sweep(**given, seed=range(25), steps=STEPS, record_every=STEPS)
    assert found.accuracy.size == 10_000
    return 10_000 * STEPS / (time.perf_counter() - start)


def deviations():
    """Largest relative deviation from the CPU, by quantity; of test accuracies the largest
    difference in points.
    """
    given = dict(
        depth=[2, 10, 30],
        activation=["tanh", "relu", "sigmoid"],
        sigma_w=[0.8, 1.5],
        lr=0.03,
        seed=range(4),
        steps=100,
        record_every=100,
    )
    here, cpu = gb.sweep(**given), gb.sweep(**given, device="cpu")
    far = {
        q: abs(here[q] / cpu[q] - 1).sel(step=0).max().item()
        for q in ("loss", "signal", "grad_norm", "activation_rms")
    }
    far["loss after 100 steps"] = abs(here.loss / cpu.loss - 1).sel(step=100).max().item()
    return (
        ", ".join(f"{q} {v:.0e}" for q, v in far.items())
        + f"; accuracy {100 * abs(here.accuracy - cpu.accuracy).max().item():.1f} points"
    )


if __name__ == "__main__":
    # forward, δ (not for the data), ∂W
    work = 6 * BATCH * (64 * WIDTH * 2 / 3 + (DEPTH - 1) * WIDTH**2 + WIDTH * 10)
    speed = ten_thousand()
    name = (
        torch.cuda.get_device_name()
        if WHERE.type == "cuda"
        else f"{WHERE.type}, {torch.get_num_threads()} threads"
    )
    print(f"| {name} | {speed:,.0f} | {work * speed / peak():.0%} | {deviations()} |")
