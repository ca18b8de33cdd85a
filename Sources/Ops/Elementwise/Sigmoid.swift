import Glibc
import Graphs
import Kernels
import Tensors

/// `sigmoid(x)`: 1 / (1 + e^-x).
package struct Sigmoid: ElementwiseUnary {
  package init() {}

  package static let name = "sigmoid"
  package static let documentation = """
    Maps each element to 1 / (1 + e^-x): between 0 and 1.

    Shapes: any -> the same. Whole numbers become f32.

    >>> sigmoid([0, 1, -1])
    f32[3]
    [0.5000, 0.7311, 0.2689]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.asIs, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { 1 / (1 + Glibc.exp(-x)) }
  package static var function: TileFunction { .sigmoid }

  // dx = dy y (1 - y)
  package var gradient: Gradient {
    .pullback { g, at in
      let y = at.result
      let slope = try g.multiply(y, g.subtract(g.number(1, like: y), y))
      return [try g.multiply(at.cotangent, slope)]
    }
  }

  package static var samples: [OpSample] {
    samples(over: -3...3, special: [-.infinity, -200, -90, -0.0, 0, 20, 200, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `sigmoid(x)`.
  package func sigmoid(_ x: GraphValue) throws -> GraphValue { try emit(Sigmoid(), x) }
}
