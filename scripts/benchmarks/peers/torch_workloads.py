"""The workloads in PyTorch.

Eager, or with --compile the network and its loss through torch.compile. With --precision the forward pass runs under
autocast, in f16 with a GradScaler. AdamW is PyTorch's own fused one, its
fastest, in both. `adamw-32m` and the other updates time opt.step() alone, with .grad set to constants; 8-bit Adam is
that of bitsandbytes. A step of `sampling` is one letter, eager.

Bytes are counted in one more step, run after the timed ones under a dispatch mode, which sees each op of
forward, backward and update: a storage that an op returns is live until its last reference goes. Parameters,
gradients and the optimizer's state are live from the start, inputs are not counted. Gradients go before the
forward pass, as in PyTorch's own examples. What an op allocates and frees within itself is not seen, so the
count is a lower bound. Compiled code allocates past the dispatcher: nothing is counted there.
"""
import weakref

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import common


def mlp(sizes):
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (part.view(b, t, self.heads, width // self.heads).transpose(1, 2) for part in parts)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(seen.transpose(1, 2).reshape(b, t, width))
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))

    def extend(self, x, keys, values, at):
        """The block on the letter at one place of a text, whose earlier keys and values there are."""
        b, t, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (part.view(b, t, self.heads, width // self.heads).transpose(1, 2) for part in parts)
        keys[:, :, at:at + 1], values[:, :, at:at + 1] = k, v
        seen = F.scaled_dot_product_attention(q, keys[:, :, :at + 1], values[:, :, :at + 1])
        x = x + self.output(seen.transpose(1, 2).reshape(b, t, width))
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, depth, heads, width, context):
        super().__init__()
        self.tokens = nn.Embedding(common.VOCABULARY, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, common.VOCABULARY, bias=False)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, indices):
        x = self.tokens(indices) + self.positions.weight[:indices.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def network_and_batch(name):
    if name in common.MLPS:
        sizes, batch = common.MLPS[name]
        return mlp(sizes), torch.randn(batch, sizes[0]), torch.randint(sizes[-1], (batch,))
    if name == "cnn-mnist":
        return cnn(), torch.randn(common.CNN_BATCH, 1, 28, 28), torch.randint(10, (common.CNN_BATCH,))
    depth, heads, width, context, batch = common.GPTS[name]
    x, y = torch.randint(common.VOCABULARY, (2, batch, context))
    return GPT(depth, heads, width, context), x, y


def adamw(parameters):
    return torch.optim.AdamW(
        parameters, lr=common.RATE, betas=(common.BETA1, common.BETA2), eps=common.EPS,
        weight_decay=common.DECAY, fused=True)


def training(name, compiled=False, precision="f32"):
    """A function that runs one step and gives the loss as a number, the optimizer, and the inputs."""
    net, x, y = network_and_batch(name)
    opt = adamw(net.parameters())

    autocast = torch.autocast(
        "cpu", dtype=torch.float16 if precision == "f16" else torch.bfloat16, enabled=precision != "f32")
    scaler = torch.amp.GradScaler("cpu", enabled=precision == "f16")

    def loss_of(x, y):
        with autocast:
            return F.cross_entropy(net(x).flatten(0, -2), y.flatten())

    if compiled:
        loss_of = torch.compile(loss_of)

    def step():
        opt.zero_grad()
        loss = loss_of(x, y)
        scaler.scale(loss).backward()
        scaler.step(opt)
        scaler.update()
        return loss.item()

    return step, opt, [x, y]


def update_alone(name):
    shape = common.UPDATES[name]
    parameter = nn.Parameter(torch.randn(shape))
    parameter.grad = torch.randn(shape)
    if name == "adamw-32m":
        opt = adamw([parameter])
    elif name == "adafactor-32m":
        opt = torch.optim.Adafactor([parameter])
    else:
        import bitsandbytes
        opt = bitsandbytes.optim.Adam8bit([parameter], lr=common.RATE)
    return opt.step, opt, [parameter.grad]


def sampling():
    """A function that samples one letter from a GPT as large as gpt-nano, with a cache of keys and values."""
    depth, heads, width, context, _ = common.GPTS["gpt-nano"]
    net = GPT(depth, heads, width, context).eval()
    caches = [torch.zeros(2, 1, heads, context, width // heads) for _ in range(depth)]
    state = {"at": 0, "code": torch.zeros(1, 1, dtype=torch.int64)}

    @torch.inference_mode()
    def letter():
        at = state["at"]
        x = net.tokens(state["code"]) + net.positions.weight[at]
        for block, (keys, values) in zip(net.blocks, caches):
            x = block.extend(x, keys, values, at)
        logits = net.head(net.norm(x))[0]
        state["code"] = torch.multinomial(logits.softmax(1), 1)
        state["at"] = (at + 1) % context
        return state["code"].item()

    return letter


class LiveBytes(TorchDispatchMode):
    """Adds up the storages that are alive, and keeps the largest sum."""

    def __init__(self, held, ignored):
        super().__init__()
        self.live = self.peak = 0
        self.known = {tensor.untyped_storage()._cdata for tensor in ignored}
        for tensor in held:
            self.hold(tensor)

    def hold(self, tensor):
        # PyTorch keeps one Python object for a storage as long as the storage lives: the finalizer runs at
        # its end.
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self.release, key, size).atexit = False

    def release(self, key, size):
        self.known.discard(key)
        self.live -= size

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        results = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(results):
            if isinstance(leaf, torch.Tensor):
                self.hold(leaf)
        return results


def peak_bytes(step, opt, inputs):
    held = []
    for group in opt.param_groups:
        for parameter in group["params"]:
            state = opt.state[parameter].values()
            held += [parameter, *(value for value in state if isinstance(value, torch.Tensor))]
            if parameter.grad is not None:
                held.append(parameter.grad)
    with LiveBytes(held, ignored=inputs) as count:
        del held, parameter, state, group
        step()
    return count.peak


def main():
    options = common.arguments(__doc__, "--compile")
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    if options.workload == "sampling":
        common.report(**common.timings(sampling(), options), peak_bytes=None, measured_peak_bytes=None)
        return
    if options.workload in common.UPDATES:
        step, opt, inputs = update_alone(options.workload)
    else:
        step, opt, inputs = training(options.workload, options.compile, options.precision)
    figures = common.timings(step, options)
    peak = None if options.compile else peak_bytes(step, opt, inputs)
    common.report(**figures, peak_bytes=peak, measured_peak_bytes=peak)


if __name__ == "__main__":
    main()
