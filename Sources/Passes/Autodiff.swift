import Graphs
import Ops
import Support
import Tensors

/// Appends the reverse-mode derivative to the graph being built.
///
/// Before: nodes that lead from `targets` to `outputs`. After: the same, followed by nodes that carry
/// `cotangents` (of `outputs`, in the same order) back to `targets`. The new nodes are ordinary ones, so
/// derivatives of derivatives are this function once more.
///
/// - Returns: one cotangent per target, nil where no differentiable path leads to it.
package func pullBack(
  _ builder: GraphBuilder, from outputs: [GraphValue], cotangents: [GraphValue],
  to targets: [GraphValue]
) throws -> [GraphValue?] {
  let nodes = builder.graph.nodes
  let valueCount = builder.graph.values.count

  // Which values depend on a target.
  var depends = [Bool](repeating: false, count: valueCount)
  for target in targets { depends[target.id] = true }
  for node in nodes where node.operands.contains(where: { depends[$0.id] }) {
    if case .zero = node.op.gradient { continue }
    for result in node.results where result.dtype.isFloating { depends[result.id] = true }
  }

  var collected = [GraphValue?](repeating: nil, count: valueCount)
  func collect(_ cotangent: GraphValue, for value: GraphValue) throws {
    if let earlier = collected[value.id] {
      collected[value.id] = try builder.add(earlier, cotangent)
    } else {
      collected[value.id] = cotangent
    }
  }
  for (output, cotangent) in zip(outputs, cotangents) where depends[output.id] {
    try collect(cotangent, for: output)
  }

  let origin = builder.origin
  defer { builder.origin = origin }
  for node in nodes.reversed() {
    guard node.results.contains(where: { collected[$0.id] != nil }),
      node.operands.contains(where: { depends[$0.id] }),
      case .pullback(let rule) = node.op.gradient
    else { continue }
    builder.origin = Origin(
      site: node.origin.site, path: node.origin.path,
      phase: origin.phase == .forward ? .backward : origin.phase)
    builder.origin.isBatchStatistic = node.origin.isBatchStatistic
    let contributions = try rule(
      builder,
      Pullback(
        operands: node.operands, results: node.results,
        cotangents: node.results.map { collected[$0.id] }))
    for (operand, contribution) in zip(node.operands, contributions) {
      guard let contribution, depends[operand.id] else { continue }
      guard contribution.type == operand.type else {
        throw InternalError(
          "autodiff",
          "the gradient of \(type(of: node.op).name) has type \(contribution.type), its operand \(operand.type)"
        )
      }
      try collect(contribution, for: operand)
    }
  }
  return targets.map { collected[$0.id] }
}
