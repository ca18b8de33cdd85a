import Graphs
import Kernels
import Tensors

/// `conv2d_weight_gradient(x, dy)`: the cotangent of the filters of a convolution.
package struct Conv2DWeightGradient: TensorOp {
  /// The height and width of the filters.
  package let filter: Extent
  package let attributes: ConvolutionAttributes

  package static let name = "conv2d_weight_gradient"
  package static let documentation = """
    Gives the gradient of conv2d for its filters.

    Shapes: x [n, c, h, w], dy [n, o, oh, ow] -> [o, c / groups, kh, kw] with [kh, kw] = `size`, which must
    be a size for which conv2d gives [oh, ow] with the same attributes. Each weight gets the products of
    the pixels it met with the elements of dy that they went into.

    >>> conv2d_weight_gradient([[[[1, 2, 3]]]], [[[[1, 10]]]], [1, 2])
    f32[1, 1, 1, 2]
    [[[[21., 32.]]]]
    """
  package static let signature = Signature(
    [.operand("x"), .operand("dy"), .attribute("size", .shape)] + ConvolutionAttributes.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.convolution

  package init(filter: Extent, _ attributes: ConvolutionAttributes) {
    self.filter = filter
    self.attributes = attributes
  }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    filter = try attributes.extent("size")
    self.attributes = try ConvolutionAttributes(
      attributes, image: operands[0].extent("the image"), filter: filter)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    let (x, dy) = (operands[0], operands[1])
    _ = try x.extent("the image")
    _ = try dy.extent("the cotangent")
    guard x.shape[1] % attributes.groups == 0 else {
      throw OpRejection("\(attributes.groups) groups do not divide \(x.shape[1]) channels of \(x)")
    }
    let weight = TensorType(
      x.dtype, [dy.shape[1], x.shape[1] / attributes.groups, filter.height, filter.width])
    guard weight.shape.checkedElementCount != nil else {
      throw OpRejection("filters \(weight) are too large", code: "out-of-memory")
    }
    let sizes = try attributes.sizes(x, weight)
    guard dy.shape == sizes.outputShape else {
      throw OpRejection(
        "the cotangent must be \(sizes.outputShape) for filters \(weight.shape), got \(dy.shape)")
    }
    return [weight]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (x, dy) = (operands[0], operands[1])
    let sizes = sizes(x.shape, dy.shape)
    var dw = [Double](repeating: 0, count: sizes.weightShape.elementCount)
    sizes.forEachProduct { dw[$1] += x.values[$0] * dy.values[$2] }
    return [ReferenceTensor(TensorType(x.type.dtype, sizes.weightShape), dw)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let sizes = sizes(Shape(operands[0].shape), Shape(operands[1].shape))
    convolveWeightGradient(operands[0], operands[1], into: results[0], sizes)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    convolveWeightGradientScratchByteCount(
      results[0].dtype, sizes(Shape(operands[0].shape), Shape(operands[1].shape)))
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  private func sizes(_ x: Shape, _ dy: Shape) -> ConvolutionSizes {
    ConvolutionSizes(
      batch: x[0], groups: attributes.groups, inputChannels: x[1] / attributes.groups,
      outputChannels: dy[1] / attributes.groups, image: Extent(x[2], x[3]),
      window: attributes.window(filter))
  }

  package var gradient: Gradient {
    .pullback { [attributes] g, at in
      let (x, dy, ddw) = (at.operands[0], at.operands[1], at.cotangent)
      return [
        try g.conv2dInputGradient(
          dy, ddw, image: Extent(x.shape[2], x.shape[3]), attributes),
        try g.conv2d(x, ddw, attributes),
      ]
    }
  }

  package static let samples: [OpSample] = [
    OpSample(
      "3x3", [.normal([2, 3, 5, 6]), .normal([2, 4, 3, 4])], [("size", .ints([3, 3]))]),
    OpSample(
      "pointwise", [.normal([2, 3, 4, 3]), .normal([2, 5, 4, 3])], [("size", .ints([1, 1]))]),
    OpSample(
      "stride and padding", [.normal([1, 2, 7, 8]), .normal([1, 3, 4, 4])],
      [("size", .ints([3, 2])), ("stride", .ints([2, 3])), ("padding", .ints([1, 2]))]),
    OpSample(
      "groups and dilation", [.normal([1, 2, 4, 5]), .normal([1, 4, 3, 5])],
      [("size", .ints([2, 3])), ("groups", .int(2)), ("dilation", .ints([1, 2])),
       ("padding", .ints([0, 0, 2, 2]))]),
    OpSample("no images", [.normal([0, 2, 4, 4]), .normal([0, 3, 2, 2])], [("size", .ints([3, 3]))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "size does not match", [TensorType(.f32, [1, 1, 5, 5]), TensorType(.f32, [1, 1, 2, 2])],
      [("size", .ints([3, 3]))],
      message: "the cotangent must be [1, 1, 3, 3] for filters [1, 1, 3, 3], got [1, 1, 2, 2]"),
    .init(
      "batches differ", [TensorType(.f32, [2, 1, 5, 5]), TensorType(.f32, [1, 1, 3, 3])],
      [("size", .ints([3, 3]))], message: "the cotangent must be [2, 1, 3, 3]"),
  ]
}

extension GraphBuilder {
  /// Appends the cotangent of the filters of a convolution whose result has the cotangent `dy`.
  package func conv2dWeightGradient(
    _ x: GraphValue, _ dy: GraphValue, filter: Extent, _ attributes: ConvolutionAttributes
  ) throws -> GraphValue {
    try emit(Conv2DWeightGradient(filter: filter, attributes), x, dy)
  }
}
