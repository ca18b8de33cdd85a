import Graphs
import Kernels
import Tensors

/// `uniform(shape, low, high, dtype)`: independent numbers, equally likely anywhere in [low, high).
package struct Uniform: TensorOp {
  package let shape: Shape
  package let low: Double
  package let high: Double
  package let dtype: DType
  /// The op's place in the trace.
  package let ordinal: Int

  package static let name = "uniform"
  package static let documentation = """
    Draws numbers that are equally likely anywhere in [low, high).

    Result: `shape`, of f32 (multiples of 2^-24 of the range) or f64 (2^-53). An element is a function of
    seed, tick, place in the trace and index alone: Philox4x32-10. Operand 0, the key, is implicit.

    >>> seed(0); uniform([2, 3])
    f32[2, 3]
    [[0.8307, 0.8833, 0.7297],
     [0.8053, 0.6207, 0.1776]]
    """
  package static let signature = Signature(
    .attribute("shape", .shape),
    .attribute("low", .number, default: .number(0)),
    .attribute("high", .number, default: .number(1)),
    .attribute("dtype", .dtype, default: .dtype(.f32)))
  package static let dtypes = DTypeSet(.i64)
  package static let traits = OpTraits.random

  package init(
    shape: Shape, low: Double = 0, high: Double = 1, dtype: DType = .f32, ordinal: Int
  ) throws(OpRejection) {
    guard low < high, (high - low).isFinite else {
      throw OpRejection("the range from \(low) to \(high) is empty or not finite", code: "bad-argument")
    }
    self.shape = shape
    self.low = low
    self.high = high
    self.dtype = try requireRandomDType(dtype)
    self.ordinal = ordinal
  }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    try self.init(
      shape: attributes.shape("shape"), low: attributes.number("low"),
      high: attributes.number("high"), dtype: attributes.dtype("dtype"), ordinal: attributes.ordinal())
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try requireKey(operands)
    return [TensorType(dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .drawing(shape.rank, [AnyHashable(low), AnyHashable(high), AnyHashable(dtype), AnyHashable(ordinal)]) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let stream = RandomStream(operands[0], ordinal: ordinal)
    let values = (0..<shape.elementCount).map { element in
      let unit =
        dtype == .f64
        ? stream.unit(at: element) : Double(stream.words(at: element).0 >> 8) * 0x1p-24
      return low + (high - low) * unit
    }
    return [ReferenceTensor(TensorType(dtype, shape), values)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    fillUniform(
      results[0], from: low, to: high, stream: RandomStream(key: operands[0], ordinal: ordinal))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    drawScratchByteCount(results[0].dtype)
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "random numbers depend on no operand") }

  package static let samples: [OpSample] = [
    OpSample("unit interval", [.randomKey], [("shape", .ints([3, 5]))]),
    OpSample(
      "own range", [.randomKey], [("shape", .ints([300])), ("low", .number(-2)), ("high", .number(5))]),
    OpSample("f64", [.randomKey], [("shape", .ints([4])), ("dtype", .dtype(.f64))]),
    OpSample("one number", [.randomKey], [("shape", .ints([]))]),
    OpSample("empty", [.randomKey], [("shape", .ints([0, 2]))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "empty range", [randomKeyType],
      [("shape", .ints([2])), ("low", .number(1)), ("high", .number(1))],
      message: "the range from 1.0 to 1.0 is empty"),
    .init(
      "integers", [randomKeyType], [("shape", .ints([2])), ("dtype", .dtype(.i64))],
      message: "random numbers are made in f32 or f64, not i64"),
    .init(
      "negative size", [randomKeyType], [("shape", .ints([-1]))], message: "a size cannot be negative"),
    .init(
      "no key", [TensorType(.f32, [2])], [("shape", .ints([2]))], message: "wants its key i64[2]"),
  ]
}

extension GraphBuilder {
  /// Appends numbers drawn from [low, high).
  package func uniform(
    _ shape: Shape, low: Double = 0, high: Double = 1, dtype: DType = .f32, key: GraphValue
  ) throws -> GraphValue {
    try emit(Uniform(shape: shape, low: low, high: high, dtype: dtype, ordinal: nextOrdinal()), key)
  }
}
