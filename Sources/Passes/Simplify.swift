import Graphs
import Ops
import Tensors

extension Graph {
  /// Makes every reader of a key read the value instead.
  mutating func replaceUses(_ replacement: [Int: GraphValue]) {
    if replacement.isEmpty { return }
    func replaced(_ value: GraphValue) -> GraphValue { replacement[value.id] ?? value }
    for index in nodes.indices {
      for position in nodes[index].operands.indices {
        nodes[index].operands[position] = replaced(nodes[index].operands[position])
      }
    }
    outputs = outputs.map(replaced)
    for index in writes.indices { writes[index].value = replaced(writes[index].value) }
    for index in gradients.indices { gradients[index].value = replaced(gradients[index].value) }
    for index in effects.indices {
      switch effects[index].kind {
      case .assertion(let value): effects[index].kind = .assertion(replaced(value))
      case .report(let values, let slot): effects[index].kind = .report(values.map(replaced), slot: slot)
      }
    }
  }
}

/// Removes nodes whose result is an operand as it is: reductions over no axes; views that show all of it, which functions with derivatives of their
/// own and `stop_gradient` leave behind once all derivatives are taken; and operations with their identity element, with
/// which derivatives begin.
///
/// Before: `a = x * 1  b = exp(a)`. After: `b = exp(x)`.
package func removeIdentities(_ graph: inout Graph) {
  var replacement: [Int: GraphValue] = [:]
  /// The numbers that fill values.
  var numbers: [Int: Double] = [:]
  for (id, value) in graph.values.enumerated() {
    if case .constant(let tensor) = value.definition, tensor.shape.rank == 0, tensor.dtype != .i64 {
      numbers[id] = tensor.scalar
    }
  }
  graph.nodes.removeAll { node in
    let result = node.results[0]
    guard let kept = operandLeft(by: node, numbers), kept.type == result.type else {
      if node.op is any ViewOp, let number = numbers[node.operands[0].id] { numbers[result.id] = number }
      return false
    }
    replacement[result.id] = replacement[kept.id] ?? kept
    numbers[result.id] = numbers[kept.id]
    return true
  }
  graph.replaceUses(replacement)
  graph.renumber()
}

/// The operand whose elements a node's result has.
private func operandLeft(by node: Graph.Node, _ numbers: [Int: Double]) -> GraphValue? {
  if let view = node.op as? any ViewOp {
    let layout = Layout(contiguous: node.operands[0].shape)
    return node.operands[0].type == node.results[0].type && view.layout(of: layout) == layout ? node.operands[0] : nil
  }
  if let reduction = node.op as? any Reduction, reduction.axes.isEmpty {
    // Of one element most reductions make that element; the variance does not.
    return type(of: reduction).reduce([2]) == 2 ? node.operands[0] : nil
  }
  guard let op = node.op as? any ElementwiseBinary else { return nil }
  let (left, right) = type(of: op).identities
  // Numbers compare as what they are: -0 is none of the identities.
  if let right, let number = numbers[node.operands[1].id], isSame(number, right) { return node.operands[0] }
  if let left, let number = numbers[node.operands[0].id], isSame(number, left) { return node.operands[1] }
  return nil
}

private func isSame(_ a: Double, _ b: Double) -> Bool { a.bitPattern == b.bitPattern }

/// Removes conversions of 16-bit floats to f32 or f64 and back, as gradients of mixed steps leave them: nothing is rounded on
/// the way. What else reads the wide value then reads a conversion of its own, which fusion can join with it.
///
/// Before: `w = cast(x, f32)  y = cast(w, bf16)  z = y @ v  s = sum(w)`. After: `z = x @ v  w = cast(x, f32)  s = sum(w)`.
package func removeRoundTrips(_ graph: inout Graph) {
  var replacement: [Int: GraphValue] = [:]
  for node in graph.nodes {
    guard node.op is Cast, let dtype = node.results.first?.dtype, dtype == .f16 || dtype == .bf16,
      node.operands[0].dtype == .f32 || node.operands[0].dtype == .f64,
      let index = graph.producer(of: node.operands[0]), graph.nodes[index].op is Cast
    else { continue }
    let source = graph.nodes[index].operands[0]
    if source.dtype == dtype { replacement[node.results[0].id] = replacement[source.id] ?? source }
  }
  graph.replaceUses(replacement)
}

/// Merges nodes that compute the same thing: equal ops on the same operands. Random ops carry their place
/// in the trace, so two draws never merge.
///
/// Before: `a = exp(x)  b = exp(x)  c = a + b`. After: `a = exp(x)  c = a + a`.
package func mergeCommonSubexpressions(_ graph: inout Graph) {
  struct Key: Hashable {
    let op: AnyHashable
    let operands: [Int]
  }
  var known: [Key: [GraphValue]] = [:]
  var replacement: [Int: GraphValue] = [:]
  var constants: [UInt64: GraphValue] = [:]
  // Single numbers that are equal are one constant.
  for (id, value) in graph.values.enumerated() {
    guard case .constant(let tensor) = value.definition, tensor.shape.rank == 0, tensor.dtype != .i64
    else { continue }
    let key = tensor.scalar.bitPattern ^ (UInt64(tensor.dtype.rawValue) &* 0x9E37_79B9_7F4A_7C15)
    if let first = constants[key], first.type == value.type,
      case .constant(let other) = graph.values[first.id].definition,
      other.scalar.bitPattern == tensor.scalar.bitPattern
    {
      replacement[id] = first
    } else {
      constants[key] = GraphValue(id: id, type: value.type)
    }
  }
  for index in graph.nodes.indices {
    var node = graph.nodes[index]
    node.operands = node.operands.map { replacement[$0.id] ?? $0 }
    graph.nodes[index] = node
    let key = Key(op: AnyHashable(node.op), operands: node.operands.map(\.id))
    if let first = known[key] {
      for (result, earlier) in zip(node.results, first) { replacement[result.id] = earlier }
    } else {
      known[key] = node.results
    }
  }
  graph.replaceUses(replacement)
}

/// Removes nodes that nothing leaving the graph depends on.
package func removeDeadCode(_ graph: inout Graph) {
  var needed = [Bool](repeating: false, count: graph.values.count)
  for value in graph.leavingValues { needed[value.id] = true }
  var kept: [Graph.Node] = []
  for node in graph.nodes.reversed() where node.results.contains(where: { needed[$0.id] }) {
    for operand in node.operands { needed[operand.id] = true }
    kept.append(node)
  }
  graph.nodes = kept.reversed()
  graph.renumber()
}
