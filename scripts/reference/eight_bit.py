"""eight_bit.json: what 8-bit storage does, as bitsandbytes and ml_dtypes have it.

Needs the packages bitsandbytes (its optimizers run on the CPU) and ml_dtypes besides PyTorch.
"""

import bitsandbytes
import bitsandbytes.functional
import ml_dtypes
import numpy
import torch

from bitsandbytes.backends.cpu import ops as cpu_ops

from common import places, scalars, sum_of_squares, write


def quantize(numbers, code):
    """Nearest codes, as bitsandbytes' kernels for GPUs and its CPU path for f64 take them.

    Its CPU path for f32 goes by a coarse table instead: there nothing is smaller than 1.5e-5 of the scale, 0 included.
    """
    return torch.ops.bitsandbytes.quantize_blockwise(numbers.double(), code, 256)


def quantize_state(numbers, code, scales, codes, blocksize):
    new_codes, new_scales = quantize(numbers, code)
    codes.copy_(new_codes)
    scales.copy_(new_scales)


cpu_ops._quant_blockwise_fp32_direct = quantize_state

STEPS = 200
SHOWN = (1, 2, 10, 50, 200)
LEARNING_RATE = 0.01
# A matrix whose last block of 256 has 128 elements, a vector whose last has 5, and one that keeps f32 state.
SHAPES = {"w": (70, 64), "v": (4101,), "b": (300,)}


def run(optimizer):
    names = list(SHAPES)
    # Exact fractions.
    parts = {name: sum_of_squares(SHAPES[name], 64, 64) for name in names}
    parameters = {name: torch.nn.Parameter(parts[name][0].clone()) for name in names}
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
                state = optimizer.state[p]
                if "absmax1" in state and name == "w":
                    for which, label in (("1", "m"), ("2", "v")):
                        entry[label + "_scale"] = scalars(state["absmax" + which])
                        entry[label + "_codes"] = state["state" + which].reshape(-1)[-128:].tolist()
            shown.append(entry)
    return shown


def rounded(dtype, numbers):
    """Patterns of f32 numbers in another dtype."""
    kind = numpy.uint16 if dtype == ml_dtypes.bfloat16 else numpy.uint8
    return numbers.astype(dtype).view(kind).tolist()


def conversions(dtype, bits, mantissa):
    """All patterns of one sign with what lies halfway between neighbours and just beside, and far beyond."""
    kind = numpy.uint16 if bits == 16 else numpy.uint8
    if bits == 8:
        values = numpy.arange(256).astype(kind).view(dtype).astype(numpy.float32)
    else:
        values = (numpy.arange(0, 0x7F80, 251).astype(kind)).view(dtype).astype(numpy.float32)
    finite = numpy.unique(values[numpy.isfinite(values) & (values >= 0)]).astype(numpy.float32)
    next_values = finite[1:] if bits == 8 else (
        (finite.astype(dtype).view(kind) + 1).astype(kind).view(dtype).astype(numpy.float32))
    halves = (finite[: len(next_values)].astype(numpy.float64) + next_values) / 2
    halves = halves[numpy.isfinite(halves)].astype(numpy.float32)
    beyond = numpy.array([448, 464, 464.00003, 480, 57344, 61439.996, 61440, 1e9, 3e38, numpy.inf], numpy.float32)
    tiny = numpy.array([0, 1e-45, 1e-40, 1e-10, 1e-6], numpy.float32)
    numbers = numpy.concatenate([
        halves, numpy.nextafter(halves, numpy.float32(0)), numpy.nextafter(halves, numpy.float32(numpy.inf)),
        beyond, tiny])
    numbers = numpy.concatenate([numbers, -numbers])
    numbers = numbers[~numpy.isnan(numbers)]
    return {
        "values": scalars(torch.tensor(values)), "numbers": numbers.view(numpy.uint32).tolist(),
        "patterns": rounded(dtype, numbers),
    }


def blocks():
    """Quantised noise with a tail: codes, scales and what they stand for."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(600, generator=generator) * 10.0 ** torch.randint(-6, 1, (600,), generator=generator)
    result = {}
    for name, numbers, signed in (("signed", noise, True), ("unsigned", noise**2, False)):
        code = bitsandbytes.functional.create_dynamic_map(signed)
        codes, scales = quantize(numbers, code)
        result[name] = {
            "numbers": numbers.numpy().view(numpy.uint32).tolist(), "codes": codes.tolist(),
            "scales": scalars(scales),
        }
    return result


write("eight_bit.json", {
    "bitsandbytes": bitsandbytes.__version__, "ml_dtypes": ml_dtypes.__version__,
    "maps": {
        name: bitsandbytes.functional.create_dynamic_map(signed).numpy().view(numpy.uint32).tolist()
        for name, signed in (("signed", True), ("unsigned", False))
    },
    "blocks": blocks(),
    "f8e4m3": conversions(ml_dtypes.float8_e4m3fn, 8, 3),
    "f8e5m2": conversions(ml_dtypes.float8_e5m2, 8, 2),
    "bf16": conversions(ml_dtypes.bfloat16, 16, 7),
    "adam": {
        "learning_rate": LEARNING_RATE,
        "shapes": {name: list(shape) for name, shape in SHAPES.items()},
        "places": {name: places(shape) for name, shape in SHAPES.items()},
        "eight_bit": run(lambda p: bitsandbytes.optim.Adam8bit(p, lr=LEARNING_RATE)),
        "f32": run(lambda p: torch.optim.Adam(p, lr=LEARNING_RATE)),
    },
})
