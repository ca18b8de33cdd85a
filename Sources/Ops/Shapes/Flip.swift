import Graphs
import Tensors

/// `flip(x, axis)`: elements in reverse order along axes.
package struct Flip: ViewOp {
  package let axes: [Int]

  package init(axes: [Int]) {
    self.axes = axes
  }

  package static let name = "flip"
  package static let documentation = """
    Reverses the order of elements along axes.

    Without `axis` along all; `axis` is one axis or a list. Nothing is copied.

    >>> flip([1, 2, 3])
    f32[3]
    [3., 2., 1.]
    >>> flip([[1, 2], [3, 4]], axis: 0)
    f32[2, 2]
    [[3., 4.],
     [1., 2.]]
    """
  package static let signature = Signature(
    .operand("x"), .attribute("axis", .axes, default: AttributeValue.none))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits.view

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axes = try attributes.axes("axis", rank: operands[0].rank)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Flip.requireDTypes(of: [operands[0]])
    return operands
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .places(rank: operands[0].rank, operands: 1, mixed: axes, additivity: .together, attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let x = operands[0]
    var result = x
    ReferenceTensor.forEachIndex(in: x.shape) { index in
      var mirrored = index
      for axis in axes { mirrored[axis] = x.shape[axis] - 1 - index[axis] }
      result[mirrored] = x[index]
    }
    return [result]
  }

  package func layout(of operand: Layout) -> Layout? {
    var result = operand
    for axis in axes where operand.shape[axis] > 0 {
      result.offset += (operand.shape[axis] - 1) * operand.strides[axis]
      result.strides[axis] = -operand.strides[axis]
    }
    return result
  }

  // dx = dy flipped back
  package var gradient: Gradient {
    .pullback { g, at in [try g.flip(at.cotangent, axes: axes)] }
  }

  package static let samples = [
    OpSample("all axes", [.normal([2, 3])]),
    OpSample("one axis", [.normal([2, 3, 2])], [("axis", .int(1))]),
    OpSample("two axes", [.normal([2, 3, 2])], [("axis", .ints([0, -1]))]),
    OpSample("a single number", [.normal([])]),
    OpSample("empty", [.normal([0, 3])]),
  ]
  package static let rejections = OpSample.Rejected.reductionAxes
}

extension GraphBuilder {
  /// Appends `x` reversed along `axes`; returns `x` itself where there are none.
  package func flip(_ x: GraphValue, axes: [Int]) throws -> GraphValue {
    axes.isEmpty ? x : try emit(Flip(axes: axes), x)
  }
}
