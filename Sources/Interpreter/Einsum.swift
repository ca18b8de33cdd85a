import Graphs
import Ops
import Support
import Tensors

let einsumDocumentation = """
  Products summed over shared axes, by names: an axis missing on the right of `->` is summed over. Names are
  words with spaces between them (`"b h t d, b h s d -> b h t s"`) or single letters (`"ij,jk->ik"`).

  >>> einsum("i, i ->", [1.0, 2.0], [3.0, 4.0])
  11.0
  """

/// Lowers a pattern to transposes, one batched matrix product per operand, and sums.
func einsum(_ call: BuiltinCall) throws(Failure) -> Value {
  let interpreter = call.interpreter
  guard call.values.count >= 2 else {
    throw Failure("missing-argument", "`einsum` needs a pattern and at least one tensor", at: call.site)
  }
  let text = try call.string(0, "the pattern")
  let site = call.sites[0]
  var operands: [TensorValue] = []
  for index in 1..<call.values.count { operands.append(try call.tensor(index)) }

  func bad(_ message: String, help: String? = nil) -> Failure {
    Failure("bad-einsum", "einsum: \(message)", at: site, help: help)
  }
  let sides = splitArrow(text)
  guard let right = sides.right else {
    throw bad("the pattern `\(text)` has no `->`", help: "write the axes of the result behind it, as in `\"i j, j k -> i k\"`")
  }
  if splitArrow(String(right)).right != nil { throw bad("`->` stands twice in the pattern") }
  let terms = (sides.left.split(separator: ",", omittingEmptySubsequences: false) + [right]).map {
    $0.split(separator: " ").map(String.init)
  }
  // One word an operand is a row of letters, unless the operand's one axis has that name.
  let isCompact =
    terms.allSatisfy { $0.count <= 1 }
    && !zip(terms, operands).contains { $0.first.map(\.count) ?? 0 > 1 && $1.shape.rank == 1 }
  func names(_ words: [String]) -> [String] {
    isCompact ? words.flatMap { $0.map { String($0) } } : words
  }
  let inputs = terms.dropLast().map(names)
  let output = names(terms[terms.count - 1])
  guard inputs.count == operands.count else {
    throw bad("the pattern names \(plural(inputs.count, "operand")), \(operands.count) given")
  }
  var sizes: [String: (size: Int, operand: Int)] = [:]
  for (index, axes) in inputs.enumerated() {
    let shape = operands[index].shape
    guard axes.count == shape.rank else {
      throw Failure(
        "shape-mismatch", "einsum: operand \(index + 1) has \(plural(shape.rank, "axis", "axes")), `\(axes.joined(separator: " "))` names \(axes.count)",
        at: site,
        labels: [.init(site: call.sites[index + 1], text: interpreter.describe(operands[index], at: call.sites[index + 1]))])
    }
    if let twice = axes.first(where: { name in axes.count { $0 == name } > 1 }) {
      throw bad("`\(twice)` is named twice in operand \(index + 1)", help: "`diagonal(x)` takes a diagonal")
    }
    for (axis, name) in axes.enumerated() {
      if let known = sizes[name], known.size != shape[axis] {
        throw Failure(
          "shape-mismatch", "einsum: `\(name)` is \(known.size) in operand \(known.operand + 1) and \(shape[axis]) in operand \(index + 1)",
          at: site,
          labels: [known.operand, index].map {
            .init(site: call.sites[$0 + 1], text: interpreter.describe(operands[$0], at: call.sites[$0 + 1]))
          })
      }
      sizes[name] = (shape[axis], index)
    }
  }
  for name in output where sizes[name] == nil { throw bad("`\(name)` on the right stands in no operand") }
  if Set(output).count != output.count { throw bad("an axis is named twice on the right") }

  var dtype = operands[0].dtype
  for operand in operands.dropFirst() { dtype = dtype.promoted(with: operand.dtype) }
  do {
    return try interpreter.build(operands, at: call.site) { g, values in
      var terms = zip(inputs, values).map { (axes: $0, value: $1) }
      for index in terms.indices { terms[index].value = try g.cast(terms[index].value, to: dtype) }

      /// Sums over axes that neither the output nor another term needs.
      func reduced(
        _ term: (axes: [String], value: GraphValue), needed: Set<String>
      ) throws -> (axes: [String], value: GraphValue) {
        let gone = term.axes.indices.filter { !needed.contains(term.axes[$0]) }
        if gone.isEmpty { return term }
        return (
          term.axes.filter { needed.contains($0) },
          try g.sum(term.value, axes: gone, keepingAxes: false)
        )
      }
      while terms.count > 1 {
        let second = terms.remove(at: 1)
        let first = terms.remove(at: 0)
        let later = Set(terms.flatMap(\.axes) + output)
        let a = try reduced(first, needed: later.union(second.axes))
        let b = try reduced(second, needed: later.union(first.axes))
        // batch: in both and still needed; contracted: in both and not needed; the rest is free.
        let batch = a.axes.filter { b.axes.contains($0) && later.contains($0) }
        let contracted = a.axes.filter { b.axes.contains($0) && !later.contains($0) }
        let freeA = a.axes.filter { !b.axes.contains($0) }
        let freeB = b.axes.filter { !a.axes.contains($0) }
        func product(_ names: [String]) -> Int { names.reduce(1) { $0 * sizes[$1]!.size } }
        func arranged(_ term: (axes: [String], value: GraphValue), _ order: [String], _ shape: [Int]) throws -> GraphValue {
          let permutation = order.map { term.axes.firstIndex(of: $0)! }
          return try g.reshape(try g.transpose(term.value, permutation: permutation), to: Shape(shape))
        }
        let left = try arranged(
          a, batch + freeA + contracted, [product(batch), product(freeA), product(contracted)])
        let right = try arranged(
          b, batch + contracted + freeB, [product(batch), product(contracted), product(freeB)])
        let joined = try g.matmul(left, right)
        let axes = batch + freeA + freeB
        terms.insert((axes, try g.reshape(joined, to: Shape(axes.map { sizes[$0]!.size }))), at: 0)
      }
      let last = try reduced(terms[0], needed: Set(output))
      return try g.transpose(last.value, permutation: output.map { last.axes.firstIndex(of: $0)! })
    }
  } catch { throw interpreter.explain(error, operands, Array(call.sites.dropFirst()), at: site) }
}

private func splitArrow(_ text: String) -> (left: Substring, right: Substring?) {
  var index = text.startIndex
  while index < text.endIndex {
    let next = text.index(after: index)
    if text[index] == "-", next < text.endIndex, text[next] == ">" {
      return (text[..<index], text[text.index(after: next)...])
    }
    index = next
  }
  return (text[...], nil)
}
