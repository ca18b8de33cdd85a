import Glibc
import Graphs
import Kernels
import Tensors

/// `cross_entropy(logits, targets)`: minus the log probability of each row's class.
package struct CrossEntropy: IndexCheckingOp, AveragingOp, NarrowingOp {
  package let rule: CrossEntropyRule

  package static let name = "cross_entropy"
  package static let documentation = """
    Measures how little probability softmax(logits) gives to the target classes: mean(-log p[target]).

    Shapes: logits [.., c], targets [..] of whole numbers -> a number, or [..] with reduction: "none".
    Rows whose target is `ignore_index` have no loss; "mean" divides by the others. `label_smoothing` s asks
    for (1 - s) of the target and s / c of every class. A target that is no class is an error.

    >>> cross_entropy([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [0, 2])
    0.6691
    """
  package static let signature = Signature(
    [.operand("logits"), .indices("targets")] + CrossEntropyRule.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.loss

  package init(_ rule: CrossEntropyRule) { self.rule = rule }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    rule = try CrossEntropyRule(attributes)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: [operands[0]])
    return [try rule.lossType(operands[0], operands[1])]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    let rows = operands[1].rank
    if rule.reduction == .none { return .places(rank: rows, operands: 2, attributes: self) }
    return AxisMap(
      results: [], sums: rule.reduction == .sum ? (0..<rows).map { [$0, $0] } : [], attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (logits, targets) = (operands[0], operands[1])
    var losses = [Double](repeating: 0, count: targets.values.count)
    try rule.forEachRow(logits, targets) { row, _, logits, wanted in
      let top = logits.max()!
      let logarithm = log(logits.reduce(0) { $0 + exp($1 - top) })
      losses[row] = zip(logits, wanted).reduce(0) { $0 - $1.1 * ($1.0 - top - logarithm) }
    }
    if rule.reduction == .none {
      return [ReferenceTensor(TensorType(logits.type.dtype, targets.shape), losses)]
    }
    let loss = losses.reduce(0, +) / rule.divisor(targets)
    return [ReferenceTensor(TensorType(logits.type.dtype, .scalar), [loss])]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let sizes = rule.sizes(operands[0])
    try rule.check(operands[1], sizes)
    Kernels.crossEntropy(operands[0], operands[1], into: results[0], sizes)
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(5, operands, results)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    crossEntropyScratchByteCount(operands[0], rule.sizes(operands[0]))
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { true }
  package static var narrowReading: OpTraits.Operands { .contiguous }
  package func narrowTensors(_ operands: [TensorType]) -> NarrowTensors { NarrowTensors(operands: [0], results: []) }
  package func indexCheck(_ operands: [TensorType]) -> (operand: Int, allowed: AllowedIndices)? {
    rule.indexCheck(operands)
  }

  package var gradient: Gradient {
    .pullback { [rule] g, at in
      [
        try g.emit(CrossEntropyGradient(rule), at.operands[0], at.operands[1], at.cotangent),
        nil,
      ]
    }
  }

  package func separate(_ g: GraphBuilder, _ operands: [GraphValue]) throws -> [GraphValue] {
    guard rule.reduction == .mean else { return try g.append(self, operands) }
    let sum = try g.append(CrossEntropy(rule.summing), operands)[0]
    return [try g.divide(sum, try rule.count(g, operands[1], sum.dtype))]
  }

  package static let samples: [OpSample] = [
    OpSample("mean", [.normal([5, 7]), .integers([5], 0...6)]),
    OpSample("many classes", [.normal([3, 90]), .integers([3], 0...89)]),
    OpSample("sum", [.normal([4, 3]), .integers([4], 0...2)], [("reduction", .string("sum"))]),
    OpSample("none", [.normal([4, 3]), .integers([4], 0...2)], [("reduction", .string("none"))]),
    OpSample(
      "ignored rows", [.normal([4, 3]), .values([0, -100, 2, -100], [4], dtype: .i64)]),
    OpSample(
      "a class ignored, none", [.normal([4, 3]), .values([0, 1, 2, 1], [4], dtype: .i64)],
      [("ignore_index", .int(1)), ("reduction", .string("none"))]),
    OpSample(
      "smoothing", [.normal([4, 5]), .integers([4], 0...4)], [("label_smoothing", .number(0.1))]),
    OpSample("batch", [.normal([2, 3, 4]), .integers([2, 3], 0...3)]),
    OpSample("one row", [.normal([4]), .integers([], 0...3)]),
    OpSample("u8 targets", [.normal([3, 4]), .integers([3], 0...3, dtype: .u8)]),
    OpSample("i32 targets", [.normal([3, 4]), .integers([3], 0...3, dtype: .i32)]),
    OpSample("far apart", [.uniform([3, 4], -300...300), .integers([3], 0...3)]),
    OpSample(
      "no rows", [.normal([0, 4]), .integers([0], 0...3)], [("reduction", .string("sum"))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "targets too few", [TensorType(.f32, [32, 10]), TensorType(.i64, [31])],
      message: "targets must be [32], a class for each row of f32[32, 10], got [31]"),
    .init(
      "one-hot targets", [TensorType(.f32, [32, 10]), TensorType(.i64, [32, 10])],
      message: "targets must be [32], a class for each row"),
    .init(
      "float targets", [TensorType(.f32, [32, 10]), TensorType(.f32, [32])],
      message: "targets must be whole numbers, the classes, got f32[32]"),
    .init(
      "no classes", [TensorType(.f32, [3, 0]), TensorType(.i64, [3])],
      message: "logits must be [.., c] with c at least 1, got f32[3, 0]"),
    .init(
      "unknown reduction", [TensorType(.f32, [3, 2]), TensorType(.i64, [3])],
      [("reduction", .string("max"))],
      message: "`reduction` must be \"mean\", \"sum\" or \"none\", got \"max\""),
    .init(
      "smoothing above 1", [TensorType(.f32, [3, 2]), TensorType(.i64, [3])],
      [("label_smoothing", .number(1.5))],
      message: "`label_smoothing` must be from 0 to 1, got 1.5"),
  ]
}

extension GraphBuilder {
  /// Appends the cross entropy of `logits` [.., c] with the classes `targets` [..].
  package func crossEntropy(
    _ logits: GraphValue, _ targets: GraphValue, _ rule: CrossEntropyRule = CrossEntropyRule()
  ) throws -> GraphValue {
    try emit(CrossEntropy(rule), logits, targets)
  }
}
