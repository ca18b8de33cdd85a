import Graphs
import Kernels
import Tensors

/// What attention and its gradient share: which keys a query sees, and how scores are scaled.
package struct AttentionRule: Hashable, Sendable {
  /// Query i of t sees no key beyond i + s - t of s: the last query sees all.
  package let isCausal: Bool
  package let scale: Double

  package init(isCausal: Bool, scale: Double) {
    self.isCausal = isCausal
    self.scale = scale
  }

  init(_ attributes: Attributes, query: TensorType) throws(OpRejection) {
    isCausal = try attributes.bool("causal")
    if attributes["scale"] == .none {
      scale = 1 / Double(max(1, query.shape.sizes.last ?? 1)).squareRoot()
    } else {
      scale = try attributes.number("scale")
    }
  }

  static let parameters: [Signature.Parameter] = [
    .optionalOperand("mask"),
    .attribute("causal", .bool, default: .bool(false)),
    .attribute("scale", .number, default: AttributeValue.none),
  ]

  // MARK: Types

  /// Returns the shape of the result, or says why the operands do not fit.
  func resultShape(
    _ q: TensorType, _ k: TensorType, _ v: TensorType, mask: TensorType?
  ) throws(OpRejection) -> Shape {
    for (name, operand) in [("q", q), ("k", k), ("v", v)] where operand.rank < 2 {
      throw OpRejection("\(name) must have two axes at least, [.., rows, columns], got \(operand)")
    }
    let axes = q.rank - 2
    guard k.rank == q.rank, v.rank == q.rank, k.shape.sizes.prefix(axes) == q.shape.sizes.prefix(axes),
      v.shape.sizes.prefix(axes) == q.shape.sizes.prefix(axes)
    else {
      throw OpRejection(
        "q, k and v must have the same leading axes, got \(q.shape), \(k.shape) and \(v.shape)")
    }
    let (t, d, s, e) = (q.shape[axes], q.shape[axes + 1], k.shape[axes], v.shape[axes + 1])
    guard k.shape[axes + 1] == d else {
      throw OpRejection("columns of q and k differ, \(d) and \(k.shape[axes + 1])")
    }
    guard v.shape[axes] == s else {
      throw OpRejection("rows of k and v differ, \(s) and \(v.shape[axes])")
    }
    guard d > 0, s > 0 else {
      throw OpRejection("there are no keys to attend to: q \(q.shape), k \(k.shape)")
    }
    guard [t, d, s, e].allSatisfy({ $0 <= Int(Int32.max) }),
      Shape(q.shape.sizes.dropLast() + [max(s, e)]).checkedElementCount != nil
    else { throw OpRejection("\(q) is too large to attend with", code: "out-of-memory") }
    if let mask {
      let scores = Shape(q.shape.sizes.dropLast() + [s])
      guard mask.dtype == .bool else {
        throw OpRejection(
          "the mask must be bool, true where a query sees a key, got \(mask)",
          code: "dtype-mismatch")
      }
      guard mask.shape.broadcast(with: scores) == scores else {
        throw OpRejection("the mask \(mask.shape) does not broadcast to \(scores)")
      }
    }
    return Shape(q.shape.sizes.dropLast() + [e])
  }

  func sizes(_ q: Shape, _ k: Shape, _ v: Shape) -> AttentionSizes {
    let axes = q.rank - 2
    return AttentionSizes(
      batch: Array(q.sizes.prefix(axes)), queryCount: q[axes], keyCount: k[axes],
      keyWidth: q[axes + 1], valueWidth: v[axes + 1], scale: scale, isCausal: isCausal)
  }

  /// The sizes for q, k and v, which come first among `operands`.
  func sizes(of operands: [TensorView]) -> AttentionSizes {
    sizes(Shape(operands[0].shape), Shape(operands[1].shape), Shape(operands[2].shape))
  }

  /// How many pairs of a query and a key that it sees there are, masks aside.
  func visiblePairs(_ sizes: AttentionSizes) -> Double {
    Double(sizes.heads) * Double((0..<sizes.queryCount).reduce(0) { $0 + sizes.visibleKeys($1) })
  }

  // MARK: The definition

  /// Returns P [.., t, s]: the softmax of each query's scaled scores over the keys it sees, 0 elsewhere.
  func probabilities(
    _ q: ReferenceTensor, _ k: ReferenceTensor, mask: ReferenceTensor?, _ sizes: AttentionSizes
  ) -> [Double] {
    let (t, s, d) = (sizes.queryCount, sizes.keyCount, sizes.keyWidth)
    let scoreShape = Shape(q.shape.sizes.dropLast() + [s])
    var p = [Double](repeating: 0, count: scoreShape.elementCount)
    for row in 0..<sizes.heads * t {
      let (head, query) = row.quotientAndRemainder(dividingBy: t)
      let visible = (0..<sizes.visibleKeys(query)).filter { key in
        guard let mask else { return true }
        return mask[broadcast: row * s + key, of: scoreShape] != 0
      }
      let scores = visible.map { key in
        (0..<d).reduce(0) { $0 + q.values[row * d + $1] * k.values[(head * s + key) * d + $1] } * scale
      }
      for (key, value) in zip(visible, softmaxLine(scores)) { p[row * s + key] = value }
    }
    return p
  }

  // MARK: Primitives

  /// Appends P, for derivatives of the gradient.
  func probabilities(
    _ g: GraphBuilder, _ q: GraphValue, _ k: GraphValue, mask: GraphValue?
  ) throws -> GraphValue {
    let products = try g.matmul(q, try g.swapLastAxes(k))
    let scores = try g.multiply(products, try g.number(scale, like: products))
    guard let visible = try visibleKeys(g, scores.shape, mask: mask) else {
      return try g.softmax(scores, axis: -1)
    }
    // Far below all scores rather than -inf, so that a query that sees nothing does not give NaN.
    let hidden = try g.number(-1e30, like: scores)
    let p = try g.softmax(try g.select(visible, scores, hidden), axis: -1)
    return try g.select(visible, p, try g.zeros(like: p))
  }

  private func visibleKeys(
    _ g: GraphBuilder, _ scores: Shape, mask: GraphValue?
  ) throws -> GraphValue? {
    guard isCausal else { return mask }
    let (t, s) = (scores[scores.rank - 2], scores[scores.rank - 1])
    let triangle = (0..<t).flatMap { query in
      (0..<s).map { key in key <= query + s - t ? 1 : 0 }
    }
    let causal = g.constant(Tensor(integers: triangle, dtype: .bool, shape: [t, s]))
    return try mask.map { try g.logicalAnd($0, causal) } ?? causal
  }
}

extension ReferenceTensor {
  /// The element that stands at a place of `shape`, which this tensor broadcasts to.
  fileprivate subscript(broadcast place: Int, of shape: Shape) -> Double {
    var rest = place
    var index = [Int](repeating: 0, count: self.shape.rank)
    for axis in (0..<shape.rank).reversed() {
      let own = axis - shape.rank + self.shape.rank
      if own >= 0, self.shape[own] != 1 { index[own] = rest % shape[axis] }
      rest /= shape[axis]
    }
    return self[index]
  }
}

extension OpTraits {
  /// Traits of attention and its gradient. The mask keeps its dtype, so nothing is promoted.
  static let attention = OpTraits(
    precision: .low, cost: .computeBound, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .rows, broadcasts: false, inPlace: false)
}
