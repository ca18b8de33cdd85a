import Graphs
import Tensors

/// `transpose(x, axes)`: the axes in another order.
package struct Transpose: ViewOp {
  /// Axis `i` of the result is axis `permutation[i]` of the operand.
  package let permutation: [Int]

  package init(permutation: [Int]) {
    self.permutation = permutation
  }

  package static let name = "transpose"
  package static let documentation = """
    Puts axes in another order.

    Axis i of the result is axis `axes[i]` of `x`; without `axes` the order is reversed. Nothing is
    copied. `x.T` swaps the last two axes.

    >>> transpose([[1, 2, 3], [4, 5, 6]])
    f32[3, 2]
    [[1., 4.],
     [2., 5.],
     [3., 6.]]
    >>> transpose(zeros([2, 3, 4]), [1, 0, 2]).shape
    [3, 2, 4]
    """
  package static let signature = Signature(
    .operand("x"), .attribute("axes", .ints, default: AttributeValue.none))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits.view

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    let rank = operands[0].rank
    if case .none = attributes["axes"] {
      permutation = Array((0..<rank).reversed())
      return
    }
    let given = try attributes.ints("axes")
    var resolved: [Int] = []
    for axis in given {
      guard let axis = operands[0].shape.resolved(axis: axis) else {
        throw OpRejection("axis \(axis) is out of range for rank \(rank)", code: "bad-axis")
      }
      resolved.append(axis)
    }
    permutation = resolved
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let x = operands[0]
    try Transpose.requireDTypes(of: [x])
    guard permutation.sorted() == Array(0..<x.rank) else {
      throw OpRejection(
        "axes \(permutation) do not name each axis of \(x) once", code: "bad-axis",
        notes: ["an order of its \(x.rank) axes is wanted"])
    }
    return [TensorType(x.dtype, Shape(permutation.map { x.shape[$0] }))]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { AxisMap(results: permutation.map { [$0] }, additivity: .together, attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let x = operands[0]
    let type = TensorType(x.type.dtype, Shape(permutation.map { x.shape[$0] }))
    var result = ReferenceTensor(type, [Double](repeating: 0, count: type.elementCount))
    ReferenceTensor.forEachIndex(in: x.shape) { index in
      result[permutation.map { index[$0] }] = x[index]
    }
    return [result]
  }

  package func layout(of operand: Layout) -> Layout? {
    Layout(
      shape: Shape(permutation.map { operand.shape[$0] }),
      strides: permutation.map { operand.strides[$0] }, offset: operand.offset)
  }

  // y_i = x_p(i):  dx = dy with its axes back in their order
  package var gradient: Gradient {
    .pullback { g, at in
      var inverse = permutation
      for (axis, source) in permutation.enumerated() { inverse[source] = axis }
      return [try g.transpose(at.cotangent, permutation: inverse)]
    }
  }

  package static let samples = [
    OpSample("reversed", [.normal([2, 3, 4])]),
    OpSample("rotated", [.normal([2, 3, 4])], [("axes", .ints([1, 2, 0]))]),
    OpSample("negative axes", [.normal([2, 3])], [("axes", .ints([-1, -2]))]),
    OpSample("a single number", [.normal([])]),
    OpSample("empty", [.normal([0, 3])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "axis out of range", [TensorType(.f32, [2, 3])], [("axes", .ints([0, 2]))],
      message: "axis 2 is out of range for rank 2"),
    .init(
      "axis twice", [TensorType(.f32, [2, 3])], [("axes", .ints([0, 0]))],
      message: "axes [0, 0] do not name each axis of f32[2, 3] once"),
    .init(
      "axis missing", [TensorType(.f32, [2, 3])], [("axes", .ints([0]))],
      message: "axes [0] do not name each axis of f32[2, 3] once"),
  ]
}

extension OpTraits {
  /// An op that only looks at storage another way.
  static let view = OpTraits(
    precision: .asIs, cost: .view, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)
}

extension GraphBuilder {
  /// Appends `x` with its axes in another order; returns `x` itself where the order stays.
  package func transpose(_ x: GraphValue, permutation: [Int]) throws -> GraphValue {
    if permutation == Array(0..<x.rank) { return x }
    return try emit(Transpose(permutation: permutation), x)
  }

  /// Appends `x` with its last two axes swapped.
  /// - Requires: rank at least 2.
  package func swapLastAxes(_ x: GraphValue) throws -> GraphValue {
    var permutation = Array(0..<x.rank)
    permutation.swapAt(x.rank - 1, x.rank - 2)
    return try transpose(x, permutation: permutation)
  }
}
