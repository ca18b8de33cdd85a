"""nn.json: outputs and gradients of single layers, activations and losses, in f64."""

import torch
import torch.nn.functional as F

from common import grid, tensor, tensors, whole, write

CASES = []
SEED = [1000]


def fresh(*shape, low=-2.0, high=2.0):
    SEED[0] += 1
    return grid(SEED[0], list(shape), low, high)


def labels(high, *shape):
    SEED[0] += 1
    return whole(SEED[0], list(shape), high)


def case(name, op, settings, inputs, f, parameters=None, buffers=None, constants=None):
    """Runs f(inputs, parameters, buffers, constants), all records by name; it gives a tensor or a record of tensors.

    Gradients are those of sum(output * upstream), summed over the outputs, for every input and parameter."""
    leaves = {n: t.clone().requires_grad_() for n, t in inputs.items()}
    weights = {n: t.clone().requires_grad_() for n, t in (parameters or {}).items()}
    state = {n: t.clone() for n, t in (buffers or {}).items()}
    outputs = f({**leaves, **weights, **state, **(constants or {})})
    if isinstance(outputs, torch.Tensor):
        outputs = {"y": outputs}
    upstream = {n: fresh(*y.shape) if y.dim() else torch.ones((), dtype=torch.float64) for n, y in outputs.items()}
    sum((y * upstream[n]).sum() for n, y in outputs.items()).backward()
    record = {"name": name, "op": op, "settings": settings, "inputs": tensors(leaves)}
    if weights:
        record["parameters"] = tensors(weights)
    if constants:
        record["constants"] = tensors(constants)
    if state:
        record["buffers"] = tensors(buffers)
        record["buffers_after"] = tensors(state)
    CASES.append({
        **record, "outputs": tensors(outputs), "upstream": tensors(upstream),
        "gradients": {n: tensor(leaf.grad) for n, leaf in {**leaves, **weights}.items()},
    })


def norms():
    x = fresh(3, 6)
    scale = {"weight": fresh(6, low=0.5, high=1.5), "bias": fresh(6, low=-0.5, high=0.5)}
    case("layer_norm", "layer_norm", dict(axes=1, eps=1e-5), {"x": x}, lambda v: F.layer_norm(v["x"], [6], v["weight"], v["bias"], 1e-5), scale)
    case("layer_norm_plain", "layer_norm", dict(axes=1, eps=1e-3), {"x": x}, lambda v: F.layer_norm(v["x"], [6], eps=1e-3))
    case("layer_norm_two_axes", "layer_norm", dict(axes=2, eps=1e-5), {"x": fresh(2, 3, 4)},
         lambda v: F.layer_norm(v["x"], [3, 4], v["weight"], v["bias"], 1e-5), {"weight": fresh(3, 4, low=0.5, high=1.5), "bias": fresh(3, 4)})
    case("rms_norm", "rms_norm", dict(eps=1e-6), {"x": x}, lambda v: F.rms_norm(v["x"], [6], v["weight"], 1e-6), {"weight": scale["weight"]})
    image = fresh(2, 4, 3, 3)
    affine = {"weight": fresh(4, low=0.5, high=1.5), "bias": fresh(4, low=-0.5, high=0.5)}
    running = {"running_mean": fresh(4, low=-0.5, high=0.5), "running_var": fresh(4, low=0.5, high=1.5)}
    for training in (True, False):
        case(f"batch_norm_{'train' if training else 'eval'}", "batch_norm2d", dict(training=training, momentum=0.1, eps=1e-5), {"x": image},
             lambda v: F.batch_norm(v["x"], v["running_mean"], v["running_var"], v["weight"], v["bias"], training, 0.1, 1e-5), affine, running)
    rows = {"x": fresh(5, 4)}
    case("batch_norm_rows_train", "batch_norm1d", dict(training=True, momentum=0.1, eps=1e-5), rows,
         lambda v: F.batch_norm(v["x"], v["running_mean"], v["running_var"], v["weight"], v["bias"], True, 0.1, 1e-5), affine, running)
    case("group_norm", "group_norm", dict(groups=2, eps=1e-5), {"x": image}, lambda v: F.group_norm(v["x"], 2, v["weight"], v["bias"], 1e-5), affine)
    case("instance_norm", "group_norm", dict(groups=4, eps=1e-5), {"x": image}, lambda v: F.group_norm(v["x"], 4, v["weight"], v["bias"], 1e-5), affine)


