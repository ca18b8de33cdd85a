import Tensors

// Between storage and lanes. Loads widen and are exact; stores round to nearest even, and say so where a
// whole number does not fit. Floats never saturate: what rounds beyond the largest number is infinite (f16 from 65520
// on, bf16 from 2^128 - 2^119 on, f8e5m2 from 61440 on) or NaN (f8e4m3, which has no infinity, above 464). NaN stays
// NaN with its sign; its payload is not kept.

/// Reads `count` elements of `dtype`, `stride` elements apart, into a contiguous tile of their lane.
/// - Requires: of blocks, the stride is 1 and `base` is where a block begins.
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
  case .f8e4m3:
    let values = Float8Tables.shared.e4m3
    load(base, stride, tile, count) { (x: UInt8) in values[Int(x)] }
  case .f8e5m2:
    let values = Float8Tables.shared.e5m2
    load(base, stride, tile, count) { (x: UInt8) in values[Int(x)] }
  case .q8, .q8e4m3: dequantize(dtype, base, from: 0, into: tile.assumingMemoryBound(to: Float.self), count: count)
  }
}

/// Reads `count` contiguous elements of `dtype` from a position on into a tile of their lane.
@inline(__always)
func loadLane(
  _ dtype: DType, from base: UnsafeRawPointer, at position: Int, into tile: UnsafeMutableRawPointer, count: Int
) {
  if dtype.isBlocked {
    dequantize(dtype, base, from: position, into: tile.assumingMemoryBound(to: Float.self), count: count)
  } else {
    loadLane(dtype, from: base + position &* dtype.byteCount, stride: 1, into: tile, count: count)
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

/// Writes `count` elements of a tile as contiguous elements of `dtype`, or as blocks that begin at `base`.
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
  case .f8e4m3:
    store(tile, base, count, float8e4m3Bits)
    return nil
  case .f8e5m2:
    store(tile, base, count) { float8Bits($0, mantissaBits: 2, exponentBias: 15, overflow: 0x7C, nan: 0x7E) }
    return nil
  case .q8, .q8e4m3:
    quantize(dtype, tile.assumingMemoryBound(to: Float.self), into: base, count: count)
    return nil
  }
}

@inline(__always)
private func store(
  _ tile: UnsafeRawPointer, _ base: UnsafeMutableRawPointer, _ count: Int, _ narrow: (Float) -> UInt8
) {
  let source = tile.assumingMemoryBound(to: Float.self)
  let target = base.assumingMemoryBound(to: UInt8.self)
  for i in 0..<count { target[i] = narrow(source[i]) }
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

extension DType {
  /// Whether it is a float of 16 bits.
  var isNarrow: Bool { self == .f16 || self == .bf16 }
}

/// Rounds `count` floats to a 16-bit dtype, and leaves them in f32.
func roundInPlace(_ dtype: DType, _ x: UnsafeMutablePointer<Float>, count: Int) {
  if dtype == .f16 {
    for i in 0..<count { x[i] = Float(Float16(x[i])) }
  } else {
    for i in 0..<count { x[i] = Float(bitPattern: bfloat16InFloat(x[i])) }
  }
}

/// The same, and stores them too.
func roundAndStore(
  _ dtype: DType, _ x: UnsafeMutablePointer<Float>, into base: UnsafeMutableRawPointer, count: Int
) {
  if dtype == .f16 {
    let target = base.assumingMemoryBound(to: Float16.self)
    for i in 0..<count {
      let rounded = Float16(x[i])
      target[i] = rounded
      x[i] = Float(rounded)
    }
  } else {
    let target = base.assumingMemoryBound(to: UInt16.self)
    for i in 0..<count {
      let rounded = bfloat16InFloat(x[i])
      target[i] = UInt16(truncatingIfNeeded: rounded &>> 16)
      x[i] = Float(bitPattern: rounded)
    }
  }
}

/// The bfloat16 nearest to `x`, ties to even; beyond the largest number lies infinity, and NaN is the quiet one of its
/// sign, as in ml_dtypes. Integer instructions keep subnormals, as the processor's own conversion does not, so all
/// machines agree.
@inline(__always)
func bfloat16Bits(_ x: Float) -> UInt16 { UInt16(truncatingIfNeeded: bfloat16InFloat(x) &>> 16) }

/// The same as the upper half of a float.
@inline(__always)
func bfloat16InFloat(_ x: Float) -> UInt32 {
  let bits = x.bitPattern
  let rounded = (bits &+ 0x7FFF &+ ((bits &>> 16) & 1)) & 0xFFFF_0000
  return x != x ? bits & 0x8000_0000 | 0x7FC0_0000 : rounded
}

/// The f8e4m3 nearest to `x`.
@inline(__always)
func float8e4m3Bits(_ x: Float) -> UInt8 {
  float8Bits(x, mantissaBits: 3, exponentBias: 7, overflow: 0x7F, nan: 0x7F)
}

/// The 8-bit float nearest to `x`, as `Float8` defines it: normal numbers drop the lower bits of a float; below them
/// lie equal distances, which are those of floats around `anchor`.
@inline(__always)
private func float8Bits(
  _ x: Float, mantissaBits: UInt32, exponentBias: UInt32, overflow: UInt32, nan: UInt32
) -> UInt8 {
  let magnitude = x.bitPattern & 0x7FFF_FFFF
  let dropped = 23 &- mantissaBits
  let bias = 127 &- exponentBias
  let rounded = (magnitude &+ ((1 &<< (dropped &- 1)) &- 1) &+ ((magnitude &>> dropped) & 1)) &>> dropped
  let normal = rounded &- (bias &<< mantissaBits)
  let anchor = (bias &+ 1 &+ dropped) &<< 23
  let subnormal = (Float(bitPattern: magnitude) + Float(bitPattern: anchor)).bitPattern &- anchor
  var code = magnitude < (bias &+ 1) &<< 23 ? subnormal : normal
  code = code > overflow || magnitude >= 0x7F80_0000 ? overflow : code
  code = magnitude > 0x7F80_0000 ? nan : code
  return UInt8(truncatingIfNeeded: code | (x.bitPattern &>> 24 & 0x80))
}

/// The numbers of all patterns of 8-bit floats.
struct Float8Tables: @unchecked Sendable {
  static let shared = Float8Tables()
  let e4m3: UnsafePointer<Float>
  let e5m2: UnsafePointer<Float>

  private init() {
    func table(_ format: Float8) -> UnsafePointer<Float> {
      let values = UnsafeMutablePointer<Float>.allocate(capacity: 256)
      for pattern in 0..<256 { values[pattern] = format.value(of: UInt8(pattern)) }
      return UnsafePointer(values)
    }
    (e4m3, e5m2) = (table(.e4m3), table(.e5m2))
  }
}
