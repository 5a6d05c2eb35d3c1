"""Three larger models of torch.nn, a task for each, and a loop that trains them."""

import torch
from torch import nn
from torch.nn import functional as F

import gradbook as gb


def train(model, optimizer, loss, steps, every=1, see=torch.detach):
    """The loop that everyone writes, watched; ``loss`` is a function of the model."""
    with gb.watch(model, optimizer, every=every) as log:
        for _ in range(steps):
            optimizer.zero_grad()
            value = loss(model)
            value.backward()
            optimizer.step()
            log.see(see(value))
    return log


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.down = nn.Identity()
        if i != o or stride > 1:
            self.down = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        h = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (h + self.down(x)).relu()


class ResNet(nn.Module):
    """ResNet-18, an eighth as wide, for small pictures."""

    def __init__(self, width=8, classes=10):
        super().__init__()
        self.stem, self.bn = nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        blocks, i = [], width
        for k in range(4):
            o = width * 2**k
            blocks += [Block(i, o, 1 if k in (0, 3) else 2), Block(o, o, 1)]
            i = o
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(i, classes)

    def forward(self, x):
        return self.fc(self.blocks(self.bn(self.stem(x)).relu()).mean((2, 3)))


class Decoder(nn.Module):
    """GPT-2 in small: pre-norm, tied embedding, its initialization."""

    def __init__(self, vocabulary=32, n=32, layers=6, length=16, scale=1.0, norm=True):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, n), nn.Embedding(length, n)
        self.layers = nn.ModuleList(Attend(n, length, norm) for _ in range(layers))
        self.ln = nn.LayerNorm(n) if norm else nn.Identity()
        for name, p in self.named_parameters():
            if p.ndim > 1:
                deep = name.endswith(("proj.weight", "out.weight"))
                nn.init.normal_(p, 0, scale * 0.02 / ((2 * layers) ** 0.5 if deep else 1))

    def forward(self, i):
        h = self.wte(i) + self.wpe.weight[: i.shape[1]]
        for layer in self.layers:
            h = layer(h)
        return self.ln(h) @ self.wte.weight.T


class Attend(nn.Module):
    def __init__(self, n, length, norm):
        super().__init__()
        self.ln1, self.ln2 = (nn.LayerNorm(n) if norm else nn.Identity() for _ in range(2))
        self.qkv, self.out = nn.Linear(n, 3 * n), nn.Linear(n, n)
        self.fc, self.proj = nn.Linear(n, 4 * n), nn.Linear(4 * n, n)

    def forward(self, h):
        q, k, v = (
            z.unflatten(-1, (4, -1)).transpose(1, 2) for z in self.qkv(self.ln1(h)).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.out(mixed.transpose(1, 2).flatten(2))
        return h + self.proj(F.gelu(self.fc(self.ln2(h))))


class Translate(nn.Module):
    """An encoder and a decoder of GRUs, with attention  (Luong et al. 2015)."""

    def __init__(self, vocabulary=12, n=48):
        super().__init__()
        self.source, self.target = nn.Embedding(vocabulary, n), nn.Embedding(vocabulary, n)
        self.encoder = nn.GRU(n, n, batch_first=True)
        self.decoder = nn.GRU(n, n, batch_first=True)
        self.out = nn.Linear(2 * n, vocabulary)

    def forward(self, i, j):
        keys, last = self.encoder(self.source(i))
        h, _ = self.decoder(self.target(j), last)
        weights = (h @ keys.transpose(1, 2) / h.shape[-1] ** 0.5).softmax(-1)
        return self.out(torch.cat([h, weights @ keys], -1))


def resnet_task(digits, batch=32):
    x = torch.from_numpy(digits.x_train).view(-1, 1, 8, 8)
    y = torch.from_numpy(digits.y_train)

    def loss(model):
        rows = torch.randint(len(x), (batch,))
        return F.cross_entropy(model(x[rows]), y[rows])

    return loss


def decoder_task(batch=16, length=16):
    def loss(model):  # count on, from anywhere, by steps of 1 to 3
        start, step = torch.randint(32, (batch, 1)), torch.randint(1, 4, (batch, 1))
        i = (start + step * torch.arange(length + 1)) % 32
        return F.cross_entropy(model(i[:, :-1]).flatten(0, 1), i[:, 1:].flatten())

    return loss


def translate_task(batch=32, length=8):
    def loss(model):  # say it backwards
        i = torch.randint(1, 12, (batch, length))
        j = i.flip(1)
        given = torch.cat([torch.zeros(batch, 1, dtype=torch.long), j[:, :-1]], 1)
        return F.cross_entropy(model(i, given).flatten(0, 1), j.flatten())

    return loss
