import Support

/// Checks what every graph promises: nodes read values made before them, types are what the ops say,
/// what leaves the graph exists.
///
/// - Throws: `InternalError` naming the pass: a violation is our bug.
package func verify(_ graph: Graph, after pass: String) throws {
  func wrong(_ message: String) -> InternalError {
    InternalError("the graph after \(pass)", message)
  }
  var known = [Bool](repeating: false, count: graph.values.count)
  for (id, value) in graph.values.enumerated() {
    switch value.definition {
    case .input, .constant: known[id] = true
    case .result: break
    }
  }
  for (index, node) in graph.nodes.enumerated() {
    let name = type(of: node.op).name
    for operand in node.operands where !known[operand.id] {
      throw wrong("node \(index) (\(name)) reads a value that is not computed before it")
    }
    let types = try node.op.resultTypes(of: node.operands.map(\.type))
    guard types == node.results.map(\.type) else {
      throw wrong("node \(index) (\(name)) has results \(node.results.map(\.type)), its op says \(types)")
    }
    for result in node.results { known[result.id] = true }
  }
  for value in graph.outputs + graph.writes.map(\.value) where !known[value.id] {
    throw wrong("an output is not computed")
  }
  for write in graph.writes where graph.inputs[write.input].type != write.value.type {
    throw wrong("a write changes the type \(graph.inputs[write.input].type) to \(write.value.type)")
  }
}
