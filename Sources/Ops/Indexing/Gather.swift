import Graphs
import Kernels
import Tensors

/// `gather(x, indices, axis)`: the slices of `x` that indices name.
package struct Gather: IndexCheckingOp {
  package let axis: Int

  package init(axis: Int) {
    self.axis = axis
  }

  package static let name = "gather"
  package static let documentation = """
    Takes the slices of `x` along an axis that `indices` name.

    Shapes: x [.., n, ..], indices [..i] -> [.., ..i, ..]: the shape of the indices stands where the axis
    was. Negative indices count from the end; one beyond it is an error. `x[indices]` is `gather` along
    axis 0, and an embedding is nothing else.

    >>> gather([[1, 2], [3, 4], [5, 6]], [2, 0])
    f32[2, 2]
    [[5., 6.],
     [1., 2.]]
    >>> gather([[1, 2, 3], [4, 5, 6]], [[-1, 0]], axis: 1).shape
    [2, 1, 2]
    """
  package static let signature = Signature(
    .operand("x"), .indices("indices"), .attribute("axis", .axis, default: .int(0)))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits.lookup

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axis = try attributes.axis("axis", rank: operands[0].rank)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let (x, indices) = (operands[0], operands[1])
    try Gather.requireDTypes(of: [x])
    try requireIndices(indices)
    var sizes = x.shape.sizes
    sizes.replaceSubrange(axis...axis, with: indices.shape.sizes)
    return [TensorType(x.dtype, Shape(sizes))]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    let (x, indices) = (operands[0].rank, operands[1].rank)
    return AxisMap(
      results: (0..<x - 1 + indices).map { place in
        if place < axis { return [place, nil] }
        return place < axis + indices ? [nil, place - axis] : [place - indices + 1, nil]
      }, attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (x, indices) = (operands[0], operands[1])
    let places = try indices.places(axis: axis, size: x.shape[axis])
    var sizes = x.shape.sizes
    sizes[axis] = places.count
    // Indices in a row first; their own shape only regroups the elements.
    var values: [Double] = []
    ReferenceTensor.forEachIndex(in: Shape(sizes)) { index in
      var source = index
      source[axis] = places[index[axis]]
      values.append(x[source])
    }
    sizes.replaceSubrange(axis...axis, with: indices.shape.sizes)
    return [ReferenceTensor(TensorType(x.type.dtype, Shape(sizes)), values)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    try checkIndices(operands[1], axis: axis, size: operands[0].shape[axis])
    Kernels.gather(operands[0], indices: operands[1], axis: axis, into: results[0])
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { true }
  package func indexCheck(_ operands: [TensorType]) -> (operand: Int, allowed: AllowedIndices)? {
    (1, AllowedIndices(along: operands[0].shape[axis]))
  }

  // y = x[indices]:  dx = zeros, with dy added where its slices came from
  package var gradient: Gradient {
    .pullback { g, at in
      let (x, indices) = (at.operands[0], at.operands[1])
      return [
        try g.scatterAdd(indices, updates: at.cotangent, axis: axis, size: x.shape[axis]), nil,
      ]
    }
  }

  package static let samples = [
    OpSample("rows", [.normal([5, 3]), .integers([4], -5...4)]),
    OpSample("columns", [.normal([2, 4]), .integers([3], 0...3)], [("axis", .int(1))]),
    OpSample("a table of indices", [.normal([4, 3]), .integers([2, 3], 0...3)]),
    OpSample(
      "middle axis", [.normal([2, 3, 2]), .integers([2, 2], -3...2)], [("axis", .int(-2))]),
    OpSample("one index", [.normal([4, 3]), .values([2], [], dtype: .i64)]),
    OpSample("elements", [.normal([6]), .integers([4], 0...5, dtype: .i32)]),
    OpSample("small indices", [.normal([6, 2]), .integers([4], 0...5, dtype: .u8)]),
    OpSample("no indices", [.normal([3, 2]), .integers([0], 0...2)]),
    OpSample("repeated", [.normal([3, 2]), .values([1, 1, 1], [3], dtype: .i64)]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "indices of floats", [TensorType(.f32, [3]), TensorType(.f32, [2])],
      message: "indices are whole numbers, got f32[2]"),
    .init(
      "a number", [TensorType(.f32, []), TensorType(.i64, [2])],
      message: "a single number has no axes"),
  ]
}

extension GraphBuilder {
  /// Appends the slices of `x` along `axis` that `indices` name.
  package func gather(_ x: GraphValue, indices: GraphValue, axis: Int) throws -> GraphValue {
    try emit(Gather(axis: axis), x, indices)
  }
}
