import Glibc
import Graphs
import Kernels
import Tensors

/// `stochastic_round(x)`: f32 to bf16, up or down by chance, so that the mean is x.
package struct StochasticRound: TensorOp {
  /// The op's place in the trace.
  package let ordinal: Int

  package static let name = "stochastic_round"
  package static let documentation = """
    Rounds to bf16 by chance: up with the probability of the part that nearest rounding would drop, else down.

    Shapes: f32 any -> bf16, the same. The expectation is x itself, exactly: sums of many small numbers do not stall.
    `opt with rounding: stochastic` rounds the params of a model in bf16 so. What bf16 holds stays as it is, zeros, nan
    and infinities too; a number beyond the largest of bf16 may become inf. An element is a function of seed, tick, place
    in the trace and index alone. The derivative is that of x. Operand 0, the key, is implicit.

    >>> seed(0); stochastic_round([1.002, 1.002, 1.002, 1.002])
    bf16[4]
    [1.0078, 1.0000, 1.0000, 1.0000]
    """
  package static let signature = Signature(.operand("x"))
  package static let dtypes = DTypeSet(.f32)
  package static let traits = OpTraits.random

  package init(ordinal: Int) { self.ordinal = ordinal }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    self.init(ordinal: try attributes.ordinal())
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try requireKey(operands, count: 2)
    try Self.requireDTypes(of: [operands[1]])
    return [TensorType(.bf16, operands[1].shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    AxisMap(results: (0..<operands[1].rank).map { [nil, $0] }, attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let stream = RandomStream(operands[0], ordinal: ordinal)
    let x = operands[1]
    let values = x.values.enumerated().map { (index, value) -> Double in
      guard value.isFinite, value != 0 else { return value }
      // In units of the last place: bf16 has 7 bits behind the leading one, from 2^-126 on.
      let unit = exp2(Double(max(Int(value.exponent), -126) - 7))
      let size = abs(value) / unit
      let isUp = (size - floor(size)) * 65536 + Double(stream.sixteenBits(at: index)) >= 65536
      let rounded = (floor(size) + (isUp ? 1 : 0)) * unit
      return (rounded >= 0x1p128 ? .infinity : rounded) * (value < 0 ? -1 : 1)
    }
    return [ReferenceTensor(TensorType(.bf16, x.shape), values)]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    roundStochastically(operands[1], into: results[0], stream: RandomStream(key: operands[0], ordinal: ordinal))
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(6, operands, results)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { roundingScratchByteCount }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // On the average the result is x: dx = dy
  package var gradient: Gradient { .pullback { g, at in [nil, try g.cast(at.cotangent, to: .f32)] } }

  package static let samples: [OpSample] = [
    OpSample("matrix", [.randomKey, .normal([7, 5])], isSmooth: false),
    OpSample("more than a group", [.randomKey, .normal([5, 211])], isSmooth: false),
    OpSample(
      "special values",
      [
        .randomKey,
        .values([.infinity, -.infinity, .nan, -0.0, 0, 1e-45, -9.2e-41, 1.1754943e-38, 3.4e38, 1], [10], dtype: .f32),
      ], isSmooth: false),
    OpSample("no elements", [.randomKey, .normal([0, 2])], isSmooth: false),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "f64", [randomKeyType, TensorType(.f64, [2])], message: "stochastic_round expects f32, got f64"),
    .init("no key", [TensorType(.f32, [2])], message: "wants its key i64[2]"),
  ]
}

extension GraphBuilder {
  /// Appends f32 `x` rounded to bf16 by chance.
  package func stochasticRound(_ x: GraphValue, key: GraphValue) throws -> GraphValue {
    try emit(StochasticRound(ordinal: nextOrdinal()), key, x)
  }
}
