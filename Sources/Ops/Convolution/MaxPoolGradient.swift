import Graphs
import Kernels
import Tensors

/// `max_pool_gradient(x, dy)`: the cotangent of the images of a max pool.
package struct MaxPoolGradient: TensorOp {
  package let attributes: PoolAttributes

  package static let name = "max_pool_gradient"
  package static let documentation = """
    Gives the gradient of max_pool: each element of dy, added where its window of x is largest.

    Shapes: x [n, c, h, w], dy [n, c, oh, ow] -> [n, c, h, w]. Of equal pixels the first gets it. The places
    are found again rather than kept, so a max pool saves nothing but its operand.

    >>> max_pool_gradient([[[[1, 2, 5, 0], [3, 4, 0, 0]]]], [[[[10, 20]]]], 2)
    f32[1, 1, 2, 4]
    [[[[ 0.,  0., 20.,  0.],
       [ 0., 10.,  0.,  0.]]]]
    """
  package static let signature = Signature(
    [.operand("x"), .operand("dy")] + PoolAttributes.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.pool

  package init(_ attributes: PoolAttributes) { self.attributes = attributes }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    self.attributes = try PoolAttributes(attributes, image: operands[0].extent("the image"))
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    let (x, dy) = (operands[0], operands[1])
    try attributes.sizes(x).require(dy, matches: x)
    return [x]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (x, dy) = (operands[0], operands[1])
    var dx = [Double](repeating: 0, count: x.values.count)
    attributes.sizes(x.shape).forEachWindow { dx[firstMaximum(x.values, $1)] += dy.values[$0] }
    return [ReferenceTensor(x.type, dx)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    Kernels.maxPoolGradient(
      operands[0], operands[1], into: results[0], attributes.sizes(Shape(operands[0].shape)))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // Linear in dy, and constant in x as long as no other pixel becomes the largest.
  package var gradient: Gradient {
    .pullback { [attributes] g, at in
      [nil, try g.maxPoolSelect(at.operands[0], at.cotangent, attributes)]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("2x2", [.distinctPixels([2, 3, 4, 6]), .normal([2, 3, 2, 3])], [("size", .int(2))]),
    OpSample(
      "overlapping, padded", [.distinctPixels([1, 2, 5, 6]), .normal([1, 2, 3, 3])],
      [("size", .int(3)), ("stride", .int(2)), ("padding", .int(1))]),
    OpSample(
      "ties", [.values([1, 1, 1, 1, 2, 0, 0, 2], [1, 1, 2, 4]), .normal([1, 1, 1, 2])],
      [("size", .int(2))], isSmooth: false),
    OpSample("no images", [.normal([0, 2, 4, 4]), .normal([0, 2, 2, 2])], [("size", .int(2))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "cotangent does not match", [TensorType(.f32, [1, 1, 4, 4]), TensorType(.f32, [1, 1, 4, 4])],
      [("size", .int(2))],
      message: "the cotangent must be [1, 1, 2, 2] for images [1, 1, 4, 4], got [1, 1, 4, 4]")
  ]
}

extension GraphBuilder {
  /// Appends the cotangent of `x` where `dy` is that of its max pool.
  package func maxPoolGradient(
    _ x: GraphValue, _ dy: GraphValue, _ attributes: PoolAttributes
  ) throws -> GraphValue {
    try emit(MaxPoolGradient(attributes), x, dy)
  }
}
