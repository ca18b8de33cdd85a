import Graphs
import Ops
import Tensors

// Pads that add up
//
// Before: `pad(a, after: 2) + pad(b, before: 1, after: 1) + pad(c, before: 2)`, the gradient of a value that was cut in
// three. After: `concat(a, b, c)`. The sum has one number that is not padding in each place.
//
// Limits: one axis, which the parts must cover in full. A zero that is negative stays so, where adding 0 made it positive.

/// Replaces sums of zero-padded parts that cover an axis by one concatenation.
package func joinPads(_ graph: inout Graph) throws {
  var producer = [Int](repeating: -1, count: graph.values.count)
  for (index, node) in graph.nodes.enumerated() { producer[node.results[0].id] = index }
  var isSummand = [Bool](repeating: false, count: graph.values.count)
  var readerCount = [Int](repeating: 0, count: graph.values.count)
  for node in graph.nodes {
    for operand in node.operands {
      readerCount[operand.id] += 1
      if node.op is Add { isSummand[operand.id] = true }
    }
  }
  var replacements: [Int: (op: Concat, operands: [GraphValue])] = [:]
  for (index, node) in graph.nodes.enumerated() where node.op is Add && !isSummand[node.results[0].id] {
    var parts: [(value: GraphValue, pad: Pad)] = []
    var waiting = node.operands
    var isSumOfPads = true
    while let next = waiting.popLast(), isSumOfPads {
      let source = producer[next.id]
      // A sum that is read twice is no part of one tree.
      if source >= 0, graph.nodes[source].op is Add, readerCount[next.id] == 1 {
        waiting += graph.nodes[source].operands
      } else if source >= 0, let pad = graph.nodes[source].op as? Pad {
        parts.append((graph.nodes[source].operands[0], pad))
      } else {
        isSumOfPads = false
      }
    }
    guard isSumOfPads, let axis = commonAxis(parts.map(\.pad), shape: node.results[0].shape) else { continue }
    parts.sort { $0.pad.before[axis] < $1.pad.before[axis] }
    var end = 0
    for part in parts where end >= 0 {
      end = part.pad.before[axis] == end ? end + part.value.shape[axis] : -1
    }
    if end == node.results[0].shape[axis] {
      replacements[index] = (Concat(axis: axis), parts.map(\.value))
    }
  }
  for (index, replacement) in replacements {
    graph.nodes[index] = Graph.Node(
      op: replacement.op, operands: replacement.operands, results: graph.nodes[index].results,
      origin: graph.nodes[index].origin)
  }
}

/// The only axis along which all of these pad, with zeros at the ends alone.
private func commonAxis(_ pads: [Pad], shape: Shape) -> Int? {
  var axis: Int?
  for pad in pads {
    guard pad.value == 0, pad.between.allSatisfy({ $0 == 0 }) else { return nil }
    for index in pad.before.indices where pad.before[index] != 0 || pad.after[index] != 0 {
      if axis != nil && axis != index { return nil }
      axis = index
    }
  }
  return axis
}
