"""number_texts.json: Python's own text for numbers, as `repr` and through format specifications. Needs no package."""

import json
import math
import os
import random
import struct

SPECS = [".0f", ".4f", ".3e", ".0e", "8.2f", "<8.2f", "^9.1f", "*>10.3f", "+.2f", " .2f", "-.2f", "08.2f", "+09.3f", ",.2f", "012,.1f", ".3g", "g", "e", "f", "%", ".1%", ">12", "<12", "^12", "012", "*^14", ",", "+,"]
INTEGER_SPECS = ["d", "5d", "<5d", "^7d", "05d", "+d", " d", ",d", ",", "011,d", "x", "08x", "b", "o", "", "6", "*<6", ".2f", ".3e", "g", "%", "12,.2f"]
TEXT_SPECS = ["", "8", "<8", ">8", "^8", "*^9", ".2", "6.2", "s", ">5s"]


def numbers():
    yield from (0.0, -0.0, 1.0, 6.0, -3.5, 0.1, 0.1 + 0.2, 1 / 3, 1e-4, 9.9999e-5, 1e-5, 1e15, 1e16, 9999999999999998.0, 12345678901234567.0, 2.0**53, 2.0**54, 123456789.125, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e22, 1e23, 100.0, 1234567.0)
    yield from (math.nan, math.inf, -math.inf)
    generator = random.Random(0)
    for _ in range(400):
        yield struct.unpack("<d", struct.pack("<Q", generator.getrandbits(64)))[0]
    for _ in range(400):
        yield generator.uniform(-1, 1) * 10.0 ** generator.randint(-8, 20)
    for _ in range(200):
        yield round(generator.uniform(-1000, 1000), generator.randint(0, 4))


def bits(number):
    return f"{struct.unpack('<Q', struct.pack('<d', number))[0]:016x}"


def main():
    listed = list(numbers())
    few = [n for n in listed[:28]] + listed[28:428:40] + listed[428:828:20]
    integers = [0, 1, -1, 7, 42, -1234, 1234567, 2**63 - 1, -(2**63)]
    texts = ["", "a", "loss", "Zürich", "a longer text"]
    figures = {
        "repr": [[bits(n), repr(n)] for n in listed],
        "float": [[bits(n), s, format(n, s)] for n in few for s in SPECS],
        "integer": [[n, s, format(n, s)] for n in integers for s in INTEGER_SPECS],
        "text": [[t, s, format(t, s)] for t in texts for s in TEXT_SPECS],
    }
    path = os.path.join(os.path.dirname(__file__), "../../Tests/Reference/number_texts.json")
    with open(path, "w") as file:
        json.dump(figures, file, indent=None, separators=(",", ":"), ensure_ascii=False)
        file.write("\n")


main()
