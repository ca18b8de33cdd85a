import Graphs
import Ops
import Tensors

// Reciprocals in updates
//
// Before: `c = cast(1 - beta2^t, f32)  y = v / c` and `root = rows * columns  u = g / root`. After: `c = cast(1 / (1 -
// beta2^t), f32)  y = v * c` and `u = g * (1 / rows) * (1 / columns)`. A division takes a vector unit ten times as long as a
// product, and of bias corrections, rows and columns there are few.
//
// Limits: y can differ in its last bits from the quotient, so this is done in updates alone, to formulas that run nowhere
// but here. Numbers take their reciprocals in f64, and round once; divisors must be products of what has an eighth of
// their elements at most. Of a divisor under 2^-126 the reciprocal can be beyond f32, and 0 / it nan.

/// Makes divisions in updates multiplications by reciprocals, where there are few of these.
package func multiplyByReciprocals(_ graph: inout Graph) {
  var rewriting = Rewriting(graph)
  for node in graph.nodes { rewriting.append(node) }
  graph = rewriting.graph
  graph.renumber()
}

private struct Rewriting {
  private(set) var graph: Graph
  private let old: Graph
  /// The reciprocals of numbers and of small tensors, by their values.
  private var reciprocals: [Int: GraphValue] = [:]

  init(_ graph: Graph) {
    old = graph
    self.graph = graph
    self.graph.nodes = []
  }

  mutating func append(_ node: Graph.Node) {
    guard node.op is Divide, node.origin.phase == .update, node.results[0].dtype == .f32,
      node.results[0].type.elementCount > 1,
      let factors = factors(of: node.operands[1], few: node.results[0].type.elementCount / 8, node.origin),
      let last = factors.last
    else {
      graph.nodes.append(node)
      return
    }
    var product = node.operands[0]
    for factor in factors.dropLast() { product = append(Multiply(), [product, factor], product.type, node.origin) }
    graph.nodes.append(
      Graph.Node(op: Multiply(), operands: [product, last], results: node.results, origin: node.origin))
  }

  /// What to multiply by instead of dividing by `value`: reciprocals of at most `few` elements each, spread as it is; nil
  /// where there are more.
  private mutating func factors(of value: GraphValue, few: Int, _ origin: Origin) -> [GraphValue]? {
    guard let index = old.producer(of: value) else { return nil }
    let node = old.nodes[index]
    if node.op is any ViewOp {
      guard let inner = factors(of: node.operands[0], few: few, origin) else { return nil }
      return inner.map { append(node.op, [$0], node.results[0].type, origin) }
    }
    if value.type.elementCount <= max(few, 1) { return [reciprocal(of: value, node, origin)] }
    guard node.op is Multiply, let left = factors(of: node.operands[0], few: few, origin),
      let right = factors(of: node.operands[1], few: few, origin)
    else { return nil }
    return left + right
  }

  private mutating func reciprocal(of value: GraphValue, _ node: Graph.Node, _ origin: Origin) -> GraphValue {
    if let known = reciprocals[value.id] { return known }
    let made: GraphValue
    if node.op is Cast, node.operands[0].dtype == .f64 {
      let exact = append(Reciprocal(), [node.operands[0]], node.operands[0].type, origin)
      made = append(node.op, [exact], value.type, origin)
    } else {
      made = append(Reciprocal(), [value], value.type, origin)
    }
    reciprocals[value.id] = made
    return made
  }

  private mutating func append(
    _ op: any TensorOp, _ operands: [GraphValue], _ type: TensorType, _ origin: Origin
  ) -> GraphValue {
    let result = GraphValue(id: graph.values.count, type: type)
    graph.values.append((type: type, definition: .result(node: graph.nodes.count, index: 0)))
    graph.nodes.append(Graph.Node(op: op, operands: operands, results: [result], origin: origin))
    return result
  }
}
