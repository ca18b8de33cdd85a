import Glibc
import Graphs
import Kernels
import Tensors

/// `softmax(x, axis)`: exponentials of `x`, scaled to sum to one along an axis.
package struct Softmax: NarrowingOp {
  /// The normalised axis, counted from the front.
  package let axis: Int

  package static let name = "softmax"
  package static let documentation = """
    Scales exp(x) to sum to one along an axis.

    Shapes: x [.., n, ..] -> the same. The maximum is taken off first, so large numbers do not overflow. A line
    with nothing above -inf gives nan.

    >>> softmax([0.0, 0.0])
    f32[2]
    [0.5000, 0.5000]
    """
  package static let signature = Signature(.operand("x"), .lineAxis)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.lines

  package init(axis: Int) { self.axis = axis }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axis = try attributes.axis("axis", rank: operands[0].rank)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try operands[0].shape.require(axis: axis)
    return [operands[0]]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .places(rank: operands[0].rank, operands: 1, mixed: [axis], attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    [operands[0].mappingLines(along: axis, softmaxLine)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    Kernels.softmax(operands[0], into: results[0], LineSizes(operands[0].shape, axis: axis))
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(5, operands, results)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    let sizes = LineSizes(operands[0].shape, axis: axis)
    return sizes.inner == 1
      ? softmaxRowsScratchByteCount(operands + results, sizes) : linesScratchByteCount(results[0].dtype, sizes)
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }
  package static var narrowReading: OpTraits.Operands { .contiguous }
  package func narrowTensors(_ operands: [TensorType]) -> NarrowTensors {
    // Other lines lie across rows.
    axis == operands[0].rank - 1 ? NarrowTensors(operands: [0], results: [0]) : NarrowTensors(operands: [], results: [])
  }

  package var gradient: Gradient {
    .pullback { [axis] g, at in
      [try g.emit(SoftmaxGradient(axis: axis), at.result, at.cotangent)]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("short rows", [.normal([4, 7])]),
    OpSample("rows", [.normal([3, 83])]),
    OpSample("middle axis", [.normal([2, 5, 3])], [("axis", .int(1))]),
    OpSample("first axis, many columns", [.normal([3, 150])], [("axis", .int(0))]),
    OpSample("large numbers", [.uniform([2, 8], 80...100)]),
    OpSample(
      "infinities", [.values([0, -.infinity, 0, -.infinity, -.infinity, -.infinity], [2, 3])],
      isSmooth: false),
    OpSample("one element", [.normal([3, 1])]),
    OpSample("no rows", [.normal([0, 4])]),
    OpSample("empty rows", [.normal([2, 0])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "axis out of range", [TensorType(.f32, [2])], [("axis", .int(3))],
      message: "axis 3 is out of range for rank 1"),
    .init("single number", [TensorType(.f32, [])], message: "a single number has no axes"),
    .init("integers", [TensorType(.i64, [2])], message: "softmax expects f32 or f64, got i64"),
  ]
}

/// The definition of softmax on one line.
func softmaxLine(_ line: [Double]) -> [Double] {
  let top = line.max() ?? 0
  let powers = line.map { exp($0 - top) }
  let total = powers.reduce(0, +)
  return powers.map { $0 / total }
}

extension GraphBuilder {
  /// Appends `softmax(x)` along `axis`; negative axes count from the end.
  package func softmax(_ x: GraphValue, axis: Int) throws -> GraphValue {
    try emit(Softmax(axis: axis < 0 ? axis + x.rank : axis), x)
  }
}
