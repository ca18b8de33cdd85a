import Tensors

/// Prints a graph one node a line, `%4 = multiply(%1, %3) : f32[2]`, backward nodes under their own heading.
/// Deterministic: values are numbered in the order in which they appear.
package func describe(_ graph: Graph) -> String {
  var names: [Int: String] = [:]
  var text = ""
  func name(_ value: GraphValue) -> String {
    if let name = names[value.id] { return name }
    switch graph.definition(of: value) {
    case .constant(let tensor) where tensor.elementCount == 1:
      let number = tensor.dtype.isFloating ? format(number: tensor.scalar) : String(tensor.integerScalar)
      return number
    case .constant(let tensor): return "constant \(tensor.type)"
    case .input, .result:
      let name = "%\(names.count)"
      names[value.id] = name
      return name
    }
  }
  for input in graph.inputs { text += "  \(name(input)) = input : \(input.type)\n" }
  var phase = Phase.forward
  for node in graph.nodes {
    if node.origin.phase != phase {
      phase = node.origin.phase
      text += "\(phase.rawValue)\n"
    }
    let operands = node.operands.map(name).joined(separator: ", ")
    let results = node.results.map(name).joined(separator: ", ")
    let types = node.results.map(\.type.description).joined(separator: ", ")
    text += "  \(results) = \(type(of: node.op).name)(\(operands)) : \(types)"
    if let site = node.origin.site, !site.file.name.hasPrefix("stdlib/"), phase == .forward {
      let source = site.text
      if source.utf8.count <= 40, !source.contains("\n") { text += "   # \(source)" }
    }
    text += "\n"
  }
  if !graph.outputs.isEmpty {
    text += "  give \(graph.outputs.map(name).joined(separator: ", "))\n"
  }
  return "forward\n" + text
}
