import Graphs

/// A step of the way from a traced graph to the graph that is planned.
package struct Pass: Sendable {
  package let name: String
  package let run: @Sendable (inout Graph) throws -> Void

  package init(name: String, run: @escaping @Sendable (inout Graph) throws -> Void) {
    self.name = name
    self.run = run
  }
}

/// The passes over a traced step, in order: the page to read first.
///
/// Autodiff is not in the list: `minimize` and `grad` append derivatives while the step is traced, because
/// what follows them in the program may use the gradients. From `rebuild` on no pass merges nodes, or what is
/// computed twice on purpose would melt together again.
package enum Pipeline {
  package static let simplification: [Pass] = [
    Pass(name: "identities", run: removeIdentities),
    Pass(name: "round trips", run: removeRoundTrips),
    Pass(name: "reciprocals", run: multiplyByReciprocals),
    Pass(name: "common subexpressions", run: mergeCommonSubexpressions),
    Pass(name: "pads", run: joinPads),
    Pass(name: "dead code", run: removeDeadCode),
  ]
  package static func rebuild(_ checkpointing: Checkpointing) -> Pass {
    Pass(name: "rebuild") { Passes.rebuild(&$0, checkpointing) }
  }
  package static let narrow = Pass(name: "narrow", run: Passes.narrow)
  package static let materialize = Pass(name: "materialize", run: Passes.materialize)
  package static let duplicate = Pass(name: "duplicate", run: Passes.duplicate)
  package static let fusion = Pass(name: "fusion", run: fuse)
  package static let schedule = Pass(name: "schedule", run: Passes.schedule)

  package static let step = step(.none)
  package static func step(_ checkpointing: Checkpointing) -> [Pass] {
    simplification + afterSimplification(checkpointing)
  }
  /// What follows for a graph that is simplified already: the same one can be planned under several policies.
  package static func afterSimplification(_ checkpointing: Checkpointing) -> [Pass] {
    [rebuild(checkpointing), narrow, materialize, duplicate, fusion, schedule]
  }
  /// The same without joining nodes: the measure of what fusion must not change.
  package static let unfusedStep = simplification + [rebuild(.none), materialize, schedule]

  /// Runs the passes; each leaves a legal graph, which `verify` checks.
  package static func run(_ passes: [Pass], on graph: inout Graph) throws {
    for pass in passes {
      try pass.run(&graph)
      try verify(graph, after: pass.name)
    }
  }
}
