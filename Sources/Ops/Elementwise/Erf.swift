import Glibc
import Graphs
import Kernels
import Tensors

/// `erf(x)`: the error function.
package struct Erf: ElementwiseUnary {
  package init() {}

  package static let name = "erf"
  package static let documentation = """
    Takes the error function of each element, the integral of 2 / sqrt(pi) e^(-t^2) from 0 to x.

    Shapes: any -> the same. Whole numbers become f32.

    >>> erf([0, 0.5, -3])
    f32[3]
    [ 0.0000,  0.5205, -1.0000]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.asIs, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { Glibc.erf(x) }
  package static var function: TileFunction { .erf }

  // dx = dy 2 / sqrt(pi) e^(-x^2)
  package var gradient: Gradient {
    .pullback { g, at in
      let x = at.operands[0]
      let bell = try g.exp(g.negate(g.multiply(x, x)))
      let scale = try g.number(2 / Double.pi.squareRoot(), like: x)
      return [try g.multiply(at.cotangent, g.multiply(scale, bell))]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: -2...2, special: [-.infinity, -10, -0.95, -1e-9, -0.0, 0, 1e-9, 0.95, 3.9, 4, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `erf(x)`.
  package func erf(_ x: GraphValue) throws -> GraphValue { try emit(Erf(), x) }
}
