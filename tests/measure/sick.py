"""Small networks on the digits, each with one fault, and beside it a twin without."""

import torch
from torch import nn
from torch.nn import functional as F

import gradbook as gb

DIGITS = gb.digits()
X, Y = torch.from_numpy(DIGITS.x_train), torch.from_numpy(DIGITS.y_train)


def net(depth=4, activation=nn.ReLU, gain=2**0.5, width=64, head=10):
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        nn.init.normal_(linear.weight, 0, gain / width**0.5)
        nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
    out = nn.Linear(width, head)
    nn.init.normal_(out.weight, 0, 1 / width**0.5)
    return nn.Sequential(*layers, out)


def run(
    model=None,
    lr=0.1,
    steps=150,
    batch=64,
    every=5,
    optimizer=None,
    criterion=None,
    x=X,
    y=Y,
    clear=True,
    clip=None,
    shuffled=False,
):
    """A training with one thing in it that is not as usual; what watch saw."""
    model = model or net()
    optimizer = optimizer or (lambda parameters: torch.optim.SGD(parameters, lr=lr))
    criterion = criterion or F.cross_entropy
    y = y[torch.randperm(len(y))] if shuffled else y
    optimizer = optimizer([p for p in model.parameters() if p.requires_grad])
    with gb.watch(model, optimizer, every=every) as log:
        for _ in range(steps):
            rows = torch.randint(len(x), (batch,))
            loss = criterion(model(x[rows]), y[rows])
            if clear:
                optimizer.zero_grad()
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            log.see(loss)
    return log


def biases(value, model=None):
    model = model or net()
    for layer in model[:-1:2]:
        nn.init.constant_(layer.bias, value)
    return model


def equal(layers=slice(None, None, 2)):
    model = net()
    for layer in model[layers]:
        nn.init.constant_(layer.weight, 0.01)
    return model


class Root(nn.Module):
    """√h where h is positive; the derivative is finite from ``least`` on."""

    def __init__(self, least):
        super().__init__()
        self.least = least

    def forward(self, h):
        return torch.where(h > 0, (h.clamp(min=self.least) if self.least else h).sqrt(), 0.0)


def one_loud_feature(factor):
    x = X.clone()
    x[:, 20] *= factor
    return x


def squared(z, y):
    return (z - y).square().mean()


