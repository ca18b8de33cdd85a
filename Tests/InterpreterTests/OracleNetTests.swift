import Testing

/// Fifty training steps of an MLP, a convolutional net and a small GPT from PyTorch's initial weights.
@Suite struct OracleNetTests {
  private static let figures = Figure(file: "losses.json")

  /// A net of `losses.json` and the program that makes it.
  struct Net: Sendable, CustomTestStringConvertible {
    let name: String
    let program: String
    var testDescription: String { name }

    init(_ name: String, _ program: String) {
      self.name = name
      self.program = program
    }
  }

  static let nets = [
    Net("mlp", "net = MLP([8, 16, 4])"),
    Net(
      "cnn",
      """
      model CNN() {
        conv1 = Conv2d(1, 4, 3, padding: 1)
        conv2 = Conv2d(4, 8, 3, padding: 1)
        linear = Linear(32, 4)
        fn forward(x) {
          x = max_pool(relu(conv1(x)), 2)
          x = avg_pool(relu(conv2(x)), 2)
          linear(flatten(x, 1))
        }
      }
      net = CNN()
      """
    ),
    Net(
      "gpt",
      """
      model GPT(vocabulary, context, width, heads, depth) {
        tokens = Embedding(vocabulary, width)
        positions = Embedding(context, width)
        blocks = [TransformerBlock(width, heads) for i in 0..<depth]
        norm = LayerNorm(width)
        head = Linear(width, vocabulary, bias: false)
        fn forward(indices: i64[b, t]) {
          x = tokens(indices) + positions.weight[:t]
          for block in blocks { x = block(x) }
          head(norm(x))
        }
      }
      net = GPT(11, 8, 16, 2, 2)
      """
    ),
  ]
  static let optimizers = [("adamw", "adamw(lr: 1e-3)"), ("sgd", "sgd(lr: 0.1)")]

  private func session(_ net: Net) throws -> ProgramSession {
    let session = ProgramSession()
    let figures = Self.figures["nets"][net.name]
    let output = try session.run(
      """
      \(net.program)
      load("\(referencePath(figures["weights"].text))", net)
      data = load("\(referencePath(figures["data"].text))")
      x = data.inputs
      y = reshape(data.targets, [-1])
      fn loss_of(net, x) {
        logits = net(x)
        cross_entropy(reshape(logits, [-1, logits.shape[-1]]), y)
      }
      """)
    #expect(output == "")
    try session.run("count = parameter_count(net)")
    #expect(try session.numbers("count") == [figures["parameters"].number])
    return session
  }

  @Test(arguments: nets, optimizers)
  func losses(net: Net, optimizer: (name: String, program: String)) throws {
    let session = try session(net)
    let output = try session.run(
      """
      opt = \(optimizer.program)
      step train(x) {
        loss = loss_of(net, x)
        minimize(loss, net, opt)
        loss
      }
      losses = [float(train(x)) for i in 0..<50]
      """)
    #expect(output == "")
    let runs = Self.figures["nets"][net.name]["runs"].list
    let expected = try #require(runs.first { $0["name"].text == optimizer.name })
    let losses = try session.numbers("losses")
    for (step, (loss, figure)) in zip(losses, expected["f32"].numbers).enumerated() {
      #expect(abs(loss - figure) <= 1e-4 * max(1, abs(figure)), "step \(step)")
    }
    #expect(losses.count == 50)
  }

  /// Logits and gradients before any update.
  @Test(arguments: nets)
  func firstStep(net: Net) throws {
    let session = try session(net)
    let figures = Self.figures["nets"][net.name]
    try session.run(
      """
      logits = net(x)
      gradients = grad(loss_of)(net, x)
      expected = load("\(referencePath(figures["gradients"].text))")
      """)
    #expect(distance(try session.numbers("logits"), figures["first_logits"]["values"].numbers) <= 1e-5)
    for (path, _) in figures["shapes"].fields {
      let indexed = path.split(separator: ".").map { Int($0) == nil ? ".\($0)" : "[\($0)]" }.joined()
      try session.run(
        """
        got = gradients\(indexed)
        want = expected["\(path)"]
        """)
      // The softmax does not see a shift of all keys, so the gradient of their bias is 0 but for rounding.
      #expect(
        distance(try session.numbers("got"), try session.numbers("want"), floor: 1e-3) <= 2e-5, "\(path)")
    }
  }
}