def recurrent():
    batch, steps, width, hidden = 2, 5, 3, 4

    def weights(gates):
        return {
            "input_weight": fresh(width, gates * hidden, low=-1, high=1), "state_weight": fresh(hidden, gates * hidden, low=-1, high=1),
            "input_bias": fresh(gates * hidden, low=-0.5, high=0.5), "state_bias": fresh(gates * hidden, low=-0.5, high=0.5),
        }

    def flat(v):
        return [v["input_weight"].T, v["state_weight"].T, v["input_bias"], v["state_bias"]]

    def gru(v):
        y, h = torch.gru(v["x"], v["h"][None], flat(v), True, 1, 0.0, False, False, True)
        return {"y": y, "h": h[0]}

    def lstm(v):
        y, h, c = torch.lstm(v["x"], (v["h"][None], v["c"][None]), flat(v), True, 1, 0.0, False, False, True)
        return {"y": y, "h": h[0], "c": c[0]}

    def rnn(v):
        y, h = torch.rnn_tanh(v["x"], v["h"][None], flat(v), True, 1, 0.0, False, False, True)
        return {"y": y, "h": h[0]}

    x, h, c = fresh(batch, steps, width), fresh(batch, hidden, low=-1, high=1), fresh(batch, hidden, low=-1, high=1)
    case("gru", "gru", dict(gates="reset update new"), {"x": x, "h": h}, gru, weights(3))
    case("lstm", "lstm", dict(gates="input forget cell output"), {"x": x, "h": h, "c": c}, lstm, weights(4))
    case("rnn_tanh", "rnn", dict(gates="tanh"), {"x": x, "h": h}, rnn, weights(1))


def attention():
    batch, time, width, heads = 2, 4, 6, 2
    parts = ("query", "key", "value", "output")
    weights = {f"{p}.weight": fresh(width, width, low=-1, high=1) for p in parts} | {f"{p}.bias": fresh(width, low=-0.5, high=0.5) for p in parts}
    future = torch.ones(time, time, dtype=torch.bool).triu(1)

    def multi_head(mask):
        def f(v):
            module = torch.nn.MultiheadAttention(width, heads, batch_first=True, dtype=torch.float64)
            given = {
                "in_proj_weight": torch.cat([v[f"{p}.weight"].T for p in parts[:3]]), "in_proj_bias": torch.cat([v[f"{p}.bias"] for p in parts[:3]]),
                "out_proj.weight": v["output.weight"].T, "out_proj.bias": v["output.bias"],
            }
            y, weights = torch.func.functional_call(module, given, (v["x"], v["x"], v["x"]), dict(attn_mask=mask, average_attn_weights=False))
            return {"y": y, "weights": weights}
        return f

    x = {"x": fresh(batch, time, width)}
    case("attention_causal", "multi_head_attention", dict(heads=heads, causal=True), x, multi_head(future), weights)
    case("attention_full", "multi_head_attention", dict(heads=heads, causal=False), x, multi_head(None), weights)
    qkv = {n: fresh(2, 2, 4, 3) for n in "qkv"}
    for causal in (True, False):
        case(f"scaled_dot_product_{'causal' if causal else 'full'}", "scaled_dot_product_attention", dict(causal=causal), qkv,
             lambda v: F.scaled_dot_product_attention(v["q"], v["k"], v["v"], is_causal=causal))


def linear_and_embedding():
    case("linear", "linear", {}, {"x": fresh(3, 4)}, lambda v: v["x"] @ v["weight"] + v["bias"], {"weight": fresh(4, 2), "bias": fresh(2)})
    case("embedding", "embedding", {}, {}, lambda v: v["weight"][v["tokens"]], {"weight": fresh(5, 3)}, constants={"tokens": labels(5, 2, 4)})


