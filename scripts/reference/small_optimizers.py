"""small_optimizers.json: steps of the optimizers with small states, on parameters of every rank, in f32 and in f64.

Needs the packages transformers and adam-mini besides PyTorch 2.9 or later.
"""

import contextlib
import io

import torch
from adam_mini import Adam_mini
from transformers.optimization import Adafactor as TransformersAdafactor

from common import grid, scalars, tensors, write

STEPS = 120
SHOWN = (1, 3, 120)

# A matrix w with a vector b and a number c, a stack of matrices a, and k in the form of a convolution's filters.
PROBLEM = {
    "x": grid(11, [8, 5]) * torch.tensor([2.0, 1.0, 0.5, 2.0**-3, 2.0**-5], dtype=torch.float64),
    "y": grid(12, [8, 3], -0.9, 0.9),
    "u": grid(13, [2, 6, 3]),
    "v": grid(14, [2, 6, 4], -0.9, 0.9),
    "target": grid(15, [3, 2, 2, 3]),
}
INITIAL = {
    "w": grid(16, [5, 3]), "b": grid(17, [3], -0.25, 0.25), "c": torch.tensor(0.75, dtype=torch.float64),
    "a": grid(18, [2, 3, 4]), "k": grid(19, [3, 2, 2, 3]),
}


