"""losses.json and <net>.*.safetensors: fifty training steps of three small nets from given weights."""

import math

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from common import grid, path, scalars, tensor, whole, write

STEPS = 50
RUNS = [
    ("adamw", "AdamW", dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)),
    ("sgd", "SGD", dict(lr=0.1)),
]


class Weights:
    """Initial weights by dotted path, drawn in the order they are asked for."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.named = {}

    def normal(self, name, shape, spread, centre=0.0):
        self.named[name] = centre + spread * torch.randn(shape, generator=self.generator)

    def linear(self, name, inputs, outputs, bias=True):
        self.normal(f"{name}.weight", [inputs, outputs], 1 / math.sqrt(inputs))
        if bias:
            self.normal(f"{name}.bias", [outputs], 0.1)

    def conv(self, name, inputs, outputs):
        self.normal(f"{name}.weight", [outputs, inputs, 3, 3], 1 / math.sqrt(9 * inputs))
        self.normal(f"{name}.bias", [outputs], 0.1)

    def norm(self, name, width):
        self.normal(f"{name}.weight", [width], 0.1, centre=1.0)
        self.normal(f"{name}.bias", [width], 0.1)


def linear(p, name, x):
    y = x @ p[f"{name}.weight"]
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def conv(p, name, x):
    return F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1)


def norm(p, name, x):
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"], eps=1e-5)


# --- mlp


def mlp_weights():
    w = Weights(11)
    w.linear("layers.0", 8, 16)
    w.linear("layers.1", 16, 4)
    return w.named


def mlp(p, x):
    return linear(p, "layers.1", torch.relu(linear(p, "layers.0", x)))


# --- cnn


def cnn_weights():
    w = Weights(12)
    w.conv("conv1", 1, 4)
    w.conv("conv2", 4, 8)
    w.linear("linear", 32, 4)
    return w.named


def cnn(p, x):
    x = F.max_pool2d(torch.relu(conv(p, "conv1", x)), 2)
    x = F.avg_pool2d(torch.relu(conv(p, "conv2", x)), 2)
    return linear(p, "linear", x.flatten(1))


# --- gpt

WIDTH, HEADS, CONTEXT, VOCABULARY, BLOCKS = 16, 2, 8, 11, 2


def gpt_weights():
    w = Weights(13)
    w.normal("tokens.weight", [VOCABULARY, WIDTH], 0.5)
    w.normal("positions.weight", [CONTEXT, WIDTH], 0.5)
    for i in range(BLOCKS):
        w.norm(f"blocks.{i}.norm1", WIDTH)
        for part in ("query", "key", "value", "output"):
            w.linear(f"blocks.{i}.attention.{part}", WIDTH, WIDTH)
        w.norm(f"blocks.{i}.norm2", WIDTH)
        w.linear(f"blocks.{i}.expand", WIDTH, 4 * WIDTH)
        w.linear(f"blocks.{i}.contract", 4 * WIDTH, WIDTH)
    w.norm("norm", WIDTH)
    w.linear("head", WIDTH, VOCABULARY, bias=False)
    return w.named


def attention(p, name, x):
    batch, time, width = x.shape

    def heads(part):
        return linear(p, f"{name}.{part}", x).reshape(batch, time, HEADS, width // HEADS).transpose(1, 2)

    scores = heads("query") @ heads("key").transpose(-1, -2) / math.sqrt(width // HEADS)
    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    weights = torch.softmax(scores.masked_fill(future, -math.inf), dim=-1)
    mixed = (weights @ heads("value")).transpose(1, 2).reshape(batch, time, width)
    return linear(p, f"{name}.output", mixed)


def gpt(p, tokens):
    x = p["tokens.weight"][tokens] + p["positions.weight"][: tokens.shape[1]]
    for i in range(BLOCKS):
        x = x + attention(p, f"blocks.{i}.attention", norm(p, f"blocks.{i}.norm1", x))
        hidden = F.gelu(linear(p, f"blocks.{i}.expand", norm(p, f"blocks.{i}.norm2", x)))
        x = x + linear(p, f"blocks.{i}.contract", hidden)
    return linear(p, "head", norm(p, "norm", x))


# --- training


def cross_entropy(logits, targets):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))


def at(dtype, t):
    return t.to(dtype) if t.dtype.is_floating_point else t


def leaves(weights, dtype):
    return {name: w.to(dtype).clone().requires_grad_() for name, w in weights.items()}


def train(net, weights, inputs, targets, kind, settings, dtype):
    p = leaves(weights, dtype)
    inputs = at(dtype, inputs)
    optimizer = getattr(torch.optim, kind)(list(p.values()), foreach=False, **settings)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = cross_entropy(net(p, inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return scalars(torch.stack(losses))


def first(net, weights, inputs, targets):
    p = leaves(weights, torch.float64)
    logits = net(p, at(torch.float64, inputs))
    cross_entropy(logits, targets).backward()
    return logits, {name: w.grad.float() for name, w in p.items()}


def main():
    rows = whole(23, [3, CONTEXT + 1], VOCABULARY)
    cases = {
        "mlp": (mlp, mlp_weights(), grid(21, [32, 8], -2, 2).float(), whole(21, [32], 4)),
        "cnn": (cnn, cnn_weights(), grid(22, [4, 1, 8, 8], -2, 2).float(), whole(22, [4], 4)),
        "gpt": (gpt, gpt_weights(), rows[:, :-1].contiguous(), rows[:, 1:].contiguous()),
    }
    nets = {}
    for name, (net, weights, inputs, targets) in cases.items():
        logits, gradients = first(net, weights, inputs, targets)
        save_file(weights, path(f"{name}.safetensors"))
        save_file(gradients, path(f"{name}.gradients.safetensors"))
        save_file({"inputs": inputs, "targets": targets}, path(f"{name}.data.safetensors"))
        nets[name] = {
            "weights": f"{name}.safetensors",
            "gradients": f"{name}.gradients.safetensors",
            "data": f"{name}.data.safetensors",
            "parameters": sum(w.numel() for w in weights.values()),
            "shapes": {path_: list(w.shape) for path_, w in weights.items()},
            "inputs": tensor(inputs),
            "targets": tensor(targets),
            "first_logits": tensor(logits),
            "runs": [
                {"name": run, "optimizer": kind, "settings": settings,
                 "f32": train(net, weights, inputs, targets, kind, settings, torch.float32),
                 "f64": train(net, weights, inputs, targets, kind, settings, torch.float64)}
                for run, kind, settings in RUNS
            ],
        }
    write("losses.json", {"nets": nets})


main()
