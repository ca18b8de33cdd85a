import Graphs
import Kernels
import Tensors

/// `linspace(start, stop, count)`: evenly spaced numbers with both ends.
package struct Linspace: TensorOp {
  package let start: Double
  package let stop: Double
  package let count: Int
  package let dtype: DType

  package static let name = "linspace"
  package static let documentation = """
    Spaces `count` numbers evenly from `start` to `stop`, both included.

    >>> linspace(0, 1, 5)
    f32[5]
    [0.0000, 0.2500, 0.5000, 0.7500, 1.0000]
    """
  package static let signature = Signature(
    .attribute("start", .number), .attribute("stop", .number), .attribute("count", .int),
    .attribute("dtype", .dtype, default: .dtype(.f32)))
  package static let dtypes = DTypeSet.wideFloating
  package static let traits = OpTraits.source

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    start = try attributes.number("start")
    stop = try attributes.number("stop")
    count = try attributes.int("count")
    dtype = try attributes.dtype("dtype")
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Linspace.requireDTypes(of: [TensorType(dtype, [])])
    guard count >= 0, Shape([count]).checkedElementCount != nil else {
      throw OpRejection("\(count) is no number of elements", code: "bad-shape")
    }
    return [TensorType(dtype, [count])]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let last = Double(max(count - 1, 1))
    let values = (0..<count).map { index in
      let share = Double(index) / last
      return start * (1 - share) + stop * share
    }
    return [ReferenceTensor(TensorType(dtype, [count]), values)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    fillSpaced(results[0], from: start, to: stop)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "it has no operands") }

  package static let samples = [
    OpSample("five", [], [("start", .int(0)), ("stop", .int(1)), ("count", .int(5))]),
    OpSample("downwards", [], [("start", .number(2.5)), ("stop", .int(-1)), ("count", .int(8))]),
    OpSample("one", [], [("start", .int(3)), ("stop", .int(9)), ("count", .int(1))]),
    OpSample("none", [], [("start", .int(3)), ("stop", .int(9)), ("count", .int(0))]),
    OpSample(
      "f64", [],
      [("start", .int(0)), ("stop", .int(1)), ("count", .int(4)), ("dtype", .dtype(.f64))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "negative count", [], [("start", .int(0)), ("stop", .int(1)), ("count", .int(-1))],
      message: "-1 is no number of elements"),
    .init(
      "integers", [],
      [("start", .int(0)), ("stop", .int(1)), ("count", .int(3)), ("dtype", .dtype(.i64))],
      message: "linspace expects f32 or f64, got i64"),
  ]
}
