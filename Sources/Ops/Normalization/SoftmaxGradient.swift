import Graphs
import Kernels
import Tensors

/// `softmax_gradient(y, dy)`: the cotangent of the operand of a softmax whose result is `y`.
package struct SoftmaxGradient: NarrowingOp {
  /// The normalised axis, counted from the front.
  package let axis: Int

  package static let name = "softmax_gradient"
  package static let documentation = """
    Gives the gradient of softmax from its result y: y (dy - sum(dy y)).

    Shapes: y, dy [.., n, ..] -> the same.

    >>> softmax_gradient([0.5, 0.5], [1.0, 0.0])
    f32[2]
    [ 0.2500, -0.2500]
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
      let dot = zip(y, dy).reduce(0) { $0 + $1.0 * $1.1 }
      return zip(y, dy).map { $0 * ($1 - dot) }
    }
    return [dx]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    Kernels.softmaxGradient(
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

  // dx = y (dy - sum(dy y)) is linear in dy and its own adjoint there; with a the cotangent of dx
  // that of y is  a (dy - sum(dy y)) - dy sum(a y).
  package var gradient: Gradient {
    .pullback { [axis] g, at in
      let (y, dy, a) = (at.operands[0], at.operands[1], at.cotangent)
      func along(_ x: GraphValue) throws -> GraphValue {
        try g.sum(try g.multiply(x, y), axes: [axis], keepingAxes: true)
      }
      return [
        try g.subtract(
          try g.multiply(a, try g.subtract(dy, try along(dy))), try g.multiply(dy, try along(a))),
        try g.emit(SoftmaxGradient(axis: axis), y, a),
      ]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("short rows", [.uniform([4, 7], 0...1), .normal([4, 7])]),
    OpSample("rows", [.uniform([3, 83], 0...0.1), .normal([3, 83])]),
    OpSample(
      "middle axis", [.uniform([2, 5, 3], 0...1), .normal([2, 5, 3])], [("axis", .int(1))]),
    OpSample("no rows", [.normal([0, 4]), .normal([0, 4])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "shapes differ", [TensorType(.f32, [2, 3]), TensorType(.f32, [3])],
      message: "softmax_gradient expects equal shapes, got [2, 3] and [3]")
  ]
}
