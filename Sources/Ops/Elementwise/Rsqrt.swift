import Graphs
import Kernels
import Tensors

/// `rsqrt(x)`: 1 / sqrt(x).
package struct Rsqrt: ElementwiseUnary {
  package init() {}

  package static let name = "rsqrt"
  package static let documentation = """
    Takes the reciprocal of the square root of each element.

    Shapes: any -> the same. Whole numbers become f32. rsqrt(0) is inf; below 0 it is nan.

    >>> rsqrt([4, 0.25])
    f32[2]
    [0.5000, 2.0000]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.f32, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { 1 / x.squareRoot() }
  package static var function: TileFunction { .rsqrt }

  // dx = -dy y^3 / 2
  package var gradient: Gradient {
    .pullback { g, at in
      let y = at.result
      let cube = try g.multiply(g.multiply(y, y), y)
      return [try g.multiply(at.cotangent, g.multiply(cube, g.number(-0.5, like: y)))]
    }
  }

  package static var samples: [OpSample] {
    samples(over: 0.2...5, special: [-1, 0, 1e-30, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `rsqrt(x)`.
  package func rsqrt(_ x: GraphValue) throws -> GraphValue { try emit(Rsqrt(), x) }
}
