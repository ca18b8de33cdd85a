import Graphs
import Kernels
import Tensors

/// `abs(x)`: the magnitude of each element.
package struct Abs: ElementwiseUnary {
  package init() {}

  package static let name = "abs"
  package static let documentation = """
    Takes the magnitude of each element.

    Shapes: any -> the same. The derivative at 0 is 0.

    >>> abs([1.5, -2])
    f32[2]
    [1.5000, 2.0000]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.asIs, .unify)

  package static func scalar(_ x: Double) -> Double { x.magnitude }
  package static var function: TileFunction { .abs }

  // dx = dy sign x
  package var gradient: Gradient {
    .pullback { g, at in
      [try g.multiply(at.cotangent, g.sign(at.operands[0]))]
    }
  }

  package static var samples: [OpSample] {
    samples(over: -3...3, special: [-.infinity, -0.0, 0, .nan])
  }
}

extension GraphBuilder {
  /// Appends `abs(x)`.
  package func abs(_ x: GraphValue) throws -> GraphValue { try emit(Abs(), x) }
}
