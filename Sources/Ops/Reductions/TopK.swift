import Graphs
import Kernels
import Tensors

/// `topk(x, k, axis)`: the largest elements, and where they stand.
package struct TopK: TensorOp {
  package let count: Int
  package let axis: Int

  package static let name = "topk"
  package static let documentation = """
    Takes the `k` largest elements along an axis, largest first; gives the values and their indices.

    Shapes: [.., n, ..] -> values and i64 indices [.., k, ..]. Of equal elements the first comes first. A
    nan is larger than all numbers.

    >>> values, indices = topk([3, 1, 4, 2], 2)
    >>> values
    f32[2]
    [4., 3.]
    >>> indices
    i64[2]
    [2, 0]
    """
  package static let signature = Signature(
    .operand("x"), .attribute("k", .int), .attribute("axis", .axis, default: .int(-1)))
  package static let dtypes = DTypeSet.wide
  package static let traits = OpTraits.sorting

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    count = try attributes.int("k")
    axis = try attributes.axis("axis", rank: operands[0].rank)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let x = operands[0]
    try TopK.requireDTypes(of: operands)
    guard (0...x.shape[axis]).contains(count) else {
      throw OpRejection(
        "axis \(axis) of \(x) has \(x.shape[axis]) elements, \(count) of them are wanted",
        code: "bad-argument")
    }
    var shape = x.shape
    shape[axis] = count
    return [TensorType(x.dtype, shape), TensorType(.i64, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .places(rank: operands[0].rank, operands: 1, mixed: [axis], attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    sortedLines(of: operands[0], axis: axis, order: .descending, keeping: count)
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    sortLines(operands[0], axis: axis, order: .descending, values: results[0], indices: results[1])
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // y = x[indices]:  dx = zeros, with dy put back where its elements came from
  package var gradient: Gradient {
    .pullback { g, at in [try putBack(g, at, axis: axis)] }
  }

  package static let samples = [
    OpSample("a line", [.normal([9])], [("k", .int(3))]),
    OpSample("all of it", [.normal([2, 4])], [("k", .int(4))]),
    OpSample("first axis", [.normal([6, 3])], [("k", .int(2)), ("axis", .int(0))]),
    OpSample("ties", [.values([1, 2, 2, 1, 2], [5])], [("k", .int(2))], isSmooth: false),
    OpSample("none", [.normal([3])], [("k", .int(0))]),
    OpSample("no lines", [.normal([0, 3])], [("k", .int(1))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "too many", [TensorType(.f32, [2, 3])], [("k", .int(4))],
      message: "axis 1 of f32[2, 3] has 3 elements, 4 of them are wanted"),
    .init(
      "negative", [TensorType(.f32, [3])], [("k", .int(-1))],
      message: "axis 0 of f32[3] has 3 elements, -1 of them are wanted"),
    .init("a number", [TensorType(.f32, [])], [("k", .int(1))], message: "a single number has no axes"),
  ]
}
