import Glibc
import Graphs
import Kernels
import Tensors

/// `expm1(x)`: e^x - 1, accurate where x is small.
package struct Expm1: ElementwiseUnary {
  package init() {}

  package static let name = "expm1"
  package static let documentation = """
    Raises e to the power of each element and subtracts 1, accurately where the element is small.

    Shapes: any -> the same. Whole numbers become f32.

    >>> expm1([0, 1])
    f32[2]
    [0.0000, 1.7183]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.f32, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { Glibc.expm1(x) }
  package static var function: TileFunction { .expm1 }

  // dx = dy (y + 1)
  package var gradient: Gradient {
    .pullback { g, at in
      let slope = try g.add(at.result, g.number(1, like: at.result))
      return [try g.multiply(at.cotangent, slope)]
    }
  }

  package static var samples: [OpSample] {
    samples(
      over: -2...2,
      special: [-.infinity, -200, -20, -1e-9, -0.0, 0, 1e-9, 1e-5, 20, 88, 200, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `expm1(x)`.
  package func expm1(_ x: GraphValue) throws -> GraphValue { try emit(Expm1(), x) }
}
