"""optimizers.json: a hundred steps of every optimizer on one small problem, in f32 and in f64."""

import torch

from common import grid, scalars, tensor, tensors, write

STEPS = 100
SHOWN = (1, 2, 3, 10, 50, 100)

# The columns of x and the elements of scale differ by orders of magnitude, so gradients do too.
COLUMNS = torch.tensor([2.0, 1.0, 2.0**-3, 2.0**-7], dtype=torch.float64)
PROBLEM = {
    "x": grid(1, [8, 4]) * COLUMNS,
    "y": grid(2, [8, 3], -0.9, 0.9),
    "scale": 2.0 ** -torch.tensor([[3, 6, 9], [12, 15, 18], [20, 4, 8], [16, 10, 14]], dtype=torch.float64),
}
INITIAL = {"w": grid(3, [4, 3]), "b": grid(4, [3], -0.25, 0.25)}


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, algorithm 2: the sign of an interpolation, decoupled weight decay."""

    def __init__(self, params, lr, betas, weight_decay):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = torch.sign(beta1 * m + (1 - beta1) * p.grad)
                p.copy_(p * (1 - group["lr"] * group["weight_decay"]) - group["lr"] * update)
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


ADAM = dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8)
RUNS = [
    ("sgd", "SGD", dict(lr=0.1), {}),
    ("sgd_decay", "SGD", dict(lr=0.1, weight_decay=0.1), {}),
    ("momentum", "SGD", dict(lr=0.05, momentum=0.9), {}),
    ("momentum_dampening", "SGD", dict(lr=0.05, momentum=0.9, dampening=0.1), {}),
    ("nesterov", "SGD", dict(lr=0.05, momentum=0.9, nesterov=True), {}),
    ("momentum_decay", "SGD", dict(lr=0.05, momentum=0.9, weight_decay=0.1), {}),
    ("adagrad", "Adagrad", dict(lr=0.1, eps=1e-10), {}),
    ("adagrad_lr_decay", "Adagrad", dict(lr=0.1, lr_decay=0.01, eps=1e-10), {}),
    ("rmsprop", "RMSprop", dict(lr=0.01, alpha=0.99, eps=1e-8), {}),
    ("rmsprop_momentum", "RMSprop", dict(lr=0.01, alpha=0.99, eps=1e-8, momentum=0.9), {}),
    ("rmsprop_centered", "RMSprop", dict(lr=0.01, alpha=0.99, eps=1e-8, centered=True), {}),
    ("adadelta", "Adadelta", dict(lr=1.0, rho=0.9, eps=1e-6), {}),
    ("adam", "Adam", ADAM, {}),
    ("adam_l2", "Adam", dict(ADAM, weight_decay=0.1), {}),
    ("adamw", "AdamW", dict(ADAM, weight_decay=0.1), {}),
    ("amsgrad", "Adam", dict(ADAM, amsgrad=True), {}),
    # A short memory lets v fall, so that the maximum of AMSGrad shows.
    ("adam_short", "Adam", dict(ADAM, betas=(0.9, 0.9)), {}),
    ("amsgrad_short", "Adam", dict(ADAM, betas=(0.9, 0.9), amsgrad=True), {}),
    ("lion", "Lion", dict(lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1), {}),
    ("adamw_clip_norm", "AdamW", dict(ADAM, weight_decay=0.1), {"norm": 0.05}),
    ("adamw_clip_value", "AdamW", dict(ADAM, weight_decay=0.1), {"value": 0.01}),
    ("sgd_clip_norm", "SGD", dict(lr=0.1), {"norm": 0.05}),
    ("sgd_clip_value", "SGD", dict(lr=0.1), {"value": 0.01}),
    ("nadam", "NAdam", dict(ADAM, momentum_decay=4e-3), {}),
    ("radam", "RAdam", ADAM, {}),
    ("adamax", "Adamax", ADAM, {}),
    ("adafactor", "Adafactor", dict(lr=0.01, beta2_decay=-0.8, eps=(1e-30, 1e-3), d=1.0, weight_decay=0.0), {}),
]


def loss(data, w, b):
    return ((torch.tanh(data["x"] @ w + b) - data["y"]) ** 2).mean() + (data["scale"] * w**2).sum()


def prepared(dtype):
    data = {name: t.to(dtype) for name, t in PROBLEM.items()}
    parameters = {name: t.to(dtype).clone().requires_grad_() for name, t in INITIAL.items()}
    return data, parameters


def make(kind, parameters, settings):
    if kind == "Lion":
        return Lion(parameters, **settings)
    return getattr(torch.optim, kind)(parameters, foreach=False, **settings)


def run(dtype, kind, settings, clip):
    torch.set_default_dtype(dtype)  # the running product of NAdam is kept in the default type
    data, parameters = prepared(dtype)
    optimizer = make(kind, list(parameters.values()), settings)
    losses, norms, shown = [], [], []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        value = loss(data, **parameters)
        value.backward()
        losses.append(value.detach())
        if "norm" in clip:
            norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), clip["norm"]))
        if "value" in clip:
            torch.nn.utils.clip_grad_value_(parameters.values(), clip["value"])
        optimizer.step()
        if step in SHOWN:
            shown.append({"step": step, **{name: scalars(p) for name, p in parameters.items()}})
    result = {"losses": scalars(torch.stack(losses))}
    if norms:
        result["norms"] = scalars(torch.stack(norms))
    return result | {"parameters": shown}


def first_gradients(dtype):
    data, parameters = prepared(dtype)
    loss(data, **parameters).backward()
    return tensors({name: p.grad for name, p in parameters.items()})


def main():
    write("optimizers.json", {
        "loss": "mean((tanh(x @ w + b) - y)^2) + sum(scale * w^2)",
        "inputs": tensors({name: t.float() for name, t in PROBLEM.items()}),
        "initial": tensors({name: t.float() for name, t in INITIAL.items()}),
        "first_gradients": {"f32": first_gradients(torch.float32), "f64": first_gradients(torch.float64)},
        "runs": [
            {"name": name, "optimizer": kind, "settings": settings, "clip": clip,
             "f32": run(torch.float32, kind, settings, clip), "f64": run(torch.float64, kind, settings, clip)}
            for name, kind, settings, clip in RUNS
        ],
    })


main()
