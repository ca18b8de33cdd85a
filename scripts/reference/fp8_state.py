"""fp8_state.json: optimizer state in blocks of f8e4m3, as torchao keeps it.

Needs the package torchao besides PyTorch. It compiles its update; here that runs as it is written.
"""

import os

os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch
import torchao

from torchao.optim import AdamFp8
from torchao.optim.subclass_fp8 import quantize_fp8

from common import places, scalars, sum_of_squares, write

STEPS = 200
SHOWN = (1, 2, 5, 10, 20, 200)
LEARNING_RATE = 0.01
# Whole blocks, for torchao leaves other tensors in f32; and one that is small.
SHAPES = {"w": (72, 64), "v": (4352,), "b": (300,)}


def run(optimizer):
    # Over 61 and 59, for binary fractions would lie halfway between two f8e4m3 all the time.
    parts = {name: sum_of_squares(shape, 61, 59) for name, shape in SHAPES.items()}
    parameters = {name: torch.nn.Parameter(parts[name][0].clone()) for name in SHAPES}
    optimizer = optimizer(list(parameters.values()))
    shown = []
    for t in range(1, STEPS + 1):
        for name, p in parameters.items():
            _, target, weight = parts[name]
            p.grad = 2 * weight * (p.detach() - target)
        optimizer.step()
        if t in SHOWN:
            entry = {"step": t}
            for name, p in parameters.items():
                entry[name] = scalars(p.detach().reshape(-1)[places(SHAPES[name])])
            for which, label in (("exp_avg", "m"), ("exp_avg_sq", "v")):
                state = optimizer.state[parameters["w"]][which]
                if hasattr(state, "codes"):
                    entry[label + "_scale"] = scalars(state.scale)
                    entry[label + "_codes"] = state.codes.view(torch.uint8).reshape(-1)[-256:].tolist()
            shown.append(entry)
    return shown


def blocks():
    """Noise over seven powers of ten: with signs, and squared; scales and codes."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(768, generator=generator) * 10.0 ** torch.randint(-6, 1, (768,), generator=generator)
    result = {}
    for name, numbers in (("signed", noise), ("unsigned", noise**2)):
        codes, scales = quantize_fp8(numbers, 256)
        result[name] = {
            "numbers": numbers.numpy().view("uint32").tolist(), "codes": codes.view(torch.uint8).tolist(),
            "scales": scalars(scales),
        }
    return result


write("fp8_state.json", {
    "torchao": torchao.__version__,
    "blocks": blocks(),
    "adam": {
        "learning_rate": LEARNING_RATE,
        "shapes": {name: list(shape) for name, shape in SHAPES.items()},
        "places": {name: places(shape) for name, shape in SHAPES.items()},
        "eight_bit": run(lambda p: AdamFp8(p, lr=LEARNING_RATE)),
        "f32": run(lambda p: torch.optim.Adam(p, lr=LEARNING_RATE)),
    },
})
