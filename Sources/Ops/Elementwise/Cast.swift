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
    f8e4m3, f8e5m2, q8 and q8e4m3 are for storage: computing with such a tensor means casting it back. Nothing
    saturates: above 464 f8e4m3 is nan, from 61440 on f8e5m2 is inf. q8 has blocks of 256 elements in row-major order,
    each with its greatest magnitude in f32 and a byte an element, which picks one of 256 fractions of that: many near
    1, few near 0; another 256, twice as fine, where no element of the block is negative. q8e4m3 has the same blocks
    with a f8e4m3 an element, and as f32 what it is to be multiplied by: the greatest magnitude over 448. A block with a
    nan or an infinity is nan.
    The derivative passes between floats and stops elsewhere, at blocks too.

    >>> cast([1.5, -2.5], i64)
    i64[2]
    [ 1, -2]
    >>> f32(cast([1.0, 0.3, -0.002], q8))
    f32[3]
    [ 1.0000,  0.3039, -0.0018]
    >>> f32(cast([1.0, 0.3, -0.002], q8e4m3))
    f32[3]
    [ 1.0000,  0.2857, -0.0020]
    >>> f32(cast([1.0, 0.3, 1000.0], f8e4m3))
    f32[3]
    [1.0000, 0.3125,    nan]
    """
  package static let signature = Signature(.operand("x"), .attribute("dtype", .dtype))
  package static let dtypes: DTypeSet = .stored
  package static let traits = OpTraits.elementwise(.asIs, .asIs)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: operands)
    return [TensorType(dtype, operands[0].shape)]
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    // The blocks of a piece are not those of the whole.
    if dtype.isBlocked || operands[0].dtype.isBlocked { return .mixing(self) }
    return .places(
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
  package func copiesLanes(of operands: [DType]) -> Bool { operands[0].lane == dtype.lane }
  package func mayRefuse(_ operands: [TensorType]) -> Bool {
    let source = operands[0].dtype
    return dtype.isInteger && (source.isFractional || source.byteCount > dtype.byteCount)
  }

  // dx = dy in the operand's dtype. Where dy is a sum in f32 that was rounded for dtype, as the gradient of a weight of
  // which a product read a copy in 16 bits, dx is that sum.
  package var gradient: Gradient {
    .pullback { g, at in
      let from = at.operands[0].dtype
      guard from.isFloating && dtype.isFloating else { return [nil] }
      if from == .f32, case .result(let index, 0) = g.graph.definition(of: at.cotangent) {
        let node = g.graph.nodes[index]
        if let op = node.op as? any WideSumsOp, at.cotangent.dtype == .f16 || at.cotangent.dtype == .bf16 {
          return [try g.append(op.withoutRounding, node.operands)[0]]
        }
      }
      return [try g.cast(at.cotangent, to: from)]
    }
  }

  package static let samples: [OpSample] =
    DType.allCases.map { dtype in
      OpSample(
        "to \(dtype)", [.uniform([3, 5], 0...3)], [("dtype", .dtype(dtype))], isSmooth: !dtype.isBlocked)
    } + [
      OpSample("single number", [.uniform([], 0...3)], [("dtype", .dtype(.f64))]),
      OpSample("no elements", [.normal([0])], [("dtype", .dtype(.i32))]),
      OpSample("more than a tile", [.uniform([1100], 0...100)], [("dtype", .dtype(.f32))]),
      OpSample(
        "special values", [.values([.infinity, -.infinity, .nan, -0.0, 1e-45], [5], dtype: .f32)],
        [("dtype", .dtype(.f64))], isSmooth: false),
      OpSample("blocks and a tail", [.normal([5, 260])], [("dtype", .dtype(.q8))], isSmooth: false),
      OpSample("blocks of one sign", [.uniform([1100], 0...2)], [("dtype", .dtype(.q8))], isSmooth: false),
      OpSample("blocks of zeros", [.uniform([300], 0...0)], [("dtype", .dtype(.q8))], isSmooth: false),
      OpSample("many blocks", [.normal([3, 70, 100])], [("dtype", .dtype(.q8))], isSmooth: false),
      OpSample("no blocks", [.normal([0, 3])], [("dtype", .dtype(.q8))], isSmooth: false),
      OpSample(
        "infinity in a block", [.values([1, -2, .infinity, 3], [4], dtype: .f32)], [("dtype", .dtype(.q8))],
        isSmooth: false),
      OpSample("blocks of floats and a tail", [.normal([5, 260])], [("dtype", .dtype(.q8e4m3))], isSmooth: false),
      OpSample("blocks of floats of one sign", [.uniform([1100], 0...2)], [("dtype", .dtype(.q8e4m3))], isSmooth: false),
      OpSample("many blocks of floats", [.normal([3, 70, 100])], [("dtype", .dtype(.q8e4m3))], isSmooth: false),
      OpSample("no blocks of floats", [.normal([0, 3])], [("dtype", .dtype(.q8e4m3))], isSmooth: false),
      OpSample(
        "no number in a block", [.values([1, -2, .nan, 3], [4], dtype: .f32)], [("dtype", .dtype(.q8e4m3))],
        isSmooth: false),
      OpSample(
        "8-bit floats beyond their range", [.values([448, 464, 465, -1e9, .nan, 0.001, -0.0], [7], dtype: .f32)],
        [("dtype", .dtype(.f8e4m3))], isSmooth: false),
      OpSample(
        "8-bit floats up to infinity", [.values([57344, 61439, 61440, -1e9, .nan, 1e-5, -0.0], [7], dtype: .f32)],
        [("dtype", .dtype(.f8e5m2))], isSmooth: false),
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
