import Glibc
import Graphs
import Kernels
import Tensors

/// `log_softmax(x, axis)`: the logarithm of softmax, computed without taking that of small numbers.
package struct LogSoftmax: NarrowingOp {
  /// The normalised axis, counted from the front.
  package let axis: Int

  package static let name = "log_softmax"
  package static let documentation = """
    Takes the logarithm of softmax along an axis: x - log(sum(exp(x))).

    Shapes: x [.., n, ..] -> the same. More exact than log(softmax(x)), which is -inf where softmax rounds to 0.

    >>> log_softmax([0.0, 0.0])
    f32[2]
    [-0.6931, -0.6931]
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
    let y = operands[0].mappingLines(along: axis) { line in
      let top = line.max() ?? 0
      let logarithm = log(line.reduce(0) { $0 + exp($1 - top) })
      return line.map { $0 - top - logarithm }
    }
    return [y]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    Kernels.logSoftmax(operands[0], into: results[0], LineSizes(operands[0].shape, axis: axis))
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
      [try g.emit(LogSoftmaxGradient(axis: axis), at.result, at.cotangent)]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("short rows", [.normal([4, 7])]),
    OpSample("rows", [.normal([3, 83])]),
    OpSample("middle axis", [.normal([2, 5, 3])], [("axis", .int(1))]),
    OpSample("first axis, many columns", [.normal([3, 150])], [("axis", .int(0))]),
    OpSample("far apart", [.uniform([2, 8], -200...200)]),
    OpSample("one element", [.normal([3, 1])]),
    OpSample("no rows", [.normal([0, 4])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "axis out of range", [TensorType(.f32, [2, 2])], [("axis", .int(-3))],
      message: "axis -3 is out of range for rank 2"),
    .init("bool", [TensorType(.bool, [2])], message: "log_softmax expects f32 or f64, got bool"),
  ]
}

extension GraphBuilder {
  /// Appends `log_softmax(x)` along `axis`; negative axes count from the end.
  package func logSoftmax(_ x: GraphValue, axis: Int) throws -> GraphValue {
    try emit(LogSoftmax(axis: axis < 0 ? axis + x.rank : axis), x)
  }
}
