import Tensors

// Between storage and lanes. Loads widen and are exact; stores round to nearest even, and say so where a
// whole number does not fit.

/// Reads `count` elements of `dtype`, `stride` elements apart, into a contiguous tile of their lane.
func loadLane(
  _ dtype: DType, from base: UnsafeRawPointer, stride: Int, into tile: UnsafeMutableRawPointer,
  count: Int
) {
  switch dtype {
  case .f32: load(base, stride, tile, count) { (x: Float) in x }
  case .f64: load(base, stride, tile, count) { (x: Double) in x }
  case .f16: load(base, stride, tile, count) { (x: Float16) in Float(x) }
  case .bf16: load(base, stride, tile, count) { (x: UInt16) in Float(bitPattern: UInt32(x) &<< 16) }
  case .i32: load(base, stride, tile, count) { (x: Int32) in Int64(x) }
  case .i64: load(base, stride, tile, count) { (x: Int64) in x }
  case .u8: load(base, stride, tile, count) { (x: UInt8) in Int64(x) }
  case .bool: load(base, stride, tile, count) { (x: UInt8) in x }
  }
}

@inline(__always)
private func load<Stored, Value>(
  _ base: UnsafeRawPointer, _ stride: Int, _ tile: UnsafeMutableRawPointer, _ count: Int,
  _ widen: (Stored) -> Value
) {
  let source = base.assumingMemoryBound(to: Stored.self)
  let target = tile.assumingMemoryBound(to: Value.self)
  switch stride {
  case 1: for i in 0..<count { target[i] = widen(source[i]) }
  case 0:
    let value = widen(source[0])
    for i in 0..<count { target[i] = value }
  default: for i in 0..<count { target[i] = widen(source[i &* stride]) }
  }
}

/// Writes `count` elements of a tile as contiguous elements of `dtype`.
///
/// Whole numbers that do not fit their dtype are an overflow; what is written for them is unspecified.
func storeLane(
  _ dtype: DType, from tile: UnsafeRawPointer, into base: UnsafeMutableRawPointer, count: Int
) -> ArithmeticFault? {
  switch dtype {
  case .f32, .f64, .i64, .bool:
    base.copyMemory(from: tile, byteCount: count &* dtype.byteCount)
    return nil
  case .f16:
    let source = tile.assumingMemoryBound(to: Float.self)
    let target = base.assumingMemoryBound(to: Float16.self)
    for i in 0..<count { target[i] = Float16(source[i]) }
    return nil
  case .bf16:
    let source = tile.assumingMemoryBound(to: Float.self)
    let target = base.assumingMemoryBound(to: UInt16.self)
    for i in 0..<count { target[i] = bfloat16Bits(source[i]) }
    return nil
  case .i32: return storeNarrow(Int32.self, tile, base, count)
  case .u8: return storeNarrow(UInt8.self, tile, base, count)
  }
}

@inline(__always)
private func storeNarrow<Stored: FixedWidthInteger>(
  _: Stored.Type, _ tile: UnsafeRawPointer, _ base: UnsafeMutableRawPointer, _ count: Int
) -> ArithmeticFault? {
  let source = tile.assumingMemoryBound(to: Int64.self)
  let target = base.assumingMemoryBound(to: Stored.self)
  var lost: Int64 = 0
  for i in 0..<count {
    let narrow = Stored(truncatingIfNeeded: source[i])
    lost |= Int64(truncatingIfNeeded: narrow) ^ source[i]
    target[i] = narrow
  }
  return lost == 0 ? nil : .overflow
}

/// The bfloat16 nearest to `x`, ties to even. Integer instructions keep subnormals, as the processor's own
/// conversion does not, so all machines agree.
@inline(__always)
func bfloat16Bits(_ x: Float) -> UInt16 {
  let bits = x.bitPattern
  let rounded = (bits &+ 0x7FFF &+ ((bits &>> 16) & 1)) &>> 16
  let isNaN = bits & 0x7FFF_FFFF > 0x7F80_0000
  return UInt16(truncatingIfNeeded: isNaN ? 0x7FC0 : rounded)
}
