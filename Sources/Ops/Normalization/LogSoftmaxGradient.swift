import Glibc
import Graphs
import Kernels
import Tensors

/// `log_softmax_gradient(y, dy)`: the cotangent of the operand of a log_softmax whose result is `y`.
package struct LogSoftmaxGradient: NarrowingOp {
  /// The normalised axis, counted from the front.
  package let axis: Int

  package static let name = "log_softmax_gradient"
  package static let documentation = """
    Gives the gradient of log_softmax from its result y: dy - exp(y) sum(dy).

    Shapes: y, dy [.., n, ..] -> the same.

    >>> log_softmax_gradient(log_softmax([0.0, 0.0]), [1.0, 0.0])
    f32[2]
    [ 0.5000, -0.5000]
    """
  package static let signature = Signature(.operand("y"), .operand("dy"), .lineAxis)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.lines

  package init(axis: Int) { self.axis = axis }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axis = try attributes.axis("axis", rank: operands[0].rank)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    try Self.requireOneShape(of: operands)
    try operands[0].shape.require(axis: axis)
    return [operands[0]]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let dx = operands[0].mappingLines(along: axis, with: operands[1]) { y, dy in
      let total = dy.reduce(0, +)
      return zip(y, dy).map { $1 - exp($0) * total }
    }
    return [dx]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    Kernels.logSoftmaxGradient(
      operands[0], operands[1], into: results[0], LineSizes(operands[0].shape, axis: axis))
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(4, operands, results)
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
    axis == operands[0].rank - 1 ? NarrowTensors(operands: [0, 1], results: [0]) : NarrowTensors(operands: [], results: [])
  }

  // With a the cotangent of dx = dy - exp(y) sum(dy):
  //   that of dy is a - sum(a exp(y)), that of y is -a exp(y) sum(dy).
  package var gradient: Gradient {
    .pullback { [axis] g, at in
      let (y, dy, a) = (at.operands[0], at.operands[1], at.cotangent)
      let weighted = try g.multiply(a, try g.exp(y))
      return [
        try g.negate(
          try g.multiply(weighted, try g.sum(dy, axes: [axis], keepingAxes: true))),
        try g.subtract(a, try g.sum(weighted, axes: [axis], keepingAxes: true)),
      ]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("short rows", [.uniform([4, 7], -4...0), .normal([4, 7])]),
    OpSample("rows", [.uniform([3, 83], -9...0), .normal([3, 83])]),
    OpSample(
      "middle axis", [.uniform([2, 5, 3], -4...0), .normal([2, 5, 3])], [("axis", .int(1))]),
    OpSample("no rows", [.normal([0, 4]), .normal([0, 4])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "shapes differ", [TensorType(.f32, [2, 3]), TensorType(.f32, [3])],
      message: "log_softmax_gradient expects equal shapes, got [2, 3] and [3]")
  ]
}
