import Graphs
import Kernels
import Tensors

/// `conv2d_input_gradient(dy, weight)`: the cotangent of the images of a convolution.
package struct Conv2DInputGradient: TensorOp {
  /// The height and width of the images.
  package let image: Extent
  package let attributes: ConvolutionAttributes

  package static let name = "conv2d_input_gradient"
  package static let documentation = """
    Gives the gradient of conv2d for its images; by itself, a transposed convolution.

    Shapes: dy [n, o, oh, ow], weight [o, c / groups, kh, kw] -> [n, c, h, w] with [h, w] = `size`, which
    must be a size that conv2d takes to [oh, ow] with the same attributes. Each element of dy adds the
    weights, times itself, to the pixels that it was made from.

    >>> conv2d_input_gradient([[[[1, 10]]]], [[[[1, 2]]]], [1, 3])
    f32[1, 1, 1, 3]
    [[[[ 1., 12., 20.]]]]
    """
  package static let signature = Signature(
    [.operand("dy"), .operand("weight"), .attribute("size", .shape)]
      + ConvolutionAttributes.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.convolution

  package init(image: Extent, _ attributes: ConvolutionAttributes) {
    self.image = image
    self.attributes = attributes
  }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    image = try attributes.extent("size")
    self.attributes = try ConvolutionAttributes(
      attributes, image: image, filter: operands[1].extent("the weight"))
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    let (dy, weight) = (operands[0], operands[1])
    _ = try dy.extent("the cotangent")
    _ = try weight.extent("the weight")
    let x = TensorType(
      dy.dtype, [dy.shape[0], weight.shape[1] * attributes.groups, image.height, image.width])
    let sizes = try attributes.sizes(x, weight)
    guard dy.shape == sizes.outputShape else {
      throw OpRejection(
        "the cotangent must be \(sizes.outputShape) for images \(x.shape), got \(dy.shape)")
    }
    return [x]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (dy, weight) = (operands[0], operands[1])
    let sizes = sizes(dy.shape, weight.shape)
    var dx = [Double](repeating: 0, count: sizes.inputShape.elementCount)
    sizes.forEachProduct { dx[$0] += dy.values[$2] * weight.values[$1] }
    return [ReferenceTensor(TensorType(dy.type.dtype, sizes.inputShape), dx)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let sizes = sizes(Shape(operands[0].shape), Shape(operands[1].shape))
    convolveInputGradient(operands[0], operands[1], into: results[0], sizes)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    convolveInputGradientScratchByteCount(
      results[0].dtype, sizes(Shape(operands[0].shape), Shape(operands[1].shape)))
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  private func sizes(_ dy: Shape, _ weight: Shape) -> ConvolutionSizes {
    ConvolutionSizes(
      batch: dy[0], groups: attributes.groups, inputChannels: weight[1],
      outputChannels: weight[0] / attributes.groups, image: image,
      window: attributes.window(Extent(weight[2], weight[3])))
  }

  // <dx, conv_x^T(dy)> = <conv(dx), dy>, so the family is closed.
  package var gradient: Gradient {
    .pullback { [attributes] g, at in
      let (dy, weight, ddx) = (at.operands[0], at.operands[1], at.cotangent)
      return [
        try g.conv2d(ddx, weight, attributes),
        try g.conv2dWeightGradient(
          ddx, dy, filter: Extent(weight.shape[2], weight.shape[3]), attributes),
      ]
    }
  }

  package static let samples: [OpSample] = [
    OpSample(
      "3x3", [.normal([2, 4, 3, 4]), .normal([4, 3, 3, 3])], [("size", .ints([5, 6]))]),
    OpSample(
      "pointwise", [.normal([2, 5, 4, 3]), .normal([5, 3, 1, 1])], [("size", .ints([4, 3]))]),
    OpSample(
      "stride and padding", [.normal([1, 3, 4, 4]), .normal([3, 2, 3, 2])],
      [("size", .ints([7, 8])), ("stride", .ints([2, 3])), ("padding", .ints([1, 2]))]),
    OpSample(
      "groups and dilation", [.normal([1, 4, 3, 5]), .normal([4, 1, 2, 3])],
      [("size", .ints([4, 5])), ("groups", .int(2)), ("dilation", .ints([1, 2])),
       ("padding", .ints([0, 0, 2, 2]))]),
    OpSample("no images", [.normal([0, 3, 2, 2]), .normal([3, 2, 3, 3])], [("size", .ints([4, 4]))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "size does not match", [TensorType(.f32, [1, 1, 2, 2]), TensorType(.f32, [1, 1, 3, 3])],
      [("size", .ints([5, 5]))],
      message: "the cotangent must be [1, 1, 3, 3] for images [1, 1, 5, 5], got [1, 1, 2, 2]"),
    .init(
      "rank", [TensorType(.f32, [2, 2]), TensorType(.f32, [1, 1, 3, 3])], [("size", .ints([4, 4]))],
      message: "the cotangent must have four axes, got f32[2, 2]"),
  ]
}

extension GraphBuilder {
  /// Appends the cotangent of the images of a convolution whose result has the cotangent `dy`.
  package func conv2dInputGradient(
    _ dy: GraphValue, _ weight: GraphValue, image: Extent, _ attributes: ConvolutionAttributes
  ) throws -> GraphValue {
    try emit(Conv2DInputGradient(image: image, attributes), dy, weight)
  }
}
