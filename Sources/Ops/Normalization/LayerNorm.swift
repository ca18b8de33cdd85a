import Graphs
import Kernels
import Tensors

/// `layer_norm(x, weight, bias, eps)`: rows of mean 0 and variance 1, scaled and shifted.
package struct LayerNorm: NarrowingOp {
  package let rule: RowNormalization

  package static let name = "layer_norm"
  package static let documentation = """
    Brings each row to mean 0 and variance 1, then scales and shifts its elements.

    Shapes: x [.., n], weight [n], bias [n] -> [.., n]:
    (x - mean) / sqrt(variance + eps) * weight + bias, mean and variance (dividing by n) over the last axis.

    >>> layer_norm([[1.0, 2.0, 3.0]], [1.0, 1.0, 1.0], [0.0, 0.0, 0.5])
    f32[1, 3]
    [[-1.2247,  0.0000,  1.7247]]
    """
  package static let signature = Signature(
    .operand("x"), .operand("weight"), .operand("bias"),
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
    try rule.require(operands[0], [("weight", operands[1]), ("bias", operands[2])])
    return [operands[0]]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .rows(operands, attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    [rule.reference(operands[0], operands[1], operands[2])]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    normalizeRows(
      operands[0], weight: operands[1], bias: operands[2], into: results[0],
      centering: rule.centering, epsilon: rule.epsilon)
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(7, operands, results)
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
        LayerNormGradient(epsilon: rule.epsilon), [at.operands[0], at.operands[1], at.cotangent])
    }
  }

  package static let samples: [OpSample] = [
    OpSample("matrix", [.normal([4, 7]), .normal([7]), .normal([7])]),
    OpSample("long rows", [.normal([3, 131]), .normal([131]), .normal([131])]),
    OpSample("batch", [.normal([2, 3, 5]), .normal([5]), .normal([5])], [("eps", .number(0.1))]),
    OpSample("one row", [.normal([6]), .normal([6]), .normal([6])]),
    OpSample("far from zero", [.uniform([3, 20], 90...100), .normal([20]), .normal([20])]),
    OpSample("no rows", [.normal([0, 4]), .normal([4]), .normal([4])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "weight too short",
      [TensorType(.f32, [2, 8]), TensorType(.f32, [4]), TensorType(.f32, [8])],
      message: "the weight must be [8], as long as the rows of f32[2, 8], got [4]"),
    .init(
      "bias is a matrix",
      [TensorType(.f32, [2, 8]), TensorType(.f32, [8]), TensorType(.f32, [2, 8])],
      message: "the bias must be [8], as long as the rows of f32[2, 8], got [2, 8]"),
    .init(
      "single number", [TensorType(.f32, []), TensorType(.f32, []), TensorType(.f32, [])],
      message: "a single number has no rows"),
    .init(
      "negative eps",
      [TensorType(.f32, [2]), TensorType(.f32, [2]), TensorType(.f32, [2])],
      [("eps", .number(-1))], message: "`eps` must be finite and not negative, got -1.0"),
  ]
}

extension GraphBuilder {
  /// Appends the rows of `x` at mean 0 and variance 1, times `weight` plus `bias`.
  package func layerNorm(
    _ x: GraphValue, weight: GraphValue, bias: GraphValue, epsilon: Double = 1e-5
  ) throws -> GraphValue {
    try emit(LayerNorm(epsilon: epsilon), x, weight, bias)
  }
}
