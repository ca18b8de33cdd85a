import Graphs
import Kernels
import Tensors

/// An op that turns the elements along some axes into one: `sum`, `max`, `any`.
///
/// The family supplies the attributes `axis` and `keep`, the type rule and the walk of the reference;
/// an op says what it does with the elements that fall on one result.
package protocol Reduction: TensorOp {
  /// The axes that go, in rising order.
  var axes: [Int] { get }
  /// Whether they stay with size 1.
  var keep: Bool { get }
  init(axes: [Int], keep: Bool)

  /// Whether a result of no elements is defined; if not, reducing an axis of size 0 is refused.
  static var hasEmptyResult: Bool { get }
  func resultDType(of operand: DType) -> DType
  /// The result of the elements that fall on it, in row-major order.
  static func reduce(_ elements: [Double]) -> Double
  var kernel: ReductionKind { get }
}

extension Reduction {
  package static var signature: Signature {
    Signature(
      .operand("x"), .attribute("axis", .axes, default: AttributeValue.none),
      .attribute("keep", .bool, default: .bool(false)))
  }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    self.init(
      axes: try attributes.axes("axis", rank: operands[0].rank), keep: try attributes.bool("keep"))
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    [try reducedType(of: operands[0])]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { reducedAxes(operands[0].rank) }

  /// The axes that stay keep what lies along them apart.
  func reducedAxes(_ rank: Int) -> AxisMap {
    AxisMap(
      results: (0..<rank).compactMap { axis in
        axes.contains(axis) ? (keep ? .some(nil) : nil) : .some([axis])
      }, attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    [reducing(operands[0], with: Self.reduce)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    guard Kernels.reduce(kernel, operands[0], over: axes, into: results[0]) else { throw overflow }
  }

  var overflow: KernelFault {
    KernelFault("the result of \(Self.name) does not fit in i64", code: "integer-overflow")
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    reductionScratchByteCount(kernel, operands[0], over: axes)
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { kernel.mayOverflow(operands[0]) }

  func reducedType(of operand: TensorType) throws(OpRejection) -> TensorType {
    try Self.requireDTypes(of: [operand])
    if !Self.hasEmptyResult, let axis = axes.first(where: { operand.shape[$0] == 0 }) {
      throw OpRejection(
        "axis \(axis) of \(operand) has size 0, and \(Self.name) of nothing is not defined",
        code: "bad-shape")
    }
    return TensorType(
      resultDType(of: operand.dtype), operand.shape.reduced(over: axes, keepingAxes: keep))
  }

  /// Applies `reduce` to the elements that fall on each result.
  func reducing(_ x: ReferenceTensor, with reduce: ([Double]) -> Double) -> ReferenceTensor {
    let kept = TensorType(x.type.dtype, x.shape.reduced(over: axes, keepingAxes: true))
    var groups = [[Double]](repeating: [], count: kept.elementCount)
    let strides = kept.shape.contiguousStrides
    var next = 0
    ReferenceTensor.forEachIndex(in: x.shape) { index in
      var group = 0
      for (axis, position) in index.enumerated() where !axes.contains(axis) {
        group += position * strides[axis]
      }
      groups[group].append(x.values[next])
      next += 1
    }
    return ReferenceTensor(
      TensorType(
        resultDType(of: x.type.dtype), x.shape.reduced(over: axes, keepingAxes: keep)),
      groups.map(reduce))
  }

  /// Gives a result, or its cotangent, the operand's shape again.
  func spread(_ g: GraphBuilder, _ value: GraphValue, over operand: GraphValue) throws -> GraphValue {
    let kept = operand.shape.reduced(over: axes, keepingAxes: true)
    return try g.broadcast(try g.reshape(value, to: kept), to: operand.shape)
  }
}

extension OpTraits {
  /// A reduction of floats, accumulated in f32 or wider.
  static let reduction = OpTraits(
    precision: .f32, cost: .memoryBound, fusion: .reduction, effect: .pure, promotion: .unifyFloating,
    operands: .strided, broadcasts: false, inPlace: false)
  /// A reduction whose result is one of the elements, or exact.
  static let exactReduction = OpTraits(
    precision: .asIs, cost: .memoryBound, fusion: .reduction, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)
}

extension OpSample {
  /// Operands on which each reduction is tried.
  static let reductionSamples: [OpSample] = [
    OpSample("all", [.normal([3, 5])]),
    OpSample("last axis", [.normal([2, 3, 5])], [("axis", .int(-1))]),
    OpSample("first axis", [.normal([5, 4])], [("axis", .int(0))]),
    OpSample("middle axis, kept", [.normal([2, 3, 4])], [("axis", .int(1)), ("keep", .bool(true))]),
    OpSample("outer and inner axis", [.normal([2, 3, 4])], [("axis", .ints([0, 2]))]),
    OpSample("two of four axes", [.normal([2, 3, 2, 3])], [("axis", .ints([1, 3]))]),
    OpSample("no axes", [.normal([2, 3])], [("axis", .ints([]))]),
    OpSample("a single number", [.normal([])]),
    OpSample("sizes of one", [.normal([1, 7, 1])], [("axis", .ints([1, 2]))]),
    OpSample("no results", [.normal([0, 3])], [("axis", .int(1))]),
    OpSample("a tail after rows of lanes", [.normal([2, 300])], [("axis", .int(1))]),
    OpSample("many rows", [.normal([300, 3])], [("axis", .int(0))]),
  ]
  /// Reductions of nothing. Where the result is nan, it does not vary smoothly.
  static func emptyReductionSamples(isSmooth: Bool) -> [OpSample] {
    [
      OpSample("of nothing", [.normal([0])], isSmooth: isSmooth),
      OpSample("of no rows", [.normal([0, 3])], [("axis", .int(0))], isSmooth: isSmooth),
    ]
  }

  /// The same samples with operands of other contents.
  static func reductionSamples(_ content: (Shape) -> Operand) -> [OpSample] {
    reductionSamples.map {
      OpSample($0.name, $0.operands.map { content($0.shape) }, $0.attributes, isSmooth: $0.isSmooth)
    }
  }
}

extension OpSample.Rejected {
  static let reductionAxes: [OpSample.Rejected] = [
    .init(
      "axis out of range", [TensorType(.f32, [2, 3])], [("axis", .int(2))],
      message: "axis 2 is out of range for rank 2"),
    .init(
      "axis twice", [TensorType(.f32, [2, 3])], [("axis", .ints([1, -1]))],
      message: "axis 1 is named twice"),
    .init(
      "no axes to name", [TensorType(.f32, [])], [("axis", .int(0))],
      message: "a single number has no axes"),
  ]
}

extension ReductionKind {
  /// Whether a result for such an operand may be beyond i64.
  func mayOverflow(_ operand: TensorType) -> Bool {
    if operand.dtype.isFloating { return false }
    switch self {
    case .product: return true
    case .sum:
      // Bits of the largest element, and of the count.
      let bits = operand.dtype == .bool ? 1 : 8 * operand.dtype.byteCount
      return bits + Int.bitWidth - operand.elementCount.leadingZeroBitCount >= Int.bitWidth
    case .mean, .maximum, .minimum, .any, .all, .variance, .logSumExp: return false
    }
  }
}
