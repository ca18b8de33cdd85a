import Graphs
import Ops
import Support
import Tensors

// Copies made explicit
//
// Before: `t = transpose(x)  y = softmax(t)`, whose kernel wants its rows one after the other. After:
// `t = transpose(x)  c = contiguous_copy(t)  y = softmax(c)`. So passes behind this one, and the ledger, see all
// memory that a step takes.
//
// A view that no layout of its operand expresses gets a copy of the operand to look at. One copy serves all
// readers of a phase. The next phase makes its own rather than keeping two of the same, unless it reads what was
// copied in no other way: then the copy is kept instead.

/// Inserts copies where a kernel or a view needs contiguous elements and does not have them.
package func materialize(_ graph: inout Graph) throws {
  struct Key: Hashable {
    let value: Int
    let phase: Phase
  }
  var layouts = graph.values.map { value in
    if case .constant(let tensor) = value.definition { return tensor.layout }
    return Layout(contiguous: value.type.shape)
  }
  var copies: [Key: GraphValue] = [:]
  let keeps = copiesToKeep(graph)
  var nodes: [Graph.Node] = []
  nodes.reserveCapacity(graph.nodes.count)

  func contiguous(_ value: GraphValue, _ origin: Origin) -> GraphValue {
    if layouts[value.id].isContiguous { return value }
    let key = Key(value: value.id, phase: keeps[value.id] ? .forward : origin.phase)
    if let copy = copies[key] { return copy }
    let copy = GraphValue(id: graph.values.count, type: value.type)
    graph.values.append((type: value.type, definition: .result(node: nodes.count, index: 0)))
    layouts.append(Layout(contiguous: value.shape))
    nodes.append(Graph.Node(op: ContiguousCopy(), operands: [value], results: [copy], origin: origin))
    copies[key] = copy
    return copy
  }

  for var node in graph.nodes {
    if let view = node.op as? any ViewOp {
      if view.layout(of: layouts[node.operands[0].id]) == nil {
        node.operands[0] = contiguous(node.operands[0], node.origin)
      }
      guard let layout = view.layout(of: layouts[node.operands[0].id]) else {
        throw InternalError("materialize", "\(type(of: view).name) has no layout for a contiguous operand")
      }
      layouts[node.results[0].id] = layout
    } else {
      let wanted = type(of: node.op).traits.operands
      for position in node.operands.indices where !wanted.takes(layouts[node.operands[position].id]) {
        node.operands[position] = contiguous(node.operands[position], node.origin)
      }
    }
    nodes.append(node)
  }
  // The new value of one input may be the old one of another, or a view of it: it is copied before anything is
  // written, as all new values of a step are told from its old ones.
  let base = graph.viewBases()
  for index in graph.writes.indices {
    let value = graph.writes[index].value
    if case .result = graph.values[base[value.id]].definition { continue }
    let copy = GraphValue(id: graph.values.count, type: value.type)
    graph.values.append((type: value.type, definition: .result(node: nodes.count, index: 0)))
    nodes.append(
      Graph.Node(
        op: ContiguousCopy(), operands: [value], results: [copy],
        origin: Origin(site: nodes.last?.origin.site, phase: .update)))
    graph.writes[index].value = copy
  }
  graph.nodes = nodes
  graph.renumber()
}

/// For each value, whether all that reads the memory behind it after the forward pass reads this view of it.
private func copiesToKeep(_ graph: Graph) -> [Bool] {
  let base = graph.viewBases()
  var reader = [Int](repeating: -1, count: graph.values.count)
  var isOnly = [Bool](repeating: true, count: graph.values.count)
  for node in graph.nodes where !node.isView && node.origin.phase != .forward {
    for operand in node.operands {
      let id = base[operand.id]
      if reader[id] >= 0 && reader[id] != operand.id { isOnly[id] = false }
      reader[id] = operand.id
    }
  }
  for value in graph.leavingValues { isOnly[base[value.id]] = false }
  return graph.values.indices.map { id in
    guard case .result = graph.values[base[id]].definition else { return false }
    return isOnly[base[id]] && reader[base[id]] == id
  }
}
