import Testing

/// Learning rates against PyTorch's schedulers: fifty updates each.
@Suite struct OracleScheduleTests {
  private static let figures = Figure(file: "schedules.json")

  /// How the language spells each schedule of `schedules.json`.
  ///
  /// Of the three that warm up and then follow a cosine it has the one that PyTorch's own schedulers give when
  /// chained; the others waste an update on rate 0.
  static let programs: [(name: String, program: String)] = [
    ("cosine", "cosine(0.1, total: 50)"),
    ("cosine_floor", "cosine(0.1, total: 50, floor: 0.01)"),
    ("warmup_cosine_sequence", "cosine(0.1, total: 50, warmup: 10)"),
    ("warmup_cosine_sequence", "warmup(10, cosine(0.1, total: 40))"),
    ("cosine_restarts", "cosine_restarts(0.1, cycle: 10, growth: 2)"),
    ("step", "step_decay(0.1, every: 10, factor: 0.5)"),
    ("multi_step", "multi_step(0.1, milestones: [15, 30], factor: 0.1)"),
    ("exponential", "exponential(0.1, factor: 0.95)"),
    ("constant", "constant(0.1, factor: 0.25, steps: 10)"),
    ("linear_decay", "linear(0.1, total: 40, end: 0.1)"),
    ("linear_warmup", "linear(0.1, total: 9, start: 0.1, end: 1.0)"),
    ("linear_to_zero", "linear(0.1, total: 50)"),
    ("polynomial", "polynomial(0.1, total: 40, power: 2.0)"),
    ("inverse_square_root", "inverse_sqrt(0.1, warmup: 10)"),
    ("one_cycle", "one_cycle(0.1, total: 50)"),
    ("one_cycle_linear", "one_cycle(0.1, total: 50, shape: \"linear\")"),
    ("one_cycle_three_phases", "one_cycle(0.1, total: 50, three_phase: true)"),
  ]

  static let momenta: [(name: String, program: String)] = [
    ("one_cycle", "one_cycle_momentum(50)"),
    ("one_cycle_linear", "one_cycle_momentum(50, shape: \"linear\")"),
    ("one_cycle_three_phases", "one_cycle_momentum(50, three_phase: true)"),
  ]

  private func expected(_ name: String, _ key: String) throws -> [Double] {
    try #require(Self.figures["schedules"].list.first { $0["name"].text == name })[key].numbers
  }

  /// Computes the schedule outside and inside a step, which must be traced once for all updates.
  private func check(_ program: String, against expected: [Double]) throws {
    let session = ProgramSession()
    let output = try session.run(
      """
      schedule = \(program)
      now = [schedule(t) for t in 1...50]
      step rate(t) = schedule(t)
      traced = [rate(t) for t in 1...50]
      """)
    #expect(output == "", "one plan serves every t")
    #expect(distance(try session.numbers("now"), expected) <= 1e-13)
    #expect(distance(try session.numbers("traced"), expected) <= 1e-13)
  }

  @Test(arguments: programs)
  func rates(name: String, program: String) throws {
    try check(program, against: expected(name, "rates"))
  }

  @Test(arguments: momenta)
  func momentum(name: String, program: String) throws {
    try check(program, against: expected(name, "momenta"))
  }
}
