"""The workloads in JAX.

One jitted function is the whole step; parameters and the optimizer's state are donated to it, so that the
update can be written over them. AdamW is written by hand. The first step counts tracing, compiling and making
the state.

Threads: XLA takes as many as the processor cores that the process may use, so the process is bound to that
many.

Bytes are XLA's own analysis of the compiled step: arguments + outputs + temporaries - aliased (donated)
bytes, without the batch (for `adamw-32m`, the gradient).
"""
import os

import common

# Before JAX is loaded, which counts the cores once.
options = common.arguments(__doc__)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:options.threads])
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

random = np.random.default_rng(1)


def normal(shape, scale=1.0):
    return jnp.asarray(random.standard_normal(shape, dtype=np.float32) * np.float32(scale))


def integers(bound, shape):
    return jnp.asarray(random.integers(0, bound, shape, dtype=np.int32))


def uniform(shape, inputs):
    return jnp.asarray(random.uniform(-inputs ** -0.5, inputs ** -0.5, shape).astype(np.float32))


def linear_parameters(inputs, outputs, bias=True):
    weight = {"weight": uniform((inputs, outputs), inputs)}
    return {**weight, "bias": uniform((outputs,), inputs)} if bias else weight


def linear(p, x):
    y = x @ p["weight"]
    return y + p["bias"] if "bias" in p else y


def cross_entropy(logits, targets):
    of_target = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - of_target)


def mlp_parameters(sizes):
    return [linear_parameters(inputs, outputs) for inputs, outputs in zip(sizes, sizes[1:])]


def mlp(layers, x):
    for layer in layers[:-1]:
        x = jax.nn.relu(linear(layer, x))
    return linear(layers[-1], x)


def conv_parameters(inputs, outputs):
    # Channels last, in windows and images: the order of JAX's own layers. Channels first took as long.
    reach = inputs * 9
    return {"weight": uniform((3, 3, inputs, outputs), reach), "bias": uniform((outputs,), reach)}


def conv_relu_pool(p, x):
    x = jax.lax.conv_general_dilated(
        x, p["weight"], (1, 1), [(1, 1), (1, 1)], dimension_numbers=("NHWC", "HWIO", "NHWC"))
    x = jax.nn.relu(x + p["bias"])
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def cnn_parameters():
    return {
        "conv1": conv_parameters(1, 32), "conv2": conv_parameters(32, 64),
        "hidden": linear_parameters(64 * 7 * 7, 128), "output": linear_parameters(128, 10)}


def cnn(p, x):
    x = conv_relu_pool(p["conv2"], conv_relu_pool(p["conv1"], x))
    return linear(p["output"], jax.nn.relu(linear(p["hidden"], x.reshape(len(x), -1))))


def norm_parameters(width):
    return {"weight": jnp.ones(width), "bias": jnp.zeros(width)}


def layer_norm(p, x):
    mean = x.mean(-1, keepdims=True)
    scale = jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x - mean) * scale * p["weight"] + p["bias"]


def gpt_parameters(depth, width, context):
    def block():
        return {
            "norm1": norm_parameters(width), "qkv": linear_parameters(width, 3 * width),
            "output": linear_parameters(width, width), "norm2": norm_parameters(width),
            "expand": linear_parameters(width, 4 * width), "contract": linear_parameters(4 * width, width)}

    return {
        "tokens": normal((common.VOCABULARY, width), 0.02), "positions": normal((context, width), 0.02),
        "blocks": [block() for _ in range(depth)], "norm": norm_parameters(width),
        "head": linear_parameters(width, common.VOCABULARY, bias=False)}


def gpt(p, indices, heads):
    b, t = indices.shape
    x = p["tokens"][indices] + p["positions"][:t]
    width = x.shape[-1]
    for block in p["blocks"]:
        parts = jnp.split(linear(block["qkv"], layer_norm(block["norm1"], x)), 3, axis=-1)
        q, k, v = (part.reshape(b, t, heads, width // heads) for part in parts)
        seen = jax.nn.dot_product_attention(q, k, v, is_causal=True)
        x = x + linear(block["output"], seen.reshape(b, t, width))
        hidden = jax.nn.gelu(linear(block["expand"], layer_norm(block["norm2"], x)), approximate=False)
        x = x + linear(block["contract"], hidden)
    return linear(p["head"], layer_norm(p["norm"], x))


def network_and_batch(name):
    """The network as a function of parameters and inputs, its parameters, and the batch."""
    if name in common.MLPS:
        sizes, batch = common.MLPS[name]
        return mlp, mlp_parameters(sizes), (normal((batch, sizes[0])), integers(sizes[-1], (batch,)))
    if name == "cnn-mnist":
        batch = common.CNN_BATCH
        return cnn, cnn_parameters(), (normal((batch, 28, 28, 1)), integers(10, (batch,)))
    depth, heads, width, context, batch = common.GPTS[name]
    x, y = integers(common.VOCABULARY, (2, batch, context))
    return lambda p, x: gpt(p, x, heads), gpt_parameters(depth, width, context), (x, y)


def no_state(parameters):
    return {
        "t": jnp.zeros((), jnp.int32),
        "m": jax.tree.map(jnp.zeros_like, parameters), "v": jax.tree.map(jnp.zeros_like, parameters)}


def adamw(parameters, state, gradients):
    t = state["t"] + 1
    m = jax.tree.map(lambda m, g: common.BETA1 * m + (1 - common.BETA1) * g, state["m"], gradients)
    v = jax.tree.map(lambda v, g: common.BETA2 * v + (1 - common.BETA2) * g * g, state["v"], gradients)
    correct1, correct2 = 1 - common.BETA1 ** t, 1 - common.BETA2 ** t

    def update(p, m, v):
        return (1 - common.RATE * common.DECAY) * p - common.RATE * (m / correct1) / (
            jnp.sqrt(v / correct2) + common.EPS)

    return jax.tree.map(update, parameters, m, v), {"t": t, "m": m, "v": v}


class Training:
    """Steps of a jitted function (parameters, state, *batch) -> (parameters, state, loss)."""

    def __init__(self, function, parameters, batch):
        self.jitted = jax.jit(function, donate_argnums=(0, 1))
        self.parameters, self.batch = parameters, batch
        self.state = self.compiled = None

    def step(self):
        if self.compiled is None:
            self.state = no_state(self.parameters)
            self.compiled = self.jitted.lower(self.parameters, self.state, *self.batch).compile()
        self.parameters, self.state, loss = self.compiled(self.parameters, self.state, *self.batch)
        return float(loss)

    def peak_bytes(self):
        sizes = self.compiled.memory_analysis()
        return (sizes.argument_size_in_bytes + sizes.output_size_in_bytes + sizes.temp_size_in_bytes
                - sizes.alias_size_in_bytes - sum(array.nbytes for array in self.batch))


def training(name):
    network, parameters, batch = network_and_batch(name)

    def function(parameters, state, x, y):
        loss, gradients = jax.value_and_grad(lambda p: cross_entropy(network(p, x), y))(parameters)
        return *adamw(parameters, state, gradients), loss

    return Training(function, parameters, batch)


def update_alone():
    def function(parameter, state, gradient):
        return *adamw(parameter, state, gradient), jnp.float32(0)

    shape = common.UPDATES["adamw-32m"]
    return Training(function, normal(shape), (normal(shape),))


def main():
    run = update_alone() if options.workload == "adamw-32m" else training(options.workload)
    common.report(**common.timings(run.step, options), peak_bytes=run.peak_bytes(), measured_peak_bytes=None)


if __name__ == "__main__":
    main()
