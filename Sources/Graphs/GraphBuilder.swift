import Support
import Tensors

/// Runs one op on real tensors. `Execution` supplies it; recording with real values needs it.
package protocol OpEvaluator: AnyObject {
  func evaluate(_ op: any TensorOp, _ operands: [Tensor]) throws -> [Tensor]
}

/// The only way to add nodes to a graph.
///
/// With an evaluator every appended node is also computed at once, so that a program being recorded can
/// look at its values (`grad` outside a step). Convenience methods for each op stand in the op's file.
package final class GraphBuilder {
  package var graph = Graph()
  /// Given to appended nodes.
  package var origin = Origin(site: nil)
  package let evaluator: (any OpEvaluator)?
  /// Whether ops that change nothing are appended all the same: then the same program on other sizes, 1 among them, has the
  /// same nodes.
  package var keepsIdentities = false
  /// Real values by value id, where known.
  private var concrete: [Int: Tensor] = [:]
  private var randomOrdinal = 0

  package init(evaluator: (any OpEvaluator)? = nil) {
    self.evaluator = evaluator
  }

  /// The place of the next random op in the trace: part of its key.
  package func nextOrdinal() -> Int {
    defer { randomOrdinal += 1 }
    return randomOrdinal
  }

  package func input(_ type: TensorType, concrete tensor: Tensor? = nil) -> GraphValue {
    let value = makeValue(type, .input(graph.inputs.count))
    graph.inputs.append(value)
    if let tensor { concrete[value.id] = tensor }
    return value
  }

  package func constant(_ tensor: Tensor) -> GraphValue {
    let value = makeValue(tensor.type, .constant(tensor))
    if evaluator != nil { concrete[value.id] = tensor }
    return value
  }

  /// A number of `dtype` without axes.
  package func constant(_ number: Double, _ dtype: DType) -> GraphValue {
    constant(Tensor([number], dtype: dtype, shape: .scalar))
  }

  /// Appends a node and returns its results.
  /// - Throws: `OpRejection` where the operands do not fit; the evaluator's errors.
  package func append(_ op: any TensorOp, _ operands: [GraphValue]) throws -> [GraphValue] {
    let types = try op.resultTypes(of: operands.map(\.type))
    var tensors: [Tensor]?
    if let evaluator {
      var known: [Tensor] = []
      for operand in operands {
        guard let tensor = concrete[operand.id] else { break }
        known.append(tensor)
      }
      if known.count == operands.count { tensors = try evaluator.evaluate(op, known) }
    }
    let node = graph.nodes.count
    let results = types.enumerated().map { makeValue($1, .result(node: node, index: $0)) }
    graph.nodes.append(Graph.Node(op: op, operands: operands, results: results, origin: origin))
    if let tensors {
      for (value, tensor) in zip(results, tensors) { concrete[value.id] = tensor }
    }
    return results
  }

  /// Appends a node with one result.
  package func emit(_ op: any TensorOp, _ operands: GraphValue...) throws -> GraphValue {
    try append(op, operands)[0]
  }

  /// The real value, where recording computes them.
  package func concrete(of value: GraphValue) -> Tensor? { concrete[value.id] }

  private func makeValue(_ type: TensorType, _ definition: Graph.Definition) -> GraphValue {
    let value = GraphValue(id: graph.values.count, type: type)
    graph.values.append((type: type, definition: definition))
    return value
  }
}
