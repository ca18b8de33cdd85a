import Graphs
import Kernels
import Tensors

/// `avg_pool(x, size)`: the mean of the pixels of each window.
package struct AveragePool: TensorOp {
  package let attributes: PoolAttributes

  package static let name = "avg_pool"
  package static let documentation = """
    Takes the mean of the pixels of each window.

    Shapes and attributes: as max_pool. Padding counts as zeros: every sum is divided by the whole window.

    >>> avg_pool([[[[1, 2, 5, 0], [3, 4, 0, 0]]]], 2)
    f32[1, 1, 1, 2]
    [[[[2.5000, 1.2500]]]]
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
    sizes.forEachWindow { position, pixels in
      for pixel in pixels { y[position] += x.values[pixel] / Double(attributes.size.area) }
    }
    return [ReferenceTensor(TensorType(x.type.dtype, shape), y)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    averagePool(operands[0], into: results[0], attributes.sizes(Shape(operands[0].shape)))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient {
    .pullback { [attributes] g, at in
      let x = at.operands[0].shape
      return [
        try g.averagePoolGradient(at.cotangent, image: Extent(x[2], x[3]), attributes)
      ]
    }
  }

  package static let samples: [OpSample] = [
    OpSample("2x2", [.normal([2, 3, 4, 6])], [("size", .int(2))]),
    OpSample("windows dropped", [.normal([1, 2, 5, 5])], [("size", .int(2))]),
    OpSample(
      "overlapping, padded", [.normal([1, 2, 5, 6])],
      [("size", .int(3)), ("stride", .int(2)), ("padding", .int(1))]),
    OpSample(
      "oblong", [.normal([1, 1, 7, 5])],
      [("size", .ints([3, 2])), ("stride", .ints([2, 1])), ("padding", .ints([1, 0, 0, 1]))]),
    OpSample("whole image", [.normal([2, 2, 3, 5])], [("size", .ints([3, 5]))]),
    OpSample("no images", [.normal([0, 2, 4, 4])], [("size", .int(2))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "window too large", [TensorType(.f32, [1, 1, 4, 2])], [("size", .int(3))],
      message: "a window of 3x3 does not fit on f32[1, 1, 4, 2], 4x2 with padding"),
    .init(
      "too much padding", [TensorType(.f32, [1, 1, 4, 4])],
      [("size", .int(3)), ("padding", .int(2))],
      message: "padding may be half of the window at most, 1 and 1"),
  ]
}

extension GraphBuilder {
  /// Appends the mean of each window of `x` [n, c, h, w].
  package func averagePool(_ x: GraphValue, _ attributes: PoolAttributes) throws -> GraphValue {
    try emit(AveragePool(attributes), x)
  }
}
