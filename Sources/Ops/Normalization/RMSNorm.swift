import Graphs
import Kernels
import Tensors

/// `rms_norm(x, weight, eps)`: rows of unit mean square, scaled.
package struct RMSNorm: NarrowingOp {
  package let rule: RowNormalization

  package static let name = "rms_norm"
  package static let documentation = """
    Brings each row to a mean square of 1, then scales its elements.

    Shapes: x [.., n], weight [n] -> [.., n]: x / sqrt(mean(x^2) + eps) * weight, the mean over the last axis.
    Layer normalisation without mean and bias.

    >>> rms_norm([[3.0, 4.0]], [1.0, 1.0])
    f32[1, 2]
    [[0.8485, 1.1314]]
    """
  package static let signature = Signature(
    .operand("x"), .operand("weight"), .attribute("eps", .number, default: .number(1e-6)))
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
    return [operands[0]]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .rows(operands, attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    [rule.reference(operands[0], operands[1], nil)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    normalizeRows(
      operands[0], weight: operands[1], bias: nil, into: results[0], centering: rule.centering,
      epsilon: rule.epsilon)
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(5, operands, results)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    normalizeRowsScratchByteCount(operands[0], results[0])
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }
  package static var narrowReading: OpTraits.Operands { .contiguous }
  package func narrowTensors(_ operands: [TensorType]) -> NarrowTensors { NarrowTensors(operands: [0], results: [0]) }

  package var gradient: Gradient {
    .pullback { [rule] g, at in
      try g.append(
        RMSNormGradient(epsilon: rule.epsilon), [at.operands[0], at.operands[1], at.cotangent])
    }
  }

  package static let samples: [OpSample] = [
    OpSample("matrix", [.normal([4, 7]), .normal([7])]),
    OpSample("long rows", [.normal([3, 131]), .normal([131])]),
    OpSample("batch", [.normal([2, 3, 5]), .normal([5])], [("eps", .number(0.1))]),
    OpSample("no rows", [.normal([0, 4]), .normal([4])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "weight too long", [TensorType(.f32, [2, 8]), TensorType(.f32, [9])],
      message: "the weight must be [8], as long as the rows of f32[2, 8], got [9]")
  ]
}

extension GraphBuilder {
  /// Appends the rows of `x` at unit mean square, times `weight`.
  package func rmsNorm(
    _ x: GraphValue, weight: GraphValue, epsilon: Double = 1e-6
  ) throws -> GraphValue {
    try emit(RMSNorm(epsilon: epsilon), x, weight)
  }
}
