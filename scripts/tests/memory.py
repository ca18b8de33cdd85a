#!/usr/bin/env python3
"""Checks what a process alone can show of plans: limits of memory, numbers of threads, files of drawings.

    scripts/tests/memory.py GRADUS

The last line counts.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import checks

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

TRAIN = """
net = MLP([64, 256, 256, 10])
opt = adamw(lr: 1e-3)
step train(x, y) {
  loss = cross_entropy(net(x), y)
  minimize(loss, net, opt, clip: 1.0)
  loss
}
"""


def run(gradus, script, **environment):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "script.nn")
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        done = subprocess.run(
            [gradus, path], capture_output=True, text=True, cwd=folder, env={**os.environ, **environment})
        files = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                files[name] = file.read()
        return done, files


def refuses_what_does_not_fit(gradus):
    def call(rows):
        script = TRAIN + f"""
before = net.layers[0].weight
train(normal([{rows}, 64]), randint(0, 10, [{rows}]))
"""
        return run(gradus, script, GRADUS_MEMORY="32MiB")[0]

    done = call(20000)
    assert done.returncode == 1 and done.stdout == "", done
    assert "error[out-of-memory]: the step `train` needs" in done.stderr, done.stderr
    # The table says what takes the memory, the help what would fit, and that is true.
    assert "activations" in done.stderr and "nothing has been computed" in done.stderr, done.stderr
    rows = int(re.search(r"about (\d+) rows of `x`", done.stderr)[1])
    assert 1000 < rows < 20000, done.stderr
    fits = call(rows)
    assert fits.returncode == 0, fits.stderr
    assert call(rows * 13 // 10).returncode == 1
    # A plan for more than there is can be looked at all the same.
    done = run(gradus, TRAIN + "memory(train, normal([20000, 64]), randint(0, 10, [20000])).peak", GRADUS_MEMORY="32MiB")[0]
    assert done.returncode == 0 and int(done.stdout) > 32 << 20, done


def threads_do_not_change_a_bit(gradus):
    script = TRAIN + """
seed(3)
x = normal([512, 64])
y = randint(0, 10, [512])
for i in 0..<20 { print("{train(x, y):.9}") }
print("{sum(net.layers[0].weight):.9}")
"""
    results = {count: run(gradus, script, GRADUS_THREADS=count)[0] for count in ["1", "2", "4"]}
    assert all(done.returncode == 0 for done in results.values()), results
    assert len({done.stdout for done in results.values()}) == 1, results
    assert len(results["1"].stdout.splitlines()) == 21


def refuses_bad_settings(gradus):
    for name, value in [
        ("GRADUS_THREADS", "none"), ("GRADUS_THREADS", "0"), ("GRADUS_MEMORY", "16MB"), ("GRADUS_MEMORY", ""),
    ]:
        done = run(gradus, "1", **{name: value})[0]
        assert done.returncode == 2 and name in done.stderr, done


def halves_activations(gradus):
    """In bf16 the activations of a GPT take half the bytes, attention, norms and GELU included."""
    script = f"""
use "{ROOT}/scripts/benchmarks/gpt.nn"
net = gpt(65, 256, 384, 6, 6)
opt = adamw(lr: 1e-3)
step train(x, y) {{
  loss = cross_entropy(net(x), y)
  minimize(loss, net, opt)
  loss
}}
(x, y) = (randint(0, 65, [8, 256]), randint(0, 65, [8, 256]))
for m in [memory(train, x, y), memory(train with precision: bf16, x, y)] {{ print(m.activations) }}
"""
    done, _ = run(gradus, script)
    whole, half = (int(line) for line in done.stdout.split())
    assert half <= 0.55 * whole, (half, whole)


def multiplies_bf16_everywhere(gradus):
    """Losses in bf16 on a processor that multiplies it, and as on one that does not; bytes as planned on both."""
    script = TRAIN.replace(", clip: 1.0", "") + """
