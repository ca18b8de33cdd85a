import Graphs
import Kernels
import Tensors

/// `choose(condition, a, b)`: the whole of `a`, or of `b`.
package struct Choose: TensorOp {
  package init() {}
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {}

  package static let name = "choose"
  package static let documentation = """
    The whole of a where the condition holds, else the whole of b.

    Shapes: condition is one bool; a and b have one shape and dtype, which are the result's. `where` takes elements
    one by one. Bytes are copied as they lie, so that also f8e4m3, f8e5m2 and blocks, q8 and q8e4m3, keep theirs. What
    is not taken gets a derivative of 0.

    >>> choose(sum([1, 2]) > 2, f32([1, 2]), f32([0, 0]))
    f32[2]
    [1., 2.]
    """
  package static let signature = Signature(.operand("condition"), .operand("a"), .operand("b"))
  package static let dtypes: DTypeSet = .stored
  package static let traits = OpTraits(
    precision: .asIs, cost: .streaming, fusion: .elementwise, effect: .pure, promotion: .unifyAfterCondition,
    operands: .contiguous, broadcasts: false, inPlace: true)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    if operands[0] != TensorType(.bool, .scalar) {
      throw OpRejection(
        "choose expects one bool, got \(operands[0])",
        code: operands[0].dtype == .bool ? "shape-mismatch" : "dtype-mismatch",
        help: operands[0].dtype == .bool ? "`where` chooses element by element" : "compare it, as in `x > 0`")
    }
    try Self.requireOneDType(of: Array(operands[1...]))
    try Self.requireOneShape(of: Array(operands[1...]))
    return [operands[1]]
  }

  // A sum of choices is the choice of sums where all made the same one, which nothing here tells.
  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) -> [ReferenceTensor] {
    [operands[operands[0].values[0] != 0 ? 1 : 2]]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    copyWhole(operands[isTrue(operands[0]) ? 1 : 2], into: results[0])
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double { 0 }
  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }
  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // da = dy where the condition holds, else 0; db the other way round
  package var gradient: Gradient {
    .pullback { g, at in
      let (dy, zero) = (at.cotangent, try g.zeros(like: at.cotangent))
      let condition = at.operands[0]
      return [nil, try g.choose(condition, dy, zero), try g.choose(condition, zero, dy)]
    }
  }

  // In blocks these numbers come back as they are: with the greatest magnitude 7 nothing is rounded.
  package static let samples: [OpSample] = [
    OpSample(
      "the first", [.values([1], [], dtype: .bool), .integers([3, 5], 0...7, dtype: nil), .integers([3, 5], 0...7, dtype: nil)]),
    OpSample(
      "the second", [.values([0], [], dtype: .bool), .integers([3, 5], 0...7, dtype: nil), .integers([3, 5], 0...7, dtype: nil)]),
    OpSample(
      "blocks and a tail",
      [.values([0], [], dtype: .bool), .integers([5, 260], 0...7, dtype: nil), .integers([5, 260], 0...7, dtype: nil)]),
    OpSample(
      "parts for threads",
      [.values([1], [], dtype: .bool), .integers([70_001], 0...7, dtype: nil), .integers([70_001], 0...7, dtype: nil)],
      isSmooth: false),
    OpSample("single number", [.values([1], [], dtype: .bool), .values([7], []), .values([0], [])]),
    OpSample("no elements", [.values([0], [], dtype: .bool), .normal([0, 2]), .normal([0, 2])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    OpSample.Rejected(
      "number as condition", [TensorType(.f32, []), TensorType(.f32, [2]), TensorType(.f32, [2])],
      message: "one bool, got f32[]"),
    OpSample.Rejected(
      "several conditions", [TensorType(.bool, [2]), TensorType(.f32, [2]), TensorType(.f32, [2])],
      message: "one bool, got bool[2]"),
    OpSample.Rejected(
      "two dtypes", [TensorType(.bool, []), TensorType(.q8, [2]), TensorType(.q8e4m3, [2])],
      message: "one dtype, got q8 and q8e4m3"),
    OpSample.Rejected(
      "two shapes", [TensorType(.bool, []), TensorType(.f32, [2]), TensorType(.f32, [3])],
      message: "equal shapes, got [2] and [3]"),
  ]
}

/// Whether a single bool holds.
func isTrue(_ condition: TensorView) -> Bool { condition.base.load(as: UInt8.self) != 0 }

extension GraphBuilder {
  /// Appends `choose(condition, a, b)`.
  package func choose(_ condition: GraphValue, _ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try emit(Choose(), condition, a, b)
  }
}
