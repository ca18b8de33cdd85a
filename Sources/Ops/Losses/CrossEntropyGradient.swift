import Graphs
import Kernels
import Tensors

/// `cross_entropy_gradient(logits, targets, dy)`: the cotangent of the logits of a cross_entropy.
package struct CrossEntropyGradient: IndexCheckingOp, AveragingOp, NarrowingOp {
  package let rule: CrossEntropyRule

  package static let name = "cross_entropy_gradient"
  package static let documentation = """
    Gives the gradient of cross_entropy for its logits: (softmax(logits) - wanted) dy, by row.

    Shapes: logits [.., c], targets [..], dy as the loss: a number, or [..] with reduction: "none" -> [.., c].
    Rows that are ignored get zeros; with reduction: "mean" all is divided by the number of the others.

    >>> cross_entropy_gradient([[0.0, 0.0]], [1], 1.0)
    f32[1, 2]
    [[ 0.5000, -0.5000]]
    """
  package static let signature = Signature(
    [.operand("logits"), .indices("targets"), .operand("dy")] + CrossEntropyRule.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.loss

  package init(_ rule: CrossEntropyRule) { self.rule = rule }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    rule = try CrossEntropyRule(attributes)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: [operands[0], operands[2]])
    let loss = try rule.lossType(operands[0], operands[1])
    guard operands[2] == loss else {
      throw OpRejection("the cotangent must be \(loss) as the loss, got \(operands[2])")
    }
    return [operands[0]]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (logits, targets, dy) = (operands[0], operands[1], operands[2])
    var gradient = [Double](repeating: 0, count: logits.values.count)
    let divisor = rule.divisor(targets)
    try rule.forEachRow(logits, targets) { row, places, logits, wanted in
      let scale = (rule.reduction == .none ? dy.values[row] : dy.values[0]) / divisor
      let probabilities = softmaxLine(logits)
      for (i, place) in places.enumerated() {
        gradient[place] = (probabilities[i] - wanted[i]) * scale
      }
    }
    return [ReferenceTensor(logits.type, gradient)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let sizes = rule.sizes(operands[0])
    try rule.check(operands[1], sizes)
    Kernels.crossEntropyGradient(operands[0], operands[1], operands[2], into: results[0], sizes)
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(6, operands, results)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    crossEntropyGradientScratchByteCount(operands[0], results[0], rule.sizes(operands[0]))
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { true }
  package static var narrowReading: OpTraits.Operands { .contiguous }
  package func narrowTensors(_ operands: [TensorType]) -> NarrowTensors { NarrowTensors(operands: [0], results: [0]) }
  package func indexCheck(_ operands: [TensorType]) -> (operand: Int, allowed: AllowedIndices)? {
    rule.indexCheck(operands)
  }

  package func separate(_ g: GraphBuilder, _ operands: [GraphValue]) throws -> [GraphValue] {
    guard rule.reduction == .mean else { return try g.append(self, operands) }
    let share = try g.divide(operands[2], try rule.count(g, operands[1], operands[2].dtype))
    return try g.append(CrossEntropyGradient(rule.summing), [operands[0], operands[1], share])
  }

  // dlogits = (p - wanted) w dy, w the weight of a row. With a its cotangent:
  //   that of dy is the sum of a (p - wanted) w, that of the logits  w dy p (a - sum(a p)).
  package var gradient: Gradient {
    .pullback { [rule] g, at in
      let (logits, targets, dy, a) = (
        at.operands[0], at.operands[1], at.operands[2], at.cotangent
      )
      let slope = try g.emit(
        CrossEntropyGradient(rule), logits, targets, try g.number(1, like: dy))
      let along = try g.multiply(a, slope)
      let axes = rule.reduction == .none ? [logits.rank - 1] : Array(0..<logits.rank)
      let weight = try rule.rowWeights(g, targets, dtype: logits.dtype)
      let scale = try g.reshape(
        try g.multiply(weight, dy), to: Shape(targets.shape.sizes + [1]))
      let bent = try g.emit(
        SoftmaxGradient(axis: logits.rank - 1), try g.softmax(logits, axis: -1), a)
      return [
        try g.multiply(bent, scale), nil, try g.sum(along, axes: axes, keepingAxes: false),
      ]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("mean", [.normal([5, 7]), .integers([5], 0...6), .normal([])]),
    OpSample("many classes", [.normal([3, 90]), .integers([3], 0...89), .normal([])]),
    OpSample(
      "sum", [.normal([4, 3]), .integers([4], 0...2), .normal([])],
      [("reduction", .string("sum"))]),
    OpSample(
      "none, a class ignored",
      [.normal([4, 3]), .values([0, 1, 2, 1], [4], dtype: .i64), .normal([4])],
      [("ignore_index", .int(1)), ("reduction", .string("none"))]),
    OpSample(
      "ignored rows", [.normal([4, 3]), .values([0, -100, 2, -100], [4], dtype: .i64), .normal([])]
    ),
    OpSample(
      "smoothing", [.normal([4, 5]), .integers([4], 0...4), .normal([])],
      [("label_smoothing", .number(0.1))]),
    OpSample("batch", [.normal([2, 3, 4]), .integers([2, 3], 0...3), .normal([])]),
    OpSample("u8 targets", [.normal([3, 4]), .integers([3], 0...3, dtype: .u8), .normal([])]),
    OpSample("no rows", [.normal([0, 4]), .integers([0], 0...3), .normal([])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "cotangent does not match",
      [TensorType(.f32, [4, 3]), TensorType(.i64, [4]), TensorType(.f32, [4])],
      message: "the cotangent must be f32[] as the loss, got f32[4]")
  ]
}

extension CrossEntropyRule {
  /// Appends what the loss of each row is multiplied by before all are added up: 0 where it is ignored.
  func rowWeights(
    _ g: GraphBuilder, _ targets: GraphValue, dtype: DType
  ) throws -> GraphValue {
    let targets = try g.cast(targets, to: .i64)
    let counts = try g.cast(
      try g.notEqual(targets, try g.number(Double(ignoredTarget), like: targets)), to: dtype)
    if reduction != .mean { return counts }
    return try g.divide(
      counts, try g.sum(counts, axes: Array(0..<targets.rank), keepingAxes: false))
  }
}
