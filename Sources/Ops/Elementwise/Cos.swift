import Glibc
import Graphs
import Kernels
import Tensors

/// `cos(x)`: the cosine of x in radians.
package struct Cos: ElementwiseUnary {
  package init() {}

  package static let name = "cos"
  package static let documentation = """
    Takes the cosine of each element, in radians.

    Shapes: any -> the same. Whole numbers become f32.

    >>> cos([0, 1])
    f32[2]
    [1.0000, 0.5403]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.asIs, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { Glibc.cos(x) }
  package static var function: TileFunction { .cos }

  // dx = -dy sin x
  package var gradient: Gradient {
    .pullback { g, at in
      [try g.negate(g.multiply(at.cotangent, g.sin(at.operands[0])))]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: -7...7,
      special: [-.infinity, -1e9, -100_000, -50_000, -0.0, 0, 3.141592, 1000, 1e20, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `cos(x)`.
  package func cos(_ x: GraphValue) throws -> GraphValue { try emit(Cos(), x) }
}
