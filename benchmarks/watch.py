"""What measuring costs a training step: watch, full-backward hooks, and peers where they are
installed.
"""

import contextlib
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import nn

import gradbook as gb
from gradbook.devices import device


def perceptron(depth=10):
    model = nn.Sequential(
        *[m for _ in range(depth) for m in (nn.Linear(64, 64), nn.ReLU())], nn.Linear(64, 10)
    )
    return model, torch.randn(32, 64), torch.randint(10, (32,)), lambda out: out


def transformer():
    layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
    model = nn.Sequential(
        nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), nn.Linear(128, 10)
    )
    return model, torch.randn(16, 64, 128), torch.randint(10, (16,)), lambda out: out.mean(1)


@contextlib.contextmanager
def nothing(model, optimizer):
    yield


@contextlib.contextmanager
def full_backward_hooks(model, optimizer):
    """The norm of every layer's gradient, by the hook that tutorials use, at every step."""
    norms = {}
    hooks = [
        m.register_full_backward_hook(lambda m, i, o: norms.__setitem__(m, o[0].norm()))
        for m in model.modules()
        if isinstance(m, nn.Linear)
    ]
    yield
    for hook in hooks:
        hook.remove()


@contextlib.contextmanager
def wandb_watch(model, optimizer):
    import os
    import tempfile

    os.environ["WANDB_SILENT"] = "true"
    import wandb

    with tempfile.TemporaryDirectory() as folder:
        run = wandb.init(mode="offline", dir=folder)
        wandb.watch(model, log="gradients", log_freq=10)
        yield (lambda: run.log({"step": 1})), contextlib.nullcontext
        wandb.unwatch(model)
        run.finish()


@contextlib.contextmanager
def backpack_norms(model, optimizer):
    """BackPACK's per-example gradient norms, at every tenth step."""
    import backpack
    from backpack.extensions import BatchL2Grad

    backpack.extend(model)
    count = iter(range(10**9))
    yield (
        None,
        lambda: (
            backpack.backpack(BatchL2Grad()) if next(count) % 10 == 0 else contextlib.nullcontext()
        ),
    )


def trainer(make, way, stack):
    """A function that takes some steps under ``way``, and how long they took."""
    torch.manual_seed(0)
    model, x, y, head = make()
    model, x, y = (part.to(device()) for part in (model, x, y))
    optimizer, criterion = torch.optim.Adam(model.parameters(), lr=1e-4), nn.CrossEntropyLoss()
    if way is backpack_norms:
        import backpack

        backpack.extend(criterion)
    extra = stack.enter_context(way(model, optimizer))
    after, around = extra if isinstance(extra, tuple) else (None, contextlib.nullcontext)

    def steps(count):
        start = time.perf_counter()
        for _ in range(count):
            loss = criterion(head(model(x)), y)
            optimizer.zero_grad()
            with around():
                loss.backward()
            optimizer.step()
            if after:
                after()
        loss.item()  # a device works on after Python has gone on
        return time.perf_counter() - start

    return steps


WAYS = {
    "watch, every 10th step": lambda m, o: gb.watch(m, o, every=10),
    "watch, every step": lambda m, o: gb.watch(m, o, every=1),
    "full-backward hooks, every step": full_backward_hooks,
    "wandb.watch offline, every 10th step": wandb_watch,
    "BackPACK norms, every 10th step": backpack_norms,
}


def size(watched):
    """MiB of a process that has trained 200 layers for 500 steps, and maybe watched all of them."""
    model, x, y, _ = perceptron(200)
    optimizer, criterion = torch.optim.Adam(model.parameters(), lr=1e-4), nn.CrossEntropyLoss()
    with gb.watch(model, optimizer, every=1) if watched else contextlib.nullcontext():
        for _ in range(500):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def memory():
    """What watching every step of 200 layers adds to the process, in MiB, and what it is of it."""
    with ProcessPoolExecutor(1, max_tasks_per_child=1, mp_context=get_context("spawn")) as pool:
        plain, measured = pool.map(size, (False, True))
    print(
        f"| MLP 200 × 64 | memory, every step of 500 | {measured - plain:+.0f} of {plain:.0f} MiB |"
    )


def main(rounds=40):
    for name, make, count in (
        ("MLP 10 × 64", perceptron, 50),
        ("MLP 200 × 64", lambda: perceptron(200), 10),
        ("transformer 4 × 128", transformer, 10),
    ):
        for way, wrap in WAYS.items():
            try:
                with contextlib.ExitStack() as stack:
                    plain, measured = trainer(make, nothing, stack), trainer(make, wrap, stack)
                    plain(count), measured(count)
                    # by turns, so that the machine's moods meet both
                    ratios = [measured(count) / plain(count) for _ in range(rounds)]
                print(f"| {name} | {way} | {statistics.median(ratios) - 1:+.1%} |", flush=True)
            except (ImportError, NotImplementedError) as error:
                print(f"| {name} | {way} | {type(error).__name__}: {str(error)[:60]} |", flush=True)
    memory()


if __name__ == "__main__":
    main()