class PaperAdafactor(torch.optim.Optimizer):
    """Shazeer and Stern 2018, algorithms 4 to 6, written down: rows and columns are sums.

    The first moment is of the scaled update, as in the authors' tensor2tensor; decay is decoupled, at the rate alpha.
    """

    def __init__(self, params, lr=None, beta1=0.0, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, beta1=beta1, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                t = state["t"] = state.get("t", 0) + 1
                beta2 = 1 - t**-0.8
                squares = p.grad**2 + 1e-30

                def running(name, value):
                    state[name] = beta2 * state.get(name, torch.zeros_like(value)) + (1 - beta2) * value
                    return state[name]

                if p.dim() >= 2:
                    rows, columns = running("rows", squares.sum(-1)), running("columns", squares.sum(-2))
                    # (R / sum(R)) C: R C alone would be smaller than the least f32.
                    moment = (rows / rows.sum(-1, keepdim=True)).unsqueeze(-1) * columns.unsqueeze(-2)
                else:
                    moment = running("moment", squares)
                update = p.grad / moment.sqrt()
                update = update / max(1.0, (update**2).mean().sqrt().item() / 1.0)
                rho = min(1e-2, t**-0.5) if group["lr"] is None else group["lr"]
                alpha = max(1e-3, (p**2).mean().sqrt().item()) * rho
                change = alpha * update
                if group["beta1"] != 0:
                    change = group["beta1"] * state.get("m", torch.zeros_like(p)) + (1 - group["beta1"]) * change
                    state["m"] = change
                p.copy_(p * (1 - alpha * group["weight_decay"]) - change)


def whole(parameters):
    """Each parameter as it is."""
    return parameters, lambda leaves: leaves


def turned(parameters):
    """Matrices by matrix and [outputs, inputs], as the libraries want them; filters as one matrix."""
    leaves = {name: parameters[name] for name in ("b", "c")}
    leaves |= {"w": parameters["w"].T, "k": parameters["k"].flatten(1)}
    leaves |= {f"a{i}": a.T for i, a in enumerate(parameters["a"])}

    def assembled(leaves):
        return {
            "w": leaves["w"].T, "b": leaves["b"], "c": leaves["c"],
            "a": torch.stack([leaves["a0"].T, leaves["a1"].T]), "k": leaves["k"].reshape(3, 2, 2, 3),
        }

    return leaves, assembled


class Muon:
    """torch.optim.Muon for matrices, AdamW for the others, as the authors' MuonWithAuxAdam.

    PyTorch iterates in bfloat16; for these figures in the type of the parameter.
    """

    def __init__(self, leaves, lr=0.02, nesterov=True, weight_decay=0.0):
        self.muon = torch.optim.Muon(
            [p for p in leaves.values() if p.dim() == 2], lr=lr, momentum=0.95, nesterov=nesterov,
            weight_decay=weight_decay)
        self.adam = torch.optim.AdamW(
            [p for p in leaves.values() if p.dim() < 2], lr=3e-4, betas=(0.9, 0.95), eps=1e-10,
            weight_decay=weight_decay, foreach=False)

    def step(self):
        bfloat16 = torch.Tensor.bfloat16
        torch.Tensor.bfloat16 = torch.Tensor.clone
        try:
            self.muon.step()
        finally:
            torch.Tensor.bfloat16 = bfloat16
        self.adam.step()


def adam_mini(leaves, **settings):
    # The authors' code goes by names: matrices have a block per row, biases one per element.
    names = {name: ("linear." if p.dim() == 2 else "bias.") + name for name, p in leaves.items()}
    with contextlib.redirect_stdout(io.StringIO()):
        optimizer = Adam_mini([(names[name], p) for name, p in leaves.items()], verbose=False, **settings)
    if "weight_decay" in settings:  # it spares biases; in Gradus a rule does
        for group in optimizer.param_groups:
            group["weight_decay"] = settings["weight_decay"]
    return optimizer


def listed(kind):
    return lambda leaves, **settings: kind(list(leaves.values()), **settings)


def torch_adafactor(leaves, **settings):
    return torch.optim.Adafactor(list(leaves.values()), foreach=False, **settings)


EXTERNAL = dict(lr=0.005, scale_parameter=False, relative_step=False)
RUNS = [
    ("adafactor", whole, listed(PaperAdafactor), {}),
    ("adafactor_rate", whole, listed(PaperAdafactor), dict(lr=0.02)),
    ("adafactor_beta1", whole, listed(PaperAdafactor), dict(lr=0.02, beta1=0.9, weight_decay=0.1)),
    ("transformers", whole, listed(TransformersAdafactor), {}),
    ("transformers_external", whole, listed(TransformersAdafactor), dict(EXTERNAL, weight_decay=0.1)),
    ("transformers_beta1", whole, listed(TransformersAdafactor), dict(EXTERNAL, beta1=0.9, clip_threshold=0.5)),
    ("transformers_warmup", whole, listed(TransformersAdafactor), dict(warmup_init=True, weight_decay=0.1)),
    ("torch", whole, torch_adafactor, {}),
    ("torch_decay", whole, torch_adafactor, dict(lr=0.01, weight_decay=0.1, d=1.5)),
    ("torch_eps", whole, torch_adafactor, dict(lr=0.02, eps=(0.03, 0.5), beta2_decay=-0.6)),
    ("muon", turned, Muon, dict(lr=0.01)),
    ("muon_plain", turned, Muon, dict(lr=0.01, nesterov=False, weight_decay=0.1)),
    ("adam_mini", turned, adam_mini, dict(lr=0.01)),
    ("adam_mini_decay", turned, adam_mini, dict(lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)),
]


def loss(data, w, b, c, a, k):
    return (
        ((c * torch.tanh(data["x"] @ w + b) - data["y"]) ** 2).mean()
        + ((torch.tanh(data["u"] @ a) - data["v"]) ** 2).mean()
        + ((k - data["target"]) ** 2).mean()
    )


def run(dtype, layout, make, settings):
    data = {name: t.to(dtype) for name, t in PROBLEM.items()}
    leaves, assembled = layout({name: t.to(dtype) for name, t in INITIAL.items()})
    leaves = {name: p.clone().contiguous().requires_grad_() for name, p in leaves.items()}
    optimizer = make(leaves, **settings)
    losses, shown = [], []
    for step in range(1, STEPS + 1):
        for p in leaves.values():
            p.grad = None
        value = loss(data, **assembled(leaves))
        value.backward()
        losses.append(value.detach())
        optimizer.step()
        if step in SHOWN:
            shown.append({"step": step, **{name: scalars(p) for name, p in assembled(leaves).items()}})
    return {"losses": scalars(torch.stack(losses)), "parameters": shown}


def main():
    write("small_optimizers.json", {
        "loss": "mean((c * tanh(x @ w + b) - y)^2) + mean((tanh(u @ a) - v)^2) + mean((k - target)^2)",
        "inputs": tensors({name: t.float() for name, t in PROBLEM.items()}),
        "initial": tensors({name: t.float() for name, t in INITIAL.items()}),
        "runs": [
            {"name": name, "settings": settings,
             "f32": run(torch.float32, layout, make, settings), "f64": run(torch.float64, layout, make, settings)}
            for name, layout, make, settings in RUNS
        ],
    })


main()
