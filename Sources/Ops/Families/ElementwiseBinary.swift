import Graphs
import Kernels
import Tensors

/// An elementwise function of two operands of one type, which is also the result's.
package protocol ElementwiseBinary: ElementwiseOp {
  init()
  /// The definition.
  static func scalar(_ a: Double, _ b: Double) -> Double
  static var function: TileFunction { get }
  static var identities: IdentityElements { get }
}

/// The number that leaves every other one as it is, to the bit, as the first and as the second operand; nil where there
/// is none.
package typealias IdentityElements = (left: Double?, right: Double?)

extension ElementwiseBinary {
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) { self.init() }

  package static var signature: Signature { Signature(.operand("a"), .operand("b")) }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    try Self.requireOneShape(of: operands)
    return [operands[0]]
  }

  package func reference(_ operands: [ReferenceTensor]) -> [ReferenceTensor] {
    let pairs = zip(operands[0].values, operands[1].values)
    return [ReferenceTensor(operands[0].type, pairs.map { Self.scalar($0, $1) })]
  }

  package func tile(for operands: [DType]) -> TileBody { Self.function[operands[0].lane] }
  package func mayRefuse(_ operands: [TensorType]) -> Bool {
    Self.function.mayFail(in: operands[0].dtype.lane)
  }

  /// Samples with elements from two ranges, where the function is smooth, in the shapes that kernels treat
  /// apart; and `special` pairs, such as ties and infinities.
  static func samples(
    over a: ClosedRange<Double>, and b: ClosedRange<Double>, special: [(Double, Double)]
  ) -> [OpSample] {
    let dtype: DType? = dtypes.contains(.i64) ? .f32 : nil
    return [
      OpSample("vector", [.uniform([7], a), .uniform([7], b)]),
      OpSample("matrix", [.uniform([3, 5], a), .uniform([3, 5], b)]),
      OpSample("single number", [.uniform([], a), .uniform([], b)]),
      OpSample("no elements", [.uniform([2, 0], a), .uniform([2, 0], b)]),
      OpSample("more than a tile", [.uniform([3, 350], a), .uniform([3, 350], b)]),
      OpSample(
        "special values",
        [
          .values(special.map(\.0), [special.count], dtype: dtype),
          .values(special.map(\.1), [special.count], dtype: dtype),
        ],
        isSmooth: false),
    ]
  }

  package static var rejections: [OpSample.Rejected] { pairRejections }
}

extension TensorOp {
  /// Refusals of two operands: of undeclared dtypes, of two dtypes, of two shapes.
  static var pairRejections: [OpSample.Rejected] {
    let dtype = dtypes.members[0]
    var rejections = refusedDTypes.map {
      OpSample.Rejected(
        "\($0)", [TensorType($0, [2]), TensorType($0, [2])], message: "\(name) expects")
    }
    if let other = dtypes.members.dropFirst().first {
      rejections.append(
        OpSample.Rejected(
          "two dtypes", [TensorType(dtype, [2]), TensorType(other, [2])],
          message: "one dtype, got \(dtype) and \(other)"))
    }
    rejections.append(
      OpSample.Rejected(
        "two shapes", [TensorType(dtype, [2]), TensorType(dtype, [3])],
        message: "equal shapes, got [2] and [3]"))
    return rejections
  }
}