def images():
    x = fresh(2, 2, 6, 5)
    for name, settings, shape in (
        ("conv2d", dict(stride=[1, 1], padding=[0, 0]), [3, 2, 3, 3]),
        ("conv2d_padding", dict(stride=[1, 1], padding=[1, 1]), [3, 2, 3, 3]),
        ("conv2d_stride", dict(stride=[2, 2], padding=[1, 1]), [3, 2, 3, 3]),
        ("conv2d_uneven", dict(stride=[2, 1], padding=[0, 2]), [2, 2, 2, 4]),
        ("conv2d_stride_leftover", dict(stride=[3, 3], padding=[0, 0]), [2, 2, 2, 2]),
        ("conv2d_one_by_one", dict(stride=[1, 1], padding=[0, 0]), [3, 2, 1, 1]),
        ("conv2d_dilation", dict(stride=[1, 1], padding=[1, 1], dilation=[2, 2]), [2, 2, 3, 3]),
        ("conv2d_groups", dict(stride=[1, 1], padding=[1, 1], groups=2), [4, 1, 3, 3]),
    ):
        case(name, "conv2d", settings, {"x": x}, lambda v: F.conv2d(v["x"], v["weight"], v["bias"], **settings),
             {"weight": fresh(*shape, low=-1, high=1), "bias": fresh(shape[0])})
    case("conv1d", "conv1d", dict(stride=2, padding=1), {"x": fresh(2, 3, 7)}, lambda v: F.conv1d(v["x"], v["weight"], v["bias"], stride=2, padding=1),
         {"weight": fresh(2, 3, 3, low=-1, high=1), "bias": fresh(2)})
    SEED[0] += 1
    order = torch.randperm(x.numel(), generator=torch.Generator().manual_seed(SEED[0]))
    distinct = (order.double() / 32 - 2).reshape(x.shape)
    for name, settings in (
        ("max_pool", dict(kernel_size=[2, 2], stride=[2, 2], padding=[0, 0])),
        ("max_pool_overlap", dict(kernel_size=[3, 3], stride=[2, 2], padding=[1, 1])),
        ("max_pool_uneven", dict(kernel_size=[3, 2], stride=[1, 2], padding=[0, 0])),
    ):
        case(name, "max_pool2d", settings, {"x": distinct}, lambda v: F.max_pool2d(v["x"], **settings))
    case("max_pool_ties", "max_pool2d", dict(kernel_size=[2, 2], stride=[2, 2], padding=[0, 0]), {"x": torch.round(x)}, lambda v: F.max_pool2d(v["x"], 2))
    for name, settings in (
        ("avg_pool", dict(kernel_size=[2, 2], stride=[2, 2], padding=[0, 0])),
        ("avg_pool_padding", dict(kernel_size=[3, 3], stride=[2, 2], padding=[1, 1], count_include_pad=True)),
        ("avg_pool_padding_not_counted", dict(kernel_size=[3, 3], stride=[2, 2], padding=[1, 1], count_include_pad=False)),
    ):
        case(name, "avg_pool2d", settings, {"x": x}, lambda v: F.avg_pool2d(v["x"], **settings))


def activations():
    points = [-50, -20.5, -10, -5, -3, -2, -1.5, -1, -0.75, -0.5, -0.25, -0.015625, 0, 0.015625, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20.5, 50]
    x = {"x": torch.tensor(points, dtype=torch.float64)}
    off_zero = {"x": x["x"][x["x"] != 0]}
    for name, op, settings, given, f in (
        ("gelu", "gelu", dict(approximate="none"), x, F.gelu),
        ("gelu_tanh", "gelu", dict(approximate="tanh"), x, lambda t: F.gelu(t, approximate="tanh")),
        ("silu", "silu", {}, x, F.silu),
        ("softplus", "softplus", dict(beta=1.0, threshold=20.0), x, F.softplus),
        ("softplus_beta", "softplus", dict(beta=2.0, threshold=20.0), x, lambda t: F.softplus(t, beta=2.0)),
        ("elu", "elu", dict(alpha=1.0), x, F.elu),
        ("elu_alpha", "elu", dict(alpha=0.5), off_zero, lambda t: F.elu(t, alpha=0.5)),
        ("selu", "selu", {}, off_zero, F.selu),
        ("leaky_relu", "leaky_relu", dict(slope=0.01), off_zero, F.leaky_relu),
        ("leaky_relu_slope", "leaky_relu", dict(slope=0.2), off_zero, lambda t: F.leaky_relu(t, 0.2)),
        ("relu", "relu", {}, x, F.relu),
        ("sigmoid", "sigmoid", {}, x, torch.sigmoid),
        ("log_sigmoid", "log_sigmoid", {}, x, F.logsigmoid),
        ("tanh", "tanh", {}, x, torch.tanh),
        ("mish", "mish", {}, x, F.mish),
        ("erf", "erf", {}, x, torch.erf),
    ):
        case(name, op, settings, given, lambda v: f(v["x"]))
    rows = {"x": fresh(3, 5, low=-8, high=8)}
    for name, f in (("softmax", torch.softmax), ("log_softmax", torch.log_softmax), ("logsumexp", torch.logsumexp)):
        case(name, name, dict(axis=-1), rows, lambda v: f(v["x"], -1))
    case("softmax_first_axis", "softmax", dict(axis=0), rows, lambda v: torch.softmax(v["x"], 0))
    case("softmax_large", "softmax", dict(axis=-1), {"x": rows["x"] * 100}, lambda v: torch.softmax(v["x"], -1))


