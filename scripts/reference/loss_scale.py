"""loss_scale.json: the loss scale before each of 10,000 steps, as torch.amp.GradScaler moves it on the CPU.

Some steps, by a rule that the test repeats, have a gradient that is infinite. Scales are given by runs: [first step,
scale], steps counted from 1.
"""

import torch

from common import Digits, write

STEPS = 10_000

# Infinite gradients at step k, counted from 1.
RULES = {
    # Three at once; 2000 clean steps, and one right after the scale has grown; 1999 clean ones; 4000; then often.
    "edges": lambda k: k <= 3 or k in (2004, 4004) or k > 9000 and k % 97 == 0,
    # One in a few hundred, anywhere.
    "scattered": lambda k: (k * 7919 + k // 7 * 104729) % 911 == 5,
    # None: the scale grows until f32 has no larger one.
    "none": lambda k: False,
}
STARTS = {"edges": 65536.0, "scattered": 65536.0, "none": 2.0**125}


def sequence(name):
    scaler = torch.amp.GradScaler("cpu", init_scale=STARTS[name])
    assert (scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()) == (2.0, 0.5, 2000)
    weight = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    runs, skipped = [], []
    for k in range(1, STEPS + 1):
        scaler.scale(torch.zeros(()))
        scale = scaler.get_scale()
        if not runs or runs[-1][1] != scale:
            runs.append([k, Digits(scale, 9)])
        bad = RULES[name](k)
        # What comes back is scaled; how large it is does not matter as long as it is finite.
        weight.grad = torch.tensor([1.0, float("inf") if bad else -1.0, 0.0])
        before = weight._version
        scaler.step(optimizer)
        assert (weight._version == before) == bad
        if bad:
            skipped.append(k)
        scaler.update()
    return {"start": Digits(STARTS[name], 9), "runs": runs, "skipped": skipped, "last": Digits(scaler.get_scale(), 9)}


write("loss_scale.json", {"steps": STEPS, "sequences": {name: sequence(name) for name in RULES}})
