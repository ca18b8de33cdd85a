import Graphs
import Tensors

/// `reshape(x, shape)`: the same elements in row-major order under another shape.
package struct Reshape: ViewOp {
  package let shape: Shape

  package init(shape: Shape) {
    self.shape = shape
  }

  package static let name = "reshape"
  package static let documentation = """
    Reads the elements, in row-major order, under another shape.

    One size may be -1: it follows from the others. Nothing is copied unless `x` is a view whose elements
    do not lie in that order.

    >>> reshape([1, 2, 3, 4, 5, 6], [2, -1])
    f32[2, 3]
    [[1., 2., 3.],
     [4., 5., 6.]]
    """
  package static let signature = Signature(.operand("x"), .attribute("shape", .shape))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits.view

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    var sizes = try attributes.ints("shape")
    if let open = sizes.firstIndex(of: -1) {
      sizes[open] = 1
      let known = sizes.contains { $0 < 0 } ? nil : Shape(sizes).checkedElementCount
      guard let known, known > 0, operands[0].elementCount.isMultiple(of: known) else {
        sizes[open] = -1
        if sizes.count(where: { $0 == -1 }) > 1 {
          throw OpRejection(
            "-1 stands more than once in \(Shape(sizes))", code: "bad-shape",
            notes: ["one size can follow from the others"])
        }
        throw OpRejection(
          "no size for -1 in \(Shape(sizes)) makes \(operands[0].elementCount) elements of it",
          code: "bad-shape")
      }
      sizes[open] = operands[0].elementCount / known
    }
    if let size = sizes.first(where: { $0 < 0 }) {
      throw OpRejection("a size cannot be negative, got \(size)", code: "bad-shape")
    }
    shape = Shape(sizes)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let x = operands[0]
    try Reshape.requireDTypes(of: [x])
    let count = shape.checkedElementCount
    guard count == x.elementCount else {
      let wanted = count.map(String.init) ?? "too many to count"
      throw OpRejection(
        "\(x.shape) has \(x.elementCount) elements, \(shape) has \(wanted)", code: "bad-shape")
    }
    return [TensorType(x.dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    var map = AxisMap(results: [], additivity: .together, attributes: 0)
    map.isRegrouping = true
    return map
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    [ReferenceTensor(TensorType(operands[0].type.dtype, shape), operands[0].values)]
  }

  /// Matches groups of old axes with groups of new axes of the same count. A group can be split anew if
  /// its old axes walk as one: each stride is the next one's times its size.
  package func layout(of operand: Layout) -> Layout? {
    if shape.elementCount == 0 {
      return Layout(shape: shape, strides: shape.contiguousStrides, offset: operand.offset)
    }
    let old = zip(operand.shape.sizes, operand.strides).filter { $0.0 != 1 }
    var strides = [Int](repeating: 0, count: shape.rank)
    var axis = 0
    var new = 0
    while axis < old.count {
      var oldCount = old[axis].0
      var newCount = 1
      let firstNew = new
      // Grow the smaller side until both hold the same count.
      while oldCount != newCount {
        if newCount < oldCount {
          newCount *= shape[new]
          new += 1
        } else {
          guard old[axis].1 == old[axis + 1].0 * old[axis + 1].1 else { return nil }
          axis += 1
          oldCount *= old[axis].0
        }
      }
      var stride = old[axis].1
      for member in (firstNew..<new).reversed() {
        strides[member] = stride
        stride *= shape[member]
      }
      axis += 1
    }
    return Layout(shape: shape, strides: strides, offset: operand.offset)
  }

  // dx = dy under the old shape
  package var gradient: Gradient {
    .pullback { g, at in [try g.reshape(at.cotangent, to: at.operands[0].shape)] }
  }

  package static let samples = [
    OpSample("split", [.normal([6])], [("shape", .ints([2, 3]))]),
    OpSample("merged", [.normal([2, 3, 4])], [("shape", .ints([6, 4]))]),
    OpSample("regrouped", [.normal([4, 6])], [("shape", .ints([2, 3, 4]))]),
    OpSample("open size", [.normal([2, 6])], [("shape", .ints([3, -1, 2]))]),
    OpSample("axes of one", [.normal([2, 1, 3])], [("shape", .ints([1, 2, 3, 1]))]),
    OpSample("to a single number", [.normal([1, 1])], [("shape", .ints([]))]),
    OpSample("empty", [.normal([0, 3])], [("shape", .ints([3, 0]))]),
    OpSample("empty, open size", [.normal([0, 3])], [("shape", .ints([-1, 3]))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "counts differ", [TensorType(.f32, [2, 3])], [("shape", .ints([4, 2]))],
      message: "[2, 3] has 6 elements, [4, 2] has 8"),
    .init(
      "does not divide", [TensorType(.f32, [2, 3])], [("shape", .ints([4, -1]))],
      message: "no size for -1 in [4, -1] makes 6 elements of it"),
    .init(
      "two open sizes", [TensorType(.f32, [2, 3])], [("shape", .ints([-1, -1]))],
      message: "-1 stands more than once in [-1, -1]"),
    .init(
      "any size would do", [TensorType(.f32, [0, 3])], [("shape", .ints([0, -1]))],
      message: "no size for -1 in [0, -1]"),
    .init(
      "negative", [TensorType(.f32, [2, 3])], [("shape", .ints([-2, 3]))],
      message: "a size cannot be negative, got -2"),
  ]
}

extension GraphBuilder {
  /// Appends `x` under another shape of as many elements; returns `x` itself where it has that shape.
  package func reshape(_ x: GraphValue, to shape: Shape) throws -> GraphValue {
    x.shape == shape && !keepsIdentities ? x : try emit(Reshape(shape: shape), x)
  }
}
