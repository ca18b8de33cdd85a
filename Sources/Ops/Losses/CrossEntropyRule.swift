import Graphs
import Kernels
import Tensors

/// What cross_entropy and its gradient share: which rows count, and how their losses are joined.
package struct CrossEntropyRule: Hashable, Sendable {
  /// Rows with this target have no loss.
  package let ignoredTarget: Int
  /// The share of a target that is spread over all classes, 0 ... 1.
  package let smoothing: Double
  package let reduction: LossReduction

  package init(ignoredTarget: Int = -100, smoothing: Double = 0, reduction: LossReduction = .mean) {
    self.ignoredTarget = ignoredTarget
    self.smoothing = smoothing
    self.reduction = reduction
  }

  init(_ attributes: Attributes) throws(OpRejection) {
    ignoredTarget = try attributes.int("ignore_index")
    smoothing = try attributes.number("label_smoothing")
    guard (0...1).contains(smoothing) else {
      throw OpRejection(
        "`label_smoothing` must be from 0 to 1, got \(smoothing)", code: "bad-argument")
    }
    let word = try attributes.string("reduction")
    guard let reduction = LossReduction(rawValue: word) else {
      throw OpRejection(
        "`reduction` must be \"mean\", \"sum\" or \"none\", got \"\(word)\"", code: "bad-argument")
    }
    self.reduction = reduction
  }

  static let parameters: [Signature.Parameter] = [
    .attribute("ignore_index", .int, default: .int(-100)),
    .attribute("label_smoothing", .number, default: .number(0)),
    .attribute("reduction", .string, default: .string("mean")),
  ]

  // MARK: Types

  /// Returns the type of the loss of logits [.., c] with targets [..].
  func lossType(_ logits: TensorType, _ targets: TensorType) throws(OpRejection) -> TensorType {
    guard let classCount = logits.shape.sizes.last, classCount > 0 else {
      throw OpRejection("logits must be [.., c] with c at least 1, got \(logits)")
    }
    guard targets.dtype.isInteger else {
      throw OpRejection(
        "targets must be whole numbers, the classes, got \(targets)", code: "dtype-mismatch",
        help: "for classes stored as floats: `i64(targets)`")
    }
    let rows = Shape(Array(logits.shape.sizes.dropLast()))
    guard targets.shape == rows else {
      throw OpRejection(
        "targets must be \(rows), a class for each row of \(logits), got \(targets.shape)")
    }
    return TensorType(logits.dtype, reduction == .none ? rows : .scalar)
  }

  /// Refuses targets that are neither a class nor ignored.
  func check(_ targets: TensorView, _ sizes: CrossEntropySizes) throws(KernelFault) {
    if let stray = firstStrayTarget(targets, sizes) {
      throw strayTarget(stray.target, row: stray.row, classCount: sizes.classCount)
    }
  }

  /// What `check` asks of the targets, operand 1.
  func indexCheck(_ operands: [TensorType]) -> (operand: Int, allowed: AllowedIndices)? {
    (1, AllowedIndices(0..<(operands[0].shape.sizes.last ?? 0), ignored: ignoredTarget))
  }

  private func strayTarget(_ target: Int, row: Int, classCount: Int) -> KernelFault {
    KernelFault("target \(target) of row \(row) is out of range for \(classCount) classes")
  }

  func sizes(_ logits: TensorView) -> CrossEntropySizes {
    let classCount = logits.shape[logits.shape.count - 1]
    return CrossEntropySizes(
      rowCount: logits.elementCount / classCount, classCount: classCount,
      ignoredTarget: ignoredTarget, smoothing: smoothing, reduction: reduction)
  }

  // MARK: The mean in parts

  /// The same with "sum" for "mean".
  var summing: CrossEntropyRule {
    CrossEntropyRule(ignoredTarget: ignoredTarget, smoothing: smoothing, reduction: .sum)
  }

  /// Appends the number of targets that count.
  func count(_ g: GraphBuilder, _ targets: GraphValue, _ dtype: DType) throws -> GraphValue {
    // A target that the dtype does not have is no row's.
    guard targets.dtype.holds(ignoredTarget) else {
      return g.constant(Double(targets.shape.elementCount), dtype)
    }
    let counts = try g.notEqual(targets, try g.number(Double(ignoredTarget), like: targets))
    let axes = Array(0..<targets.rank)
    return try g.sum(try g.cast(counts, to: dtype), axes: axes, keepingAxes: false)
  }

  // MARK: The definition

  /// Calls `body` for each row that counts: its number, its places, its logits and the distribution it should have.
  func forEachRow(
    _ logits: ReferenceTensor, _ targets: ReferenceTensor,
    _ body: (_ row: Int, _ places: Range<Int>, _ logits: [Double], _ wanted: [Double]) -> Void
  ) throws(KernelFault) {
    let count = logits.shape.sizes.last!
    for (row, target) in targets.values.enumerated() where target != Double(ignoredTarget) {
      guard (0..<Double(count)).contains(target) else {
        throw strayTarget(Int(target), row: row, classCount: count)
      }
      var wanted = [Double](repeating: smoothing / Double(count), count: count)
      wanted[Int(target)] += 1 - smoothing
      let places = row * count..<(row + 1) * count
      body(row, places, Array(logits.values[places]), wanted)
    }
  }

  /// What the loss of each row is divided by.
  func divisor(_ targets: ReferenceTensor) -> Double {
    reduction == .mean
      ? Double(targets.values.filter { $0 != Double(ignoredTarget) }.count) : 1
  }
}

extension OpTraits {
  /// Traits of losses that look up a class: logits and targets keep their dtypes.
  static let loss = OpTraits(
    precision: .f32, cost: .memoryBound, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .contiguous, broadcasts: false, inPlace: false)
}
