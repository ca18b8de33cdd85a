"""printing.json: tensors and the exact text that PyTorch prints for them."""

import math

import torch
from torch._tensor_str import _tensor_str

from common import DTYPES, NAMES, grid, scalars, whole, write

INF, NAN = math.inf, math.nan
CASES = []
EIGHT_BITS = {"f8e4m3": torch.float8_e4m3fn, "f8e5m2": torch.float8_e5m2}
NAMES.update({dtype: name for name, dtype in EIGHT_BITS.items()})


def add(name, t, formula=None):
    record = {"name": name, "dtype": NAMES[t.dtype], "shape": list(t.shape)}
    if formula is None:
        record["values"] = scalars(t)
    else:
        record["formula"] = formula
    CASES.append({**record, "text": str(t), "body": _tensor_str(t, indent=0)})


def values(name, listed, dtype="f32", shape=None):
    t = torch.tensor(listed, dtype=DTYPES[dtype])
    add(name, t if shape is None else t.reshape(shape))


def formula(name, shape, dtype="f32", start=0, step=1, period=None, put=()):
    """Element i is start + step * (i mod period), computed in f64 and rounded once; then element `at` is `value` for each of put."""
    index = torch.arange(math.prod(shape), dtype=torch.int64)
    if period is not None:
        index = index % period
    t = (start + step * index).to(DTYPES[dtype]) if dtype == "i64" else (start + step * index.double()).to(DTYPES[dtype])
    for at, value in put:
        t[at] = value
    described = {"name": "arange", "start": start, "step": step, "period": period}
    described["put"] = [{"at": at, "value": float(value)} for at, value in put]
    add(name, t.reshape(shape), described)


def normals(seed, shape, spread=1.0, dtype="f32"):
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(shape, generator=generator, dtype=torch.float64)).to(DTYPES[dtype])


def numbers():
    for value in (0.0, -0.0, 1.0, -3.0, 0.5, 3.14159274, -2.71828, 1e-4, 9.9e-5, 1e8, 1.5e8, 123456.789, 1e-10, 3e38, 1e-45, 16777216.0, NAN, INF, -INF):
        values(f"number {value!r}", value)
    values("number f64", 1 / 3, "f64")
    values("number f64 large", 1e300, "f64")
    values("number f64 tiny", 5e-324, "f64")
    values("number f16", 0.1, "f16")
    values("number bf16", 0.1, "bf16")
    values("number i64", -7, "i64")
    values("number i64 least", -(2**63), "i64")
    values("number i32", 5, "i32")
    values("number u8", 200, "u8")
    values("number true", True, "bool")
    values("number false", False, "bool")


def empty():
    for shape in ([0], [2, 0], [0, 3], [1, 0, 4], [0, 0]):
        for dtype in ("f32", "i64", "f64", "bool"):
            add(f"empty {shape} {dtype}", torch.empty(shape, dtype=DTYPES[dtype]))


def fixed_point():
    values("one decimal", [0.5])
    values("decimals", [0.1, 0.2, 0.3])
    values("mixed signs", [1.5, -2.25, 3.125])
    values("rounding to four decimals", [0.00005, 0.12345, 0.12355, 0.99995, 0.99994, 1.00005])
    values("ties between decimals", [0.03125, 0.09375, 0.00390625, 2.00048828125])
    values("ten and a tenth", [10.0, 0.1, -100.5])
    values("ratio just 1000", [1000.5, 1.0005])
    values("ratio exactly 1000", [1500.0, 1.5])
    values("ratio below 1000", [999.5, 1.0])
    values("least fixed", [0.0001, 0.0005, 0.05])
    values("zeros among decimals", [0.0, 0.25, 0.0, -0.75])
    values("negative zero among decimals", [-0.0, 0.25])
    values("rounds to minus nothing", [-0.00012, 0.00034, 0.01])
    values("thousands", [1234.5678, 5678.1234, 9999.9999])
    values("ten thousands", [99999.5, 12345.678, 98765.43])
    values("close to an integer", [0.99999, 1.0, 2.0])
    values("nearly whole in f32", [1.00001, 2.0, 3.0])


