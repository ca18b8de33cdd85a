import Graphs
import Kernels
import Tensors

/// `pad(x, before, after, value)`: elements of one value around a tensor, and between its elements.
package struct Pad: TensorOp {
  /// Elements added in front of each axis.
  package let before: [Int]
  package let after: [Int]
  /// Elements added between neighbours along each axis: what the gradient of a slice with steps needs.
  package let between: [Int]
  package let value: Double

  package init(before: [Int], after: [Int], between: [Int], value: Double) {
    self.before = before
    self.after = after
    self.between = between
    self.value = value
  }

  package static let name = "pad"
  package static let documentation = """
    Surrounds a tensor with elements of one value.

    `before` and `after` say how many are added at each end of each axis; `between`, how many between
    neighbours.

    >>> pad([1, 2], [1], [2])
    f32[5]
    [0., 1., 2., 0., 0.]
    >>> pad([[1, 2], [3, 4]], [0, 1], [0, 0], value: -1)
    f32[2, 3]
    [[-1.,  1.,  2.],
     [-1.,  3.,  4.]]
    """
  package static let signature = Signature(
    .operand("x"), .attribute("before", .ints), .attribute("after", .ints),
    .attribute("value", .number, default: .number(0)),
    .attribute("between", .ints, default: AttributeValue.none))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits.copy

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    before = try attributes.ints("before")
    after = try attributes.ints("after")
    value = try attributes.number("value")
    if case .none = attributes["between"] {
      between = [Int](repeating: 0, count: operands[0].rank)
    } else {
      between = try attributes.ints("between")
    }
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let x = operands[0]
    try Pad.requireDTypes(of: [x])
    guard before.count == x.rank, after.count == x.rank, between.count == x.rank else {
      throw OpRejection(
        "a size before and one after each axis of \(x) are wanted, got \(before) and \(after)",
        code: "bad-argument")
    }
    if let size = (before + after + between).first(where: { $0 < 0 }) {
      throw OpRejection("padding cannot be negative, got \(size)", code: "bad-argument")
    }
    try requireValue(value, of: x.dtype)
    // Sizes are summed in f64 first: three numbers of a program may overflow together.
    for axis in 0..<x.rank {
      let gaps = Double(between[axis]) * Double(max(x.shape[axis] - 1, 0))
      if Double(before[axis]) + Double(after[axis]) + Double(x.shape[axis]) + gaps >= 0x1p53 {
        throw OpRejection("axis \(axis) would be too long", code: "out-of-memory")
      }
    }
    let shape = padded(x.shape)
    guard shape.checkedElementCount != nil else {
      throw OpRejection("\(shape) has too many elements", code: "out-of-memory")
    }
    return [TensorType(x.dtype, shape)]
  }

  private func padded(_ shape: Shape) -> Shape {
    Shape(
      shape.sizes.enumerated().map { axis, size in
        before[axis] + size + between[axis] * max(size - 1, 0) + after[axis]
      })
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(
      rank: operands[0].rank, operands: 1,
      mixed: before.indices.filter { before[$0] != 0 || after[$0] != 0 || between[$0] != 0 },
      additivity: value == 0 ? .together : .none, attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let x = operands[0]
    let type = TensorType(x.type.dtype, padded(x.shape))
    var result = ReferenceTensor(type, [Double](repeating: value, count: type.elementCount))
    ReferenceTensor.forEachIndex(in: x.shape) { index in
      result[index.indices.map { before[$0] + index[$0] * (between[$0] + 1) }] = x[index]
    }
    return [result]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let (x, y) = (operands[0], results[0])
    fill(y, with: value)
    if x.elementCount == 0 { return }
    var offset = 0
    var strides = y.strides
    for axis in strides.indices {
      offset += before[axis] * strides[axis]
      strides[axis] *= between[axis] + 1
    }
    copyRegion(
      x,
      into: TensorView(
        base: y.base + offset * y.dtype.byteCount, dtype: y.dtype, shape: x.shape, strides: strides))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    copyScratchByteCount(operands[0])
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // dx = dy where the elements of x went
  package var gradient: Gradient {
    .pullback { g, at in
      [
        try g.slice(
          at.cotangent, starts: before, counts: at.operands[0].shape.sizes,
          steps: between.map { $0 + 1 })
      ]
    }
  }

  package static let samples = [
    OpSample("one axis", [.normal([3])], [("before", .ints([2])), ("after", .ints([1]))]),
    OpSample(
      "two axes, a value", [.normal([2, 3])],
      [("before", .ints([1, 0])), ("after", .ints([0, 2])), ("value", .number(1))]),
    OpSample(
      "between", [.normal([2, 3])],
      [("before", .ints([0, 1])), ("after", .ints([1, 0])), ("between", .ints([2, 1]))]),
    OpSample("nothing added", [.normal([2])], [("before", .ints([0])), ("after", .ints([0]))]),
    OpSample(
      "empty", [.normal([0, 2])], [("before", .ints([1, 0])), ("after", .ints([1, 1]))]),
    OpSample("a single number", [.normal([])], [("before", .ints([])), ("after", .ints([]))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "axes missing", [TensorType(.f32, [2, 3])], [("before", .ints([1])), ("after", .ints([1]))],
      message: "each axis of f32[2, 3] are wanted, got [1] and [1]"),
    .init(
      "negative", [TensorType(.f32, [2])], [("before", .ints([-1])), ("after", .ints([0]))],
      message: "padding cannot be negative, got -1"),
    .init(
      "value", [TensorType(.i64, [2])],
      [("before", .ints([1])), ("after", .ints([0])), ("value", .number(0.5))],
      message: "0.5 is no value of i64"),
    .init(
      "too long", [TensorType(.f32, [2])],
      [("before", .ints([.max])), ("after", .ints([.max]))], message: "axis 0 would be too long"),
  ]
}

extension OpTraits {
  /// An op that moves elements without looking at them.
  static let copy = OpTraits(
    precision: .asIs, cost: .memoryBound, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)
}

extension GraphBuilder {
  /// Appends `x` with zeros around and between its elements; returns `x` itself where there are none.
  package func pad(
    _ x: GraphValue, before: [Int], after: [Int], between: [Int]
  ) throws -> GraphValue {
    if (before + after + between).allSatisfy({ $0 == 0 }) { return x }
    return try emit(Pad(before: before, after: after, between: between, value: 0), x)
  }
}
