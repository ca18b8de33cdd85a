import Testing

/// A hundred steps of every optimizer against PyTorch, in f32 and in f64.
@Suite struct OracleOptimizerTests {
  private static let figures = Figure(file: "optimizers.json")

  /// How the language spells each run of `optimizers.json`, and how it clips.
  static let programs: [(name: String, optimizer: String, clip: String)] = [
    ("sgd", "sgd(lr: 0.1)", ""),
    ("sgd_decay", "sgd(lr: 0.1, decay: 0.1)", ""),
    ("momentum", "momentum(lr: 0.05)", ""),
    ("momentum_dampening", "momentum(lr: 0.05, dampening: 0.1)", ""),
    ("nesterov", "nesterov(lr: 0.05)", ""),
    ("momentum_decay", "momentum(lr: 0.05, decay: 0.1)", ""),
    ("adagrad", "adagrad(lr: 0.1)", ""),
    ("adagrad_lr_decay", "adagrad(lr: 0.1, lr_decay: 0.01)", ""),
    ("rmsprop", "rmsprop(lr: 0.01)", ""),
    ("rmsprop_momentum", "rmsprop_momentum(lr: 0.01)", ""),
    ("rmsprop_centered", "rmsprop_centered(lr: 0.01)", ""),
    ("adadelta", "adadelta()", ""),
    ("adam", "adam(lr: 0.01)", ""),
    ("adam_l2", "adam(lr: 0.01, decay: 0.1)", ""),
    ("adamw", "adamw(lr: 0.01, decay: 0.1)", ""),
    ("amsgrad", "amsgrad(lr: 0.01)", ""),
    ("adam_short", "adam(lr: 0.01, beta2: 0.9)", ""),
    ("amsgrad_short", "amsgrad(lr: 0.01, beta2: 0.9)", ""),
    ("lion", "lion(lr: 1e-3, decay: 0.1)", ""),
    ("adamw_clip_norm", "adamw(lr: 0.01, decay: 0.1)", ", clip: 0.05"),
    ("adamw_clip_value", "adamw(lr: 0.01, decay: 0.1)", ", clip_value: 0.01"),
    ("sgd_clip_norm", "sgd(lr: 0.1)", ", clip: 0.05"),
    ("sgd_clip_value", "sgd(lr: 0.1)", ", clip_value: 0.01"),
    ("nadam", "nadam(lr: 0.01)", ""),
    ("radam", "radam(lr: 0.01)", ""),
    ("adamax", "adamax(lr: 0.01)", ""),
    ("adafactor", "adafactor_torch(eps1: 1e-30)", ""),
  ]

  private func problem(_ dtype: String, _ optimizer: String, _ clip: String) -> String {
    let inputs = Self.figures["inputs"]
    let initial = Self.figures["initial"]
    func tensor(_ figure: Figure) -> String { "cast(\(figure.source), \(dtype))" }
    return """
      x = \(tensor(inputs["x"]))
      y = \(tensor(inputs["y"]))
      scale = \(tensor(inputs["scale"]))
      model Problem() {
        param w = \(tensor(initial["w"]))
        param b = \(tensor(initial["b"]))
      }
      net = Problem()
      opt = \(optimizer)
      step train() {
        loss = mean((tanh(x @ net.w + net.b) - y)^2) + sum(scale * net.w^2)
        (loss, minimize(loss, net, opt\(clip)).norm)
      }
      (losses, norms, ws, bs) = ([], [], [], [])
      for t in 1...100 {
        (loss, norm) = train()
        losses = append(losses, float(loss))
        norms = append(norms, float(norm))
        if t in [1, 2, 3, 10, 50, 100] {
          ws = append(ws, net.w)
          bs = append(bs, net.b)
        }
      }
      """
  }

  /// Relative errors of losses and parameters against one column of figures.
  private func errors(_ session: ProgramSession, _ figures: Figure) throws -> [String: Double] {
    let shown = figures["parameters"].list
    var errors = [
      "losses": distance(try session.numbers("losses"), figures["losses"].numbers),
      "w": distance(try session.numbers("ws"), shown.flatMap { $0["w"].numbers }),
      "b": distance(try session.numbers("bs"), shown.flatMap { $0["b"].numbers }),
    ]
    if !figures["norms"].isMissing {
      errors["norms"] = distance(try session.numbers("norms"), figures["norms"].numbers)
    }
    return errors
  }

  private func run(_ name: String) throws -> Figure {
    try #require(Self.figures["runs"].list.first { $0["name"].text == name })
  }

  /// In f64 nothing hides a wrong formula.
  @Test(arguments: programs)
  func wide(name: String, optimizer: String, clip: String) throws {
    let session = ProgramSession()
    #expect(try session.run(problem("f64", optimizer, clip)) == "")
    for (what, error) in try errors(session, run(name)["f64"]) {
      #expect(error <= (what == "norms" ? 1e-6 : 1e-9), "\(what)")
    }
  }

