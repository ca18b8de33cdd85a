import Glibc
import Graphs
import Kernels
import Tensors

/// `normal(shape, dtype)`: independent numbers of mean 0 and variance 1.
package struct Normal: TensorOp {
  package let shape: Shape
  package let dtype: DType
  /// The op's place in the trace.
  package let ordinal: Int

  package static let name = "normal"
  package static let documentation = """
    Draws normally distributed numbers of mean 0 and variance 1.

    Result: `shape`, of f32 or f64. Box and Muller's sqrt(-2 ln u) cos(2 pi v), both numbers from the
    element's own Philox block, so an element is a function of seed, tick, place in the trace and index
    alone. In f32 no number is farther than 5.77 from 0. Operand 0, the key, is implicit.

    >>> seed(0); normal([2, 3])
    f32[2, 3]
    [[ 0.4022,  0.1674,  0.2822],
     [-0.6511,  0.0408,  1.2750]]
    """
  package static let signature = Signature(
    .attribute("shape", .shape), .attribute("dtype", .dtype, default: .dtype(.f32)))
  package static let dtypes = DTypeSet(.i64)
  package static let traits = OpTraits.random

  package init(shape: Shape, dtype: DType = .f32, ordinal: Int) throws(OpRejection) {
    self.shape = shape
    self.dtype = try requireRandomDType(dtype)
    self.ordinal = ordinal
  }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    try self.init(
      shape: attributes.shape("shape"), dtype: attributes.dtype("dtype"),
      ordinal: attributes.ordinal())
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try requireKey(operands)
    return [TensorType(dtype, shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .drawing(shape.rank, [AnyHashable(dtype), AnyHashable(ordinal)]) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let stream = RandomStream(operands[0], ordinal: ordinal)
    let values = (0..<shape.elementCount).map { element in
      let words = stream.words(at: element)
      var u = Double(words.0 >> 8 + 1) * 0x1p-24
      var v = Double(words.1 >> 8) * 0x1p-24
      if dtype == .f64 {
        u = Double((UInt64(words.0) << 32 | UInt64(words.1)) >> 11 + 1) * 0x1p-53
        v = Double((UInt64(words.2) << 32 | UInt64(words.3)) >> 11) * 0x1p-53
      }
      return (-2 * log(u)).squareRoot() * cos(2 * Double.pi * v)
    }
    return [ReferenceTensor(TensorType(dtype, shape), values)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    fillNormal(results[0], stream: RandomStream(key: operands[0], ordinal: ordinal))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    drawScratchByteCount(results[0].dtype)
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "random numbers depend on no operand") }

  package static let samples: [OpSample] = [
    OpSample("matrix", [.randomKey], [("shape", .ints([3, 5]))]),
    OpSample("more than a block", [.randomKey], [("shape", .ints([300]))]),
    OpSample("f64", [.randomKey], [("shape", .ints([4])), ("dtype", .dtype(.f64))]),
    OpSample("empty", [.randomKey], [("shape", .ints([0, 2]))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "f16", [randomKeyType], [("shape", .ints([2])), ("dtype", .dtype(.f16))],
      message: "random numbers are made in f32 or f64, not f16"),
    .init(
      "too large", [randomKeyType], [("shape", .ints([1 << 40, 1 << 40]))],
      message: "has too many elements"),
    .init("no key", [TensorType(.i64, [4])], [("shape", .ints([2]))], message: "wants its key i64[2]"),
  ]
}

extension GraphBuilder {
  /// Appends numbers of mean 0 and variance 1.
  package func normal(_ shape: Shape, dtype: DType = .f32, key: GraphValue) throws -> GraphValue {
    try emit(Normal(shape: shape, dtype: dtype, ordinal: nextOrdinal()), key)
  }
}