def normed():
    layers = []
    for _ in range(4):
        layers += [nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


class Seen(nn.Sequential):
    """A recurrent network, and a head on its last state."""

    def forward(self, x):
        return self[1](self[0](x)[0][:, -1])


def recurrent(length):
    model = Seen(nn.RNN(1, 16, batch_first=True), nn.Linear(16, 10))
    x = torch.randn(64, length, 1)
    return gb.probe(model, lambda: F.cross_entropy(model(x), Y[:64]))


def warmed(lr, steps):
    """Adam whose rate grows to ``lr`` in ``steps``."""

    class Warmed(torch.optim.Adam):
        def step(self, closure=None):
            self.taken = getattr(self, "taken", 0) + 1
            self.param_groups[0]["lr"] = lr * min(1, self.taken / steps)
            return super().step(closure)

    return Warmed


def once(model, criterion=F.cross_entropy, x=X[:64], y=Y[:64], optimizer=None):
    """One pass, measured."""
    return gb.probe(model, lambda: criterion(model(x), y), optimizer and optimizer(model))


def with_weight(layer, scale):
    model = net()
    with torch.no_grad():
        model[layer].weight.mul_(scale)
    return model


def nan_in_a_weight():
    model = net()
    with torch.no_grad():
        model[2].weight[0, 0] = float("nan")
    return model


def sgd(**settings):
    return lambda parameters: torch.optim.SGD(parameters, **settings)


def adam(**settings):
    return lambda parameters: torch.optim.Adam(parameters, **settings)


def both(criterion):
    """Every label ignored, or every second."""
    return lambda z, y: F.cross_entropy(z, criterion(y), ignore_index=-100)


# (verdicts, words of the finding or the note, with the fault, nearly the same without it)
CASES = {
    "dead": (
        "dead",
        "are 0 on the whole batch",
        lambda: run(biases(-8.0)),
        lambda: run(biases(-0.3)),
    ),
    "rate": ("non-finite", "The loss rises", lambda: run(lr=3.0), lambda: run(lr=0.2)),
    "sigmoids": (
        "vanishing",
        "a sigmoid's slope",
        lambda: run(net(12, nn.Sigmoid, 1.0)),
        lambda: run(net(3, nn.Sigmoid, 4.0)),
    ),
    "small weights": (
        "vanishing",
        "shrinks by a factor",
        lambda: run(net(12, nn.ReLU, 0.5)),
        lambda: run(net(12)),
    ),
    "large weights": (
        "non-finite",
        "grows by a factor",
        lambda: run(net(12, nn.ReLU, 3 * 2**0.5)),
        lambda: run(net(12)),
    ),
    "saturated": (
        "saturated",
        "under 5 %",
        lambda: run(net(6, nn.Tanh, 6.0)),
        lambda: run(net(6, nn.Tanh, 1.2)),
    ),
    "no zero_grad": ("unstable, non-finite", "not cleared", lambda: run(clear=False), run),
    "softmax twice": (
        "wrong loss",
        "normalized already",
        lambda: run(criterion=lambda z, y: F.cross_entropy(z.softmax(1), y)),
        lambda: run(criterion=lambda z, y: F.nll_loss(z.log_softmax(1), y)),
    ),
    "pairs": (
        "wrong loss",
        "every prediction with every target",
        lambda: run(net(head=1), criterion=squared, lr=1e-3, y=Y / 10),
        lambda: run(net(head=1), criterion=squared, lr=1e-3, y=Y[:, None] / 10),
    ),
    "equal weights": (
        "symmetric",
        "All weights are equal",
        lambda: run(equal()),
        lambda: run(equal(slice(1))),
    ),
    "small rate": ("stalled", "the steps are short", lambda: run(lr=1e-4), lambda: run(lr=0.02)),
    "clipped": (
        "stalled",
        "something clips the gradient",
        lambda: run(clip=0.01),
        lambda: run(clip=1.0),
    ),
    "tiny rate": ("stalled", "of its size per step", lambda: run(lr=1e-9), lambda: run(lr=0.02)),
    "no scale": ("non-finite", "the inputs have a size", lambda: run(x=100 * X + 300), run),
    "one feature": (
        "non-finite",
        "the inputs have a size",
        lambda: run(x=one_loud_feature(300)),
        lambda: run(x=one_loud_feature(2)),
    ),
    "momentum": (
        "unstable, non-finite",
        "The loss",
        lambda: run(optimizer=sgd(lr=0.1, momentum=0.99), steps=300),
        lambda: run(optimizer=sgd(lr=0.02, momentum=0.9), steps=300),
    ),
    "summed": (
        "non-finite",
        "is a sum over the batch",
        lambda: run(criterion=lambda z, y: F.cross_entropy(z, y, reduction="sum")),
        run,
    ),
    "batch norm of 2": (
        "unstable, vanishing",
        "over at most two values",
        lambda: run(normed(), batch=2),
        lambda: run(normed(), batch=16),
    ),
    "one example": (
        "wrong input",
        "Every example",
        lambda: run(x=X[:1].expand(len(X), -1)),
        lambda: run(x=X[:1] + 0.1 * X),
    ),
    "no warm-up": (
        "unstable",
        "In the first steps",
        lambda: run(normed(), optimizer=adam(lr=0.2)),
        lambda: run(normed(), optimizer=warmed(0.02, 50)),
    ),
    "epsilon": (
        "healthy",
        "Adam's ε",
        lambda: run(optimizer=adam(lr=0.01, eps=1.0)),
        lambda: run(optimizer=adam(lr=0.001)),
    ),
    "time": ("vanishing", "Through time", lambda: recurrent(200), lambda: recurrent(5)),
    "root": (
        "non-finite",
        "All outputs are finite",
        lambda: run(nn.Sequential(*net()[:4], nn.Linear(64, 64), Root(0.0), *net()[6:])),
        lambda: run(nn.Sequential(*net()[:4], nn.Linear(64, 64), Root(0.1), *net()[6:])),
    ),
    "loud": (
        "exploding",
        "guessing between 10",
        lambda: once(with_weight(8, 5)),
        lambda: once(net()),
    ),
    "blocked": (
        "vanishing",
        "nothing passes it",
        lambda: once(with_weight(4, 0)),
        lambda: once(with_weight(4, 0.5)),
    ),
    "silent": (
        "vanishing",
        "No gradient arrives anywhere",
        lambda: once(net(head=1), lambda z, y: z.add(200).sigmoid().mean()),
        lambda: once(net(head=1), lambda z, y: z.add(2).sigmoid().mean()),
    ),
    "cut off": (
        "dead, vanishing",
        "No gradient reaches",
        lambda: once(biases(-30.0)),
        lambda: once(biases(-0.3)),
    ),
    "uneven": (
        "exploding",
        "though the signal is level",
        lambda: once(with_weight(0, 1e-5), x=1e5 * X[:64]),
        lambda: once(with_weight(0, 0.1), x=10 * X[:64]),
    ),
    "a NaN": (
        "non-finite",
        "'2.weight' holds NaN",
        lambda: once(nan_in_a_weight()),
        lambda: once(net()),
    ),
    "all ignored": (
        "non-finite",
        "a mean over nothing",
        lambda: once(net(), both(lambda y: 0 * y - 100)),
        lambda: once(net(), both(lambda y: torch.where(y > 4, y, -100))),
    ),
    "one long step": (
        "unstable",
        "in one step",
        lambda: once(net(), optimizer=lambda m: torch.optim.SGD(m.parameters(), 5.0)),
        lambda: once(net(), optimizer=lambda m: torch.optim.SGD(m.parameters(), 0.1)),
    ),
    "random labels": ("healthy", "", lambda: run(shuffled=True), None),
}