  /// In f32 within 1e-5 of PyTorch's f32, or as near to the f64 figures as PyTorch's f32 is.
  @Test(arguments: programs)
  func narrow(name: String, optimizer: String, clip: String) throws {
    let session = ProgramSession()
    #expect(try session.run(problem("f32", optimizer, clip)) == "")
    let run = try run(name)
    let narrow = try errors(session, run["f32"])
    let wide = try errors(session, run["f64"])
    for (what, error) in narrow {
      #expect(error <= 1e-5 || wide[what]! <= 1e-5, "\(what): \(error) from f32, \(wide[what]!) from f64")
    }
  }

  /// Every optimizer of the library has a run here, so none goes unchecked.
  @Test func coverage() throws {
    let session = ProgramSession()
    let library = session.interpreter.main.visibleNames.filter {
      session.interpreter.value(of: $0)?.typeDescription == "optimizer"
    }
    let programs = Self.programs.map(\.optimizer) + SmallOptimizerTests.programs.map(\.optimizer)
    let checked = Set(programs.map { $0.prefix { $0 != "(" } }.map(String.init))
    #expect(library.isEmpty == false)
    #expect(library.filter { !checked.contains($0) } == [])
  }
}

/// The optimizers with small states, 120 steps on a matrix, a vector, a number, a stack of matrices and filters,
/// against the libraries that they are named after.
@Suite struct SmallOptimizerTests {
  private static let figures = Figure(file: "small_optimizers.json")

  /// How the language spells each run of `small_optimizers.json`.
  static let programs: [(name: String, optimizer: String)] = [
    ("adafactor", "adafactor()"),
    ("adafactor_rate", "adafactor(lr: 0.02)"),
    ("adafactor_beta1", "adafactor(lr: 0.02, beta1: 0.9, decay: 0.1)"),
    ("transformers", "adafactor_transformers()"),
    ("transformers_external", "adafactor_transformers(lr: 0.005, scale_parameter: false, decay: 0.1)"),
    ("transformers_beta1", "adafactor_transformers(lr: 0.005, scale_parameter: false, beta1: 0.9, d: 0.5)"),
    ("transformers_warmup", "adafactor_transformers(warmup_init: true, decay: 0.1)"),
    ("torch", "adafactor_torch()"),
    ("torch_decay", "adafactor_torch(lr: 0.01, decay: 0.1, d: 1.5)"),
    ("torch_eps", "adafactor_torch(lr: 0.02, eps1: 0.03, eps2: 0.5, beta2_decay: -0.6)"),
    ("muon", "muon(lr: 0.01)"),
    ("muon_plain", "muon(lr: 0.01, nesterov: false, decay: 0.1)"),
    ("adam_mini", "adam_mini(lr: 0.01)"),
    ("adam_mini_decay", "adam_mini(lr: 0.01, beta2: 0.95, decay: 0.1)"),
  ]

  private func problem(_ dtype: String, _ optimizer: String) -> String {
    let parameters = Self.figures["initial"].fields.map { "param \($0.name) = cast(\($0.value.source), \(dtype))" }
    let inputs = Self.figures["inputs"].fields.map { "\($0.name) = cast(\($0.value.source), \(dtype))" }
    return """
      \(inputs.joined(separator: "\n"))
      model Problem() {
        \(parameters.joined(separator: "\n  "))
        fn forward() = mean((c * tanh(x @ w + b) - y)^2) + mean((tanh(u @ a) - v)^2) + mean((k - target)^2)
      }
      net = Problem()
      opt = \(optimizer)
      step train() {
        loss = net()
        minimize(loss, net, opt)
        loss
      }
      (losses, ws, bs, cs, as, ks) = ([], [], [], [], [], [])
      for t in 1...120 {
        losses = append(losses, float(train()))
        if t in [1, 3, 120] {
          ws = append(ws, net.w)
          bs = append(bs, net.b)
          cs = append(cs, net.c)
          as = append(as, net.a)
          ks = append(ks, net.k)
        }
      }
      """
  }

  /// Relative errors of losses and parameters against one column of figures.
  private func errors(_ session: ProgramSession, _ figures: Figure) throws -> [String: Double] {
    let shown = figures["parameters"].list
    var errors = ["losses": distance(try session.numbers("losses"), figures["losses"].numbers)]
    for name in ["w", "b", "c", "a", "k"] {
      errors[name] = distance(try session.numbers(name + "s"), shown.flatMap { $0[name].numbers })
    }
    return errors
  }

  private func run(_ name: String) throws -> Figure {
    try #require(Self.figures["runs"].list.first { $0["name"].text == name })
  }

  @Test(arguments: programs)
  func wide(name: String, optimizer: String) throws {
    let session = ProgramSession()
    #expect(try session.run(problem("f64", optimizer)) == "")
    for (what, error) in try errors(session, run(name)["f64"]) {
      #expect(error <= 1e-9, "\(what)")
    }
  }

  /// In f32 within 2e-5 of the library's f32: 120 steps of rounding, where PyTorch's f32 is 2e-6 from its f64.
  @Test(arguments: programs)
  func narrow(name: String, optimizer: String) throws {
    let session = ProgramSession()
    #expect(try session.run(problem("f32", optimizer)) == "")
    for (what, error) in try errors(session, run(name)["f32"]) {
      #expect(error <= 2e-5, "\(what)")
    }
  }
}
