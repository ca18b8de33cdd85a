import Glibc
import Graphs
import Kernels
import Tensors

/// `categorical(logits)`: an index for each row, drawn with the probabilities softmax(row).
package struct Categorical: TensorOp {
  /// The op's place in the trace.
  package let ordinal: Int

  package static let name = "categorical"
  package static let documentation = """
    Draws an index for each row of logits, with the probabilities softmax(row).

    Shapes: logits [.., c] -> i64 [..]. A logit of -inf is never drawn; a row with nan, +inf or nothing
    above -inf is an error. The index is the first whose cumulative probability exceeds one uniform number
    a row. Operand 0, the key, is implicit.

    >>> seed(0); categorical([[0.0, -inf], [-inf, 0.0]])
    i64[2]
    [0, 1]
    """
  package static let signature = Signature(.operand("logits"))
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.random

  package init(ordinal: Int) { self.ordinal = ordinal }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    self.init(ordinal: try attributes.ordinal())
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try requireKey(operands, count: 2)
    let logits = operands[1]
    try Self.requireDTypes(of: [logits])
    guard let classCount = logits.shape.sizes.last, classCount > 0 else {
      throw OpRejection("logits must be [.., c] with c at least 1, got \(logits)")
    }
    return [TensorType(.i64, Shape(logits.shape.sizes.dropLast()))]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    AxisMap(results: (0..<operands[1].rank - 1).map { [nil, $0] }, attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let stream = RandomStream(operands[0], ordinal: ordinal)
    let logits = operands[1]
    let classCount = logits.shape.sizes.last!
    var choices: [Double] = []
    for row in 0..<(logits.values.count / classCount) {
      let values = logits.values[row * classCount..<(row + 1) * classCount]
      let top = values.max()!
      let weights = values.map { exp($0 - top) }
      let threshold = stream.unit(at: row) * weights.reduce(0, +)
      var cumulative = 0.0
      let choice = weights.firstIndex { weight in
        cumulative += weight
        return cumulative > threshold
      }
      guard let choice else { throw notADistribution(row: row) }
      choices.append(Double(choice))
    }
    return [ReferenceTensor(TensorType(.i64, Shape(logits.shape.sizes.dropLast())), choices)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let stream = RandomStream(key: operands[0], ordinal: ordinal)
    if let row = fillCategorical(results[0], logits: operands[1], stream: stream) {
      throw notADistribution(row: row)
    }
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(8, operands, results)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { true }

  private func notADistribution(row: Int) -> KernelFault {
    KernelFault(
      "row \(row) of the logits gives no probabilities: it holds nan or inf, or nothing above -inf",
      code: "bad-logits")
  }

  package var gradient: Gradient { .zero(because: "a drawn index does not vary smoothly") }

  package static let samples: [OpSample] = [
    OpSample("rows", [.randomKey, .normal([6, 5])]),
    OpSample("one row", [.randomKey, .uniform([9], -3...3)]),
    OpSample("batch", [.randomKey, .normal([2, 3, 4])]),
    OpSample("no rows", [.randomKey, .normal([0, 4])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "no classes", [randomKeyType, TensorType(.f32, [3, 0])],
      message: "logits must be [.., c] with c at least 1, got f32[3, 0]"),
    .init(
      "integers", [randomKeyType, TensorType(.i64, [3])],
      message: "categorical expects f32 or f64, got i64"),
  ]
}

extension GraphBuilder {
  /// Appends an index for each row of `logits`, drawn with its probabilities.
  package func categorical(_ logits: GraphValue, key: GraphValue) throws -> GraphValue {
    try emit(Categorical(ordinal: nextOrdinal()), key, logits)
  }
}
