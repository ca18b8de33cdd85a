"""schedules.json: learning rates of fifty updates under the schedulers of PyTorch."""

import math

import torch
from torch.optim import lr_scheduler as s

from common import Digits, write

STEPS = 50
PEAK = 0.1


def warmup_cosine(warmup, total, offset):
    """The rule of a step count that starts at `offset`, as a factor of the peak."""

    def factor(k):
        t = k + offset
        if t < warmup:
            return t / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1, (t - warmup) / (total - warmup))))

    return factor


def sequence(optimizer):
    rise = s.LinearLR(optimizer, start_factor=0.1, end_factor=1.0, total_iters=9)
    return s.SequentialLR(optimizer, [rise, s.CosineAnnealingLR(optimizer, T_max=40)], milestones=[10])


# k counts from 0, t from 1: the k-th rate is used by update t = k + 1.
CASES = [
    ("cosine", "CosineAnnealingLR", dict(T_max=50, eta_min=0.0), "peak * (1 + cos(pi * k / 50)) / 2"),
    ("cosine_floor", "CosineAnnealingLR", dict(T_max=50, eta_min=0.01), "0.01 + (peak - 0.01) * (1 + cos(pi * k / 50)) / 2"),
    ("warmup_cosine", lambda o: s.LambdaLR(o, warmup_cosine(10, 50, 0)), dict(warmup=10, total=50),
     "k < 10: peak * k / 10; else peak * (1 + cos(pi * (k - 10) / 40)) / 2"),
    ("warmup_cosine_from_one", lambda o: s.LambdaLR(o, warmup_cosine(10, 50, 1)), dict(warmup=10, total=50),
     "t < 10: peak * t / 10; else peak * (1 + cos(pi * (t - 10) / 40)) / 2"),
    ("warmup_cosine_sequence", sequence, dict(warmup=10, total=50),
     "t <= 10: peak * t / 10; else peak * (1 + cos(pi * (t - 11) / 40)) / 2"),
    ("cosine_restarts", "CosineAnnealingWarmRestarts", dict(T_0=10, T_mult=2, eta_min=0.0),
     "cycles of 10, 20, 40: peak * (1 + cos(pi * done / length)) / 2"),
    ("step", "StepLR", dict(step_size=10, gamma=0.5), "peak * 0.5^(k // 10)"),
    ("multi_step", "MultiStepLR", dict(milestones=[15, 30], gamma=0.1), "peak * 0.1^(milestones <= k)"),
    ("exponential", "ExponentialLR", dict(gamma=0.95), "peak * 0.95^k"),
    ("constant", "ConstantLR", dict(factor=0.25, total_iters=10), "k < 10: peak / 4; else peak"),
    ("linear_decay", "LinearLR", dict(start_factor=1.0, end_factor=0.1, total_iters=40), "peak * (1 + (0.1 - 1) * min(k, 40) / 40)"),
    ("linear_warmup", "LinearLR", dict(start_factor=0.1, end_factor=1.0, total_iters=9), "peak * (0.1 + 0.9 * min(k, 9) / 9)"),
    ("linear_to_zero", lambda o: s.LambdaLR(o, lambda k: max(0.0, 1 - k / 50)), dict(total=50), "peak * (1 - k / 50)"),
    ("polynomial", "PolynomialLR", dict(total_iters=40, power=2.0), "peak * (1 - min(k, 40) / 40)^2"),
    ("inverse_square_root", lambda o: s.LambdaLR(o, lambda k: min((k + 1) / 10, math.sqrt(10 / (k + 1)))), dict(warmup=10),
     "peak * min(t / 10, sqrt(10 / t))"),
    ("one_cycle", "OneCycleLR", dict(max_lr=PEAK, total_steps=50, pct_start=0.3, anneal_strategy="cos", div_factor=25.0, final_div_factor=1e4),
     "from peak / 25 to peak over k = 0..14, then to peak / 250000 over k = 14..49; each part end + (start - end) * (1 + cos(pi * share)) / 2"),
    ("one_cycle_linear", "OneCycleLR", dict(max_lr=PEAK, total_steps=50, pct_start=0.3, anneal_strategy="linear", div_factor=25.0, final_div_factor=1e4),
     "the same turning points, straight lines"),
    ("one_cycle_three_phases", "OneCycleLR",
     dict(max_lr=PEAK, total_steps=50, pct_start=0.3, anneal_strategy="cos", div_factor=25.0, final_div_factor=1e4, three_phase=True),
     "up over k = 0..14, down to peak / 25 over 14..28, down to peak / 250000 over 28..49"),
]


def rates(make, settings):
    w = torch.nn.Parameter(torch.zeros(1))
    w.grad = torch.zeros(1)
    optimizer = torch.optim.SGD([w], lr=PEAK, momentum=0.9)
    scheduler = getattr(s, make)(optimizer, **settings) if isinstance(make, str) else make(optimizer)
    used, momenta = [], []
    for _ in range(STEPS):
        used.append(Digits(optimizer.param_groups[0]["lr"], 17))
        momenta.append(Digits(optimizer.param_groups[0]["momentum"], 17))
        optimizer.step()
        if len(used) < STEPS:
            scheduler.step()
    return {"rates": used, "momenta": momenta} if make == "OneCycleLR" else {"rates": used}


def main():
    write("schedules.json", {
        "peak": PEAK,
        "schedules": [
            {"name": name, "scheduler": make if isinstance(make, str) else "LambdaLR" if make is not sequence else "SequentialLR",
             "settings": settings, "formula": formula, **rates(make, settings)}
            for name, make, settings, formula in CASES
        ],
    })


main()
