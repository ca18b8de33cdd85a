import Graphs
import Kernels
import Tensors

/// `rms_norm_gradient(x, weight, dy)`: the cotangents of x and weight of an rms_norm.
package struct RMSNormGradient: NarrowingOp {
  package let rule: RowNormalization

  package static let name = "rms_norm_gradient"
  package static let documentation = """
    Gives the gradients of rms_norm for x and weight, where dy is that of its result.

    Shapes: x [.., n], weight [n], dy [.., n] -> [.., n] and [n].

    >>> rms_norm_gradient([[3.0, 4.0]], [1.0, 1.0], [[1.0, 0.0]])[1]
    f32[2]
    [0.8485, 0.0000]
    """
  package static let signature = Signature(
    .operand("x"), .operand("weight"), .operand("dy"),
    .attribute("eps", .number, default: .number(1e-6)))
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.lines

  package init(epsilon: Double) { rule = RowNormalization(.none, epsilon: epsilon) }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    rule = try RowNormalization(.none, attributes)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    try rule.require(operands[0], [("weight", operands[1])])
    try Self.requireOneShape(of: [operands[0], operands[2]])
    return [operands[0], operands[1]]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (dx, dweight, _) = rule.referenceGradient(operands[0], operands[1], operands[2])
    return [dx, dweight]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    normalizeRowsGradient(
      operands[0], weight: operands[1], operands[2], dx: results[0], dweight: results[1],
      dbias: nil, centering: rule.centering, epsilon: rule.epsilon)
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(9, operands, results)
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
        b: at.cotangents[1], c: nil)
    }
  }

  package static let samples: [OpSample] = [
    OpSample("matrix", [.normal([4, 7]), .normal([7]), .normal([4, 7])]),
    OpSample("long rows", [.normal([3, 131]), .normal([131]), .normal([3, 131])]),
    OpSample(
      "batch", [.normal([2, 3, 5]), .normal([5]), .normal([2, 3, 5])], [("eps", .number(0.1))]),
    OpSample("no rows", [.normal([0, 4]), .normal([4]), .normal([0, 4])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "cotangent does not match",
      [TensorType(.f32, [2, 8]), TensorType(.f32, [8]), TensorType(.f32, [8])],
      message: "rms_norm_gradient expects equal shapes, got [2, 8] and [8]")
  ]
}
