import Graphs
import Kernels
import Tensors

/// `take_along(x, indices, axis)`: one element per index, from its own line.
package struct TakeAlong: IndexCheckingOp {
  package let axis: Int

  package init(axis: Int) {
    self.axis = axis
  }

  package static let name = "take_along"
  package static let documentation = """
    Takes one element for each index, from the line along an axis in which the index stands.

    Shapes: x [.., n, ..], indices [.., k, ..] -> [.., k, ..]; all other sizes are equal. It turns what
    `argmax`, `sort` and `topk` say back into values. Negative indices count from the end; one beyond it
    is an error.

    >>> take_along([[1, 2, 3], [4, 5, 6]], [[2], [0]], axis: 1)
    f32[2, 1]
    [[3.],
     [4.]]
    """
  package static let signature = Signature(
    .operand("x"), .indices("indices"), .attribute("axis", .axis, default: .int(-1)))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits.lookup

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axis = try attributes.axis("axis", rank: operands[0].rank)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let (x, indices) = (operands[0], operands[1])
    try TakeAlong.requireDTypes(of: [x])
    try requireIndices(indices)
    try requireSameBeside(axis, x, indices)
    return [TensorType(x.dtype, indices.shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    AxisMap(
      results: (0..<operands[1].rank).map { $0 == axis ? [nil, axis] : [$0, $0] }, attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (x, indices) = (operands[0], operands[1])
    let places = try indices.places(axis: axis, size: x.shape[axis])
    var values: [Double] = []
    ReferenceTensor.forEachIndex(in: indices.shape) { index in
      var source = index
      source[axis] = places[values.count]
      values.append(x[source])
    }
    return [ReferenceTensor(TensorType(x.type.dtype, indices.shape), values)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    try checkIndices(operands[1], axis: axis, size: operands[0].shape[axis])
    gatherAlong(operands[0], indices: operands[1], axis: axis, into: results[0])
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { true }
  package func indexCheck(_ operands: [TensorType]) -> (operand: Int, allowed: AllowedIndices)? {
    (1, AllowedIndices(along: operands[0].shape[axis]))
  }

  // dx = zeros, with dy added where its elements came from
  package var gradient: Gradient {
    .pullback { g, at in
      let (x, indices) = (at.operands[0], at.operands[1])
      return [
        try g.scatterAddAlong(indices, updates: at.cotangent, axis: axis, size: x.shape[axis]), nil,
      ]
    }
  }

  package static let samples = [
    OpSample("last axis", [.normal([3, 4]), .integers([3, 2], -4...3)]),
    OpSample("first axis", [.normal([3, 4]), .integers([5, 4], 0...2)], [("axis", .int(0))]),
    OpSample("middle axis", [.normal([2, 3, 2]), .integers([2, 4, 2], -3...2)], [("axis", .int(1))]),
    OpSample("one line", [.normal([5]), .integers([3], 0...4, dtype: .i32)]),
    OpSample("nothing", [.normal([3, 4]), .integers([3, 0], 0...3)]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "sizes beside the axis", [TensorType(.f32, [3, 4]), TensorType(.i64, [2, 4])],
      message: "[3, 4] and [2, 4] differ beside axis 1"),
    .init(
      "ranks", [TensorType(.f32, [3, 4]), TensorType(.i64, [3])],
      message: "[3, 4] and [3] differ beside axis 1"),
    .init(
      "indices of bools", [TensorType(.f32, [3]), TensorType(.bool, [3])],
      message: "indices are whole numbers, got bool[3]"),
  ]
}

extension GraphBuilder {
  /// Appends the elements of `x` that `indices` name, each in its own line along `axis`.
  package func takeAlong(_ x: GraphValue, indices: GraphValue, axis: Int) throws -> GraphValue {
    try emit(TakeAlong(axis: axis), x, indices)
  }
}
