import Graphs
import Kernels
import Tensors

/// `minimum(a, b)`: the smaller of each two elements.
package struct Minimum: ElementwiseBinary {
  package init() {}

  package static let name = "minimum"
  package static let documentation = """
    Takes the smaller of each two elements; nan wins over numbers.

    Shapes: a and b broadcast. Where both are equal each gets half the derivative.

    >>> minimum([1, 5], [3])
    f32[2]
    [1., 3.]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.widest, .unify)

  package static func scalar(_ a: Double, _ b: Double) -> Double { a < b || a.isNaN ? a : b }
  package static var function: TileFunction { .minimum }
  package static let identities: IdentityElements = (left: nil, right: nil)

  // dy where an operand is the smaller, half to each where they tie
  package var gradient: Gradient {
    .pullback { g, at in
      [
        try g.tieAware(at.cotangent, where: g.less(at.operands[0], at.operands[1]), at.operands),
        try g.tieAware(at.cotangent, where: g.greater(at.operands[0], at.operands[1]), at.operands),
      ]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: -3...3, and: -3...3, special: [(1, 1), (2, 1), (.nan, 1), (1, .nan), (.infinity, -.infinity)])
  }
}

extension GraphBuilder {
  /// Appends `minimum(a, b)`, the operands broadcast first.
  package func minimum(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(Minimum(), a, b)
  }
}
