import Graphs
import Kernels
import Tensors

/// `avg_pool_gradient(dy)`: the cotangent of the images of an average pool.
package struct AveragePoolGradient: TensorOp {
  /// The height and width of the images.
  package let image: Extent
  package let attributes: PoolAttributes

  package static let name = "avg_pool_gradient"
  package static let documentation = """
    Gives the gradient of avg_pool: each element of dy, spread in equal parts over its window.

    Shapes: dy [n, c, oh, ow] -> [n, c, h, w] with [h, w] = `image`, which must be a size that avg_pool
    takes to [oh, ow] with the same attributes.

    >>> avg_pool_gradient([[[[4, 8]]]], [2, 4], 2)
    f32[1, 1, 2, 4]
    [[[[1., 1., 2., 2.],
       [1., 1., 2., 2.]]]]
    """
  package static let signature = Signature(
    [.operand("dy"), .attribute("image", .shape)] + PoolAttributes.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.pool

  package init(image: Extent, _ attributes: PoolAttributes) {
    self.image = image
    self.attributes = attributes
  }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    image = try attributes.extent("image")
    self.attributes = try PoolAttributes(attributes, image: image)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    let dy = operands[0]
    _ = try dy.extent("the cotangent")
    let x = TensorType(dy.dtype, [dy.shape[0], dy.shape[1], image.height, image.width])
    try attributes.sizes(x).require(dy, matches: x)
    return [x]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let dy = operands[0]
    let shape = Shape([dy.shape[0], dy.shape[1], image.height, image.width])
    var dx = [Double](repeating: 0, count: shape.elementCount)
    attributes.sizes(shape).forEachWindow { position, pixels in
      for pixel in pixels { dx[pixel] += dy.values[position] / Double(attributes.size.area) }
    }
    return [ReferenceTensor(TensorType(dy.type.dtype, shape), dx)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    Kernels.averagePoolGradient(
      operands[0], into: results[0], attributes.sizes(Shape(results[0].shape)))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient {
    .pullback { [attributes] g, at in [try g.averagePool(at.cotangent, attributes)] }
  }

  package static let samples: [OpSample] = [
    OpSample("2x2", [.normal([2, 3, 2, 3])], [("size", .int(2)), ("image", .ints([4, 6]))]),
    OpSample(
      "overlapping, padded", [.normal([1, 2, 3, 3])],
      [("size", .int(3)), ("stride", .int(2)), ("padding", .int(1)), ("image", .ints([5, 6]))]),
    OpSample("no images", [.normal([0, 2, 2, 2])], [("size", .int(2)), ("image", .ints([4, 5]))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "image does not match", [TensorType(.f32, [1, 1, 2, 2])],
      [("size", .int(2)), ("image", .ints([6, 4]))],
      message: "the cotangent must be [1, 1, 3, 2] for images [1, 1, 6, 4], got [1, 1, 2, 2]")
  ]
}

extension GraphBuilder {
  /// Appends the cotangent of images of size `image` where `dy` is that of their average pool.
  package func averagePoolGradient(
    _ dy: GraphValue, image: Extent, _ attributes: PoolAttributes
  ) throws -> GraphValue {
    try emit(AveragePoolGradient(image: image, attributes), dy)
  }
}
