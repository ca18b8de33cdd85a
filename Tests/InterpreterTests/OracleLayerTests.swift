import Testing

/// Outputs and gradients of single layers, activations and losses against PyTorch, in f64.
@Suite struct OracleLayerTests {
  private static let cases = Figure(file: "nn.json")["cases"].list
  static let names = cases.map(\.["name"].text)

  /// How the language spells a case: a layer to make, where it has parameters of its own, and the call.
  private struct Spelling {
    var layer: String?
    /// Of `v`, which holds the inputs and, where there is one, the layer as `v.net`.
    var call: String

    init(layer: String? = nil, _ call: String) {
      self.layer = layer
      self.call = call
    }
  }

  private func spelling(_ figure: Figure) -> Spelling {
    let settings = figure["settings"]
    func setting(_ name: String) -> String { settings[name].source }
    func size(_ parameter: String, _ axis: Int) -> Int {
      Int(figure["parameters"][parameter]["shape"].numbers[axis])
    }
    /// `, name: value` for each setting but those named.
    func arguments(without left: [String] = []) -> String {
      settings.fields.filter { !left.contains($0.name) }.map { ", \($0.name): \($0.value.source)" }.joined()
    }

    switch figure["name"].text {
    case "layer_norm_plain":
      return Spelling("layer_norm(v.x, f64(ones([6])), f64(zeros([6])), eps: \(setting("eps")))")
    case "layer_norm_two_axes":
      return Spelling(
        """
        layer_norm(flatten(v.x, 1), flatten(v.weight), flatten(v.bias), eps: \(setting("eps"))) |> reshape(v.x.shape)
        """)
    case "batch_norm_eval":
      return Spelling(layer: "BatchNorm(4)", "(v.net with training: off)(v.x)")
    case "cross_entropy_weights": return Spelling("weighted_cross_entropy(v.x, targets, class_weights)")
    case "cross_entropy_probabilities": return Spelling("soft_cross_entropy(v.x, targets)")
    case "avg_pool_padding_not_counted":
      let rest = "\(setting("kernel_size")), stride: \(setting("stride")), padding: \(setting("padding")))"
      return Spelling("avg_pool(v.x, \(rest) / avg_pool(ones_like(v.x), \(rest)")
    case "gelu_tanh": return Spelling("gelu_tanh(v.x)")
    default: break
    }

    let op = figure["op"].text
    switch op {
    case "layer_norm": return Spelling(layer: "LayerNorm(6, eps: \(setting("eps")))", "v.net(v.x)")
    case "rms_norm": return Spelling(layer: "RMSNorm(6, eps: \(setting("eps")))", "v.net(v.x)")
    case "batch_norm1d", "batch_norm2d": return Spelling(layer: "BatchNorm(4)", "v.net(v.x)")
    case "group_norm":
      return Spelling(layer: "GroupNorm(\(setting("groups")), 4, eps: \(setting("eps")))", "v.net(v.x)")
    case "gru": return Spelling(layer: "GRU(3, 4)", "{ (y, h) = v.net(v.x, v.h)\n(y: y, h: h) }")
    case "rnn": return Spelling(layer: "RNN(3, 4)", "{ (y, h) = v.net(v.x, v.h)\n(y: y, h: h) }")
    case "lstm":
      return Spelling(layer: "LSTM(3, 4)", "{ (y, h, c) = v.net(v.x, v.h, v.c)\n(y: y, h: h, c: c) }")
    case "multi_head_attention":
      return Spelling(
        layer: "MultiHeadAttention(6, 2, causal: \(setting("causal")))",
        "(y: v.net(v.x), weights: v.net.weights(v.x))")
    case "scaled_dot_product_attention": return Spelling("attention(v.q, v.k, v.v\(arguments()))")
    case "linear": return Spelling(layer: "Linear(4, 2)", "v.net(v.x)")
    case "embedding": return Spelling(layer: "Embedding(5, 3)", "v.net(tokens)")
    case "conv2d":
      let groups = settings["groups"].isMissing ? 1 : Int(settings["groups"].number)
      let sizes = (0..<4).map { size("weight", $0) }
      return Spelling(
        layer: "Conv2d(\(sizes[1] * groups), \(sizes[0]), [\(sizes[2]), \(sizes[3])]\(arguments()))",
        "v.net(v.x)")
    case "conv1d":
      return Spelling(
        "conv2d(v.x[:, :, none], v.weight[:, :, none], stride: [1, 2], padding: [0, 1])[:, :, 0]"
          + " + v.bias[:, none]")
    case "max_pool2d", "avg_pool2d":
      let rest = "stride: \(setting("stride")), padding: \(setting("padding"))"
      return Spelling("\(op.dropLast(2))(v.x, \(setting("kernel_size")), \(rest))")
    case "gelu": return Spelling("gelu(v.x)")
    case "mse", "l1", "huber", "smooth_l1": return Spelling("\(op)(v.x, v.targets\(arguments()))")
    case "cross_entropy", "nll", "bce_with_logits", "kl_div":
      return Spelling("\(op)(v.x, targets\(arguments()))")
    default: return Spelling("\(op)(v.x\(arguments()))")
    }
  }

