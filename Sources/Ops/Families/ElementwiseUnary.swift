import Graphs
import Kernels
import Tensors

/// An elementwise function of one operand that keeps its type.
package protocol ElementwiseUnary: ElementwiseOp {
  init()
  /// The definition.
  static func scalar(_ x: Double) -> Double
  static var function: TileFunction { get }
}

extension ElementwiseUnary {
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) { self.init() }

  package static var signature: Signature { Signature(.operand("x")) }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    return [operands[0]]
  }

  package func reference(_ operands: [ReferenceTensor]) -> [ReferenceTensor] {
    [ReferenceTensor(operands[0].type, operands[0].values.map(Self.scalar))]
  }

  package func tile(for operands: [DType]) -> TileBody { Self.function[operands[0].lane] }
  package func mayRefuse(_ operands: [TensorType]) -> Bool {
    Self.function.mayFail(in: operands[0].dtype.lane)
  }

  /// Samples with elements from `range`, where the function is smooth, in the shapes that kernels treat apart;
  /// and `special` values, such as kinks and infinities.
  static func samples(over range: ClosedRange<Double>, special: [Double]) -> [OpSample] {
    [
      OpSample("vector", [.uniform([7], range)]),
      OpSample("matrix", [.uniform([3, 5], range)]),
      OpSample("single number", [.uniform([], range)]),
      OpSample("no elements", [.uniform([2, 0], range)]),
      OpSample("more than a tile", [.uniform([3, 350], range)]),
      OpSample(
        "special values",
        [.values(special, [special.count], dtype: dtypes.contains(.i64) ? .f32 : nil)],
        isSmooth: false),
    ]
  }

  package static var rejections: [OpSample.Rejected] {
    refusedDTypes.map {
      OpSample.Rejected("\($0)", [TensorType($0, [2])], message: "\(name) expects")
    }
  }
}

extension TensorOp {
  /// An undeclared dtype of each kind.
  static var refusedDTypes: [DType] { [.f32, .i64, .bool].filter { !dtypes.contains($0) } }
}
