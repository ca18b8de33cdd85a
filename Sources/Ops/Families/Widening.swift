import Graphs
import Tensors

// 16-bit floats in ops without kernels for them: operands widen to f32, which is exact, the op runs in f32, and its
// floating results round once. The casts are nodes as any, so derivatives, memory and fusion need no rule for it.

/// How an op takes operands of some dtypes.
package struct Widening {
  /// The dtypes in which the op gets its operands.
  package let dtypes: [DType]
  /// What f32 results round to; nil where they stay.
  package let result: DType?

  package init(_ op: any TensorOp.Type, _ operands: [DType]) {
    var widened: DType?
    var hasWide = false
    dtypes = operands.map { dtype in
      if dtype == .f32 || dtype == .f64 { hasWide = true }
      guard dtype == .f16 || dtype == .bf16, !op.dtypes.contains(dtype), op.dtypes.contains(.f32) else { return dtype }
      widened = widened.map { $0.promoted(with: dtype) } ?? dtype
      return .f32
    }
    // Beside operands in f32 the result is f32 too.
    result = hasWide || widened == .f32 ? nil : widened
  }
}

extension Widening {
  /// Floats of the dtype `narrow` in f32, with results that round to it.
  package init(of dtypes: [DType], to narrow: DType) {
    self.dtypes = dtypes.map { $0 == narrow ? .f32 : $0 }
    result = narrow
  }
}

extension GraphBuilder {
  /// Appends an op, through f32 where it has no kernel for operands of 16 bits.
  package func appendWidening(_ op: any TensorOp, _ operands: [GraphValue]) throws -> [GraphValue] {
    let widening = Widening(type(of: op), operands.map(\.dtype))
    if widening.dtypes == operands.map(\.dtype) { return try append(op, operands) }
    let results = try append(op, zip(operands, widening.dtypes).map { try cast($0, to: $1) })
    guard let narrow = widening.result else { return results }
    return try results.map { $0.dtype == .f32 ? try cast($0, to: narrow) : $0 }
  }
}
