import Graphs
import Kernels
import Tensors

/// `multiply(a, b)`, written `a * b`.
package struct Multiply: ElementwiseBinary {
  package init() {}

  package static let name = "multiply"
  package static let documentation = """
    Multiplies elements. Written `a * b`; the product of matrices is `a @ b`.

    Shapes: a and b broadcast. Integer overflow is an error.

    >>> f32([1, 2]) * 0.5
    f32[2]
    [0.5000, 1.0000]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.widest, .unify)

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(rank: operands[0].rank, operands: operands.count, additivity: .each([0, 1]), attributes: self)
  }

  package static func scalar(_ a: Double, _ b: Double) -> Double { a * b }
  package static var function: TileFunction { .multiply }
  package static let identities: IdentityElements = (left: 1, right: 1)

  // da = dy b, db = dy a
  package var gradient: Gradient {
    .pullback { g, at in
      let dy = at.cotangent
      return [try g.multiply(dy, at.operands[1]), try g.multiply(dy, at.operands[0])]
    }
  }

  package static var samples: [OpSample] {
    samples(over: -3...3, and: -3...3, special: [(0, .infinity), (-0.0, 1), (1e30, 1e30), (.nan, 0)])
  }
}

extension GraphBuilder {
  /// Appends `multiply(a, b)`, the operands broadcast first.
  package func multiply(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(Multiply(), a, b)
  }
}
