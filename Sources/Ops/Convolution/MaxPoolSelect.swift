import Graphs
import Kernels
import Tensors

/// `max_pool_select(x, values)`: what stands in `values` where each window of `x` is largest.
package struct MaxPoolSelect: TensorOp {
  package let attributes: PoolAttributes

  package static let name = "max_pool_select"
  package static let documentation = """
    Takes from each window of values the element at the place where x is largest.

    Shapes: x, values [n, c, h, w] -> [n, c, oh, ow], as max_pool, which is max_pool_select(x, x). Of equal
    pixels the first counts. The gradient of max_pool_gradient.

    >>> max_pool_select([[[[1, 9], [3, 4]]]], [[[[10, 20], [30, 40]]]], 2)
    f32[1, 1, 1, 1]
    [[[[20.]]]]
    """
  package static let signature = Signature(
    [.operand("x"), .operand("values")] + PoolAttributes.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.pool

  package init(_ attributes: PoolAttributes) { self.attributes = attributes }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    self.attributes = try PoolAttributes(attributes, image: operands[0].extent("the image"))
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    let (x, values) = (operands[0], operands[1])
    let sizes = try attributes.sizes(x)
    guard values.shape == x.shape else {
      throw OpRejection("the images and their values differ, \(x.shape) and \(values.shape)")
    }
    return [TensorType(x.dtype, sizes.outputShape(of: x.shape))]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (x, values) = (operands[0], operands[1])
    let sizes = attributes.sizes(x.shape)
    let shape = sizes.outputShape(of: x.shape)
    var y = [Double](repeating: 0, count: shape.elementCount)
    sizes.forEachWindow { y[$0] = values.values[firstMaximum(x.values, $1)] }
    return [ReferenceTensor(TensorType(x.type.dtype, shape), y)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    Kernels.maxPoolSelect(
      operands[0], operands[1], into: results[0], attributes.sizes(Shape(operands[0].shape)))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient {
    .pullback { [attributes] g, at in
      [nil, try g.maxPoolGradient(at.operands[0], at.cotangent, attributes)]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("2x2", [.distinctPixels([2, 3, 4, 6]), .normal([2, 3, 4, 6])], [("size", .int(2))]),
    OpSample(
      "overlapping, padded", [.distinctPixels([1, 2, 5, 6]), .normal([1, 2, 5, 6])],
      [("size", .int(3)), ("stride", .int(2)), ("padding", .int(1))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "shapes differ", [TensorType(.f32, [1, 1, 4, 4]), TensorType(.f32, [1, 1, 4, 2])],
      [("size", .int(2))],
      message: "the images and their values differ, [1, 1, 4, 4] and [1, 1, 4, 2]")
  ]
}

extension GraphBuilder {
  /// Appends the elements of `values` that stand where the windows of `x` are largest.
  package func maxPoolSelect(
    _ x: GraphValue, _ values: GraphValue, _ attributes: PoolAttributes
  ) throws -> GraphValue {
    try emit(MaxPoolSelect(attributes), x, values)
  }
}
