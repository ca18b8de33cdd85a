import Glibc
import Graphs
import Kernels
import Tensors

/// `pow(a, b)`, written `a ^ b`.
package struct Power: ElementwiseBinary {
  package init() {}

  package static let name = "pow"
  package static let documentation = """
    Raises elements to powers. Written `a ^ b`.

    Shapes: a and b broadcast. 0 ^ 0 is 1; a negative number to a fraction is nan. For whole numbers
    overflow and negative exponents are errors.

    >>> f32([1, 2, 3]) ^ 2
    f32[3]
    [1., 4., 9.]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.f32, .unify)

  package static func scalar(_ a: Double, _ b: Double) -> Double { Glibc.pow(a, b) }
  package static var function: TileFunction { .power }
  // Not 1: kernels round x^1.
  package static let identities: IdentityElements = (left: nil, right: nil)

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let type = operands[0].type
    if type.dtype.isInteger && operands[1].values.contains(where: { $0 < 0 }) {
      throw KernelFault("a negative power is no whole number", code: "bad-argument")
    }
    let pairs = zip(operands[0].values, operands[1].values)
    return [ReferenceTensor(type, pairs.map { Power.scalar($0, $1) })]
  }

  // da = dy b a^(b - 1), db = dy y log a; both finite at a = 0 where the function is
  package var gradient: Gradient {
    .pullback { g, at in
      let (dy, a, b) = (at.cotangent, at.operands[0], at.operands[1])
      // A constant exponent, the usual case, has a short rule and no derivative of its own.
      if let exponent = g.knownNumber(b) {
        if exponent == 1 { return [dy, nil] }
        if exponent == 2 { return [try g.multiply(dy, g.add(a, a)), nil] }
        if exponent == 0 { return [try g.zeros(like: a), nil] }
        let power = try g.power(a, g.number(exponent - 1, like: a))
        return [try g.multiply(dy, g.multiply(power, g.number(exponent, like: a))), nil]
      }
      let (zero, one) = (try g.zeros(like: a), try g.number(1, like: a))
      let isZero = try g.equal(a, zero)
      // 0^0 is 1 all around: its slope is 0, not 0 times 0^-1.
      let isFlat = try g.logicalAnd(isZero, g.equal(b, zero))
      let power = try g.power(a, g.select(isFlat, one, g.subtract(b, one)))
      let da = try g.multiply(dy, g.multiply(b, power))
      // 0^b stays 0 as b > 0 changes: the logarithm is taken of 1 there.
      let logarithm = try g.log(g.select(isZero, one, a))
      return [da, try g.multiply(dy, g.multiply(at.result, logarithm))]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: 0.5...3, and: 0...3,
      special: [
        (0, 0), (0, 2), (-0.0, 3), (0, -1), (-2, 3), (-2, -2), (-8, 0.5), (-1, .infinity), (1, .nan),
        (.nan, 0), (.nan, 1), (2, 200), (2, -140), (.infinity, -1), (-.infinity, 3), (0.5, .infinity),
      ])
      + [DType.f32, .f64].flatMap { (dtype: DType) in
        [0.5, 1, 2, 3, -1, 0, 2.5].map { exponent in
          OpSample(
            "exponent \(exponent), \(dtype)",
            [
              .values([0.5, 0.7, 1, 1.3, 2, 3], [6], dtype: dtype),
              .values(Array(repeating: exponent, count: 6), [6], dtype: dtype),
            ])
        }
      }
  }
}

extension GraphBuilder {
  /// Appends `pow(a, b)`, the operands broadcast first.
  package func power(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    // The power's kernel gives x * x for the exponent 2 as well, but takes its general way there first.
    if a.dtype.isFloating && knownNumber(b) == 2 {
      let wide = try broadcast(a, to: broadcastShape(of: [a.shape, b.shape]))
      return try multiply(wide, wide)
    }
    return try broadcasting(Power(), a, b)
  }
}
