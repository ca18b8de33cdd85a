import Graphs
import Kernels
import Tensors

/// `cumsum(x, axis)`: running sums.
package struct Cumsum: TensorOp {
  package let axis: Int

  package init(axis: Int) {
    self.axis = axis
  }

  package static let name = "cumsum"
  package static let documentation = """
    Adds up elements along an axis, leaving each sum on the way.

    Shapes: [.., n, ..] -> the same. Element i of the result is the sum of the elements up to and with i,
    added in f64 and rounded once. Whole numbers and bool give i64; a sum beyond it is an error.

    >>> cumsum([1, 2, 3, 4], 0)
    f32[4]
    [ 1.,  3.,  6., 10.]
    >>> cumsum([[1, 2], [3, 4]], axis: 0)
    f32[2, 2]
    [[1., 2.],
     [4., 6.]]
    """
  package static let signature = Signature(.operand("x"), .attribute("axis", .axis))
  package static let dtypes = DTypeSet.wide
  package static let traits = OpTraits(
    precision: .f32, cost: .memoryBound, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .contiguous, broadcasts: false, inPlace: false)

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    axis = try attributes.axis("axis", rank: operands[0].rank)
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Cumsum.requireDTypes(of: operands)
    return [resultType(of: operands[0])]
  }

  private func resultType(of x: TensorType) -> TensorType {
    TensorType(x.dtype.isFloating ? x.dtype : .i64, x.shape)
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .places(rank: operands[0].rank, operands: 1, mixed: [axis], attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let x = operands[0]
    var result = ReferenceTensor(resultType(of: x.type), x.values)
    ReferenceTensor.forEachIndex(in: x.shape) { index in
      if index[axis] == 0 { return }
      var previous = index
      previous[axis] -= 1
      result[index] += result[previous]
    }
    return [result]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    guard scanSum(operands[0], axis: axis, into: results[0]) else {
      throw KernelFault("a running sum does not fit in i64", code: "integer-overflow")
    }
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    scanScratchByteCount(LineSizes(operands[0].shape, axis: axis))
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { ReductionKind.sum.mayOverflow(operands[0]) }

  // Element i takes part in every sum from i on:  dx = running sums of dy from the end
  package var gradient: Gradient {
    .pullback { g, at in
      let reversed = try g.flip(at.cotangent, axes: [axis])
      return [try g.flip(try g.emit(self, reversed), axes: [axis])]
    }
  }

  package static let samples = [
    OpSample("a line", [.normal([9])], [("axis", .int(0))]),
    OpSample("last axis", [.normal([3, 5])], [("axis", .int(-1))]),
    OpSample("first axis", [.normal([5, 3])], [("axis", .int(0))]),
    OpSample("middle axis", [.normal([2, 4, 3])], [("axis", .int(1))]),
    OpSample("many columns", [.normal([3, 200])], [("axis", .int(0))]),
    OpSample("empty", [.normal([0, 3])], [("axis", .int(0))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "axis out of range", [TensorType(.f32, [2])], [("axis", .int(1))],
      message: "axis 1 is out of range for rank 1"),
    .init(
      "a number", [TensorType(.f32, [])], [("axis", .int(0))],
      message: "a single number has no axes"),
  ]
}
