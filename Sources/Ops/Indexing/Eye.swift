import Graphs
import Kernels
import Tensors

/// `eye(n, columns)`: ones on the diagonal.
package struct Eye: TensorOp {
  package let rowCount: Int
  package let columnCount: Int
  package let dtype: DType

  package static let name = "eye"
  package static let documentation = """
    Makes a matrix with ones on the main diagonal and zeros elsewhere.

    It is square unless `columns` is given.

    >>> eye(2)
    f32[2, 2]
    [[1., 0.],
     [0., 1.]]
    """
  package static let signature = Signature(
    .attribute("n", .int), .attribute("columns", .int, default: AttributeValue.none),
    .attribute("dtype", .dtype, default: .dtype(.f32)))
  package static let dtypes = DTypeSet.wide
  package static let traits = OpTraits.source

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    rowCount = try attributes.int("n")
    if case .none = attributes["columns"] {
      columnCount = rowCount
    } else {
      columnCount = try attributes.int("columns")
    }
    dtype = try attributes.dtype("dtype")
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let size = min(rowCount, columnCount)
    if size < 0 { throw OpRejection("a size cannot be negative, got \(size)", code: "bad-shape") }
    let shape: Shape = [rowCount, columnCount]
    guard shape.checkedElementCount != nil else {
      throw OpRejection("\(shape) has too many elements", code: "out-of-memory")
    }
    return [TensorType(dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    var result = ReferenceTensor.zeros(TensorType(dtype, [rowCount, columnCount]))
    for index in 0..<min(rowCount, columnCount) { result[[index, index]] = 1 }
    return [result]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    fillIdentity(results[0])
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "it has no operands") }

  package static let samples = [
    OpSample("square", [], [("n", .int(3))]),
    OpSample("wide", [], [("n", .int(2)), ("columns", .int(4))]),
    OpSample("tall, whole", [], [("n", .int(4)), ("columns", .int(2)), ("dtype", .dtype(.i64))]),
    OpSample("empty", [], [("n", .int(0))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init("negative", [], [("n", .int(-2))], message: "a size cannot be negative, got -2"),
    .init(
      "too large", [], [("n", .int(.max)), ("columns", .int(2))], message: "too many elements"),
  ]
}
