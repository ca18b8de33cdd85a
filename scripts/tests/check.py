#!/usr/bin/env python3
"""Runs `gradus check`, and `gradus FILE`, which does the same first.

    scripts/tests/check.py PATH-TO-GRADUS

The last line counts.
"""

import gzip
import os
import struct
import subprocess
import sys
import tempfile
import time

from checks import run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def call(gradus, folder, text, *arguments, first=()):
    with open(os.path.join(folder, "script.nn"), "w", encoding="utf-8") as file:
        file.write(text)
    return subprocess.run(
        [gradus, *first, "script.nn", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)


def npy(shape, dtype="<f4"):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def refuses_what_every_run_comes_to(gradus):
    with tempfile.TemporaryDirectory() as folder:
        program = 'print("before")\nzeros([2]) + zeros([3])\n'
        result = call(gradus, folder, program)
        assert result.returncode == 1 and result.stdout == "", result
        assert "error[shape-mismatch]" in result.stderr and "--no-check" in result.stderr, result
        result = call(gradus, folder, program, first=["--no-check"])
        assert result.returncode == 1 and result.stdout == "before\n", result
        result = call(gradus, folder, program + "#! error[shape-mismatch]\nprint(1)\n")
        assert result.returncode == 0 and result.stdout == "before\n1\n", result
        result = call(gradus, folder, 'print("before")\nif sum(zeros([2])) > 0 { zeros([2]) + zeros([3]) }\n')
        assert result.returncode == 0, result


# Programs that run, whatever of them looks like a mistake of every run.
RUNNING = [
    "for i in 0..<5 {\n  if sum(normal([2])) < 1000 { continue }\n  ones([2]) @ ones([3])\n}\n",
    "for i in 0..<3000 {\n  if i > 20 { continue }\n  if i == 2500 { zeros([2]) @ zeros([3]) }\n}\n",
    "for i in 0..<3000 {\n  i = i % 2\n  if i == 2500 { zeros([2]) @ zeros([3]) }\n}\n",
    "w = zeros([2])\nfor i in 0..<3000 {\n  if i > 2500 { w @ zeros([3]) }\n  if i == 2000 { w = zeros([3]) }\n}\n",
    "fn f(x) {\n  if sum(x) < 1000 { return 1 }\n  ones([2]) @ ones([3])\n}\nf(normal([2]))\n",
    'save("./a.safetensors", (x: zeros([3])))\nload("a.safetensors").x + zeros([3])\n',
]


def refuses_nothing_that_runs(gradus):
    with tempfile.TemporaryDirectory() as folder:
        # One that lies there from an earlier run.
        header = b'{"x":{"dtype":"F32","shape":[7],"data_offsets":[0,28]}}'
        with open(os.path.join(folder, "a.safetensors"), "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header + bytes(28))
        for program in RUNNING:
            result = call(gradus, folder, program + 'print("ran")\n')
            assert result.returncode == 0 and result.stdout.endswith("ran\n"), (program, result)
        # A run that may not come to it is no reason to refuse one that does.
        program = "for t in 1...3000 {\n  x = ones([2]) * t\n  if t % 1000 == 0 { x @ ones([3]) }\n}\n"
        assert "--no-check" in call(gradus, folder, program).stderr


def guards_are_no_mistakes(gradus):
    with tempfile.TemporaryDirectory() as folder:
        for program in (
            'if exists("nope.npy") { load("nope.npy") }\n',
            'x = normal([3])\nif sum(x) > 1e6 { assert(false, "diverged") }\n',
            "fn half(x) = if sum(x) < 1e-3 { x } else { half(x / 2) }\nhalf(ones([3]))\n",
        ):
            result = call(gradus, folder, program, first=["check"])
            assert result.returncode == 0, (program, result)


def inputs_count(gradus):
    with tempfile.TemporaryDirectory() as folder:
        program = "input size = 3\nzeros([size]) + zeros([3])\n"
        assert call(gradus, folder, program, first=["check"]).returncode == 0
        assert call(gradus, folder, program, "size=4", first=["check"]).returncode == 1
        assert call(gradus, folder, program, "--", "size=4").stdout == ""
        result = call(gradus, folder, program, "sise=4", first=["check"])
        assert result.returncode == 1 and "unknown-input" in result.stderr, result


def changes_nothing_of_the_run(gradus):
    with tempfile.TemporaryDirectory() as folder:
        program = """
x = normal([3])
print(x)
net = Linear(3, 2)
opt = adamw(lr: 0.1)
step train(x) { minimize(mean((net(dropout(x, 0.5)) - 1)^2), net, opt) }
for i in 1...5 { train(x) }
print(net.weight)
print(normal([2]))
"""
        results = [call(gradus, folder, program, first=first) for first in ([], ["--no-check"])]
        assert results[0].returncode == 0 and results[0].stdout == results[1].stdout, results


def writes_nothing(gradus):
    with tempfile.TemporaryDirectory() as folder:
        program = 'print("said")\nnet = Linear(3, 2)\nsave("net.safetensors", net)\nload("net.safetensors", net)\n'
        result = call(gradus, folder, program, first=["check"])
        assert result.returncode == 0 and "said" not in result.stdout, result
        assert os.listdir(folder) == ["script.nn"], os.listdir(folder)


def reads_headers_alone(gradus):
    with tempfile.TemporaryDirectory() as folder:
        def sparse(name, head, size):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(head)
                file.truncate(len(head) + size)
        sparse("x.npy", npy((1 << 20, 4096)), 1 << 34)
        sparse("images.idx", struct.pack(">BBBBII", 0, 0, 8, 2, 1 << 16, 784), 784 << 16)
        with gzip.open(os.path.join(folder, "y.npy.gz"), "wb") as file:
            file.write(npy((300000, 5)) + bytes(300000 * 5 * 4))
        start = time.monotonic()
        result = call(
            gradus, folder, 'load("x.npy") @ zeros([3, 1])\nload("images.idx") @ zeros([4, 1])\nload("y.npy.gz") @ zeros([6, 1])\n',
            first=["check"])
        assert time.monotonic() - start < 5, "it took too long to read headers only"
        for size in ("4,096" if "4,096" in result.stderr else "4096", "784", "5 and 6"):
            assert size in result.stderr, result.stderr
        assert result.stderr.count("error[shape-mismatch]") == 3, result.stderr


sys.exit(run(
    (refuses_what_every_run_comes_to, refuses_nothing_that_runs, guards_are_no_mistakes, inputs_count,
     changes_nothing_of_the_run, writes_nothing, reads_headers_alone),
    sys.argv[1]))
