import Glibc
import Graphs
import Kernels
import Tensors

/// `log(x)`: the natural logarithm.
package struct Log: ElementwiseUnary {
  package init() {}

  package static let name = "log"
  package static let documentation = """
    Takes the natural logarithm of each element.

    Shapes: any -> the same. Whole numbers become f32. log(0) is -inf; below 0 it is nan.

    >>> log([1, 10])
    f32[2]
    [0.0000, 2.3026]
    """
  package static let dtypes: DTypeSet = .floating
  package static let traits = OpTraits.elementwise(.f32, .unifyFloating)

  package static func scalar(_ x: Double) -> Double { Glibc.log(x) }
  package static var function: TileFunction { .log }

  // dx = dy / x
  package var gradient: Gradient {
    .pullback { g, at in
      [try g.divide(at.cotangent, at.operands[0])]
    }
  }

  package static var samples: [OpSample] {
    samples(over: 0.2...5, special: [-.infinity, -1, -0.0, 0, 1e-40, 1, 1e30, .infinity, .nan])
  }
}

extension GraphBuilder {
  /// Appends `log(x)`.
  package func log(_ x: GraphValue) throws -> GraphValue { try emit(Log(), x) }
}
