#!/usr/bin/env python3
"""Checks that the benchmarks' files compile, and that scripts/bench prints what its readers rely on.

    scripts/tests/bench.py GRADUS

Times nothing: a benchmark runs once, for the form of its report. The last line counts.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

import checks

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEYS = [
    "workload", "system", "dtype", "threads", "median_ms", "first_ms", "peak_bytes", "measured_peak_bytes",
    "rss_mib",
]
BENCH = os.path.join(ROOT, "scripts", "bench")


def compiles(gradus):
    # Without the peers themselves, which need not be installed.
    for path in [BENCH, *glob.glob(os.path.join(ROOT, "scripts", "benchmarks", "peers", "*.py"))]:
        with open(path, encoding="utf-8") as file:
            compile(file.read(), path, "exec")


def reports_json(gradus):
    command = [sys.executable, BENCH, "--gradus", gradus, "--repeat", "1", "--systems", "gradus", "--json"]
    done = subprocess.run([*command, "mlp-tiny"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    record = json.loads(line)
    assert list(record) == KEYS, record
    assert (record["workload"], record["system"], record["dtype"]) == ("mlp-tiny", "gradus", "f32"), record
    assert 0 < record["median_ms"] < record["first_ms"], record


def scripts_check(gradus):
    for path in sorted(glob.glob(os.path.join(ROOT, "scripts", "benchmarks", "*.nn"))):
        done = subprocess.run([gradus, "check", path], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def compares_precisions(gradus):
    """Digits alone, where the others' data are not there: 16 bits reach the result of f32."""
    with tempfile.TemporaryDirectory() as nothing:
        done = subprocess.run(
            [sys.executable, BENCH, "--gradus", gradus, "precision"], capture_output=True, text=True,
            env={**os.environ, "GRADUS_DATA": nothing})
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("digits", "mnist-cnn", "char-gpt"))]
    assert [row[:2] for row in rows] == [["digits", "accuracy"], ["mnist-cnn", "skipped:"], ["char-gpt", "skipped:"]], rows
    results = [float(number) for number in rows[0][2:5]]
    assert results[0] > 0.95 and min(results) > results[0] - 0.005, rows
    assert "too far" not in done.stdout, done.stdout


sys.exit(checks.run([compiles, scripts_check, reports_json, compares_precisions], os.path.abspath(sys.argv[1])))
