import Graphs
import Tensors

/// A choice between how a layer acts in use and in training, open until the trace is complete.
///
/// Operand 0 is the value in use, operand 1 the one in training. `resolveModes` removes every switch, so
/// no plan contains one and programs cannot name it.
package struct ModeSwitch: ViewOp {
  /// Tells switches apart, so that each can be resolved on its own.
  package let id: Int

  package init(id: Int) { self.id = id }
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) { id = 0 }

  package static let name = "mode_switch"
  package static let documentation = "Stands for its second operand where its gradient is taken, else for its first."
  package static let signature = Signature(.operand("in_use"), .operand("in_training"))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits(
    precision: .asIs, cost: .view, fusion: .alone, effect: .pure, promotion: .unify,
    operands: .strided, broadcasts: true, inPlace: false)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    guard operands[0] == operands[1] else {
      throw OpRejection(
        "the values in use and in training differ: \(operands[0]) and \(operands[1])")
    }
    return [operands[0]]
  }
  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    .mixing(self)
  }
  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    [operands[0]]
  }
  package func layout(of operand: Layout) -> Layout? { operand }
  /// Whoever takes a gradient trains.
  package var gradient: Gradient { .pullback { _, pullback in [nil, pullback.cotangent] } }
  package static var samples: [OpSample] { [] }
  package static var rejections: [OpSample.Rejected] { [] }
}

/// Replaces every mode switch: by its training operand where one of `trained` depends on it, else by the other.
///
/// - Returns: the ids of the switches that train.
package func resolveModes(_ graph: inout Graph, trained: [GraphValue]) -> Set<Int> {
  guard graph.nodes.contains(where: { $0.op is ModeSwitch }) else { return [] }
  var reached = [Bool](repeating: false, count: graph.values.count)
  for value in trained { reached[value.id] = true }
  for node in graph.nodes.reversed() where node.results.contains(where: { reached[$0.id] }) {
    for operand in node.operands { reached[operand.id] = true }
  }
  var training = Set<Int>()
  var replacement: [Int: GraphValue] = [:]
  for node in graph.nodes {
    guard let choice = node.op as? ModeSwitch else { continue }
    let trains = reached[node.results[0].id]
    if trains { training.insert(choice.id) }
    let chosen = node.operands[trains ? 1 : 0]
    replacement[node.results[0].id] = replacement[chosen.id] ?? chosen
  }
  graph.nodes.removeAll { $0.op is ModeSwitch }
  graph.replaceUses(replacement)
  return training
}
