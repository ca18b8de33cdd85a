import Graphs
import Ops
import Tensors

// Conversions within ops
//
// Before: `w = cast(x, f32)  y = layer_norm(w, ..)  z = cast(y, bf16)`. After: a layer_norm that reads x and writes z, both in
// 16 bits. It computes in f32 what it reads and rounds once, so the bits are the same; w and y, twice as large, are nowhere.
//
// Which ops can do that, and with which of their tensors, they say themselves (`NarrowingOp`). A result is written in 16
// bits where nobody reads it in f32. Casts that others read as well stay for them.

/// Joins conversions between 16 bits and f32 with the ops before and behind them.
package func narrow(_ graph: inout Graph) {
  var readers = [[Int]](repeating: [], count: graph.values.count)
  for (index, node) in graph.nodes.enumerated() {
    for operand in node.operands { readers[operand.id].append(index) }
  }
  let leaves = Set((graph.leavingValues + graph.gradients.map(\.value)).map(\.id))
  var replacement: [Int: GraphValue] = [:]
  var dead = Set<Int>()
  var changed = false
  for (index, node) in graph.nodes.enumerated() {
    guard let op = node.op as? any NarrowingOp else { continue }
    let tensors = op.narrowTensors(node.operands.map(\.type))
    var operands = node.operands
    for place in tensors.operands {
      if let source = graph.narrowSource(of: operands[place]) { operands[place] = source }
    }
    if tensors.isTogether {
      let dtype = operands[0].dtype
      if dtype == .f32 || !tensors.operands.allSatisfy({ operands[$0].dtype == dtype }) { operands = node.operands }
    }
    var results = node.results
    // What is written in 16 bits alone would save nothing where operands must come along.
    if !tensors.isTogether || operands != node.operands {
      for place in tensors.results where results[place].dtype == .f32 && !leaves.contains(results[place].id) {
        let all = readers[results[place].id]
        guard let first = all.first, let rounding = graph.rounding(first),
          all.allSatisfy({ graph.rounding($0)?.dtype == rounding.dtype })
        else { continue }
        for reader in all {
          dead.insert(reader)
          let rounded = graph.nodes[reader].results[0]
          if rounded.id != rounding.id { replacement[rounded.id] = rounding }
        }
        results[place] = rounding
      }
    }
    if operands == node.operands && results == node.results { continue }
    changed = true
    graph.nodes[index] = Graph.Node(
      op: op.narrowed(operands.map(\.dtype), results.map(\.dtype), origin: node.origin), operands: operands,
      results: results, origin: node.origin)
  }
  if !changed { return }
  graph.nodes = graph.nodes.enumerated().filter { !dead.contains($0.offset) }.map(\.element)
  graph.replaceUses(replacement)
  removeDeadCode(&graph)
}

extension Graph {
  /// What a value in f32 was widened from.
  fileprivate func narrowSource(of value: GraphValue) -> GraphValue? {
    guard value.dtype == .f32, let index = producer(of: value), nodes[index].op is Cast else { return nil }
    let source = nodes[index].operands[0]
    return source.dtype == .f16 || source.dtype == .bf16 ? source : nil
  }

  /// What a node gives that does nothing but round to 16 bits.
  fileprivate func rounding(_ index: Int) -> GraphValue? {
    guard nodes[index].op is Cast else { return nil }
    let result = nodes[index].results[0]
    return result.dtype == .f16 || result.dtype == .bf16 ? result : nil
  }
}
