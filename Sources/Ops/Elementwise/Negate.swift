import Graphs
import Kernels
import Tensors

/// `negate(x)`, written `-x`.
package struct Negate: ElementwiseUnary {
  package init() {}

  package static let name = "negate"
  package static let documentation = """
    Changes the sign of each element. Written `-x`.

    Shapes: any -> the same. A whole number whose negative its dtype cannot hold is an error.

    >>> -f32([1, -2])
    f32[2]
    [-1.,  2.]
    """
  package static let dtypes: DTypeSet = [.floating, DTypeSet(.i32), DTypeSet(.i64)]
  package static let traits = OpTraits.elementwise(.asIs, .unify)

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(rank: operands[0].rank, operands: operands.count, additivity: .together, attributes: self)
  }

  package static func scalar(_ x: Double) -> Double { -x }
  package static var function: TileFunction { .negate }

  // dx = -dy
  package var gradient: Gradient {
    .pullback { g, at in
      [try g.negate(at.cotangent)]
    }
  }

  package static var samples: [OpSample] {
    samples(over: -3...3, special: [-.infinity, -0.0, 0, .nan])
  }
}

extension GraphBuilder {
  /// Appends `negate(x)`.
  package func negate(_ x: GraphValue) throws -> GraphValue { try emit(Negate(), x) }
}
