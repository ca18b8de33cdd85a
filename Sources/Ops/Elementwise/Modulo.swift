import Graphs
import Kernels
import Tensors

/// `mod(a, b)`, written `a % b`: the remainder of `a // b`.
package struct Modulo: ElementwiseBinary {
  package init() {}

  package static let name = "mod"
  package static let documentation = """
    Takes the remainder of floor division, which has the sign of the divisor. Written `a % b`.

    Shapes: a and b broadcast. For whole numbers division by zero is an error; for floats x % 0 is nan.

    >>> f32([7, -7]) % 3
    f32[2]
    [1., 2.]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.widest, .unify)

  package static func scalar(_ a: Double, _ b: Double) -> Double {
    let remainder = a.truncatingRemainder(dividingBy: b)
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
  }
  package static var function: TileFunction { .modulo }
  package static let identities: IdentityElements = (left: nil, right: nil)

  // da = dy, db = -dy (a // b)
  package var gradient: Gradient {
    .pullback { g, at in
      let quotient = try g.floorDivide(at.operands[0], at.operands[1])
      return [at.cotangent, try g.negate(g.multiply(at.cotangent, quotient))]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: -3...3, and: 0.6...3,
      special: [(1, 0), (7, 3), (-7, 3), (7, -3), (-7, -3), (6, 3), (.infinity, 2), (.nan, 1)])
  }
}

extension GraphBuilder {
  /// Appends `mod(a, b)`, the operands broadcast first.
  package func modulo(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(Modulo(), a, b)
  }
}
