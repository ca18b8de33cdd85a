import Glibc
import Graphs
import Kernels
import Tensors

/// `sin(x)`: the sine of x in radians.
package struct Sin: ElementwiseUnary {
  package init() {}

  package static let name = "sin"
  package static let documentation = """
    Takes the sine of each element, in radians.

    Shapes: any -> the same. Whole numbers become f32.

    >>> sin([0, 1])
    f32[2]
    [0.0000, 0.8415]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.asIs, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { Glibc.sin(x) }
  package static var function: TileFunction { .sin }

  // dx = dy cos x
  package var gradient: Gradient {
    .pullback { g, at in
      [try g.multiply(at.cotangent, g.cos(at.operands[0]))]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: -7...7,
      special: [-.infinity, -1e9, -100_000, -50_000, -0.0, 0, 3.141592, 1000, 1e20, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `sin(x)`.
  package func sin(_ x: GraphValue) throws -> GraphValue { try emit(Sin(), x) }
}
