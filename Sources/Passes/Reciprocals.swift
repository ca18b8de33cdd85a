import Graphs
import Ops
import Tensors

// Reciprocals in updates
//
// Before: `c = cast(1 - beta2^t, f32)  y = v / c`. After: `c = cast(1 / (1 - beta2^t), f32)  y = v * c`, where the
// reciprocal is computed in f64 and rounds once. A division takes a vector unit ten times as long as a product, and of a
// bias correction there is one for each parameter.
//
// Limits: y can differ in its last bit from the quotient, so this is done in updates alone, to formulas that run nowhere
// but here; divisors that were computed in f32 stay.

/// Makes divisions of tensors by numbers, in updates, multiplications by reciprocals.
package func multiplyByReciprocals(_ graph: inout Graph) {
  let base = graph.viewBases()
  var made: [Int: GraphValue] = [:]
  var nodes: [Graph.Node] = []
  for var node in graph.nodes {
    if node.op is Divide, node.origin.phase == .update, node.results[0].dtype == .f32, node.results[0].type.elementCount > 1,
      let source = graph.number(graph.value(base[node.operands[1].id]))
    {
      func append(_ op: any TensorOp, _ operand: GraphValue, _ type: TensorType) -> GraphValue {
        let result = GraphValue(id: graph.values.count, type: type)
        graph.values.append((type: type, definition: .result(node: nodes.count, index: 0)))
        nodes.append(Graph.Node(op: op, operands: [operand], results: [result], origin: node.origin))
        return result
      }
      let factor =
        made[source.id]
        ?? append(Cast(to: .f32), append(Reciprocal(), source, TensorType(.f64, [])), TensorType(.f32, []))
      made[source.id] = factor
      let spread = append(Broadcast(to: node.results[0].shape), factor, node.results[0].type)
      node = Graph.Node(
        op: Multiply(), operands: [node.operands[0], spread], results: node.results, origin: node.origin)
    }
    nodes.append(node)
  }
  graph.nodes = nodes
  graph.renumber()
}

extension Graph {
  fileprivate func value(_ id: Int) -> GraphValue { GraphValue(id: id, type: values[id].type) }

  /// The number in f64 that a single one in f32 was rounded from.
  fileprivate func number(_ value: GraphValue) -> GraphValue? {
    guard value.shape.rank == 0, let index = producer(of: value), nodes[index].op is Cast,
      nodes[index].operands[0].dtype == .f64
    else { return nil }
    return nodes[index].operands[0]
  }
}
