"""What the two peers share: the sizes of the workloads, the command line, and how steps are timed.

Each file beside this one measures one workload in a process of its own and prints one JSON object:

    python torch_workloads.py NAME [--threads N] [--steps N] [--warmup N] [--compile]
    python jax_workloads.py NAME [--threads N] [--steps N] [--warmup N]

torch_workloads.py takes --precision bf16 or f16 too.

Both train what the scripts one folder up train: the same layers, float32, AdamW (rate 1e-3, betas 0.9 and
0.999, eps 1e-8, decay 0.01 of everything), one fixed batch of random numbers, the loss read each step. The
GPTs are nanoGPT's architecture: token and learned position embeddings; pre-norm blocks with LayerNorm, one
product for queries, keys and values, causal attention, an MLP of 4 * width with exact GELU; a final
LayerNorm; a head without bias and with weights of its own. Every other linear layer has a bias; nothing is
dropped.
"""
import argparse
import json
import statistics
import time

RATE, BETA1, BETA2, EPS, DECAY = 1e-3, 0.9, 0.999, 1e-8, 0.01

# name: widths from the input to the classes, batch
MLPS = {
    "mlp-tiny": ([64, 128, 10], 32),
    "mlp-mnist": ([784, 1024, 1024, 10], 128),
    "mlp-deep": ([512] * 33, 1024),
}
# name: depth, heads, width, context, batch
GPTS = {
    "gpt-nano": (4, 4, 128, 64, 12),
    "gpt-baby": (6, 6, 384, 256, 8),
}
VOCABULARY = 65
CNN_BATCH = 64
# The update of an optimizer alone.
UPDATES = {"adamw-32m": (32, 1_000_000), "adam-q8-32m": (32, 1_000_000), "adafactor-32m": (8000, 4000)}
WORKLOADS = [*MLPS, "cnn-mnist", *GPTS, "sampling", *UPDATES]


def arguments(description, *flags):
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16", "f16"], default="f32")
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


def timed(call):
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3


def timings(step, options):
    """Milliseconds of the first step, compiling and allocating included, and the median of the later ones."""
    first = timed(step)
    for _ in range(options.warmup):
        step()
    return {"first_ms": first, "median_ms": statistics.median(timed(step) for _ in range(options.steps))}


def report(**figures):
    print(json.dumps(figures), flush=True)
