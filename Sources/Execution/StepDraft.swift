import Graphs
import Passes
import Tensors

/// A step before it is planned: on its whole batch or in pieces of it, to be planned under any checkpointing.
package struct StepDraft {
  private enum Body {
    case whole(Graph)
    case pieces(BatchSections, rows: [Range<Int>], inputs: [TensorType])
  }
  private let body: Body
  private let roles: [InputRole]
  private let plain = Plain()

  /// The plan without checkpointing, which is what the step runs and the first of the ways to run it.
  private final class Plain {
    var plan: (any StepPlan)?
  }

  /// - Parameter graph: as it was traced, before any pass.
  package init(_ graph: Graph, inputs roles: [InputRole]) throws {
    var graph = graph
    try Pipeline.run(Pipeline.simplification, on: &graph)
    body = .whole(graph)
    self.roles = roles
  }

  /// - Parameters:
  ///   - sections: a step that was cut, before any pass.
  ///   - rows: those of each piece.
  ///   - types: of the step's inputs.
  package init(
    _ sections: BatchSections, rows: [Range<Int>], inputs types: [TensorType], roles: [InputRole]
  ) throws {
    var sections = sections
    if sections.before != nil { try Pipeline.run(Pipeline.step, on: &sections.before!.graph) }
    for index in sections.pieces.indices {
      try Pipeline.run(Pipeline.simplification, on: &sections.pieces[index].section.graph)
    }
    try Pipeline.run(Pipeline.step, on: &sections.after.graph)
    body = .pieces(sections, rows: rows, inputs: types)
    self.roles = roles
  }

  package var pieceCount: Int {
    switch body {
    case .whole: 1
    case .pieces(_, let rows, _): rows.count
    }
  }

  /// What checkpointing acts on: the step, or its pieces by their number of rows; simplified.
  package var graphs: [Graph] {
    switch body {
    case .whole(let graph): [graph]
    case .pieces(let sections, _, _): sections.pieces.map(\.section.graph)
    }
  }

  /// Whether there is anything that checkpointing could free.
  var hasBackwardPass: Bool { graphs[0].nodes.contains { $0.origin.phase == .backward } }

  /// A plan under a checkpointing; without one always the same.
  package func plan(_ checkpointing: Checkpointing) throws -> any StepPlan {
    if checkpointing != .none { return try newPlan(checkpointing) }
    if let plan = plain.plan { return plan }
    let plan = try newPlan(.none)
    plain.plan = plan
    return plan
  }

  private func newPlan(_ checkpointing: Checkpointing) throws -> any StepPlan {
    switch body {
    case .whole(var graph):
      try Pipeline.run(Pipeline.afterSimplification(checkpointing), on: &graph)
      return try Plan(graph, inputs: roles)
    case .pieces(var sections, let rows, let types):
      for index in sections.pieces.indices {
        try Pipeline.run(
          Pipeline.afterSimplification(checkpointing), on: &sections.pieces[index].section.graph)
      }
      return try AccumulatedPlan(sections, inputs: types, roles: roles, pieces: rows)
    }
  }
}
