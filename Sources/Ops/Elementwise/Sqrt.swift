import Graphs
import Kernels
import Tensors

/// `sqrt(x)`: the square root.
package struct Sqrt: ElementwiseUnary {
  package init() {}

  package static let name = "sqrt"
  package static let documentation = """
    Takes the square root of each element.

    Shapes: any -> the same. Whole numbers become f32. Below 0 the root is nan.

    >>> sqrt([4, 2])
    f32[2]
    [2.0000, 1.4142]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.asIs, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { x.squareRoot() }
  package static var function: TileFunction { .sqrt }

  // dx = dy / (2 y)
  package var gradient: Gradient {
    .pullback { g, at in
      let half = try g.multiply(at.cotangent, g.number(0.5, like: at.result))
      return [try g.divide(half, at.result)]
    }
  }

  package static var samples: [OpSample] {
    samples(over: 0.2...5, special: [-1, -0.0, 0, 1e-40, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `sqrt(x)`.
  package func sqrt(_ x: GraphValue) throws -> GraphValue { try emit(Sqrt(), x) }
}
