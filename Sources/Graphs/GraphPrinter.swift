import Support
import Tensors

/// The graph as lines, one a node, under a heading for each phase, with the source that a node comes from:
///
///     forward
///       x : f32[2]
///       %1 = multiply(x, x) : f32[2]   # x * x
///       %2 = sum(%1) : f32[]           # sum(x * x)
///
/// Attributes stand behind the operands where they are not as usual; what a step prints, asserts and writes follows.
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
    let operands = (node.operands.map(name) + attributes(of: node)).joined(separator: ", ")
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
  if !graph.effects.isEmpty {
    text += "effects\n"
    for effect in graph.effects {
      switch effect.kind {
      case .report(let values, _): text += "  print(\(values.map(name).joined(separator: ", ")))\n"
      case .assertion(let value): text += "  assert(\(name(value)))\n"
      }
    }
  }
  if !graph.writes.isEmpty {
    text += "writes\n"
    for write in graph.writes { text += "  \(name(graph.inputs[write.input])) = \(name(write.value))\n" }
  }
  return text
}

/// What an op holds beside its operands, `axis: 0` or `keep: true`, as far as the types do not say it and it is not
/// what the op's page calls the default.
private func attributes(of node: Graph.Node) -> [String] {
  let parameters = type(of: node.op).signature.parameters
  return Mirror(reflecting: node.op).children.compactMap { label, value in
    guard var label else { return nil }
    let usual = parameters.first { $0.name == label }?.defaultValue
    switch value {
    case let flag as Bool:
      if case .bool(flag) = usual ?? .bool(false) { return nil }
      return "\(label): \(flag)"
    case let number as Int:
      if case .int(number)? = usual { return nil }
      return "\(label): \(number)"
    case let number as Double:
      if case .number(number)? = usual { return nil }
      return "\(label): \(format(number: number))"
    case let numbers as [Int]:
      if label == "axes" {
        // All axes are the default of reductions.
        if numbers == Array(0..<(node.operands.first?.type.rank ?? -1)) { return nil }
        label = "axis"
      }
      return "\(label): " + (numbers.count == 1 ? "\(numbers[0])" : numbers.description)
    default: return nil
    }
  }
}

/// The user's expression behind a node, where it is short; a backward node's is the one it differentiates.
private func source(of node: Graph.Node) -> String {
  guard let site = node.origin.site, !site.file.isLibrary else { return "" }
  let text = site.text
  return text.utf8.count <= 40 && !text.contains("\n") ? text : ""
}
