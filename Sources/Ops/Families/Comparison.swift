import Graphs
import Kernels
import Tensors

/// An elementwise question about two operands of one type: the result is bool.
package protocol Comparison: ElementwiseOp {
  init()
  /// The definition.
  static func holds(_ a: Double, _ b: Double) -> Bool
  static var function: TileFunction { get }
}

extension Comparison {
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) { self.init() }

  package static var signature: Signature { Signature(.operand("a"), .operand("b")) }
  package static var dtypes: DTypeSet { .all }
  package static var traits: OpTraits { .elementwise(.widest, .unify) }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    try Self.requireOneShape(of: operands)
    return [TensorType(.bool, operands[0].shape)]
  }

  package func reference(_ operands: [ReferenceTensor]) -> [ReferenceTensor] {
    let type = TensorType(.bool, operands[0].shape)
    let pairs = zip(operands[0].values, operands[1].values)
    return [ReferenceTensor(type, pairs.map { Self.holds($0, $1) ? 1 : 0 })]
  }

  package var gradient: Gradient { .zero(because: "the result is a truth value") }

  package func tile(for operands: [DType]) -> TileBody { Self.function[operands[0].lane] }
  package func mayRefuse(_ operands: [TensorType]) -> Bool {
    Self.function.mayFail(in: operands[0].dtype.lane)
  }

  package static var samples: [OpSample] {
    [
      OpSample("matrix", [.normal([3, 5]), .normal([3, 5])], isSmooth: false),
      OpSample(
        "ties, zeros and nan",
        [
          .values([1, 2, 3, .nan, 0, .infinity], [6], dtype: .f32),
          .values([1, 3, 2, .nan, -0.0, .infinity], [6], dtype: .f32),
        ], isSmooth: false),
      OpSample(
        "whole numbers",
        [.integers([7], -2...2, dtype: nil), .integers([7], -2...2, dtype: nil)], isSmooth: false),
      OpSample("single number", [.normal([]), .normal([])], isSmooth: false),
      OpSample("no elements", [.normal([0, 2]), .normal([0, 2])], isSmooth: false),
      OpSample("more than a tile", [.normal([1100]), .normal([1100])], isSmooth: false),
    ]
  }

  package static var rejections: [OpSample.Rejected] { pairRejections }
}

/// An elementwise connective of truth values.
package protocol Connective: ElementwiseBinary {}

extension Connective {
  package static var dtypes: DTypeSet { .bool }
  package static var traits: OpTraits { .elementwise(.asIs, .unify) }
  package var gradient: Gradient { .zero(because: "the result is a truth value") }

  package static var samples: [OpSample] {
    [
      OpSample("matrix", [.booleans([3, 5]), .booleans([3, 5])], isSmooth: false),
      OpSample("single number", [.booleans([]), .booleans([])], isSmooth: false),
      OpSample("no elements", [.booleans([0]), .booleans([0])], isSmooth: false),
      OpSample("more than a tile", [.booleans([1100]), .booleans([1100])], isSmooth: false),
    ]
  }
}
