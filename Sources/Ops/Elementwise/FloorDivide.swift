import Graphs
import Kernels
import Tensors

/// `floor_divide(a, b)`, written `a // b`.
package struct FloorDivide: ElementwiseBinary {
  package init() {}

  package static let name = "floor_divide"
  package static let documentation = """
    Divides elements and rounds down. Written `a // b`.

    Shapes: a and b broadcast. For whole numbers division by zero is an error; for floats x // 0 is inf.
    The derivative is 0.

    >>> f32([7, -7]) // 2
    f32[2]
    [ 3., -4.]
    """
  package static let dtypes: DTypeSet = .numeric
  package static let traits = OpTraits.elementwise(.widest, .unify)

  package static func scalar(_ a: Double, _ b: Double) -> Double {
    b == 0 ? a / b : ((a - Modulo.scalar(a, b)) / b).rounded()
  }
  package static var function: TileFunction { .floorDivide }
  package static let identities: IdentityElements = (left: nil, right: nil)

  package var gradient: Gradient { .zero(because: "the result is constant between jumps") }

  package static var samples: [OpSample] {
    samples(
      over: -3...3, and: 0.6...3,
      special: [(1, 0), (0, 0), (7, 2), (-7, 2), (7, -2), (-7, -2), (1, .infinity), (.nan, 1)])
  }
}

extension GraphBuilder {
  /// Appends `floor_divide(a, b)`, the operands broadcast first.
  package func floorDivide(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    try broadcasting(FloorDivide(), a, b)
  }
}
