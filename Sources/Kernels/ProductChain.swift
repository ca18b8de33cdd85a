import Tensors

/// Multiplies floats `left [..., m, k] @ right [k, n]` block by block, and runs a program on each block while it is in
/// cache.
///
/// - Parameter operands: those of the program from its second on; its first is the product.
/// - Returns: where the program failed, if it did.
package func multiplyMatrices(
  _ left: TensorView, _ right: TensorView, then program: TileProgram, _ operands: [TensorView],
  into results: [TensorView]
) -> TileProgram.Fault? {
  let shape = Array(left.shape.dropLast()) + [right.shape[1]]
  let count = shape.reduce(1, &*)
  var fault: TileProgram.Fault?
  withScratch(of: UInt8.self, count: count &* left.dtype.byteCount) { scratch in
    let product = TensorView(
      base: UnsafeMutableRawPointer(scratch), dtype: left.dtype, shape: shape,
      strides: Shape(shape).contiguousStrides)
    multiplyMatrices(left, right, into: product)
    fault = program.run([product] + operands, into: results, from: 0, count: count)
  }
  return fault
}
