import Graphs
import Kernels
import Tensors

/// `sort(x, axis, descending)`: elements in order, and where each came from.
package struct Sort: TensorOp {
  package let axis: Int
  package let order: SortOrder

  package static let name = "sort"
  package static let documentation = """
    Sorts elements along an axis; gives the values and the index that each came from.

    Shapes: [.., n, ..] -> values and i64 indices of the same shape. Equal elements keep their order. A nan
    is larger than all numbers.

    >>> values, indices = sort([3, 1, 2])
    >>> values
    f32[3]
    [1., 2., 3.]
    >>> indices
    i64[3]
    [1, 2, 0]
    """
  package static let signature = Signature(
    .operand("x"), .attribute("axis", .axis, default: .int(-1)),
    .attribute("descending", .bool, default: .bool(false)))
  package static let dtypes = DTypeSet.wide
  package static let traits = OpTraits.sorting

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axis = try attributes.axis("axis", rank: operands[0].rank)
    order = try attributes.bool("descending") ? .descending : .ascending
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Sort.requireDTypes(of: operands)
    return [operands[0], TensorType(.i64, operands[0].shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .places(rank: operands[0].rank, operands: 1, mixed: [axis], attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    sortedLines(of: operands[0], axis: axis, order: order, keeping: operands[0].shape[axis])
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    sortLines(operands[0], axis: axis, order: order, values: results[0], indices: results[1])
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // y = x[indices]:  dx = zeros, with dy put back where its elements came from
  package var gradient: Gradient {
    .pullback { g, at in [try putBack(g, at, axis: axis)] }
  }

  package static let samples = [
    OpSample("a line", [.normal([9])]),
    OpSample("descending", [.normal([2, 7])], [("descending", .bool(true))]),
    OpSample("first axis", [.normal([6, 3])], [("axis", .int(0))]),
    OpSample("middle axis", [.normal([2, 5, 3])], [("axis", .int(1)), ("descending", .bool(true))]),
    OpSample("ties", [.values([2, 1, 2, 1, 2, 1, 2], [7])], isSmooth: false),
    OpSample(
      "ties, descending", [.values([2, 1, 2, 1, 2, 1, 2], [7])], [("descending", .bool(true))],
      isSmooth: false),
    OpSample(
      "nan", [.values([2, .nan, -.infinity, .infinity, .nan, 1], [6], dtype: .f32)], isSmooth: false),
    OpSample("a long line", [.normal([200])]),
    OpSample("empty", [.normal([3, 0])]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "axis out of range", [TensorType(.f32, [2])], [("axis", .int(1))],
      message: "axis 1 is out of range for rank 1"),
    .init("a number", [TensorType(.f32, [])], message: "a single number has no axes"),
  ]
}

extension OpTraits {
  /// An op that moves elements to places which depend on their values.
  static let sorting = OpTraits(
    precision: .asIs, cost: .memoryBound, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .contiguous, broadcasts: false, inPlace: false)
}

/// Returns the first `count` of each line in order, and where they came from.
func sortedLines(
  of x: ReferenceTensor, axis: Int, order: SortOrder, keeping count: Int
) -> [ReferenceTensor] {
  var shape = x.shape
  shape[axis] = count
  var values = ReferenceTensor.zeros(TensorType(x.type.dtype, shape))
  var indices = ReferenceTensor.zeros(TensorType(.i64, shape))
  var lines = shape
  lines[axis] = min(count, 1)
  ReferenceTensor.forEachIndex(in: lines) { start in
    func place(_ position: Int) -> [Int] {
      var index = start
      index[axis] = position
      return index
    }
    let line = (0..<x.shape[axis]).map { x[place($0)] }
    let sorted = line.indices.sorted { a, b in
      let (first, second) = order == .ascending ? (line[a], line[b]) : (line[b], line[a])
      if first == second || (first.isNaN && second.isNaN) { return a < b }
      return first < second || second.isNaN
    }
    for (position, source) in sorted.prefix(count).enumerated() {
      values[place(position)] = line[source]
      indices[place(position)] = Double(source)
    }
  }
  return [values, indices]
}

extension TensorOp {
  /// The cotangent of sorted values, put back where they came from.
  func putBack(_ g: GraphBuilder, _ at: Pullback, axis: Int) throws -> GraphValue? {
    guard let dy = at.cotangents[0] else { return nil }
    let size = at.operands[0].shape[axis]
    return try g.scatterAddAlong(at.results[1], updates: dy, axis: axis, size: size)
  }
}
