/// Numbers stored in blocks of 256 elements in row-major order, the last one possibly shorter: each block is its scale in
/// f32, then a byte for each element, its code.
///
/// q8: the scale is the greatest magnitude of the block, and codes are of a `DynamicMap`. The sign of the scale tells
/// which: negative where there is a negative number in the block, which takes the signed map. So no number ever meets a
/// map that cannot express its sign, and second moments get the finer map without anybody having to say so.
///
/// q8e4m3: the scale is the greatest magnitude of the block over 448, the greatest number of f8e4m3, and a code is the
/// f8e4m3 nearest to an element over the scale. The scale is 2^-126 or more: below that f32 has fewer digits, and a
/// quotient could come out beyond 448. Source: optimizer state in fp8 as torchao keeps it, which lets no scale fall below
/// 1e-12 / 448; squares of gradients do.
///
/// A block of zeros has the scale 0 and the codes 0: all bytes 0 are zeros. A block with a NaN or an infinity becomes NaN
/// as a whole: its scale is NaN, its codes 0.
package enum QuantizedBlock {
  /// Elements of a block.
  package static let size = 256
  /// Bytes of a whole block.
  package static let byteCount = 4 + size
  /// The least scale of a block of q8e4m3 that is not all 0.
  package static let leastScale = Float.leastNormalMagnitude

  /// `count` bytes of codes and 4 for each block begun.
  package static func byteCount(of count: Int) -> Int { count + (count + size - 1) / size * 4 }

  /// Reads one element: for printing and tests, as `quantize`.
  package static func element(_ index: Int, at base: UnsafeRawPointer, of dtype: DType) -> Float {
    let block = base + index / size * byteCount
    let scale = block.loadUnaligned(as: Float.self)
    let code = block.load(fromByteOffset: 4 + index % size, as: UInt8.self)
    if dtype == .q8e4m3 { return Float8.e4m3.value(of: code) * scale }
    return (scale.sign == .minus ? DynamicMap.signed : .unsigned).values[Int(code)] * scale.magnitude
  }

  /// Writes numbers as blocks, by definition.
  package static func quantize(_ values: [Float], into base: UnsafeMutableRawPointer, as dtype: DType) {
    for start in stride(from: 0, to: values.count, by: size) {
      let block = values[start..<min(start + size, values.count)]
      let greatest = block.contains { !$0.isFinite } ? .nan : block.reduce(0) { max($0, $1.magnitude) }
      let (scale, codes) =
        if !(greatest > 0) { (greatest, block.map { _ in 0 as UInt8 }) }
        else if dtype == .q8e4m3 { floats(block, greatest) }
        else { fractions(block, greatest) }
      let target = base + start / size * byteCount
      target.storeBytes(of: scale, as: Float.self)
      for (place, code) in codes.enumerated() { target.storeBytes(of: code, toByteOffset: 4 + place, as: UInt8.self) }
    }
  }

  /// The scale and the codes of a block of q8.
  private static func fractions(_ block: ArraySlice<Float>, _ greatest: Float) -> (Float, [UInt8]) {
    let isSigned = block.contains { $0 < 0 }
    let map = isSigned ? DynamicMap.signed : .unsigned
    return (isSigned ? -greatest : greatest, block.map { map.code(of: $0 / greatest) })
  }

  /// The scale and the codes of a block of q8e4m3.
  private static func floats(_ block: ArraySlice<Float>, _ greatest: Float) -> (Float, [UInt8]) {
    let scale = max(greatest / 448, leastScale)
    return (scale, block.map { Float8.e4m3.pattern(of: $0 / scale) })
  }

  // MARK: Parts, as files hold them

  /// The codes of a tensor in its shape, of q8 as u8 and of q8e4m3 as f8e4m3, and the scales of its blocks.
  package static func parts(of tensor: Tensor) -> (codes: Tensor, scales: Tensor) {
    let count = tensor.elementCount
    let codes = Tensor(uninitialized: TensorType(tensor.dtype == .q8e4m3 ? .f8e4m3 : .u8, tensor.shape))
    let scales = Tensor(uninitialized: TensorType(.f32, [(count + size - 1) / size]))
    for (index, start) in stride(from: 0, to: count, by: size).enumerated() {
      let block = tensor.storage.base + index * byteCount
      scales.storage.base.storeBytes(of: block.loadUnaligned(as: Float.self), toByteOffset: index * 4, as: Float.self)
      (codes.storage.base + start).copyMemory(from: block + 4, byteCount: min(size, count - start))
    }
    return (codes, scales)
  }

  /// The tensor of which these are the parts; nil where they do not fit each other.
  package static func tensor(codes: Tensor, scales: Tensor) -> Tensor? {
    let count = codes.elementCount
    let dtype: DType
    switch codes.dtype {
    case .u8: dtype = .q8
    case .f8e4m3: dtype = .q8e4m3
    default: return nil
    }
    guard scales.type == TensorType(.f32, [(count + size - 1) / size]) else { return nil }
    let (codes, scales) = (codes.contiguous(), scales.contiguous())
    let tensor = Tensor(uninitialized: TensorType(dtype, codes.shape))
    for (index, start) in stride(from: 0, to: count, by: size).enumerated() {
      let block = tensor.storage.base + index * byteCount
      block.copyMemory(from: scales.storage.base + (scales.layout.offset + index) * 4, byteCount: 4)
      (block + 4).copyMemory(
        from: codes.storage.base + codes.layout.offset + start, byteCount: min(size, count - start))
    }
    return tensor
  }
}
