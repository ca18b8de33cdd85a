import Graphs
import Kernels
import Tensors

/// `relu(x)`: the positive part.
package struct Relu: ElementwiseUnary {
  package init() {}

  package static let name = "relu"
  package static let documentation = """
    The positive part: x above 0, else 0.

    Shapes: any -> the same. The derivative is 1 above 0 and 0 elsewhere, at 0 too; it is read off the result, so
    training keeps no copy of x. nan stays nan.

    >>> relu([-1.0, 2.0])
    f32[2]
    [0., 2.]
    """
  package static let dtypes: DTypeSet = [.floating, .integers]
  package static let traits = OpTraits.elementwise(.asIs, .unify)

  package static func scalar(_ x: Double) -> Double { x <= 0 ? 0 : x }
  package static var function: TileFunction { .relu }

  // dx = dy where y > 0; dy passes where y is nan
  package var gradient: Gradient {
    .pullback { g, at in
      let zero = try g.zeros(like: at.result)
      return [try g.select(try g.lessOrEqual(at.result, zero), zero, at.cotangent)]
    }
  }

  package static var samples: [OpSample] {
    samples(over: 0.1...2, special: [-.infinity, -1, -0.0, 0, 1e-9, 1, .infinity, .nan])
      + [OpSample("negative", [.uniform([5], -2 ... -0.1)])]
  }
}

extension GraphBuilder {
  /// Appends `relu(x)`.
  package func relu(_ x: GraphValue) throws -> GraphValue { try emit(Relu(), x) }
}
