import Glibc
import Graphs
import Kernels
import Tensors

/// `log1p(x)`: log(1 + x), accurate where x is small.
package struct Log1p: ElementwiseUnary {
  package init() {}

  package static let name = "log1p"
  package static let documentation = """
    Takes the natural logarithm of 1 + x, accurately where x is small.

    Shapes: any -> the same. Whole numbers become f32. log1p(-1) is -inf; below -1 it is nan.

    >>> log1p([0, 1])
    f32[2]
    [0.0000, 0.6931]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.f32, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { Glibc.log1p(x) }
  package static var function: TileFunction { .log1p }

  // dx = dy / (1 + x)
  package var gradient: Gradient {
    .pullback { g, at in
      let x = at.operands[0]
      return [try g.divide(at.cotangent, g.add(x, g.number(1, like: x)))]
    }
  }

  package static var samples: [OpSample] {
    samples(over: -0.8...5, special: [-.infinity, -2, -1, -1e-9, -0.0, 0, 1e-9, 1e-4, 1e30, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `log1p(x)`.
  package func log1p(_ x: GraphValue) throws -> GraphValue { try emit(Log1p(), x) }
}
