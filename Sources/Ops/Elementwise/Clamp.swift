import Graphs
import Kernels
import Tensors

/// `clamp(x, low, high)`: elements brought between two bounds.
package struct Clamp: ElementwiseOp {
  package init() {}
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {}

  package static let name = "clamp"
  package static let documentation = """
    Raises elements below low to it, then lowers those above high to it.

    Shapes: x, low and high broadcast. Between the bounds, themselves included, the derivative belongs to x,
    elsewhere to the bound that holds.

    >>> clamp([-2, 0.5, 7], -1, 1)
    f32[3]
    [-1.0000,  0.5000,  1.0000]
    """
  package static let signature = Signature(.operand("x"), .operand("low"), .operand("high"))
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.widest, .unify)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    try Self.requireOneShape(of: operands)
    return [operands[0]]
  }

  package func reference(_ operands: [ReferenceTensor]) -> [ReferenceTensor] {
    let values = operands[0].values.indices.map { index in
      let raised = Maximum.scalar(operands[0].values[index], operands[1].values[index])
      return Minimum.scalar(raised, operands[2].values[index])
    }
    return [ReferenceTensor(operands[0].type, values)]
  }

  package func tile(for operands: [DType]) -> TileBody { TileFunction.clamp[operands[0].lane] }
  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // Of low <= x <= high, x < low < high and x > high or low > high, one holds and takes dy.
  package var gradient: Gradient {
    .pullback { g, at in
      let (x, low, high) = (at.operands[0], at.operands[1], at.operands[2])
      let zero = try g.zeros(like: x)
      let isInside = try g.logicalAnd(g.lessOrEqual(low, x), g.lessOrEqual(x, high))
      let isLow = try g.logicalAnd(g.less(x, low), g.less(low, high))
      let isHigh = try g.logicalOr(g.greater(x, high), g.greater(low, high))
      return try [isInside, isLow, isHigh].map { try g.select($0, at.cotangent, zero) }
    }
  }

  package static let samples: [OpSample] = [
    OpSample(
      "matrix", [.uniform([3, 5], -3...3), .uniform([3, 5], -2 ... -1), .uniform([3, 5], 1...2)]),
    OpSample("single number", [.normal([]), .uniform([], -1...0), .uniform([], 0...1)]),
    OpSample("no elements", [.normal([0]), .normal([0]), .normal([0])]),
    OpSample("more than a tile", [.normal([1100]), .uniform([1100], -1...0), .uniform([1100], 0...1)]),
    OpSample("bounds crossed", [.normal([6]), .uniform([6], 1...2), .uniform([6], -2 ... -1)]),
    OpSample(
      "special values",
      [
        .values([.nan, 1, 1, -1, .infinity], [5], dtype: .f32),
        .values([0, .nan, 0, -1, 0], [5], dtype: .f32),
        .values([1, 1, .nan, 1, 1], [5], dtype: .f32),
      ], isSmooth: false),
  ]
  package static var rejections: [OpSample.Rejected] {
    [
      OpSample.Rejected(
        "two shapes", [TensorType(.f32, [2]), TensorType(.f32, [3]), TensorType(.f32, [2])],
        message: "equal shapes, got [2] and [3]"),
      OpSample.Rejected(
        "bool", [TensorType(.bool, [2]), TensorType(.bool, [2]), TensorType(.bool, [2])],
        message: "clamp expects"),
    ]
  }
}

extension GraphBuilder {
  /// Appends `clamp(x, low, high)`, the operands broadcast first.
  package func clamp(
    _ x: GraphValue, _ low: GraphValue, _ high: GraphValue
  ) throws -> GraphValue {
    try broadcasting(Clamp(), x, low, high)
  }
}
