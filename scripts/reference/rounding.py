"""rounding.json: conversions between floats of 16 and 8 bits, f32 and f64, as numpy and ml_dtypes round them.

Needs the packages numpy and ml_dtypes. The tables would be large, and what must agree is every bit of them, so each is
given by the CRC-32 of each 4096 results in a row, and by a few results that say what went wrong where one differs.
The numbers that are converted are made here and, by the same rules, in the test:

- `all`: every pattern of the source, from 0 up.
- `halves`: for every pattern p of the target from 0 to the largest finite number, in order: the number halfway between
  p and the next (behind the largest: where the next would be if exponents went on), its neighbour in the source towards
  zero and the one away from it; then the same three with their signs turned.

A NaN stands as the quiet one of its sign without a payload, so that all of them count as equal but for the sign.
"""

import json
import os
import zlib

import ml_dtypes
import numpy

TYPES = {
    "f64": (numpy.float64, numpy.uint64), "f32": (numpy.float32, numpy.uint32), "f16": (numpy.float16, numpy.uint16),
    "bf16": (ml_dtypes.bfloat16, numpy.uint16), "f8e4m3": (ml_dtypes.float8_e4m3fn, numpy.uint8),
    "f8e5m2": (ml_dtypes.float8_e5m2, numpy.uint8),
}
# The quiet NaN without a payload, and how many finite patterns of one sign there are.
NAN = {"f64": 0x7FF8 << 48, "f32": 0x7FC00000, "f16": 0x7E00, "bf16": 0x7FC0, "f8e4m3": 0x7F, "f8e5m2": 0x7E}
FINITE = {"f16": 0x7C00, "bf16": 0x7F80, "f8e4m3": 0x7F, "f8e5m2": 0x7C}
CHUNK = 4096


def patterns(values, name):
    """The bits of values, NaNs as the header says."""
    kind = TYPES[name][1]
    bits = values.view(kind)
    sign = bits & kind(1 << (8 * kind().itemsize - 1))
    return numpy.where(numpy.isnan(values.astype(numpy.float64)), sign | kind(NAN[name]), bits).astype(kind)


def everything(name):
    dtype, kind = TYPES[name]
    return numpy.arange(1 << 8 * kind().itemsize, dtype=numpy.uint64).astype(kind).view(dtype)


def halves(source, target):
    dtype, kind = TYPES[target]
    numbers = numpy.arange(FINITE[target], dtype=numpy.uint64).astype(kind).view(dtype).astype(numpy.float64)
    following = numpy.append(numbers[1:], 2 * numbers[-1] - numbers[-2])
    middle = ((numbers + following) / 2).astype(TYPES[source][0])
    assert (middle.astype(numpy.float64) == (numbers + following) / 2).all()
    towards = numpy.nextafter(middle, TYPES[source][0](0))
    away = numpy.nextafter(middle, TYPES[source][0](numpy.inf))
    return numpy.stack([middle, towards, away, -middle, -towards, -away], axis=1).reshape(-1)


def rounded(numbers, target):
    """Numbers in another dtype, rounded once.

    ml_dtypes takes f64 to its own types by way of f32, which rounds twice. Here what f32 cannot hold is first brought
    to the odd one of its two neighbours: rounding that is rounding the number itself.
    """
    if numbers.dtype == numpy.float64 and target not in ("f16", "f32"):
        single = numbers.astype(numpy.float32)
        outward = numpy.abs(single.astype(numpy.float64)) > numpy.abs(numbers)
        bits = single.view(numpy.uint32) - outward.astype(numpy.uint32)
        exact = single.astype(numpy.float64) == numbers
        numbers = numpy.where(exact | numpy.isnan(numbers), single.view(numpy.uint32), bits | 1).astype(numpy.uint32).view(numpy.float32)
    return numbers.astype(TYPES[target][0])


def case(source, target, kind):
    numbers = everything(source) if kind == "all" else halves(source, target)
    with numpy.errstate(all="ignore"):
        results = patterns(rounded(numbers, target), target)
    bits = patterns(numbers, source)
    # Bytes in little-endian order.
    sums = [zlib.crc32(results[at:at + CHUNK].astype(results.dtype.newbyteorder("<")).tobytes()) for at in range(0, len(results), CHUNK)]
    shown = sorted({*range(0, min(len(results), 6)), *range(0, len(results), max(1, len(results) // 16)), len(results) - 1})
    return {
        "from": source, "to": target, "numbers": kind, "count": len(results), "crc32": sums,
        "samples": [[at, f"{int(bits[at]):x}", f"{int(results[at]):x}"] for at in shown],
    }


cases = []
for source in ("f16", "bf16", "f8e4m3", "f8e5m2"):
    for target in ("f64", "f32", "f16", "bf16", "f8e4m3", "f8e5m2"):
        if source != target:
            cases.append(case(source, target, "all"))
for target in ("f16", "bf16", "f8e4m3", "f8e5m2"):
    for source in ("f32", "f64"):
        cases.append(case(source, target, "halves"))

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Tests", "Reference")
with open(os.path.join(folder, "rounding.json"), "w", encoding="utf-8", newline="\n") as file:
    file.write('{\n "numpy": "%s", "ml_dtypes": "%s",\n "cases": [\n' % (numpy.__version__, ml_dtypes.__version__))
    file.write(",\n".join("  " + json.dumps(entry, separators=(",", ":")) for entry in cases))
    file.write("\n ]\n}\n")
print(f"{len(cases)} conversions, {sum(entry['count'] for entry in cases)} numbers")
