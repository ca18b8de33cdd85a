import Graphs
import Kernels
import Tensors

/// `isnan(x)`: where elements are not a number.
package struct IsNaN: ElementwiseOp {
  package init() {}
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {}

  package static let name = "isnan"
  package static let documentation = """
    Tells where elements are nan, the float that 0 / 0 gives.

    Shapes: any -> bool of the same.

    >>> isnan([0, 1] / 0)
    bool[2]
    [ true, false]
    """
  package static let signature = Signature(.operand("x"))
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.asIs, .unifyFloating)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    return [TensorType(.bool, operands[0].shape)]
  }

  package func reference(_ operands: [ReferenceTensor]) -> [ReferenceTensor] {
    let type = TensorType(.bool, operands[0].shape)
    return [ReferenceTensor(type, operands[0].values.map { $0.isNaN ? 1 : 0 })]
  }

  package func tile(for operands: [DType]) -> TileBody { TileFunction.isNaN[operands[0].lane] }
  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "the result is a truth value") }

  package static let samples: [OpSample] = [
    OpSample("vector", [.values([0, .nan, .infinity, -1], [4])], isSmooth: false),
    OpSample("single number", [.normal([])], isSmooth: false),
    OpSample("no elements", [.normal([0])], isSmooth: false),
    OpSample("more than a tile", [.normal([1100])], isSmooth: false),
  ]
  package static let rejections: [OpSample.Rejected] = [
    OpSample.Rejected("whole numbers", [TensorType(.i64, [2])], message: "isnan expects f32, f64, f16 or bf16")
  ]
}

extension GraphBuilder {
  /// Appends `isnan(x)`.
  package func isNaN(_ x: GraphValue) throws -> GraphValue { try emit(IsNaN(), x) }
}
