import Graphs
import Kernels
import Tensors

/// `attention_gradient(q, k, v, dy)`: the cotangents of q, k and v of an attention.
package struct AttentionGradient: NarrowingOp {
  package let rule: AttentionRule

  package static let name = "attention_gradient"
  package static let documentation = """
    Gives the gradients of attention for q, k and v, where dy is that of its result.

    Shapes: q [.., t, d], k [.., s, d], v [.., s, e], dy [.., t, e] -> as q, k and v. The probabilities are
    found again rather than kept, those of 64 queries of a head at a time.

    >>> attention_gradient([[1.0]], [[1.0], [0.0]], [[1.0], [0.0]], [[1.0]])[0]
    f32[1, 1]
    [[0.1966]]
    """
  package static let signature = Signature(
    [.operand("q"), .operand("k"), .operand("v"), .operand("dy")] + AttentionRule.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.attention

  package init(_ rule: AttentionRule) { self.rule = rule }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    rule = try AttentionRule(attributes, query: operands[0])
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: Array(operands[..<4]))
    try Self.requireOneDType(of: Array(operands[..<4]))
    let shape = try rule.resultShape(
      operands[0], operands[1], operands[2], mask: operands.count > 4 ? operands[4] : nil)
    guard operands[3].shape == shape else {
      throw OpRejection("the cotangent must be \(shape) as the result, got \(operands[3].shape)")
    }
    return Array(operands[..<3])
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (q, k, v, dy) = (operands[0], operands[1], operands[2], operands[3])
    let sizes = rule.sizes(q.shape, k.shape, v.shape)
    let p = rule.probabilities(q, k, mask: operands.count > 4 ? operands[4] : nil, sizes)
    let (t, s, d, e) = (sizes.queryCount, sizes.keyCount, sizes.keyWidth, sizes.valueWidth)
    var dq = ReferenceTensor(q.type, q.values.map { _ in 0 })
    var dk = ReferenceTensor(k.type, k.values.map { _ in 0 })
    var dv = ReferenceTensor(v.type, v.values.map { _ in 0 })
    for row in 0..<sizes.heads * t {
      let keys = (0..<s).map { row / t * s + $0 }
      let p = Array(p[row * s..<(row + 1) * s])
      let dp = keys.map { key in
        (0..<e).reduce(0) { $0 + dy.values[row * e + $1] * v.values[key * e + $1] }
      }
      let dot = zip(p, dp).reduce(0) { $0 + $1.0 * $1.1 }
      for (i, key) in keys.enumerated() {
        let ds = p[i] * (dp[i] - dot) * rule.scale
        for j in 0..<d {
          dq.values[row * d + j] += ds * k.values[key * d + j]
          dk.values[key * d + j] += ds * q.values[row * d + j]
        }
        for j in 0..<e { dv.values[key * e + j] += p[i] * dy.values[row * e + j] }
      }
    }
    return [dq, dk, dv]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let sizes = rule.sizes(of: operands)
    attendGradient(
      operands[0], operands[1], operands[2], operands[3],
      mask: operands.count > 4 ? operands[4] : nil, dq: results[0], dk: results[1],
      dv: results[2], sizes)
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    // Scores and probabilities once more, then five products.
    let sizes = rule.sizes(operands[0].shape, operands[1].shape, operands[2].shape)
    return rule.visiblePairs(sizes) * Double(6 * sizes.keyWidth + 4 * sizes.valueWidth + 9)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    attentionGradientScratchByteCount(operands[0], results[0], results[1], results[2], rule.sizes(of: operands))
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }
  package static var narrowReading: OpTraits.Operands { .strided }
  package func narrowTensors(_ operands: [TensorType]) -> NarrowTensors {
    NarrowTensors(operands: [0, 1, 2, 3], results: [0, 1, 2], isTogether: true)
  }

  // With a, b, c the cotangents of dq, dk, dv, the number to differentiate is
  //
  //     <dS, G> + <P, H>,  G = scale (a k.T + q b.T), H = dy c.T,
  //     dS = P (dP - r), dP = dy v.T, r = sum(dP P) of each query.
  //
  // From it the cotangents, step by step towards the operands:
  //
  //     of dP: U = P (G - sum(P G)),  of P: W = G (dP - r) - dP sum(P G) + H,  of S: X = P (W - sum(P W))
  //     q: scale (X k + dS b),  k: scale (X.T q + dS.T a),  v: U.T dy,  dy: U v + P c
  package var gradient: Gradient {
    .pullback { [rule] g, at in
      let (q, k, v, dy) = (at.operands[0], at.operands[1], at.operands[2], at.operands[3])
      let a = try at.cotangents[0] ?? g.zeros(like: q)
      let b = try at.cotangents[1] ?? g.zeros(like: k)
      let c = try at.cotangents[2] ?? g.zeros(like: v)
      func transposed(_ x: GraphValue) throws -> GraphValue { try g.swapLastAxes(x) }
      func scaled(_ x: GraphValue, _ y: GraphValue) throws -> GraphValue {
        let sum = try g.add(x, y)
        return try g.multiply(sum, try g.number(rule.scale, like: sum))
      }
      let mask = at.operands.count > 4 ? at.operands[4] : nil
      let p = try rule.probabilities(g, q, k, mask: mask)
      func sumOfQuery(_ x: GraphValue) throws -> GraphValue {
        try g.sum(try g.multiply(p, x), axes: [p.rank - 1], keepingAxes: true)
      }
      func centred(_ x: GraphValue) throws -> GraphValue {
        try g.multiply(p, try g.subtract(x, try sumOfQuery(x)))
      }

      let dP = try g.matmul(dy, try transposed(v))
      let dS = try centred(dP)
      let slope = try scaled(
        try g.matmul(a, try transposed(k)), try g.matmul(q, try transposed(b)))
      let ofDP = try centred(slope)
      let ofP = try g.add(
        try g.subtract(
          try g.multiply(slope, try g.subtract(dP, try sumOfQuery(dP))),
          try g.multiply(dP, try sumOfQuery(slope))),
        try g.matmul(dy, try transposed(c)))
      let ofS = try centred(ofP)
      let cotangents: [GraphValue?] = [
        try scaled(try g.matmul(ofS, k), try g.matmul(dS, b)),
        try scaled(
          try g.matmul(try transposed(ofS), q), try g.matmul(try transposed(dS), a)),
        try g.matmul(try transposed(ofDP), dy),
        try g.add(try g.matmul(ofDP, v), try g.matmul(p, c)),
      ]
      return mask == nil ? cotangents : cotangents + [nil]
    }
  }

  package static let samples: [OpSample] = [
    OpSample(
      "heads",
      [.normal([2, 2, 4, 5]), .normal([2, 2, 4, 5]), .normal([2, 2, 4, 5]), .normal([2, 2, 4, 5])]),
    OpSample(
      "fewer keys",
      [.normal([2, 5, 3]), .normal([2, 4, 3]), .normal([2, 4, 6]), .normal([2, 5, 6])]),
    OpSample(
      "causal, last queries only",
      [.normal([2, 3]), .normal([6, 3]), .normal([6, 4]), .normal([2, 4])],
      [("causal", .bool(true)), ("scale", .number(0.3))]),
    OpSample(
      "causal, queries that see nothing",
      [.normal([5, 3]), .normal([3, 3]), .normal([3, 2]), .normal([5, 2])],
      [("causal", .bool(true))]),
    OpSample(
      "more than a block of queries",
      [.normal([70, 3]), .normal([70, 3]), .normal([70, 2]), .normal([70, 2])],
      [("causal", .bool(true))]),
    OpSample(
      "mask",
      [.normal([2, 3, 4]), .normal([2, 6, 4]), .normal([2, 6, 4]), .normal([2, 3, 4]),
        .booleans([3, 6])]),
    OpSample(
      "no heads",
      [.normal([0, 3, 4]), .normal([0, 3, 4]), .normal([0, 3, 4]), .normal([0, 3, 4])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "cotangent does not match",
      [TensorType(.f32, [4, 8]), TensorType(.f32, [6, 8]), TensorType(.f32, [6, 2]),
        TensorType(.f32, [4, 8])],
      message: "the cotangent must be [4, 2] as the result, got [4, 8]")
  ]
}
