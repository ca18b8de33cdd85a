import Graphs
import Kernels
import Tensors

/// `cast(x, dtype)`: the elements in another dtype. `f32(x)`, `i64(x)` and so on are short for it.
package struct Cast: ElementwiseOp {
  package let dtype: DType

  package init(to dtype: DType) { self.dtype = dtype }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    dtype = try attributes.dtype("dtype")
  }

  package static let name = "cast"
  package static let documentation = """
    Converts elements to another dtype. `f32(x)`, `i64(x)` and so on are short for it.

    Shapes: any -> the same. Floats round to the nearest, ties to even; to whole numbers they drop their
    fraction, and what does not fit, or is nan, is an error. bool is true where an element is not 0.
    The derivative passes between floats and stops elsewhere.

    >>> cast([1.5, -2.5], i64)
    i64[2]
    [ 1, -2]
    """
  package static let signature = Signature(.operand("x"), .attribute("dtype", .dtype))
  package static let dtypes: DTypeSet = .stored
  package static let traits = OpTraits.elementwise(.asIs, .asIs)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    return [TensorType(dtype, operands[0].shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(
      rank: operands[0].rank, operands: 1, additivity: dtype.isFloating && operands[0].dtype.isFloating ? .together : .none,
      attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) -> [ReferenceTensor] {
    let values = operands[0].values.map { (value: Double) -> Double in
      if dtype == .bool { return value != 0 ? 1 : 0 }
      return dtype.isInteger ? value.rounded(.towardZero) : value
    }
    return [ReferenceTensor(TensorType(dtype, operands[0].shape), values)]
  }

  package func tile(for operands: [DType]) -> TileBody { castTile(from: operands[0], to: dtype) }
  package func mayRefuse(_ operands: [TensorType]) -> Bool {
    let source = operands[0].dtype
    return dtype.isInteger && (source.isFloating || source.byteCount > dtype.byteCount)
  }

  // dx = dy in the operand's dtype
  package var gradient: Gradient {
    .pullback { g, at in
      let from = at.operands[0].dtype
      return [from.isFloating && dtype.isFloating ? try g.cast(at.cotangent, to: from) : nil]
    }
  }

  package static let samples: [OpSample] =
    DType.allCases.map { dtype in
      OpSample("to \(dtype)", [.uniform([3, 5], 0...3)], [("dtype", .dtype(dtype))])
    } + [
      OpSample("single number", [.uniform([], 0...3)], [("dtype", .dtype(.f64))]),
      OpSample("no elements", [.normal([0])], [("dtype", .dtype(.i32))]),
      OpSample("more than a tile", [.uniform([1100], 0...100)], [("dtype", .dtype(.f32))]),
      OpSample(
        "special values", [.values([.infinity, -.infinity, .nan, -0.0, 1e-45], [5], dtype: .f32)],
        [("dtype", .dtype(.f64))], isSmooth: false),
    ]
  package static let rejections: [OpSample.Rejected] = [
    OpSample.Rejected(
      "no dtype", [TensorType(.f32, [2])], [("dtype", .int(3))], message: "must be a dtype, got 3")
  ]
}

extension GraphBuilder {
  /// Appends a conversion, or returns `x` itself where it has the dtype already.
  package func cast(_ x: GraphValue, to dtype: DType) throws -> GraphValue {
    x.dtype == dtype ? x : try emit(Cast(to: dtype), x)
  }
}
