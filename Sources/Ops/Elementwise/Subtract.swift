import Graphs
import Kernels
import Tensors

/// `subtract(a, b)`, written `a - b`.
package struct Subtract: ElementwiseBinary {
  package init() {}

  package static let name = "subtract"
  package static let documentation = """
    Subtracts elements. Written `a - b`.

    Shapes: a and b broadcast. Integer overflow is an error, which u8 below 0 is too.

    >>> f32([1, 2]) - 0.5
    f32[2]
    [0.5000, 1.5000]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.widest, .unify)

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(rank: operands[0].rank, operands: operands.count, additivity: .together, attributes: self)
  }

  package static func scalar(_ a: Double, _ b: Double) -> Double { a - b }
  package static var function: TileFunction { .subtract }
  package static let identities: IdentityElements = (left: nil, right: 0)

  // da = dy, db = -dy
  package var gradient: Gradient {
    .pullback { g, at in
      [at.cotangent, try g.negate(at.cotangent)]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: 3...6, and: -3...3,
      special: [(1, .infinity), (-0.0, 0), (.infinity, -.infinity), (.nan, 1), (1, .nan)])
  }
}

extension GraphBuilder {
  /// Appends `subtract(a, b)`, the operands broadcast first.
  package func subtract(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(Subtract(), a, b)
  }
}
