import Tensors

/// The graph as lines, one a node, under a heading for each phase, with the source that a node comes from:
///
///     forward
///       x : f32[2]
///       %1 = multiply(x, x) : f32[2]   # x * x
///       %2 = sum(%1) : f32[]           # sum(x * x)
///
/// - Parameters:
///   - inputs: What inputs are called, in their order; those beyond have numbers.
///   - outputs: What outputs are called, in their order.
package func describe(_ graph: Graph, inputs: [String] = [], outputs: [String] = []) -> String {
  var names: [Int: String] = [:]
  var count = 0
  func name(_ value: GraphValue) -> String {
    if let name = names[value.id] { return name }
    switch graph.definition(of: value) {
    case .constant(let tensor) where tensor.elementCount == 1:
      return tensor.dtype.isFloating ? format(number: tensor.scalar) : String(tensor.integerScalar)
    case .constant(let tensor): return "constant \(tensor.type)"
    case .input, .result:
      count += 1
      names[value.id] = "%\(count)"
      return "%\(count)"
    }
  }
  for (input, name) in zip(graph.inputs, inputs) { names[input.id] = name }

  var lines: [(text: String, source: String)] = []
  for input in graph.inputs { lines.append(("  \(name(input)) : \(input.type)", "")) }
  var phase = Phase.forward
  for (index, node) in graph.nodes.enumerated() {
    if node.origin.phase != phase {
      phase = node.origin.phase
      lines.append((phase.rawValue, ""))
    }
    let operands = node.operands.map(name).joined(separator: ", ")
    let results = node.results.map(name).joined(separator: ", ")
    let types = node.results.map(\.type.description).joined(separator: ", ")
    // Several nodes of one expression: the last one says where they come from.
    let next = index + 1 < graph.nodes.count ? graph.nodes[index + 1].origin : nil
    let isLast = next?.site != node.origin.site || next?.phase != node.origin.phase
    lines.append(
      ("  \(results) = \(type(of: node.op).name)(\(operands)) : \(types)", isLast ? source(of: node) : ""))
  }
  let width = lines.map { $0.source.isEmpty ? 0 : $0.text.count }.max() ?? 0
  var text = "forward\n"
  for line in lines {
    text += line.text
    if !line.source.isEmpty {
      text += String(repeating: " ", count: width - line.text.count) + "   # " + line.source
    }
    text += "\n"
  }

  if !graph.outputs.isEmpty {
    text += "results\n"
    for (index, output) in graph.outputs.enumerated() {
      text += "  " + (index < outputs.count ? outputs[index] + " = " : "") + name(output) + "\n"
    }
  }
  return text
}

/// The user's expression behind a node, where it is short; a backward node's is the one it differentiates.
private func source(of node: Graph.Node) -> String {
  guard let site = node.origin.site, !site.file.name.hasPrefix("stdlib/") else { return "" }
  let text = site.text
  return text.utf8.count <= 40 && !text.contains("\n") ? text : ""
}
