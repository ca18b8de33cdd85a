import Graphs
import Kernels
import Tensors

/// An op that says where the outermost element along an axis stands: `argmax`, `argmin`.
package protocol ArgumentReduction: TensorOp {
  /// nil: among all elements, counted in row-major order.
  var axis: Int? { get }
  var keep: Bool { get }
  init(axis: Int?, keep: Bool)
  static var extreme: Extreme { get }
}

extension ArgumentReduction {
  package static var signature: Signature {
    Signature(
      .operand("x"), .attribute("axis", .axis, default: AttributeValue.none),
      .attribute("keep", .bool, default: .bool(false)))
  }
  package static var dtypes: DTypeSet { .wide }
  package static var traits: OpTraits {
    OpTraits(
      precision: .asIs, cost: .memoryBound, fusion: .alone, effect: .pure, promotion: .asIs,
      operands: .contiguous, broadcasts: false, inPlace: false)
  }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    let keep = try attributes.bool("keep")
    if case .none = attributes["axis"] {
      self.init(axis: nil, keep: keep)
    } else {
      self.init(axis: try attributes.axis("axis", rank: operands[0].rank), keep: keep)
    }
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let x = operands[0]
    try Self.requireDTypes(of: operands)
    let axes = axis.map { [$0] } ?? Array(0..<x.rank)
    if let empty = axes.first(where: { x.shape[$0] == 0 }) {
      throw OpRejection(
        "axis \(empty) of \(x) has size 0, and \(Self.name) of nothing is not defined",
        code: "bad-shape")
    }
    return [TensorType(.i64, x.shape.reduced(over: axes, keepingAxes: keep))]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    let axes = axis.map { [$0] } ?? Array(0..<operands[0].rank)
    return AxisMap(
      results: (0..<operands[0].rank).compactMap { place in
        axes.contains(place) ? (keep ? .some(nil) : nil) : .some([place])
      }, attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let x = operands[0]
    let axes = axis.map { [$0] } ?? Array(0..<x.shape.rank)
    var best = ReferenceTensor.zeros(TensorType(.i64, x.shape.reduced(over: axes, keepingAxes: true)))
    var found = [Double?](repeating: nil, count: best.values.count)
    var next = 0
    ReferenceTensor.forEachIndex(in: x.shape) { index in
      var result = index
      for axis in axes { result[axis] = 0 }
      let place = zip(result, best.shape.contiguousStrides).reduce(0) { $0 + $1.0 * $1.1 }
      let value = x.values[next]
      let isBetter =
        found[place].map { champion in
          if value.isNaN || champion.isNaN { return value.isNaN && !champion.isNaN }
          return Self.extreme == .largest ? value > champion : value < champion
        } ?? true
      if isBetter {
        found[place] = value
        best.values[place] = Double(axis.map { index[$0] } ?? next)
      }
      next += 1
    }
    let type = TensorType(.i64, x.shape.reduced(over: axes, keepingAxes: keep))
    return [ReferenceTensor(type, best.values)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    reduceArgument(operands[0], axis: axis, of: Self.extreme, into: results[0])
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    argumentScratchByteCount(operands[0])
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "an index does not vary smoothly") }

  package static var samples: [OpSample] {
    [
      OpSample("all", [.normal([3, 5])]),
      OpSample("last axis", [.normal([4, 7])], [("axis", .int(-1))]),
      OpSample("first axis", [.normal([7, 4])], [("axis", .int(0))]),
      OpSample("middle axis, kept", [.normal([2, 5, 3])], [("axis", .int(1)), ("keep", .bool(true))]),
      OpSample("a long line", [.normal([2, 300])], [("axis", .int(1))]),
      OpSample("many columns", [.normal([3, 150])], [("axis", .int(0))]),
      OpSample("ties", [.values([1, 3, 3, 1, 1, 3], [2, 3])], [("axis", .int(1))]),
      OpSample(
        "ties far apart", [.integers([2, 400], 0...1, dtype: nil)], [("axis", .int(1))]),
      OpSample("nan", [.values([1, .nan, 3, .nan], [4], dtype: .f32)]),
      OpSample("a single number", [.normal([])]),
      OpSample("no lines", [.normal([0, 3])], [("axis", .int(1))]),
    ]
  }
  package static var rejections: [OpSample.Rejected] {
    [
      .init(
        "axis out of range", [TensorType(.f32, [2, 3])], [("axis", .int(2))],
        message: "axis 2 is out of range for rank 2"),
      .init(
        "of nothing", [TensorType(.f32, [3, 0])], [("axis", .int(1))],
        message: "axis 1 of f32[3, 0] has size 0"),
    ]
  }
}
