import Graphs
import Kernels
import Tensors

/// `stack(xs, axis)`: tensors of one shape side by side along a new axis.
package struct Stack: TensorOp {
  /// Where the new axis stands in the result.
  package let axis: Int

  package init(axis: Int) {
    self.axis = axis
  }

  package static let name = "stack"
  package static let documentation = """
    Puts tensors of one shape side by side along a new axis.

    Shapes: n times [..] -> [.., n, ..], the new axis at `axis`. `concat` joins along an axis that is there.

    >>> stack([[1, 2], [3, 4], [5, 6]])
    f32[3, 2]
    [[1., 2.],
     [3., 4.],
     [5., 6.]]
    >>> stack([[1, 2], [3, 4]], axis: 1)
    f32[2, 2]
    [[1., 3.],
     [2., 4.]]
    """
  package static let signature = Signature(
    .operands("xs"), .attribute("axis", .axis, default: .int(0)))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits.join

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axis = try attributes.axis("axis", rank: try joined(operands).rank + 1)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let first = try joined(operands)
    try Stack.requireDTypes(of: operands)
    try Stack.requireOneDType(of: operands)
    for operand in operands {
      guard operand.shape == first.shape else {
        throw OpRejection(
          "shapes differ, \(first.shape) and \(operand.shape)",
          help: "`concat` joins tensors of different sizes along one axis")
      }
    }
    var sizes = first.shape.sizes
    sizes.insert(operands.count, at: axis)
    return [TensorType(first.dtype, Shape(sizes))]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    AxisMap(
      results: (0...operands[0].rank).map { place in
        place == axis ? nil : [Int?](repeating: place < axis ? place : place - 1, count: operands.count)
      }, additivity: .together, attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    var sizes = operands[0].shape.sizes
    sizes.insert(operands.count, at: axis)
    let type = TensorType(operands[0].type.dtype, Shape(sizes))
    var result = ReferenceTensor(type, [Double](repeating: 0, count: type.elementCount))
    for (position, operand) in operands.enumerated() {
      ReferenceTensor.forEachIndex(in: operand.shape) { index in
        var target = index
        target.insert(position, at: axis)
        result[target] = operand[index]
      }
    }
    return [result]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let result = results[0]
    let step = result.strides[axis] * result.dtype.byteCount
    var strides = result.strides
    strides.remove(at: axis)
    for (position, operand) in operands.enumerated() {
      copyRegion(
        operand,
        into: TensorView(
          base: result.base + position * step, dtype: result.dtype, shape: operand.shape,
          strides: strides))
    }
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    operands.map(copyScratchByteCount).max() ?? 0
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // dx_i = its part of dy, without the axis
  package var gradient: Gradient {
    .pullback { g, at in
      try at.operands.enumerated().map { position, operand in
        let part = try g.slice(at.cotangent, axis: axis, start: position, count: 1)
        return try g.reshape(part, to: operand.shape)
      }
    }
  }

  package static let samples = [
    OpSample("rows", [.normal([3]), .normal([3])]),
    OpSample("last axis", [.normal([2, 3]), .normal([2, 3]), .normal([2, 3])], [("axis", .int(-1))]),
    OpSample("middle axis", [.normal([2, 3]), .normal([2, 3])], [("axis", .int(1))]),
    OpSample("numbers", [.normal([]), .normal([])]),
    OpSample("empty", [.normal([0]), .normal([0])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "shapes", [TensorType(.f32, [2, 3]), TensorType(.f32, [2, 4])],
      message: "shapes differ, [2, 3] and [2, 4]"),
    .init(
      "axis out of range", [TensorType(.f32, [2]), TensorType(.f32, [2])], [("axis", .int(2))],
      message: "axis 2 is out of range for rank 2"),
    .init("nothing", [], message: "there is nothing to join"),
    .init(
      "dtypes", [TensorType(.f32, [2]), TensorType(.i64, [2])],
      message: "stack expects operands of one dtype, got f32 and i64"),
  ]
}

extension GraphBuilder {
  /// Appends tensors of one shape side by side along a new axis.
  package func stack(_ operands: [GraphValue], axis: Int) throws -> GraphValue {
    try append(Stack(axis: axis), operands)[0]
  }
}
