import Graphs
import Kernels
import Tensors

/// `where(condition, a, b)`: elements of `a` where the condition holds, of `b` elsewhere.
package struct Select: ElementwiseOp {
  package init() {}
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {}

  package static let name = "where"
  package static let documentation = """
    Takes elements of a where the condition holds, and of b elsewhere.

    Shapes: condition (bool), a and b broadcast. What is not taken gets a derivative of 0.

    >>> where([1, -2, 3] > 0, [1, -2, 3], 0)
    f32[3]
    [1., 0., 3.]
    """
  package static let signature = Signature(
    .operand("condition"), .operand("a"), .operand("b"))
  package static let dtypes: DTypeSet = .all
  package static let traits = OpTraits.elementwise(.widest, .unifyAfterCondition)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    if operands[0].dtype != .bool {
      throw OpRejection(
        "where expects a bool condition, got \(operands[0].dtype)", code: "dtype-mismatch",
        help: "compare it, as in `x > 0`")
    }
    try Self.requireOneDType(of: Array(operands[1...]))
    try Self.requireOneShape(of: operands)
    return [operands[1]]
  }

  package func reference(_ operands: [ReferenceTensor]) -> [ReferenceTensor] {
    let values = operands[1].values.indices.map { index in
      operands[operands[0].values[index] != 0 ? 1 : 2].values[index]
    }
    return [ReferenceTensor(operands[1].type, values)]
  }

  package func tile(for operands: [DType]) -> TileBody { TileFunction.select[operands[1].lane] }
  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // da = dy where the condition holds, db = dy where not
  package var gradient: Gradient {
    .pullback { g, at in
      let (dy, zero) = (at.cotangent, try g.zeros(like: at.cotangent))
      let condition = at.operands[0]
      return [nil, try g.select(condition, dy, zero), try g.select(condition, zero, dy)]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("matrix", [.booleans([3, 5]), .normal([3, 5]), .normal([3, 5])]),
    OpSample("single number", [.booleans([]), .normal([]), .normal([])]),
    OpSample("no elements", [.booleans([0]), .normal([0]), .normal([0])]),
    OpSample("more than a tile", [.booleans([1100]), .normal([1100]), .normal([1100])]),
    OpSample(
      "nan not taken",
      [
        .values([1, 0], [2], dtype: .bool), .values([1, .nan], [2], dtype: .f32),
        .values([.nan, 2], [2], dtype: .f32),
      ], isSmooth: false),
  ]
  package static let rejections: [OpSample.Rejected] = [
    OpSample.Rejected(
      "number as condition", [TensorType(.f32, [2]), TensorType(.f32, [2]), TensorType(.f32, [2])],
      message: "bool condition, got f32"),
    OpSample.Rejected(
      "two dtypes", [TensorType(.bool, [2]), TensorType(.f32, [2]), TensorType(.i64, [2])],
      message: "one dtype, got f32 and i64"),
    OpSample.Rejected(
      "two shapes", [TensorType(.bool, [2]), TensorType(.f32, [2]), TensorType(.f32, [3])],
      message: "equal shapes, got [2] and [3]"),
  ]
}

extension GraphBuilder {
  /// Appends `where(condition, a, b)`, the operands broadcast first.
  package func select(
    _ condition: GraphValue, _ a: GraphValue, _ b: GraphValue
  ) throws -> GraphValue {
    try broadcasting(Select(), condition, a, b)
  }
}
