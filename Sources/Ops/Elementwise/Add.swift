import Graphs
import Kernels
import Tensors

/// `add(a, b)`, written `a + b`.
package struct Add: ElementwiseBinary {
  package init() {}

  package static let name = "add"
  package static let documentation = """
    Adds elements. Written `a + b`.

    Shapes: a and b broadcast. Integer overflow is an error.

    >>> f32([1, 2]) + 0.5
    f32[2]
    [1.5000, 2.5000]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.widest, .unify)

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(rank: operands[0].rank, operands: operands.count, additivity: .together, attributes: self)
  }

  package static func scalar(_ a: Double, _ b: Double) -> Double { a + b }
  package static var function: TileFunction { .add }
  // Not 0: -0 + 0 is 0.
  package static let identities: IdentityElements = (left: nil, right: nil)

  // da = dy, db = dy
  package var gradient: Gradient {
    .pullback { g, at in
      [at.cotangent, at.cotangent]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: -3...3, and: -3...3,
      special: [(1, .infinity), (-0.0, 0), (.infinity, -.infinity), (.nan, 1), (1, .nan)])
  }
}

extension GraphBuilder {
  /// Appends `add(a, b)`, the operands broadcast first.
  package func add(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(Add(), a, b)
  }
}
