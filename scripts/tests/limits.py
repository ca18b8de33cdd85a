#!/usr/bin/env python3
"""Programs that take all memory there is, in a process that has little: each must end in an error, none in a signal.

    scripts/tests/limits.py PATH-TO-GRADUS

The last line counts.
"""

import os
import resource
import subprocess
import sys
import tempfile

# What `ulimit -v` would give; a run without tensors maps less than half of it.
ADDRESSES = 3 << 30

PROGRAMS = {
    "many tensors": "kept = [zeros([200000000]) for i in 1...50]",
    "many small tensors": "kept = []\nwhile true { kept = append(kept, ones([1000000])) }",
    "a text in a text": 's = "x"\nwhile true { s = "{s}{s}" }',
    "joined texts": 's = "x"\nwhile true { s = join([s, s]) }',
    "added texts": 's = "x"\nwhile true { s = s + s }',
    "joined lists": "x = [1]\nwhile true { x = concat(x, x) }",
    "a list that grows": "x = []\nwhile true { x = append(x, 1) }",
    "copies": "x = ones([100000000])\nkept = []\nwhile true { x[0] = 1.0; kept = append(kept, x) }",
}


def run(gradus, text, **environment):
    with tempfile.NamedTemporaryFile("w", suffix=".nn") as file:
        file.write(text + "\n")
        file.flush()
        return subprocess.run(
            [gradus, file.name], capture_output=True, text=True, timeout=120,
            env=dict(os.environ, **environment),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)))


def main():
    passed, failed = 0, 0
    for name, text in PROGRAMS.items():
        for environment in ({}, {"GRADUS_MEMORY": "500MiB"}):
            try:
                result = run(sys.argv[1], text, **environment)
                problem = None
                if result.returncode != 1 or "error[out-of-memory]" not in result.stderr:
                    problem = f"ended with {result.returncode}: {result.stderr[-200:]}"
            except subprocess.TimeoutExpired:
                problem = "did not end"
            if problem is None:
                passed += 1
            else:
                failed += 1
                print(f"FAIL {name} {environment or ''}: {problem}")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
