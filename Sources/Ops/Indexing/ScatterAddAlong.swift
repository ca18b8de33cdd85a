import Graphs
import Kernels
import Tensors

/// `scatter_add_along(indices, updates, axis, size)`: elements added up in their own lines. The reverse
/// of `take_along`.
package struct ScatterAddAlong: IndexCheckingOp {
  package let axis: Int
  /// The size of the result along the axis.
  package let size: Int

  package init(axis: Int, size: Int) {
    self.axis = axis
    self.size = size
  }

  package static let name = "scatter_add_along"
  package static let documentation = """
    Adds each element of `updates` into zeros, at its index in the line along an axis in which it stands.

    Shapes: indices and updates [.., k, ..] -> [.., size, ..]. Elements that fall on one place are added in
    their order. Negative indices count from the end; one beyond it is an error.

    >>> scatter_add_along([[2], [0]], [[5], [7]], size: 3)
    f32[2, 3]
    [[0., 0., 5.],
     [7., 0., 0.]]
    """
  package static let signature = Signature(
    .indices("indices"), .operand("updates"), .attribute("axis", .axis, default: .int(-1)),
    .attribute("size", .int))
  package static let dtypes = DTypeSet.wideNumeric
  package static let traits = OpTraits.lookup

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axis = try attributes.axis("axis", rank: operands[1].rank)
    size = try attributes.int("size")
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let (indices, updates) = (operands[0], operands[1])
    try requireIndices(indices)
    try ScatterAddAlong.requireDTypes(of: [updates])
    if size < 0 { throw OpRejection("a size cannot be negative, got \(size)", code: "bad-shape") }
    guard indices.shape == updates.shape else {
      throw OpRejection("shapes of indices and updates differ, \(indices.shape) and \(updates.shape)")
    }
    var shape = updates.shape
    shape[axis] = size
    guard shape.checkedElementCount != nil else {
      throw OpRejection("\(shape) has too many elements", code: "out-of-memory")
    }
    return [TensorType(updates.dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (indices, updates) = (operands[0], operands[1])
    let places = try indices.places(axis: axis, size: size)
    var shape = updates.shape
    shape[axis] = size
    var result = ReferenceTensor.zeros(TensorType(updates.type.dtype, shape))
    var next = 0
    ReferenceTensor.forEachIndex(in: updates.shape) { index in
      var target = index
      target[axis] = places[next]
      result[target] += updates.values[next]
      next += 1
    }
    return [result]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    try checkIndices(operands[0], axis: axis, size: size)
    guard Kernels.scatterAddAlong(operands[1], indices: operands[0], axis: axis, into: results[0])
    else {
      throw KernelFault("a sum does not fit in \(results[0].dtype)", code: "integer-overflow")
    }
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { true }
  package func indexCheck(_ operands: [TensorType]) -> (operand: Int, allowed: AllowedIndices)? {
    // Sums of whole numbers may not fit.
    operands[1].dtype.isFloating ? (0, AllowedIndices(along: size)) : nil
  }

  // du = the elements of dy at the indices
  package var gradient: Gradient {
    .pullback { g, at in
      [nil, try g.takeAlong(at.cotangent, indices: at.operands[0], axis: axis)]
    }
  }

  package static let samples = [
    OpSample("last axis", [.integers([3, 2], -4...3), .normal([3, 2])], [("size", .int(4))]),
    OpSample(
      "first axis", [.integers([5, 4], 0...2), .normal([5, 4])],
      [("axis", .int(0)), ("size", .int(3))]),
    OpSample(
      "middle axis", [.integers([2, 4, 2], -3...2, dtype: .i32), .normal([2, 4, 2])],
      [("axis", .int(1)), ("size", .int(3))]),
    OpSample("nothing", [.integers([3, 0], 0...3), .normal([3, 0])], [("size", .int(2))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "shapes", [TensorType(.i64, [3, 1]), TensorType(.f32, [3, 2])], [("size", .int(5))],
      message: "shapes of indices and updates differ, [3, 1] and [3, 2]"),
    .init(
      "negative size", [TensorType(.i64, [3]), TensorType(.f32, [3])], [("size", .int(-5))],
      message: "a size cannot be negative, got -5"),
    .init(
      "bool", [TensorType(.i64, [3]), TensorType(.bool, [3])], [("size", .int(5))],
      message: "got bool"),
  ]
}

extension GraphBuilder {
  /// Appends zeros of `size` along `axis`, to which elements of `updates` are added at `indices` in
  /// their lines.
  package func scatterAddAlong(
    _ indices: GraphValue, updates: GraphValue, axis: Int, size: Int
  ) throws -> GraphValue {
    try appendWidening(ScatterAddAlong(axis: axis, size: size), [indices, updates])[0]
  }
}
