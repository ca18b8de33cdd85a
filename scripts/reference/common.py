"""What the reference scripts share: fixed data, tensors as JSON, and where figures are written."""

import json
import math
import os

import torch

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Tests", "Reference")

DTYPES = {
    "f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16,
    "i64": torch.int64, "i32": torch.int32, "u8": torch.uint8, "bool": torch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


class Digits(float):
    """A float that knows how many significant digits it needs to be read back bit for bit."""

    def __new__(cls, value, digits):
        number = super().__new__(cls, value)
        number.digits = digits
        return number


def scalars(t):
    """The elements of a tensor, row by row, as JSON scalars."""
    t = t.detach().cpu().reshape(-1)
    if not t.dtype.is_floating_point:
        return t.tolist()
    digits = 17 if t.dtype == torch.float64 else 9
    return [Digits(value, digits) for value in t.double().tolist()]


def places(shape):
    """The elements of a parameter whose values are written: the first, some across the end of a block, the last."""
    count = math.prod(shape)
    return sorted({*range(8), *range(252, 260), *range(count - 8, count)})


def sum_of_squares(shape, start, target):
    """Start, target and weights of a sum of squares with gradients of several sizes.

    Both are whole numbers over what is given.
    """
    i = torch.arange(math.prod(shape))
    values = (
        ((i * 53 % 97) - 48).float() / start,
        ((i * 37 % 101) - 50).float() / target,
        0.5 ** ((i * 13 + i // 256) % 4).float(),
    )
    return [t.reshape(shape) for t in values]


def tensor(t):
    return {"dtype": NAMES[t.dtype], "shape": list(t.shape), "values": scalars(t)}


def tensors(named):
    return {name: tensor(t) for name, t in named.items()}


def grid(seed, shape, low=-1.0, high=1.0, step=1 / 64):
    """Fixed pseudo-random multiples of a power of two: exact in every float type, and short in text."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    return torch.round((low + (high - low) * uniform) / step) * step + 0.0


def whole(seed, shape, high):
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


def scalar(value):
    if isinstance(value, float):
        if math.isnan(value):
            return '"nan"'
        if math.isinf(value):
            return '"inf"' if value > 0 else '"-inf"'
        if value == 0:
            return "-0.0" if math.copysign(1, value) < 0 else "0"
        return f"{float(value):.{getattr(value, 'digits', 17)}g}"
    return json.dumps(value)


def is_flat(value):
    if isinstance(value, dict):
        return set(value) == {"dtype", "shape", "values"} or not any(isinstance(v, (dict, list)) for v in value.values())
    return not any(isinstance(v, (dict, list, tuple)) for v in value)


def encode(value, indent=0, flat=False):
    """JSON with a tensor, a list of numbers or a small record on one line each."""
    if not isinstance(value, (dict, list, tuple)):
        return scalar(value)
    if isinstance(value, dict):
        opening, closing = "{", "}"
    else:
        opening, closing = "[", "]"
    if not value:
        return opening + closing
    flat = flat or is_flat(value)
    if isinstance(value, dict):
        items = [json.dumps(k) + ":" + ("" if flat else " ") + encode(v, indent + 1, flat) for k, v in value.items()]
    else:
        items = [encode(v, indent + 1, flat) for v in value]
    if flat:
        return opening + ",".join(items) + closing
    margin = "\n" + " " * (indent + 1)
    return opening + margin + ("," + margin).join(items) + "\n" + " " * indent + closing


def path(name):
    os.makedirs(FOLDER, exist_ok=True)
    return os.path.join(FOLDER, name)


def write(name, value):
    value = {"torch": torch.__version__.split("+")[0], **value}
    text = encode(value) + "\n"
    json.loads(text)
    with open(path(name), "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    print(f"{name}: {len(text)} bytes")
