import Graphs
import Kernels
import Tensors

/// `full(shape, value, dtype)`: one value everywhere.
package struct Full: TensorOp {
  /// Whole numbers are kept exact.
  private enum Content: Hashable, Sendable {
    case whole(Int)
    case real(Double)

    var number: Double {
      switch self {
      case .whole(let value): Double(value)
      case .real(let value): value
      }
    }
  }
  package let shape: Shape
  private let content: Content
  package let dtype: DType

  package init(shape: Shape, value: Double, dtype: DType) {
    self.shape = shape
    content = .real(value)
    self.dtype = dtype
  }

  package static let name = "full"
  package static let documentation = """
    Makes a tensor with one value everywhere.

    >>> full([2, 3], 0.5)
    f32[2, 3]
    [[0.5000, 0.5000, 0.5000],
     [0.5000, 0.5000, 0.5000]]
    >>> full([3], 7, dtype: i64)
    i64[3]
    [7, 7, 7]
    """
  package static let signature = Signature(
    .attribute("shape", .shape), .attribute("value", .number),
    .attribute("dtype", .dtype, default: .dtype(.f32)))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits.source

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    shape = try attributes.shape("shape")
    dtype = try attributes.dtype("dtype")
    if case .int(let value) = attributes["value"] {
      content = .whole(value)
    } else {
      content = .real(try attributes.number("value"))
    }
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try requireValue(content.number, of: dtype)
    return [TensorType(dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    AxisMap(
      results: [[Int?]?](repeating: [], count: shape.rank), attributes: [AnyHashable(content), AnyHashable(dtype)])
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let values = [Double](repeating: content.number, count: shape.elementCount)
    return [ReferenceTensor(TensorType(dtype, shape), values)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    switch content {
    case .whole(let value): fill(results[0], withInteger: value)
    case .real(let value): fill(results[0], with: value)
    }
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double { 0 }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "it has no operands") }

  package static let samples = [
    OpSample("floats", [], [("shape", .ints([2, 3])), ("value", .number(0.5))]),
    OpSample(
      "whole numbers", [],
      [("shape", .ints([4])), ("value", .int(-7)), ("dtype", .dtype(.i64))]),
    OpSample("truths", [], [("shape", .ints([2])), ("value", .int(1)), ("dtype", .dtype(.bool))]),
    OpSample("a single number", [], [("shape", .ints([])), ("value", .int(3))]),
    OpSample("empty", [], [("shape", .ints([0, 2])), ("value", .int(3))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "negative size", [], [("shape", .ints([-1])), ("value", .int(0))],
      message: "a size cannot be negative, got -1"),
    .init(
      "value", [], [("shape", .ints([2])), ("value", .number(0.5)), ("dtype", .dtype(.i64))],
      message: "0.5 is no value of i64"),
    .init(
      "range", [], [("shape", .ints([2])), ("value", .int(256)), ("dtype", .dtype(.u8))],
      message: "256.0 is no value of u8"),
  ]
}

/// Refuses a number that a dtype does not have and would silently make another one.
func requireValue(_ value: Double, of dtype: DType) throws(OpRejection) {
  let range: ClosedRange<Double>
  switch dtype {
  case .f32, .f64, .f16, .bf16, .f8e4m3, .f8e5m2, .q8, .q8e4m3: return
  case .bool: range = 0...1
  case .u8: range = 0...255
  case .i32: range = -0x1p31...(0x1p31 - 1)
  case .i64: range = -0x1p63...0x1p63
  }
  if range.contains(value) && value == value.rounded() { return }
  throw OpRejection("\(value) is no value of \(dtype)", code: "bad-argument")
}

extension GraphBuilder {
  /// Appends a tensor with one value everywhere.
  package func full(_ shape: Shape, _ value: Double, dtype: DType) throws -> GraphValue {
    try emit(Full(shape: shape, value: value, dtype: dtype))
  }
}
