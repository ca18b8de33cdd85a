import Graphs
import Kernels
import Tensors

/// `attention(q, k, v)`: means of the rows of `v`, weighted by how well rows of `k` match those of `q`.
package struct Attention: NarrowingOp {
  package let rule: AttentionRule

  package static let name = "attention"
  package static let documentation = """
    Gives each query the mean of the values, weighted by how well their keys match it.

    Shapes: q [.., t, d], k [.., s, d], v [.., s, e] -> [.., t, e]: softmax(q @ k.T * scale) @ v, leading axes
    (batch, heads) each by itself, `scale` 1 / sqrt(d) unless given. `causal: true` hides from query i the keys
    beyond i + s - t, so the last query sees all. `mask` (bool, broadcast to [.., t, s]) hides keys where it is
    false. A query that sees no key gives zeros. The scores of 64 queries of a head are all that is held.

    >>> attention([[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[1.0], [0.0]])
    f32[1, 1]
    [[0.6698]]
    """
  package static let signature = Signature(
    [.operand("q"), .operand("k"), .operand("v")] + AttentionRule.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.attention

  package init(_ rule: AttentionRule) { self.rule = rule }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    rule = try AttentionRule(attributes, query: operands[0])
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: Array(operands[..<3]))
    try Self.requireOneDType(of: Array(operands[..<3]))
    let shape = try rule.resultShape(
      operands[0], operands[1], operands[2], mask: operands.count > 3 ? operands[3] : nil)
    return [TensorType(operands[0].dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    // Leading axes are independent; so are queries, unless a mask or their order tells them apart.
    AxisMap(
      results: (0..<operands[0].rank - 2).map { axis in
        operands.map { operand in
          let own = axis - operands[0].rank + operand.rank
          return own >= 0 && operand.shape[own] == operands[0].shape[axis] ? own : nil
        }
      }, attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (q, k, v) = (operands[0], operands[1], operands[2])
    let sizes = rule.sizes(q.shape, k.shape, v.shape)
    let p = rule.probabilities(q, k, mask: operands.count > 3 ? operands[3] : nil, sizes)
    let (t, s, e) = (sizes.queryCount, sizes.keyCount, sizes.valueWidth)
    let shape = Shape(q.shape.sizes.dropLast() + [e])
    var y = [Double](repeating: 0, count: shape.elementCount)
    for row in 0..<sizes.heads * t {
      for key in 0..<s {
        for i in 0..<e {
          y[row * e + i] += p[row * s + key] * v.values[(row / t * s + key) * e + i]
        }
      }
    }
    return [ReferenceTensor(TensorType(q.type.dtype, shape), y)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let sizes = rule.sizes(of: operands)
    attend(
      operands[0], operands[1], operands[2], mask: operands.count > 3 ? operands[3] : nil,
      into: results[0], sizes)
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    let sizes = rule.sizes(operands[0].shape, operands[1].shape, operands[2].shape)
    return rule.visiblePairs(sizes) * Double(2 * sizes.keyWidth + 2 * sizes.valueWidth + 5)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    attentionScratchByteCount(operands[0], results[0], rule.sizes(of: operands))
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }
  package static var narrowReading: OpTraits.Operands { .strided }
  package func narrowTensors(_ operands: [TensorType]) -> NarrowTensors {
    NarrowTensors(operands: [0, 1, 2], results: [0], isTogether: true)
  }

  package var gradient: Gradient {
    .pullback { [rule] g, at in
      let mask = at.operands[3...]
      let cotangents: [GraphValue?] = try g.append(
        AttentionGradient(rule), Array(at.operands[..<3]) + [at.cotangent] + mask)
      return cotangents + mask.map { _ in nil }
    }
  }

  package static let samples: [OpSample] = [
    OpSample("heads", [.normal([2, 3, 4, 5]), .normal([2, 3, 4, 5]), .normal([2, 3, 4, 5])]),
    OpSample("fewer keys", [.normal([2, 5, 3]), .normal([2, 4, 3]), .normal([2, 4, 6])]),
    OpSample(
      "causal", [.normal([2, 5, 3]), .normal([2, 5, 3]), .normal([2, 5, 3])],
      [("causal", .bool(true))]),
    OpSample(
      "causal, last queries only", [.normal([2, 3]), .normal([6, 3]), .normal([6, 4])],
      [("causal", .bool(true)), ("scale", .number(0.3))]),
    OpSample(
      "causal, queries that see nothing", [.normal([5, 3]), .normal([3, 3]), .normal([3, 2])],
      [("causal", .bool(true))]),
    OpSample(
      "more than a block of queries", [.normal([70, 3]), .normal([70, 3]), .normal([70, 2])],
      [("causal", .bool(true))]),
    OpSample(
      "mask", [.normal([2, 3, 4]), .normal([2, 6, 4]), .normal([2, 6, 4]), .booleans([2, 3, 6])]),
    OpSample(
      "mask of keys", [.normal([2, 2, 3, 4]), .normal([2, 2, 5, 4]), .normal([2, 2, 5, 4]),
        .booleans([2, 1, 1, 5])]),
    OpSample(
      "mask of queries, causal",
      [.normal([2, 3, 4]), .normal([2, 3, 4]), .normal([2, 3, 4]), .booleans([3, 1])],
      [("causal", .bool(true))]),
    OpSample("no heads", [.normal([0, 3, 4]), .normal([0, 3, 4]), .normal([0, 3, 4])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "columns differ",
      [TensorType(.f32, [2, 4, 8]), TensorType(.f32, [2, 4, 6]), TensorType(.f32, [2, 4, 6])],
      message: "columns of q and k differ, 8 and 6"),
    .init(
      "rows differ",
      [TensorType(.f32, [2, 4, 8]), TensorType(.f32, [2, 4, 8]), TensorType(.f32, [2, 5, 8])],
      message: "rows of k and v differ, 4 and 5"),
    .init(
      "heads differ",
      [TensorType(.f32, [4, 4, 8]), TensorType(.f32, [2, 4, 8]), TensorType(.f32, [2, 4, 8])],
      message: "q, k and v must have the same leading axes, got [4, 4, 8], [2, 4, 8] and [2, 4, 8]"),
    .init(
      "vector", [TensorType(.f32, [8]), TensorType(.f32, [4, 8]), TensorType(.f32, [4, 8])],
      message: "q must have two axes at least, [.., rows, columns], got f32[8]"),
    .init(
      "mask of numbers",
      [TensorType(.f32, [4, 8]), TensorType(.f32, [4, 8]), TensorType(.f32, [4, 8]),
        TensorType(.f32, [4, 4])],
      message: "the mask must be bool, true where a query sees a key, got f32[4, 4]"),
    .init(
      "mask too large",
      [TensorType(.f32, [4, 8]), TensorType(.f32, [4, 8]), TensorType(.f32, [4, 8]),
        TensorType(.bool, [2, 4, 4])],
      message: "the mask [2, 4, 4] does not broadcast to [4, 4]"),
    .init(
      "no keys", [TensorType(.f32, [4, 8]), TensorType(.f32, [0, 8]), TensorType(.f32, [0, 8])],
      message: "there are no keys to attend to: q [4, 8], k [0, 8]"),
  ]
}

extension GraphBuilder {
  /// Appends the attention of the queries `q` to keys `k` with values `v`.
  package func attention(
    _ q: GraphValue, _ k: GraphValue, _ v: GraphValue, mask: GraphValue? = nil,
    _ rule: AttentionRule
  ) throws -> GraphValue {
    try append(Attention(rule), [q, k, v] + (mask.map { [$0] } ?? []))[0]
  }
}
