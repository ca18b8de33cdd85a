/// The numbers that a byte stands for in q8, as fractions of the greatest magnitude in its block: many near 1, few
/// near 0, each power of ten with twice as many as the one below.
///
/// Decade i of seven, from 10^(i - 7) to 10^(i - 6), is cut into equal cells whose middles are the numbers: 2^i of
/// them with either sign, or 2^(i + 1) where there are no signs to tell; 0 and 1 make it 256. Source: Dettmers et
/// al. 2022, arXiv 2110.02861; the values are those of `create_dynamic_map` in bitsandbytes to the bit, which is
/// why the arithmetic is in f32.
package struct DynamicMap: Sendable {
  /// Ascending.
  package let values: [Float]
  /// The code of 0.
  package let zero: Int

  /// For blocks with negative numbers: -0.993 to 1.
  package static let signed = DynamicMap(isSigned: true)
  /// For blocks without: 0 to 1, twice as fine.
  package static let unsigned = DynamicMap(isSigned: false)

  private init(isSigned: Bool) {
    var values: [Float] = [0, 1]
    for (decade, scale) in ([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1] as [Float]).enumerated() {
      let count = isSigned ? 1 << decade : 2 << decade
      let step = (1 - 0.1 as Float) / Float(count)
      let edges = (0...count).map { edge in
        edge < (count + 1) / 2
          ? (0.1 as Float).addingProduct(step, Float(edge))
          : (1 as Float).addingProduct(-step, Float(count - edge))
      }
      for cell in 0..<count {
        let value = (edges[cell] + edges[cell + 1]) / 2 * scale
        values.append(value)
        if isSigned { values.append(-value) }
      }
    }
    self.values = values.sorted()
    zero = self.values.firstIndex(of: 0)!
  }

  /// The greatest floats that are still nearer to each number from 0 up than to the next: what lies in the middle
  /// goes to the lower one.
  package var boundaries: [Float] {
    zip(values[zero...], values[(zero + 1)...]).map { low, high in
      let middle = (Double(low) + Double(high)) / 2
      let near = Float(middle)
      return Double(near) > middle ? near.nextDown : near
    }
  }

  /// The code of the number nearest to `ratio`, of two the one nearer to 0.
  package func code(of ratio: Float) -> UInt8 {
    let steps = boundaries.prefix { ratio.magnitude > $0 }.count
    return UInt8(ratio < 0 ? zero - min(steps, zero) : zero + steps)
  }
}

/// q8 in storage: blocks of 256 elements, the last one possibly shorter, each its scale in f32 and then its codes.
///
/// The scale is the greatest magnitude of the block. Its sign tells the map: negative where there is a negative
/// number in the block, which takes the signed map. So no number ever meets a map that cannot express its sign, and
/// second moments get the finer map without anybody having to say so. All bytes 0 are zeros.
/// A block with a NaN or an infinity becomes NaN as a whole: its scale is NaN, its codes 0.
package enum QuantizedBlock {
  /// Elements of a block.
  package static let size = 256
  /// Bytes of a whole block.
  package static let byteCount = 4 + size

  /// `count` bytes of codes and 4 for each block begun.
  package static func byteCount(of count: Int) -> Int { count + (count + size - 1) / size * 4 }

  /// Reads one element: for printing and tests, as `quantize`.
  package static func element(_ index: Int, at base: UnsafeRawPointer) -> Float {
    let block = base + index / size * byteCount
    let scale = block.loadUnaligned(as: Float.self)
    let code = Int(block.load(fromByteOffset: 4 + index % size, as: UInt8.self))
    return (scale.sign == .minus ? DynamicMap.signed : .unsigned).values[code] * scale.magnitude
  }

  /// Writes numbers as blocks, by definition.
  package static func quantize(_ values: [Float], into base: UnsafeMutableRawPointer) {
    for start in stride(from: 0, to: values.count, by: size) {
      let block = values[start..<min(start + size, values.count)]
      let target = base + start / size * byteCount
      let greatest = block.contains { !$0.isFinite } ? .nan : block.reduce(0) { max($0, $1.magnitude) }
      let isSigned = greatest > 0 && block.contains { $0 < 0 }
      target.storeBytes(of: isSigned ? -greatest : greatest, as: Float.self)
      let map = isSigned ? DynamicMap.signed : .unsigned
      for (place, value) in block.enumerated() {
        let code = greatest > 0 ? map.code(of: value / greatest) : 0
        target.storeBytes(of: code, toByteOffset: 4 + place, as: UInt8.self)
      }
    }
  }

  /// The codes of a tensor of q8 in its shape, and the scales of its blocks.
  package static func parts(of tensor: Tensor) -> (codes: Tensor, scales: Tensor) {
    let count = tensor.elementCount
    let codes = Tensor(uninitialized: TensorType(.u8, tensor.shape))
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
    guard codes.dtype == .u8, scales.type == TensorType(.f32, [(count + size - 1) / size]) else { return nil }
    let (codes, scales) = (codes.contiguous(), scales.contiguous())
    let tensor = Tensor(uninitialized: TensorType(.q8, codes.shape))
    for (index, start) in stride(from: 0, to: count, by: size).enumerated() {
      let block = tensor.storage.base + index * byteCount
      block.copyMemory(from: scales.storage.base + (scales.layout.offset + index) * 4, byteCount: 4)
      (block + 4).copyMemory(
        from: codes.storage.base + codes.layout.offset + start, byteCount: min(size, count - start))
    }
    return tensor
  }
}
