import Graphs
import Kernels
import Tensors

/// `max_pool(x, size)`: the largest pixel of each window.
package struct MaxPool: TensorOp {
  package let attributes: PoolAttributes

  package static let name = "max_pool"
  package static let documentation = """
    Takes the largest pixel of each window.

    Shapes: x [n, c, h, w] -> [n, c, oh, ow], where oh = (h + padding - size) / stride + 1, rounded down.
    `size`, `stride` (`size` unless given): one number or [vertical, horizontal]. `padding` as in conv2d, but
    at most half of the window; it never is the largest. Windows that do not fit are dropped. The gradient
    goes to the largest pixel, of equal ones to the first in reading order.

    >>> max_pool([[[[1, 2, 5, 0], [3, 4, 0, 0]]]], 2)
    f32[1, 1, 1, 2]
    [[[[4., 5.]]]]
    """
  package static let signature = Signature([.operand("x")] + PoolAttributes.parameters)
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.pool

  package init(_ attributes: PoolAttributes) { self.attributes = attributes }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    self.attributes = try PoolAttributes(attributes, image: operands[0].extent("the image"))
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    let x = operands[0]
    return [TensorType(x.dtype, try attributes.sizes(x).outputShape(of: x.shape))]
  }

  /// Images and channels are independent of each other.
  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    AxisMap(results: [[0], [1], nil, nil], attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let x = operands[0]
    let sizes = attributes.sizes(x.shape)
    let shape = sizes.outputShape(of: x.shape)
    var y = [Double](repeating: 0, count: shape.elementCount)
    sizes.forEachWindow { y[$0] = x.values[firstMaximum(x.values, $1)] }
    return [ReferenceTensor(TensorType(x.type.dtype, shape), y)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    maxPool(operands[0], into: results[0], attributes.sizes(Shape(operands[0].shape)))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient {
    .pullback { [attributes] g, at in
      [try g.maxPoolGradient(at.operands[0], at.cotangent, attributes)]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("2x2", [.distinctPixels([2, 3, 4, 6])], [("size", .int(2))]),
    OpSample("windows dropped", [.distinctPixels([1, 2, 5, 5])], [("size", .int(2))]),
    OpSample(
      "overlapping, padded", [.distinctPixels([1, 2, 5, 6])],
      [("size", .int(3)), ("stride", .int(2)), ("padding", .int(1))]),
    OpSample(
      "oblong", [.distinctPixels([1, 1, 7, 5])],
      [("size", .ints([3, 2])), ("stride", .ints([2, 1])), ("padding", .ints([1, 0, 0, 1]))]),
    OpSample(
      "same", [.distinctPixels([1, 1, 5, 5])],
      [("size", .int(3)), ("stride", .int(1)), ("padding", .string("same"))]),
    OpSample(
      "ties", [.values([1, 1, 1, 1, 2, 0, 0, 2], [1, 1, 2, 4])], [("size", .int(2))],
      isSmooth: false),
    OpSample("no images", [.normal([0, 2, 4, 4])], [("size", .int(2))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "window too large", [TensorType(.f32, [1, 1, 4, 2])], [("size", .int(3))],
      message: "a window of 3x3 does not fit on f32[1, 1, 4, 2], 4x2 with padding"),
    .init(
      "too much padding", [TensorType(.f32, [1, 1, 4, 4])],
      [("size", .int(2)), ("padding", .int(2))],
      message: "padding may be half of the window at most, 1 and 1"),
    .init(
      "rank", [TensorType(.f32, [4, 4])], [("size", .int(2))],
      message: "the image must have four axes, got f32[4, 4]"),
    .init(
      "size zero", [TensorType(.f32, [1, 1, 4, 4])], [("size", .int(0))],
      message: "`size` must be one or two whole numbers of at least 1, got [0]"),
  ]
}

extension GraphBuilder {
  /// Appends the largest pixel of each window of `x` [n, c, h, w].
  package func maxPool(_ x: GraphValue, _ attributes: PoolAttributes) throws -> GraphValue {
    try emit(MaxPool(attributes), x)
  }
}
