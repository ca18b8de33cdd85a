import Graphs

/// A step of the way from a traced graph to the graph that is planned.
package struct Pass: Sendable {
  package let name: String
  package let run: @Sendable (inout Graph) -> Void
}

/// The passes over a traced step, in order: the page to read first.
///
/// Autodiff is not in the list: `minimize` and `grad` append derivatives while the step is traced, because
/// what follows them in the program may use the gradients.
package enum Pipeline {
  package static let step: [Pass] = [
    Pass(name: "common subexpressions", run: mergeCommonSubexpressions),
    Pass(name: "dead code", run: removeDeadCode),
  ]

  /// Runs the passes; each leaves a legal graph, which `verify` checks.
  package static func run(_ passes: [Pass], on graph: inout Graph) throws {
    for pass in passes {
      pass.run(&graph)
      try verify(graph, after: pass.name)
    }
  }
}
