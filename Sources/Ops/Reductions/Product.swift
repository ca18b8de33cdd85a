import Graphs
import Kernels
import Tensors

/// `prod(x, axis, keep)`: elements multiplied along axes.
package struct Product: Reduction {
  package let axes: [Int]
  package let keep: Bool

  package init(axes: [Int], keep: Bool) {
    self.axes = axes
    self.keep = keep
  }

  package static let name = "prod"
  package static let documentation = """
    Multiplies elements along axes.

    Without `axis` all elements; `axis` is one axis or a list. With `keep: true` the axes stay with size
    1. Whole numbers and bool give i64; a product beyond it is an error. The product of nothing is 1.

    >>> prod([2, 3, 4])
    24.0
    >>> prod([[1, 2], [3, 4]], axis: 1)
    f32[2]
    [ 2., 12.]
    """
  package static let dtypes = DTypeSet.wide
  package static let traits = OpTraits(
    precision: .f32, cost: .memoryBound, fusion: .reduction, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)

  package static let hasEmptyResult = true
  package func resultDType(of operand: DType) -> DType { operand.isFloating ? operand : .i64 }
  package static func reduce(_ elements: [Double]) -> Double { elements.reduce(1, *) }

  package var kernel: ReductionKind { .product }

  // y = prod(x):  dx_i = dy * (product of the others), which is y / x_i but for zeros: with the zeros
  // read as ones, their product over x_i stands wherever no other element is zero, and 0 elsewhere.
  package var gradient: Gradient {
    .pullback { g, at in
      let x = at.operands[0]
      let zero = try g.zeros(like: x)
      let one = try g.number(1, like: x)
      let isZero = try g.equal(x, zero)
      let factors = try g.select(isZero, one, x)
      let product = try g.emit(Product(axes: axes, keep: true), factors)
      let others = try g.divide(try g.broadcast(product, to: x.shape), factors)
      let zeroes = try g.cast(isZero, to: x.dtype)
      let zeroCount = try g.sum(zeroes, axes: axes, keepingAxes: true)
      let otherZeroes = try g.subtract(try g.broadcast(zeroCount, to: x.shape), zeroes)
      let rate = try g.select(try g.equal(otherZeroes, zero), others, zero)
      return [try g.multiply(try spread(g, at.cotangent, over: x), rate)]
    }
  }

  package static let samples =
    OpSample.reductionSamples { .uniform($0, 0.9...1.1) }
    + [
      OpSample("of nothing", [.normal([0])]),
      OpSample(
        "zeros", [.values([2, 0, 3, 0, 4, 0, 5, 6, 7], [3, 3])], [("axis", .int(1))],
        isSmooth: false),
    ]
  package static let rejections = OpSample.Rejected.reductionAxes
}
