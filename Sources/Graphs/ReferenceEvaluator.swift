import Support
import Tensors

/// Runs a graph by its definitions: each op's Float64 reference in turn. The judge of kernels, gradients and passes.
///
/// - Returns: every value of the graph by id; NaN for those that no node makes any more.
package func evaluateReference(
  _ graph: Graph, inputs: [ReferenceTensor]
) throws(KernelFault) -> [ReferenceTensor] {
  var known: [ReferenceTensor?] = Array(repeating: nil, count: graph.values.count)
  for (id, value) in graph.values.enumerated() {
    switch value.definition {
    case .input(let index): known[id] = inputs[index]
    case .constant(let tensor): known[id] = ReferenceTensor(tensor)
    case .result: break
    }
  }
  for node in graph.nodes {
    let results = try node.op.reference(node.operands.map { known[$0.id]! })
    for (value, result) in zip(node.results, results) { known[value.id] = result }
  }
  return zip(known, graph.values).map { tensor, value in
    tensor ?? ReferenceTensor(value.type, Array(repeating: .nan, count: value.type.elementCount))
  }
}