  @Test(arguments: names)
  func layer(name: String) throws {
    let figure = try #require(Self.cases.first { $0["name"].text == name })
    let spelling = spelling(figure)
    var lines: [String] = []
    var fields: [String] = []
    for (name, tensor) in figure["constants"].fields { lines.append("\(name) = \(tensor.source)") }
    for (name, tensor) in figure["inputs"].fields { fields.append("\(name): \(tensor.source)") }
    if let layer = spelling.layer {
      lines.append("net = \(layer)")
      for (name, tensor) in figure["parameters"].fields + figure["buffers"].fields {
        lines.append("net.\(name) = \(tensor.source)")
      }
      fields.append("net: net")
    } else {
      for (name, tensor) in figure["parameters"].fields { fields.append("\(name): \(tensor.source)") }
    }
    let outputs = figure["outputs"].fields
    let single = outputs.count == 1
    lines.append("v = (\(fields.joined(separator: ", ")),)")
    let isBlock = spelling.call.hasPrefix("{")
    lines.append("fn apply(v) \(isBlock ? "" : "= ")\(spelling.call)")
    for (name, tensor) in figure["upstream"].fields { lines.append("upstream_\(name) = \(tensor.source)") }
    let sum = outputs.map { "sum(\(single ? "out" : "out.\($0.name)") * upstream_\($0.name))" }
    lines.append("fn weighted(v) {\n  out = apply(v)\n  (\(sum.joined(separator: " + ")), out)\n}")
    lines.append("((total, out), gradient) = value_and_grad(weighted)(v)")
    for (name, _) in outputs { lines.append("out_\(name) = \(single ? "out" : "out.\(name)")") }
    var checks = outputs.map { (variable: "out_\($0.name)", expected: $0.value) }
    for (index, (name, tensor)) in figure["gradients"].fields.enumerated() {
      let isOwn = spelling.layer != nil && !figure["parameters"][name].isMissing
      lines.append("gradient_\(index) = gradient.\(isOwn ? "net." : "")\(name)")
      checks.append(("gradient_\(index)", tensor))
    }

    let session = ProgramSession()
    #expect(try session.run(lines.joined(separator: "\n")) == "")
    for (variable, expected) in checks {
      let got = try session.numbers(variable)
      #expect(distance(got, expected["values"].numbers, floor: 1) <= 1e-9, "\(variable)")
    }
  }

  /// A step that minimizes moves the running statistics; one that does not leaves them alone.
  @Test(arguments: ["batch_norm_train", "batch_norm_rows_train"])
  func buffers(name: String) throws {
    let figure = try #require(Self.cases.first { $0["name"].text == name })
    let session = ProgramSession()
    try session.run(
      """
      net = BatchNorm(4)
      net.running_mean = \(figure["buffers"]["running_mean"].source)
      net.running_var = \(figure["buffers"]["running_var"].source)
      x = \(figure["inputs"]["x"].source)
      opt = sgd(lr: 0.0)
      step use(x) = sum(net(x))
      step train(x) {
        loss = sum(net(x))
        minimize(loss, net, opt)
        loss
      }
      before = use(x)
      kept = net.running_mean
      train(x);
      after_mean = net.running_mean
      after_var = net.running_var
      """)
    func expect(_ variable: String, _ figures: Figure) throws {
      #expect(distance(try session.numbers(variable), figures["values"].numbers) <= 1e-12, "\(variable)")
    }
    try expect("kept", figure["buffers"]["running_mean"])
    try expect("after_mean", figure["buffers_after"]["running_mean"])
    try expect("after_var", figure["buffers_after"]["running_var"])
  }
}
