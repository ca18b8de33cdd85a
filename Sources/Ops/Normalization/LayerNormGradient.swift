import Graphs
import Kernels
import Tensors

/// `layer_norm_gradient(x, weight, dy)`: the cotangents of x, weight and bias of a layer_norm.
package struct LayerNormGradient: NarrowingOp {
  package let rule: RowNormalization

  package static let name = "layer_norm_gradient"
  package static let documentation = """
    Gives the gradients of layer_norm for x, weight and bias, where dy is that of its result.

    Shapes: x [.., n], weight [n], dy [.., n] -> [.., n], [n] and [n]. In one pass over memory; mean and
    variance are found again rather than kept.

    >>> layer_norm_gradient([[1.0, 2.0, 3.0]], [1.0, 1.0, 1.0], [[1.0, 0.0, 0.0]])[2]
    f32[3]
    [1., 0., 0.]
    """
  package static let signature = Signature(
    .operand("x"), .operand("weight"), .operand("dy"),
    .attribute("eps", .number, default: .number(1e-5)))
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.lines

  package init(epsilon: Double) { rule = RowNormalization(.mean, epsilon: epsilon) }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    rule = try RowNormalization(.mean, attributes)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    try rule.require(operands[0], [("weight", operands[1])])
    try Self.requireOneShape(of: [operands[0], operands[2]])
    return [operands[0], operands[1], operands[1]]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (dx, dweight, dbias) = rule.referenceGradient(operands[0], operands[1], operands[2])
    return [dx, dweight, dbias]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    normalizeRowsGradient(
      operands[0], weight: operands[1], operands[2], dx: results[0], dweight: results[1],
      dbias: results[2], centering: rule.centering, epsilon: rule.epsilon)
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(11, operands, results)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    normalizeRowsGradientScratchByteCount(operands[0], operands[2], results[0])
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }
  package static var narrowReading: OpTraits.Operands { .contiguous }
  package func narrowTensors(_ operands: [TensorType]) -> NarrowTensors { NarrowTensors(operands: [0, 2], results: [0]) }

  package var gradient: Gradient {
    .pullback { [rule] g, at in
      try rule.pullBackGradient(
        g, x: at.operands[0], weight: at.operands[1], dy: at.operands[2], a: at.cotangents[0],
        b: at.cotangents[1], c: at.cotangents[2])
    }
  }

  package static let samples: [OpSample] = [
    OpSample("matrix", [.normal([4, 7]), .normal([7]), .normal([4, 7])]),
    OpSample("long rows", [.normal([3, 131]), .normal([131]), .normal([3, 131])]),
    OpSample("many rows", [.normal([70, 3]), .normal([3]), .normal([70, 3])]),
    OpSample(
      "batch", [.normal([2, 3, 5]), .normal([5]), .normal([2, 3, 5])], [("eps", .number(0.1))]),
    OpSample("no rows", [.normal([0, 4]), .normal([4]), .normal([0, 4])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "cotangent does not match",
      [TensorType(.f32, [2, 8]), TensorType(.f32, [8]), TensorType(.f32, [8])],
      message: "layer_norm_gradient expects equal shapes, got [2, 8] and [8]")
  ]
}
