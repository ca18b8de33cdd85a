import Glibc
import Graphs
import Kernels
import Tensors

/// `atan(x)`: the inverse tangent, in radians.
package struct Atan: ElementwiseUnary {
  package init() {}

  package static let name = "atan"
  package static let documentation = """
    Takes the inverse tangent of each element, in radians between -pi/2 and pi/2.

    Shapes: any -> the same. Whole numbers become f32.

    >>> atan([0, 1])
    f32[2]
    [0.0000, 0.7854]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.asIs, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { Glibc.atan(x) }
  package static var function: TileFunction { .atan }

  // dx = dy / (1 + x^2)
  package var gradient: Gradient {
    .pullback { g, at in
      let x = at.operands[0]
      let one = try g.number(1, like: x)
      return [try g.divide(at.cotangent, g.add(one, g.multiply(x, x)))]
    }
  }

  package static var samples: [OpSample] {
    samples(over: -3...3, special: [-.infinity, -1e9, -1, -1e-9, -0.0, 0, 1, 1e9, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `atan(x)`.
  package func atan(_ x: GraphValue) throws -> GraphValue { try emit(Atan(), x) }
}
