import Glibc
import Graphs
import Kernels
import Tensors

/// `tanh(x)`: the hyperbolic tangent.
package struct Tanh: ElementwiseUnary {
  package init() {}

  package static let name = "tanh"
  package static let documentation = """
    Takes the hyperbolic tangent of each element: between -1 and 1.

    Shapes: any -> the same. Whole numbers become f32.

    >>> tanh([0, 1, -20])
    f32[3]
    [ 0.0000,  0.7616, -1.0000]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.asIs, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { Glibc.tanh(x) }
  package static var function: TileFunction { .tanh }

  // dx = dy (1 - y^2)
  package var gradient: Gradient {
    .pullback { g, at in
      let y = at.result
      let slope = try g.subtract(g.number(1, like: y), g.multiply(y, y))
      return [try g.multiply(at.cotangent, slope)]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: -2...2, special: [-.infinity, -100, -9, -1e-9, -0.0, 0, 1e-9, 1e-4, 9, 100, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `tanh(x)`.
  package func tanh(_ x: GraphValue) throws -> GraphValue { try emit(Tanh(), x) }
}