def losses():
    logits, targets = {"x": fresh(6, 4, low=-3, high=3)}, labels(4, 6)
    ignoring = targets.clone()
    ignoring[1] = ignoring[4] = -100
    for name, settings, given in (
        ("cross_entropy", dict(reduction="mean"), targets),
        ("cross_entropy_sum", dict(reduction="sum"), targets),
        ("cross_entropy_none", dict(reduction="none"), targets),
        ("cross_entropy_ignore", dict(reduction="mean", ignore_index=-100), ignoring),
        ("cross_entropy_ignore_none", dict(reduction="none", ignore_index=-100), ignoring),
        ("cross_entropy_ignore_class", dict(reduction="mean", ignore_index=2), targets),
        ("cross_entropy_smooth", dict(reduction="mean", label_smoothing=0.1), targets),
        ("cross_entropy_smooth_ignore", dict(reduction="mean", label_smoothing=0.1, ignore_index=-100), ignoring),
    ):
        case(name, "cross_entropy", settings, logits, lambda v: F.cross_entropy(v["x"], v["targets"], **settings), constants={"targets": given})
    classes = torch.tensor([0.5, 1.0, 2.0, 1.5], dtype=torch.float64)
    case("cross_entropy_weights", "cross_entropy", dict(reduction="mean"), logits, lambda v: F.cross_entropy(v["x"], v["targets"], weight=v["class_weights"]),
         constants={"targets": targets, "class_weights": classes})
    case("cross_entropy_probabilities", "cross_entropy", dict(reduction="mean"), logits, lambda v: F.cross_entropy(v["x"], v["targets"]),
         constants={"targets": torch.softmax(fresh(6, 4), -1)})
    for reduction in ("mean", "sum", "none"):
        case(f"nll_{reduction}", "nll", dict(reduction=reduction), logits, lambda v: F.nll_loss(v["x"], v["targets"], reduction=reduction),
             constants={"targets": targets})
    pair = {"x": fresh(3, 4, low=-3, high=3), "targets": fresh(3, 4, low=-3, high=3)}
    for reduction in ("mean", "sum", "none"):
        for name, op, settings, f in (
            ("mse", "mse", {}, F.mse_loss),
            ("l1", "l1", {}, F.l1_loss),
            ("huber", "huber", dict(delta=1.0), F.huber_loss),
            ("huber_delta", "huber", dict(delta=2.5), F.huber_loss),
            ("smooth_l1", "smooth_l1", dict(beta=1.0), F.smooth_l1_loss),
            ("smooth_l1_beta", "smooth_l1", dict(beta=0.5), F.smooth_l1_loss),
        ):
            case(f"{name}_{reduction}", op, dict(**settings, reduction=reduction), pair, lambda v: f(v["x"], v["targets"], reduction=reduction, **settings))
    far = {"x": torch.tensor([-200.0, -20.5, -2.0, -0.5, 0.0, 0.5, 2.0, 20.5, 200.0], dtype=torch.float64)}
    chances = torch.tensor([0.0, 1.0, 0.25, 1.0, 0.5, 0.0, 0.75, 1.0, 1.0], dtype=torch.float64)
    for reduction in ("mean", "sum", "none"):
        case(f"bce_with_logits_{reduction}", "bce_with_logits", dict(reduction=reduction), far,
             lambda v: F.binary_cross_entropy_with_logits(v["x"], v["targets"], reduction=reduction), constants={"targets": chances})
    case("bce_with_logits_positive_weight", "bce_with_logits", dict(reduction="mean", positive_weight=3.0), far,
         lambda v: F.binary_cross_entropy_with_logits(v["x"], v["targets"], pos_weight=torch.tensor(3.0, dtype=torch.float64)), constants={"targets": chances})
    logs = {"x": torch.log_softmax(fresh(3, 4), -1)}
    chances = torch.softmax(fresh(3, 4), -1)
    for reduction in ("batchmean", "mean", "sum", "none"):
        case(f"kl_div_{reduction}", "kl_div", dict(reduction=reduction, log_target=False), logs,
             lambda v: F.kl_div(v["x"], v["targets"], reduction=reduction), constants={"targets": chances})
    case("kl_div_log_target", "kl_div", dict(reduction="batchmean", log_target=True), logs,
         lambda v: F.kl_div(v["x"], v["targets"], reduction="batchmean", log_target=True), constants={"targets": torch.log(chances)})
    certain = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]], dtype=torch.float64)
    case("kl_div_zeros", "kl_div", dict(reduction="batchmean", log_target=False), logs,
         lambda v: F.kl_div(v["x"], v["targets"], reduction="batchmean"), constants={"targets": certain})


def main():
    for group in (norms, recurrent, attention, linear_and_embedding, images, activations, losses):
        group()
    names = [c["name"] for c in CASES]
    assert len(set(names)) == len(names)
    print(len(CASES), "cases")
    write("nn.json", {"cases": CASES})


main()