def whole_numbers():
    values("whole", [1.0, 2.0, 3.0])
    values("whole negative", [-1.0, 10.0, -100.0])
    values("whole wide", [1.0, 20.0, 300.0])
    values("whole at 1000", [1.0, 1000.0])
    values("whole past 1000", [1.0, 1001.0])
    values("whole with zero", [0.0, 5000.0, 6000.0])
    values("whole to 1e8", [1e8, 5e7])
    values("whole past 1e8", [2e8, 3e8])
    values("whole 2^24", [16777216.0, 16777215.0])
    values("zeros", [0.0] * 5)
    values("one zero", [0.0])
    values("minus zero", [-0.0, 0.0])
    values("zeros 30", [0.0] * 30)
    values("zeros 60", [0.0] * 60)
    values("zeros 2 by 3", [0.0] * 6, shape=[2, 3])
    values("ones 3 by 3", [1.0] * 9, shape=[3, 3])
    values("identity", torch.eye(4).tolist())
    values("range 0 to 29", [float(i) for i in range(30)])
    values("range minus", [float(i) for i in range(-20, 20)])


def scientific():
    values("small", [1e-5, 2e-5])
    values("small and one", [1e-5, 1.0])
    values("large and small", [1e10, 1e-10])
    values("wide ratio", [0.001, 1.5, 250.25])
    values("ratio past 1000", [1001.5, 1.0])
    values("past 1e8", [123456789.0, 1.5])
    values("scientific signs", [-1e-5, 2.5, -3e6, 0.0])
    values("scientific whole", [1.0, 10.0, 100.0, 10000.0])
    values("extremes f32", [3.4028234e38, 1.17549435e-38, 1e-45])
    values("extremes f64", [1.7976931348623157e308, 2.2250738585072014e-308, 5e-324], "f64")
    values("three digit exponents", [1e100, 1e-100, 0.0], "f64")
    values("three and two digit exponents", [1e100, 1.0, -1e-9], "f64")
    values("rounds up to a power", [9.99996e-6, 9.99994e-6, 1.0])
    values("ties in the mantissa", [1.00005e-5, 1.00015e-5, 3.00025e4])
    values("scientific wrap", [10.0 ** (i % 9 - 4) * (-1) ** i for i in range(25)])
    values("scientific matrix", [10.0 ** (i - 4) for i in range(12)], shape=[3, 4])
    values("learning rates", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
    values("probabilities", torch.softmax(torch.tensor([1.0, 5.0, 12.0, 0.5]), 0).tolist())


def not_finite():
    values("nan", [NAN])
    values("inf", [INF])
    values("minus inf", [-INF])
    values("nan and inf", [NAN, INF, -INF])
    values("nan among whole", [NAN, 1.0, 2.0])
    values("inf among whole", [INF, 1.0, -2.0])
    values("inf among wide whole", [INF, 12345.0, -INF, 67890.0])
    values("nan among decimals", [NAN, 0.5, 1.25])
    values("inf among decimals", [INF, 0.5, -INF])
    values("nan among scientific", [NAN, 1e-6, 1.0])
    values("inf among scientific", [-INF, 1e-6, 1e9])
    values("zero and inf", [0.0, INF])
    values("zero and nan", [0.0, NAN, 0.0])
    values("inf matrix", [1.5, INF, NAN, -2.5, 0.0, -INF], shape=[2, 3])
    values("inf whole matrix", [1.0, INF, NAN, -2.0, 0.0, -INF], shape=[2, 3])
    values("causal mask", [0.0, -INF, -INF, 0.0, 0.0, -INF, 0.0, 0.0, 0.0], shape=[3, 3])
    values("many inf", [INF] * 40)
    values("nan f16", [NAN, 1.5, -INF], "f16")


def integers():
    values("i64", [1, 2, 3], "i64")
    values("i64 signs", [-1, 10, -100], "i64")
    values("i64 extremes", [2**63 - 1, -(2**63), 0], "i64")
    values("i64 wrap", list(range(40)), "i64")
    values("i64 wrap wide", [i * 123457 for i in range(20)], "i64")
    values("i64 matrix", list(range(12)), "i64", [3, 4])
    values("i64 wide rows", list(range(80)), "i64", [2, 40])
    values("i64 cube", list(range(24)), "i64", [2, 3, 4])
    values("i32", [7, -8], "i32")
    values("i32 matrix", [2**31 - 1, -(2**31), 0, 5], "i32", [2, 2])
    values("u8", [0, 128, 255], "u8")
    values("u8 image", [(i * 37) % 256 for i in range(64)], "u8", [4, 16])
    values("u8 wrap", [(i * 91) % 256 for i in range(50)], "u8")
    values("bool", [True, False], "bool")
    values("bool all true", [True, True, True], "bool")
    values("bool all false", [False], "bool")
    values("bool matrix", [i % 3 == 0 for i in range(12)], "bool", [3, 4])
    values("bool wrap", [i % 2 == 0 for i in range(30)], "bool")


def halves():
    values("f16 decimals", [0.1, 0.2, 0.3], "f16")
    values("f16 whole", [1.0, 2048.0], "f16")
    values("f16 largest", [65504.0, -65504.0], "f16")
    values("f16 least", [6e-8, 1.0], "f16")
    values("f16 matrix", [0.1 * i for i in range(6)], "f16", [2, 3])
    values("f16 wrap", [i / 7 for i in range(20)], "f16")
    values("bf16 decimals", [0.1, 0.2, 0.3], "bf16")
    values("bf16 whole", [1.0, 256.0, 257.0], "bf16")
    values("bf16 large", [3e38, 1.0], "bf16")
    values("bf16 matrix", [0.3 * i - 1 for i in range(9)], "bf16", [3, 3])
    values("f64 decimals", [0.1, 0.2, 1 / 3], "f64")
    values("f64 whole", [1.0, 2.0], "f64")
    values("f64 matrix", [i / 3 for i in range(12)], "f64", [3, 4])
    values("f64 nearly whole", [1.0000000001, 2.0], "f64")
    add("f64 normal", normals(1, [3, 5], dtype="f64"))
    add("f64 wrap", normals(2, [17], dtype="f64"))


def eight_bits():
    for name, dtype in EIGHT_BITS.items():
        for label, listed in {
            "decimals": [0.1, 0.2, 0.3], "whole": [1.0, -2.0, 16.0, 0.0], "wide": [0.001953125, 448.0, -1.0],
            "not finite": [NAN, 1.5, -0.0] + ([INF, -INF] if name == "f8e5m2" else []),
            "wrap": [i / 4 for i in range(30)],
        }.items():
            add(f"{name} {label}", torch.tensor(listed).to(dtype))
        add(f"{name} matrix", torch.tensor([[0.5, 1.0], [2.0, 3.5]]).to(dtype))


def mixtures():
    """Numbers by chance, of every dtype, size and spread, some of them put in the place of others."""
    generator = torch.Generator().manual_seed(7)
    shapes = [[], [1], [3], [11], [23], [2, 5], [5, 2], [1, 13], [3, 3], [2, 2, 3], [2, 1, 2, 2], [4, 0, 2]]
    spreads = [1e-9, 1e-5, 1e-3, 1.0, 30.0, 4e3, 1e6, 1e12]
    special = [0.0, -0.0, 1.0, -1.0, 1e-4, NAN, INF, -INF]
    for number in range(132):
        shape = shapes[number % len(shapes)]
        dtype = ("f32", "f64", "f16", "bf16", "i64", "i32", "u8", "bool")[number % 8 if number % 3 else 0]
        count = math.prod(shape)
        spread = spreads[int(torch.randint(len(spreads), [], generator=generator))]
        t = spread * torch.randn(count, generator=generator, dtype=torch.float64)
        if dtype[0] in "fb" and dtype != "bool":
            # Some are whole, some have elements that change how all are written.
            if number % 5 == 0:
                t = t.round()
            for place in range(0, count, 4):
                if number % 2:
                    t[place] = special[int(torch.randint(len(special), [], generator=generator))]
        elif dtype == "bool":
            t = t > 0
        else:
            t = t.abs() % 256 if dtype == "u8" else t.clamp(-2e9, 2e9)
        add(f"{number} {dtype} {shape}", t.to(DTYPES[dtype]).reshape(shape))


def one_axis():
    for length in (1, 2, 7, 8, 9, 10, 16, 17, 25):
        add(f"normal {length}", normals(10 + length, [length]))
    for length in (9, 18, 24):
        add(f"positive {length}", normals(40 + length, [length]).abs())
    add("normal hundred", normals(50, [40], 30.0))
    values("width to the edge 26", [1.0] * 26)
    values("width to the edge 27", [1.0] * 27)
    values("one digit 20", list(range(10)) * 2, "i64")
    values("one digit 26", [i % 10 for i in range(26)], "i64")
    values("one digit 27", [i % 10 for i in range(27)], "i64")


def more_axes():
    for shape in ([1, 1], [2, 3], [3, 1], [1, 9], [2, 8], [3, 9], [2, 20], [8, 4], [12, 2]):
        add(f"normal {shape}", normals(sum(shape) + 60, shape))
    for shape in ([1, 1, 1], [2, 2, 2], [3, 2, 4], [1, 3, 9], [2, 1, 12], [4, 1, 1]):
        add(f"normal {shape}", normals(sum(shape) + 80, shape))
    for shape in ([1, 1, 1, 1], [2, 2, 2, 2], [1, 2, 3, 4], [2, 1, 2, 10]):
        add(f"normal {shape}", normals(sum(shape) + 100, shape))
    add("normal [1, 2, 1, 2, 3]", normals(120, [1, 2, 1, 2, 3]))
    add("multiples of 1/64", grid(121, [4, 5]).float())
    add("pixels", whole(122, [2, 5, 5], 256).to(torch.uint8))
    add("weights", normals(123, [4, 6], 0.02))
    add("gradients", normals(124, [4, 6], 1e-3))
    add("tiny gradients", normals(125, [3, 4], 1e-7))
    formula("not summarised 1000", [1000])
    formula("not summarised 10 by 100", [10, 100], "i64")


def summarised():
    formula("arange 2000", [40, 50])
    formula("arange 2000 i64", [40, 50], "i64")
    formula("arange 1001", [1001])
    formula("arange 1001 i64", [1001], "i64")
    formula("arange 5000 quarter", [5000], step=0.25)
    formula("tenths", [2000], step=0.1)
    formula("tenths f64", [30, 40], "f64", step=0.1)
    formula("negative", [1200], start=-600)
    formula("hundredths matrix", [100, 100], start=-1, step=0.01, period=200)
    formula("zeros 2000", [2000], step=0)
    formula("zeros 100 by 100", [100, 100], step=0)
    formula("constant", [50, 50], start=0.125, step=0)
    formula("two long rows", [2, 600])
    formula("many short rows", [600, 2])
    formula("column", [1001, 1])
    formula("row", [1, 1001])
    formula("seven long rows", [7, 200])
    formula("six long rows", [6, 200])
    formula("short last axis", [300, 6])
    formula("last axis of seven", [300, 7])
    formula("three axes", [12, 10, 10])
    formula("three axes small first", [2, 30, 30])
    formula("three axes small last", [30, 30, 3], step=0.5)
    formula("three axes small middle", [20, 2, 40], "i64")
    formula("four axes", [8, 3, 8, 8])
    formula("four axes images", [2, 3, 20, 20], step=0.001, period=1000)
    formula("small step", [1500], start=1e-6, step=1e-6)
    formula("scientific matrix", [40, 40], start=1e-6, step=0.5)
    formula("bool", [1100], "bool", period=2)
    formula("bool matrix", [40, 40], "bool", period=3)
    formula("u8", [40, 40], "u8", period=256)
    formula("i32", [1100], "i32", start=-50)
    formula("f16", [40, 40], "f16", step=0.125, period=64)
    formula("bf16", [1100], "bf16", step=0.5, period=64)
    # The format follows what is shown: a value in the hidden middle does not count, one at the edge does.
    formula("hidden large", [2000], step=0.5, period=10, put=[(1000, 1e20)])
    formula("shown large", [2000], step=0.5, period=10, put=[(1, 1e20)])
    formula("hidden fraction", [2000], period=10, put=[(1000, 0.5)])
    formula("shown fraction", [2000], period=10, put=[(1998, 0.5)])
    formula("hidden nan", [40, 50], put=[(1025, NAN)])
    formula("shown nan", [40, 50], put=[(0, NAN), (1999, INF)])
    formula("shown minus inf", [1500], step=0.25, put=[(2, -INF)])
    formula("shown only at the corner", [40, 50], put=[(1999, 0.5)])


def main():
    for group in (numbers, empty, fixed_point, whole_numbers, scientific, not_finite, integers, halves, eight_bits, mixtures, one_axis, more_axes, summarised):
        before = len(CASES)
        group()
        for case in CASES[before:]:
            case["name"] = f"{group.__name__}: {case['name']}"
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names), [n for n in names if names.count(n) > 1]
    print(len(CASES), "tensors")
    write("printing.json", {"options": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80}, "tensors": CASES})


main()
