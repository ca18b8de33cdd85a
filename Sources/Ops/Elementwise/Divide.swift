import Graphs
import Kernels
import Tensors

/// `divide(a, b)`, written `a / b`.
package struct Divide: ElementwiseBinary {
  package init() {}

  package static let name = "divide"
  package static let documentation = """
    Divides elements. Written `a / b`.

    Shapes: a and b broadcast. True division: whole numbers become f32 (`//` keeps them). x / 0 is inf,
    0 / 0 is nan.

    >>> f32([1, 2]) / 4
    f32[2]
    [0.2500, 0.5000]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.widest, .unifyFloating)

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(rank: operands[0].rank, operands: operands.count, additivity: .each([0]), attributes: self)
  }

  package static func scalar(_ a: Double, _ b: Double) -> Double { a / b }
  package static var function: TileFunction { .divide }
  package static let identities: IdentityElements = (left: nil, right: 1)

  // da = dy / b, db = -dy y / b
  package var gradient: Gradient {
    .pullback { g, at in
      let da = try g.divide(at.cotangent, at.operands[1])
      return [da, try g.negate(g.multiply(da, at.result))]
    }
  }

  package static var samples: [OpSample] {
    samples(over: -3...3, and: 0.5...3, special: [(1, 0), (-1, 0), (0, 0), (1, .infinity), (.nan, 1)])
  }
}

extension GraphBuilder {
  /// Appends `divide(a, b)`, the operands broadcast first.
  package func divide(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(Divide(), a, b)
  }
}
