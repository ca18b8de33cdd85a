import Graphs
import Kernels
import Tensors

/// `scatter_add(indices, updates, axis, size)`: slices added up where indices say. The reverse of `gather`.
package struct ScatterAdd: IndexCheckingOp {
  package let axis: Int
  /// The size of the result along the axis.
  package let size: Int

  package init(axis: Int, size: Int) {
    self.axis = axis
    self.size = size
  }

  package static let name = "scatter_add"
  package static let documentation = """
    Adds slices of `updates` into zeros, at the places along an axis that `indices` name.

    Shapes: indices [..i], updates [.., ..i, ..] -> [.., size, ..]. Slices that fall on one place are added
    in their order. Negative indices count from the end; one beyond it is an error.

    >>> scatter_add([0, 2, 0], [1, 2, 3], size: 4)
    f32[4]
    [4., 0., 2., 0.]
    """
  package static let signature = Signature(
    .indices("indices"), .operand("updates"), .attribute("axis", .axis, default: .int(0)),
    .attribute("size", .int))
  package static let dtypes = DTypeSet.wideNumeric
  package static let traits = OpTraits.lookup

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axis = try attributes.axis("axis", rank: max(0, operands[1].rank - operands[0].rank + 1))
    size = try attributes.int("size")
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let (indices, updates) = (operands[0], operands[1])
    try requireIndices(indices)
    try ScatterAdd.requireDTypes(of: [updates])
    if size < 0 { throw OpRejection("a size cannot be negative, got \(size)", code: "bad-shape") }
    let sizes = updates.shape.sizes
    let end = axis + indices.rank
    guard end <= sizes.count, Array(sizes[axis..<end]) == indices.shape.sizes else {
      throw OpRejection(
        "indices \(indices.shape) and updates \(updates.shape) do not fit at axis \(axis)",
        notes: ["the shape of the indices must stand in that of the updates, from the axis on"])
    }
    let shape = Shape(sizes[..<axis] + [size] + sizes[end...])
    guard shape.checkedElementCount != nil else {
      throw OpRejection("\(shape) has too many elements", code: "out-of-memory")
    }
    return [TensorType(updates.dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (indices, updates) = (operands[0], operands[1])
    let places = try indices.places(axis: axis, size: size)
    var sizes = updates.shape.sizes
    sizes.replaceSubrange(axis..<(axis + indices.shape.rank), with: [places.count])
    let rows = ReferenceTensor(TensorType(updates.type.dtype, Shape(sizes)), updates.values)
    sizes[axis] = size
    var result = ReferenceTensor.zeros(TensorType(updates.type.dtype, Shape(sizes)))
    ReferenceTensor.forEachIndex(in: rows.shape) { index in
      var target = index
      target[axis] = places[index[axis]]
      result[target] += rows[index]
    }
    return [result]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    try checkIndices(operands[0], axis: axis, size: size)
    guard Kernels.scatterAdd(operands[1], indices: operands[0], axis: axis, into: results[0]) else {
      throw KernelFault("a sum does not fit in \(results[0].dtype)", code: "integer-overflow")
    }
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { true }
  package func indexCheck(_ operands: [TensorType]) -> (operand: Int, allowed: AllowedIndices)? {
    // Sums of whole numbers may not fit.
    operands[1].dtype.isFloating ? (0, AllowedIndices(along: size)) : nil
  }

  // du = the slices of dy at the indices
  package var gradient: Gradient {
    .pullback { g, at in
      [nil, try g.gather(at.cotangent, indices: at.operands[0], axis: axis)]
    }
  }

  package static let samples = [
    OpSample("rows", [.integers([4], -5...4), .normal([4, 3])], [("size", .int(5))]),
    OpSample(
      "columns", [.integers([3], 0...3), .normal([2, 3])], [("axis", .int(1)), ("size", .int(4))]),
    OpSample("a table of indices", [.integers([2, 3], 0...3), .normal([2, 3, 2])], [("size", .int(4))]),
    OpSample(
      "middle axis", [.integers([2], -3...2, dtype: .i32), .normal([2, 2, 2])],
      [("axis", .int(1)), ("size", .int(3))]),
    OpSample("one index", [.values([2], [], dtype: .i64), .normal([3])], [("size", .int(4))]),
    OpSample("nothing", [.integers([0], 0...2), .normal([0, 2])], [("size", .int(3))]),
    OpSample("repeated", [.values([1, 1, 1], [3], dtype: .i64), .normal([3, 2])], [("size", .int(2))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "shapes", [TensorType(.i64, [3]), TensorType(.f32, [4, 2])], [("size", .int(5))],
      message: "indices [3] and updates [4, 2] do not fit at axis 0"),
    .init(
      "indices of floats", [TensorType(.f32, [3]), TensorType(.f32, [3])], [("size", .int(5))],
      message: "indices are whole numbers, got f32[3]"),
    .init(
      "negative size", [TensorType(.i64, [3]), TensorType(.f32, [3])], [("size", .int(-5))],
      message: "a size cannot be negative, got -5"),
    .init(
      "bool", [TensorType(.i64, [3]), TensorType(.bool, [3])], [("size", .int(5))],
      message: "got bool"),
  ]
}

extension GraphBuilder {
  /// Appends zeros of `size` along `axis`, to which slices of `updates` are added at `indices`.
  package func scatterAdd(
    _ indices: GraphValue, updates: GraphValue, axis: Int, size: Int
  ) throws -> GraphValue {
    try appendWidening(ScatterAdd(axis: axis, size: size), [indices, updates])[0]
  }
}
