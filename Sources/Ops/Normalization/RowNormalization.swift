import Graphs
import Kernels
import Tensors

/// What layer_norm, rms_norm and their gradients share: rows scaled to unit mean square.
///
/// With c = x - mean, or x itself where rows are not centred:
///
///     r = 1 / sqrt(mean(c^2) + eps), xhat = c r, y = xhat weight + bias
///
/// The derivative of xhat is symmetric. Applied to u it is
///
///     J(u) = r (u - mean(u) - xhat mean(u xhat)),  mean(u) only where rows are centred
package struct RowNormalization: Hashable, Sendable {
  package let centering: Centering
  package let epsilon: Double

  package init(_ centering: Centering, epsilon: Double) {
    self.centering = centering
    self.epsilon = epsilon
  }

  init(_ centering: Centering, _ attributes: Attributes) throws(OpRejection) {
    self.init(centering, epsilon: try attributes.number("eps"))
    guard epsilon >= 0, epsilon.isFinite else {
      throw OpRejection("`eps` must be finite and not negative, got \(epsilon)", code: "bad-argument")
    }
  }

  // MARK: Types

  /// Refuses vectors that are not as long as the rows of `x`.
  func require(_ x: TensorType, _ vectors: [(name: String, type: TensorType)]) throws(OpRejection) {
    guard let count = x.shape.sizes.last else {
      throw OpRejection("a single number has no rows to normalise")
    }
    for vector in vectors where vector.type.shape != [count] {
      throw OpRejection(
        "the \(vector.name) must be [\(count)], as long as the rows of \(x), got \(vector.type.shape)")
    }
  }

  // MARK: The definition

  /// Calls `body` with the places of each row, its xhat and its r.
  func forEachRow(_ x: ReferenceTensor, _ body: (Range<Int>, [Double], Double) -> Void) {
    let count = x.shape.sizes.last!
    if count == 0 { return }
    for start in stride(from: 0, to: x.values.count, by: count) {
      let row = x.values[start..<start + count]
      let mean = centering == .mean ? row.reduce(0, +) / Double(count) : 0
      let square = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
      let scale = 1 / (square + epsilon).squareRoot()
      body(start..<start + count, row.map { ($0 - mean) * scale }, scale)
    }
  }

  func reference(
    _ x: ReferenceTensor, _ weight: ReferenceTensor, _ bias: ReferenceTensor?
  ) -> ReferenceTensor {
    var y = x
    forEachRow(x) { places, xhat, _ in
      for (i, place) in places.enumerated() {
        y.values[place] = xhat[i] * weight.values[i] + (bias?.values[i] ?? 0)
      }
    }
    return y
  }

  /// dx = J(dy weight), dweight = sum over rows of dy xhat, dbias = sum over rows of dy.
  func referenceGradient(
    _ x: ReferenceTensor, _ weight: ReferenceTensor, _ dy: ReferenceTensor
  ) -> (dx: ReferenceTensor, dweight: ReferenceTensor, dbias: ReferenceTensor) {
    var dx = x
    var dweight = ReferenceTensor(weight.type, weight.values.map { _ in 0 })
    var dbias = dweight
    forEachRow(x) { places, xhat, scale in
      let dy = Array(dy.values[places])
      let g = zip(dy, weight.values).map { $0 * $1 }
      let count = Double(g.count)
      let mean = centering == .mean ? g.reduce(0, +) / count : 0
      let along = zip(g, xhat).reduce(0) { $0 + $1.0 * $1.1 } / count
      for (i, place) in places.enumerated() {
        dx.values[place] = scale * (g[i] - mean - xhat[i] * along)
        dweight.values[i] += dy[i] * xhat[i]
        dbias.values[i] += dy[i]
      }
    }
    return (dx, dweight, dbias)
  }

  // MARK: The gradient of the gradient

  /// Appends the cotangents of x, weight and dy, where those of dx, dweight and dbias are a, b and c.
  ///
  /// The number to differentiate is <a, J(g)> + <b xhat + c, dy> with g = dy weight. As J is symmetric:
  ///
  ///     dy:     weight J(a) + b xhat + c
  ///     weight: sum over rows of dy J(a)
  ///     x:      J(b dy) - r (beta J(a) + alpha J(g) + q r xhat / n)
  ///
  /// with alpha = mean(a xhat), beta = mean(g xhat), and q / n = mean(a g) - mean(a) mean(g) - alpha beta, so that
  /// <a, J(g)> = r q: the derivatives of r and of xhat within q make the last term.
  func pullBackGradient(
    _ g: GraphBuilder, x: GraphValue, weight: GraphValue, dy: GraphValue, a: GraphValue?,
    b: GraphValue?, c: GraphValue?
  ) throws -> [GraphValue?] {
    let last = [x.rank - 1]
    func mean(_ u: GraphValue) throws -> GraphValue {
      try g.mean(u, axes: last, keepingAxes: true)
    }
    func centred(_ u: GraphValue) throws -> GraphValue {
      centering == .mean ? try g.subtract(u, try mean(u)) : u
    }
    let distance = try centred(x)
    let square = try mean(try g.multiply(distance, distance))
    let scale = try g.rsqrt(try g.add(square, try g.number(epsilon, like: square)))
    let xhat = try g.multiply(distance, scale)
    func alongRow(_ u: GraphValue) throws -> GraphValue { try mean(try g.multiply(u, xhat)) }
    func j(_ u: GraphValue) throws -> GraphValue {
      try g.multiply(
        scale, try g.subtract(try centred(u), try g.multiply(xhat, try alongRow(u))))
    }
    func sum(_ terms: [GraphValue]) throws -> GraphValue? {
      guard let first = terms.first else { return nil }
      return try terms.dropFirst().reduce(first) { try g.add($0, $1) }
    }

    var forX: [GraphValue] = []
    var forDY: [GraphValue] = []
    var forWeight: GraphValue?
    if let a {
      let upstream = try g.multiply(dy, weight)
      let (ja, jg) = (try j(a), try j(upstream))
      let (alpha, beta) = (try alongRow(a), try alongRow(upstream))
      let overlap = try g.subtract(
        try mean(try g.multiply(try centred(a), upstream)), try g.multiply(alpha, beta))
      let bend = try sum([
        try g.multiply(beta, ja), try g.multiply(alpha, jg),
        try g.multiply(try g.multiply(overlap, scale), xhat),
      ])!
      forX.append(try g.negate(try g.multiply(scale, bend)))
      forDY.append(try g.multiply(ja, weight))
      forWeight = try g.sumTo(try g.multiply(dy, ja), shape: weight.shape)
    }
    if let b {
      forX.append(try j(try g.multiply(dy, b)))
      forDY.append(try g.multiply(xhat, b))
    }
    if let c { forDY.append(try g.broadcast(c, to: dy.shape)) }
    return [try sum(forX), forWeight, try sum(forDY)]
  }
}

extension AxisMap {
  /// Of ops on the rows along the last axis of operand 0, whose other operands are as long as a row.
  static func rows(_ operands: [TensorType], attributes: AnyHashable) -> AxisMap {
    AxisMap(
      results: (0..<max(operands[0].rank - 1, 0)).map { axis in
        [axis] + [Int?](repeating: nil, count: operands.count - 1)
      } + [nil], attributes: attributes)
  }
}
