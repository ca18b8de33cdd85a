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

/// Removes views that show their operand as it is: what is left of functions with derivatives of their own and of
/// `stop_gradient` once all derivatives are taken.
package func removeIdentities(_ graph: inout Graph) {
  var replacement: [Int: GraphValue] = [:]
  graph.nodes.removeAll { node in
    guard let view = node.op as? any ViewOp, node.operands[0].type == node.results[0].type else { return false }
    let layout = Layout(contiguous: node.operands[0].shape)
    guard view.layout(of: layout) == layout else { return false }
    replacement[node.results[0].id] = replacement[node.operands[0].id] ?? node.operands[0]
    return true
  }
  graph.replaceUses(replacement)
  graph.renumber()
}

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
