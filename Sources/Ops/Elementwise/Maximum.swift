import Graphs
import Kernels
import Tensors

/// `maximum(a, b)`: the larger of each two elements.
package struct Maximum: ElementwiseBinary {
  package init() {}

  package static let name = "maximum"
  package static let documentation = """
    Takes the larger of each two elements; nan wins over numbers.

    Shapes: a and b broadcast. Where both are equal each gets half the derivative.

    >>> maximum([1, 5], [3])
    f32[2]
    [3., 5.]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.widest, .unify)

  package static func scalar(_ a: Double, _ b: Double) -> Double { a > b || a.isNaN ? a : b }
  package static var function: TileFunction { .maximum }
  package static let identities: IdentityElements = (left: nil, right: nil)

  // dy where an operand is the larger, half to each where they tie
  package var gradient: Gradient {
    .pullback { g, at in
      [
        try g.tieAware(at.cotangent, where: g.greater(at.operands[0], at.operands[1]), at.operands),
        try g.tieAware(at.cotangent, where: g.less(at.operands[0], at.operands[1]), at.operands),
      ]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: -3...3, and: -3...3, special: [(1, 1), (2, 1), (.nan, 1), (1, .nan), (.infinity, -.infinity)])
  }
}

extension GraphBuilder {
  /// Appends `maximum(a, b)`, the operands broadcast first.
  package func maximum(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(Maximum(), a, b)
  }
}

extension GraphBuilder {
  /// `dy` where `wins` holds, half of it where the operands are equal, else 0.
  func tieAware(
    _ dy: GraphValue, where wins: GraphValue, _ operands: [GraphValue]
  ) throws -> GraphValue {
    let half = try multiply(dy, number(0.5, like: dy))
    let isTie = try equal(operands[0], operands[1])
    return try select(wins, dy, select(isTie, half, zeros(like: dy)))
  }
}