(x, y) = (normal([96, 64]), randint(0, 10, [96]))
small = train with precision: bf16
for i in 0..<20 { small(x, y) }
print(float(small(x, y)))
m = memory(small, x, y)
print(m.measured - m.peak)
"""
    losses = []
    for more in ({}, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "DNNL_MAX_CPU_ISA": "AVX512_CORE"}):
        for threads in ("1", "3"):
            done, _ = run(gradus, script, GRADUS_CHECK_MEMORY="1", GRADUS_THREADS=threads, **more)
            assert done.returncode == 0, done.stderr
            loss, difference = done.stdout.split()
            assert difference == "0", done.stdout
            losses.append(float(loss))
    assert losses[0] == losses[1] and losses[2] == losses[3], losses
    assert abs(losses[0] - losses[2]) < 0.02 * losses[2] + 1e-3, losses


def draws_a_timeline(gradus):
    script = TRAIN + 'save("memory.svg", timeline(train, normal([8, 64]), randint(0, 10, [8])))\n'
    done, files = run(gradus, script)
    assert done.returncode == 0, done.stderr
    root = xml.etree.ElementTree.fromstring(files["memory.svg"])
    names = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "parameters" in names and "gradients" in names, names


def writes_a_trace(gradus):
    """A profile saved as JSON: a complete event for each kernel, in microseconds, none before the one before it ended."""
    script = TRAIN + 'save("step.json", profile(train, normal([8, 64]), randint(0, 10, [8])))\n'
    done, files = run(gradus, script)
    assert done.returncode == 0, done
    events = json.loads(files["step.json"])["traceEvents"]
    assert len(events) > 8 and {event["cat"] for event in events} == {"forward", "backward", "update"}, events
    end = 0
    for event in events:
        assert event["ph"] == "X" and event["dur"] >= 0 and event["ts"] >= end - 0.01, event
        end = event["ts"] + event["dur"]
    assert any(re.fullmatch(r".*\.nn:\d+", event["args"]["at"]) for event in events), events


SVG = "{http://www.w3.org/2000/svg}"


def draws_updates_beside_their_weights(gradus):
    """Bars of magnitudes, and of updates over their weights, with the line under which bf16 loses them."""
    script = """
net = MLP([8, 4])
g = map(fn(w) = 1e-3 * w, parameters(net))
h = histogram(g, bf16, weights: net)
save("plain.svg", histogram(g, f16))
save("updates.svg", h)
"""
    done, files = run(gradus, script)
    assert done.returncode == 0, done.stderr
    plain, updates = (xml.etree.ElementTree.fromstring(files[name]) for name in ("plain.svg", "updates.svg"))
    texts = [text.text for text in updates.iter(SVG + "text")]
    assert "w + u is w" in texts and any(text.startswith("log2 of updates over their weights") for text in texts), texts
    counts = [sum(int(title.text.split(": ")[1]) for title in root.iter(SVG + "title")) for root in (plain, updates)]
    # 32 weights and 4 biases; the second panel has each once more.
    assert counts == [36, 72], counts


def draws_the_loss_scale(gradus):
    """A line over the steps, and a mark for each that was skipped."""
    script = """
model Point() { param w = zeros([2]) }
net = Point()
step plain(x) { minimize(sum(net.w * x), net, sgd()) }
train = plain with loss_scale: dynamic
for k in 1...2010 { train([1.0, if k in [3, 2004] { inf } else { 1.0 }]) }
save("scale.svg", train.scales)
"""
    done, files = run(gradus, script)
    assert done.returncode == 0, done.stderr
    root = xml.etree.ElementTree.fromstring(files["scale.svg"])
    skips = [title.text for title in root.iter(SVG + "title")]
    assert skips == ["step 3 was skipped", "step 2,004 was skipped"], skips
    # 2^16, 2^15 from step 4 on, 2^16 for the step after 2000 clean ones, 2^15 again: a level for each, from end to end.
    (line,) = root.iter(SVG + "polyline")
    points = line.get("points").split()
    assert len(points) == 8, points
    heights = [point.split(",")[1] for point in points]
    assert heights[0] == heights[1] == heights[4] != heights[2] == heights[6], heights


sys.exit(checks.run(
    [
        refuses_what_does_not_fit, threads_do_not_change_a_bit, refuses_bad_settings, halves_activations,
        multiplies_bf16_everywhere, draws_a_timeline, writes_a_trace, draws_updates_beside_their_weights, draws_the_loss_scale,
    ], os.path.abspath(sys.argv[1])))
