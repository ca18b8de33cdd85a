import Graphs
import Kernels
import Tensors

/// `randint(low, high, shape)`: independent whole numbers, equally likely in low ..< high.
package struct RandomInteger: TensorOp {
  package let low: Int
  package let high: Int
  package let shape: Shape
  /// The op's place in the trace.
  package let ordinal: Int

  package static let name = "randint"
  package static let documentation = """
    Draws whole numbers that are equally likely in low ..< high.

    Result: i64 of `shape`. `high` itself is never drawn. Operand 0, the key, is implicit.

    >>> seed(0); randint(0, 10, [8])
    i64[8]
    [8, 8, 7, 8, 6, 1, 6, 1]
    """
  package static let signature = Signature(
    .attribute("low", .int), .attribute("high", .int), .attribute("shape", .shape))
  package static let dtypes = DTypeSet(.i64)
  package static let traits = OpTraits.random

  package init(low: Int, high: Int, shape: Shape, ordinal: Int) throws(OpRejection) {
    guard low < high else {
      throw OpRejection(
        "no whole number is at least \(low) and below \(high)", code: "bad-argument")
    }
    self.low = low
    self.high = high
    self.shape = shape
    self.ordinal = ordinal
  }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    try self.init(
      low: attributes.int("low"), high: attributes.int("high"), shape: attributes.shape("shape"),
      ordinal: attributes.ordinal())
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try requireKey(operands)
    return [TensorType(.i64, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .drawing(shape.rank, [AnyHashable(low), AnyHashable(high), AnyHashable(ordinal)]) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let stream = RandomStream(operands[0], ordinal: ordinal)
    let span = UInt64(bitPattern: Int64(high &- low))
    let values = (0..<shape.elementCount).map { element in
      Double(low) + Double(stream.bits(at: element).multipliedFullWidth(by: span).high)
    }
    return [ReferenceTensor(TensorType(.i64, shape), values)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    fillIntegers(
      results[0], from: low, to: high, stream: RandomStream(key: operands[0], ordinal: ordinal))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "whole numbers have no gradient") }

  package static let samples: [OpSample] = [
    OpSample(
      "digits", [.randomKey], [("low", .int(0)), ("high", .int(10)), ("shape", .ints([4, 5]))]),
    OpSample(
      "around zero", [.randomKey], [("low", .int(-3)), ("high", .int(3)), ("shape", .ints([33]))]),
    OpSample(
      "one choice", [.randomKey], [("low", .int(5)), ("high", .int(6)), ("shape", .ints([3]))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "empty range", [randomKeyType],
      [("low", .int(3)), ("high", .int(3)), ("shape", .ints([2]))],
      message: "no whole number is at least 3 and below 3")
  ]
}

extension GraphBuilder {
  /// Appends whole numbers drawn from low ..< high.
  package func randomInteger(
    low: Int, high: Int, shape: Shape, key: GraphValue
  ) throws -> GraphValue {
    try emit(RandomInteger(low: low, high: high, shape: shape, ordinal: nextOrdinal()), key)
  }
}
