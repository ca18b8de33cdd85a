import Graphs
import Kernels
import Tensors

/// `conv2d(x, weight)`: each filter of `weight` slid over the images `x`, products added up.
package struct Conv2D: TensorOp {
  package let attributes: ConvolutionAttributes

  package static let name = "conv2d"
  package static let documentation = """
    Slides filters over images and adds up the products of pixels and weights.

    Shapes: x [n, c, h, w], weight [o, c / groups, kh, kw] -> [n, o, oh, ow], where
    oh = (h + padding - (kh - 1) * dilation - 1) / stride + 1, rounded down.
    `stride`, `dilation`: one number, or [vertical, horizontal]. `padding` (zeros): one number,
    [vertical, horizontal], [top, bottom, left, right], or "same", which gives ceil(h / stride) rows.
    Filters are not flipped. With groups, each group of channels meets its own o / groups filters.

    >>> conv2d([[[[1, 2, 3], [4, 5, 6]]]], [[[[1, -1]]]])
    f32[1, 1, 2, 2]
    [[[[-1., -1.],
       [-1., -1.]]]]
    """
  package static let signature = Signature(
    [.operand("x"), .operand("weight")] + ConvolutionAttributes.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.convolution

  package init(_ attributes: ConvolutionAttributes) { self.attributes = attributes }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    self.attributes = try ConvolutionAttributes(
      attributes, image: operands[0].extent("the image"), filter: operands[1].extent("the weight"))
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    try Self.requireOneDType(of: operands)
    let sizes = try attributes.sizes(operands[0], operands[1])
    return [TensorType(operands[0].dtype, sizes.outputShape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { AxisMap(results: [[0, nil]], attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (x, weight) = (operands[0], operands[1])
    let sizes = sizes(x.shape, weight.shape)
    var y = [Double](repeating: 0, count: sizes.outputShape.elementCount)
    sizes.forEachProduct { y[$2] += x.values[$0] * weight.values[$1] }
    return [ReferenceTensor(TensorType(x.type.dtype, sizes.outputShape), y)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let sizes = sizes(Shape(operands[0].shape), Shape(operands[1].shape))
    convolve(operands[0], operands[1], into: results[0], sizes)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    convolveScratchByteCount(
      results[0].dtype, sizes(Shape(operands[0].shape), Shape(operands[1].shape)))
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  private func sizes(_ x: Shape, _ weight: Shape) -> ConvolutionSizes {
    ConvolutionSizes(
      batch: x[0], groups: attributes.groups, inputChannels: weight[1],
      outputChannels: weight[0] / attributes.groups, image: Extent(x[2], x[3]),
      window: attributes.window(Extent(weight[2], weight[3])))
  }

  // Linear in x and in weight: the gradient for one is the adjoint at the other.
  package var gradient: Gradient {
    .pullback { [attributes] g, at in
      let (x, weight, dy) = (at.operands[0], at.operands[1], at.cotangent)
      return [
        try g.conv2dInputGradient(
          dy, weight, image: Extent(x.shape[2], x.shape[3]), attributes),
        try g.conv2dWeightGradient(
          x, dy, filter: Extent(weight.shape[2], weight.shape[3]), attributes),
      ]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("3x3", [.normal([2, 3, 5, 6]), .normal([4, 3, 3, 3])]),
    OpSample("pointwise", [.normal([2, 3, 4, 3]), .normal([5, 3, 1, 1])]),
    OpSample(
      "stride and padding", [.normal([1, 2, 7, 6]), .normal([3, 2, 3, 2])],
      [("stride", .ints([2, 3])), ("padding", .ints([1, 2]))]),
    OpSample(
      "same, even filter", [.normal([1, 1, 5, 4]), .normal([2, 1, 2, 4])],
      [("padding", .string("same"))]),
    OpSample(
      "same, stride", [.normal([1, 2, 5, 8]), .normal([1, 2, 3, 3])],
      [("padding", .string("same")), ("stride", .int(2))]),
    OpSample(
      "dilation", [.normal([1, 2, 6, 7]), .normal([2, 2, 2, 3])],
      [("dilation", .ints([3, 2])), ("padding", .ints([1, 0, 2, 1]))]),
    OpSample(
      "groups", [.normal([2, 4, 4, 5]), .normal([6, 2, 3, 3])],
      [("groups", .int(2)), ("padding", .int(1))]),
    OpSample(
      "depthwise", [.normal([1, 3, 5, 5]), .normal([3, 1, 3, 3])], [("groups", .int(3))]),
    OpSample(
      "padding beyond the filter", [.normal([1, 1, 2, 2]), .normal([1, 1, 2, 2])],
      [("padding", .int(3))]),
    OpSample("no images", [.normal([0, 2, 4, 4]), .normal([3, 2, 3, 3])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "channels differ", [TensorType(.f32, [1, 3, 8, 8]), TensorType(.f32, [4, 2, 3, 3])],
      message: "channels differ, 3 and 2"),
    .init(
      "channels differ in groups",
      [TensorType(.f32, [1, 4, 8, 8]), TensorType(.f32, [4, 4, 3, 3])], [("groups", .int(2))],
      message: "channels differ, 2 in each of 2 groups and 4"),
    .init(
      "groups do not divide", [TensorType(.f32, [1, 3, 8, 8]), TensorType(.f32, [4, 1, 3, 3])],
      [("groups", .int(2))], message: "2 groups do not divide 3 channels of f32[1, 3, 8, 8]"),
    .init(
      "filter too large", [TensorType(.f32, [1, 1, 4, 4]), TensorType(.f32, [1, 1, 7, 3])],
      [("padding", .int(1))],
      message: "a window of 7x3 does not fit on f32[1, 1, 4, 4], 6x6 with padding"),
    .init(
      "rank", [TensorType(.f32, [3, 8, 8]), TensorType(.f32, [4, 3, 3, 3])],
      message: "the image must have four axes, got f32[3, 8, 8]"),
    .init(
      "stride zero", [TensorType(.f32, [1, 1, 4, 4]), TensorType(.f32, [1, 1, 3, 3])],
      [("stride", .int(0))],
      message: "`stride` must be one or two whole numbers of at least 1, got [0]"),
    .init(
      "padding in words", [TensorType(.f32, [1, 1, 4, 4]), TensorType(.f32, [1, 1, 3, 3])],
      [("padding", .string("valid"))], message: "whole numbers or \"same\", got \"valid\""),
    .init(
      "dtypes", [TensorType(.f32, [1, 1, 4, 4]), TensorType(.f64, [1, 1, 3, 3])],
      message: "expects operands of one dtype"),
  ]
}

extension GraphBuilder {
  /// Appends `x` [n, c, h, w] convolved with `weight` [o, c / groups, kh, kw].
  package func conv2d(
    _ x: GraphValue, _ weight: GraphValue, _ attributes: ConvolutionAttributes
  ) throws -> GraphValue {
    try emit(Conv2D(attributes), x, weight)
  }
}
