import Graphs
import Kernels
import Tensors

/// `permutation(n)`: the numbers 0 ..< n in random order.
package struct Permutation: TensorOp {
  package let count: Int
  /// The op's place in the trace.
  package let ordinal: Int

  package static let name = "permutation"
  package static let documentation = """
    Draws the whole numbers below n in random order, each order as likely as any other.

    Result: i64[n]. Fisher and Yates' shuffle. Operand 0, the key, is implicit.

    >>> seed(0); permutation(6)
    i64[6]
    [0, 5, 2, 4, 3, 1]
    """
  package static let signature = Signature(.attribute("n", .int))
  package static let dtypes = DTypeSet(.i64)
  package static let traits = OpTraits.random

  package init(count: Int, ordinal: Int) throws(OpRejection) {
    guard count >= 0 else {
      throw OpRejection("`n` cannot be negative, got \(count)", code: "bad-argument")
    }
    guard Shape([count]).checkedElementCount != nil else {
      throw OpRejection("[\(count)] has too many elements", code: "out-of-memory")
    }
    self.count = count
    self.ordinal = ordinal
  }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    try self.init(count: attributes.int("n"), ordinal: attributes.ordinal())
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try requireKey(operands)
    return [TensorType(.i64, [count])]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let stream = RandomStream(operands[0], ordinal: ordinal)
    var order = (0..<count).map(Double.init)
    for last in stride(from: count - 1, to: 0, by: -1) {
      let bits = stream.bits(at: last)
      order.swapAt(last, Int(bits.multipliedFullWidth(by: UInt64(last + 1)).high))
    }
    return [ReferenceTensor(TensorType(.i64, [count]), order)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    fillPermutation(results[0], stream: RandomStream(key: operands[0], ordinal: ordinal))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "an order does not vary smoothly") }

  package static let samples: [OpSample] = [
    OpSample("some", [.randomKey], [("n", .int(17))]),
    OpSample("one", [.randomKey], [("n", .int(1))]),
    OpSample("none", [.randomKey], [("n", .int(0))]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init("negative", [randomKeyType], [("n", .int(-1))], message: "`n` cannot be negative, got -1")
  ]
}

extension GraphBuilder {
  /// Appends 0 ..< count in random order.
  package func permutation(_ count: Int, key: GraphValue) throws -> GraphValue {
    try emit(Permutation(count: count, ordinal: nextOrdinal()), key)
  }
}
