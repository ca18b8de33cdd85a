import Tensors

/// Returns the loop that converts elements between lanes, on their way from one dtype to another.
///
/// Floats become whole numbers by dropping their fraction; what has no whole number (NaN, infinities, the
/// very large) is an overflow. Each conversion rounds once.
package func castTile(from source: DType, to target: DType) -> TileBody {
  let roundsTwice = target != .f32 && !target.isBlocked && target.lane == .single
  return switch (source.lane, target.lane) {
  case (.single, .single): unaryTile(inBlocks: .copy) { (x: Float) in x }
  case (.single, .double): unaryTile { (x: Float) in Double(x) }
  case (.single, .integer): truncatingTile { (x: Float) in Int64(x) }
  case (.single, .truth): unaryTile { (x: Float) in (x != 0 ? 1 : 0) as UInt8 }
  case (.double, .single) where roundsTwice: unaryTile { (x: Double) in roundedToOdd(x) }
  case (.double, .single): unaryTile { (x: Double) in Float(x) }
  case (.double, .double): unaryTile { (x: Double) in x }
  case (.double, .integer): truncatingTile { (x: Double) in Int64(x) }
  case (.double, .truth): unaryTile { (x: Double) in (x != 0 ? 1 : 0) as UInt8 }
  case (.integer, .single) where roundsTwice: unaryTile { (x: Int64) in roundedToOdd(x) }
  case (.integer, .single): unaryTile { (x: Int64) in Float(x) }
  case (.integer, .double): unaryTile { (x: Int64) in Double(x) }
  case (.integer, .integer): unaryTile { (x: Int64) in x }
  case (.integer, .truth): unaryTile { (x: Int64) in (x != 0 ? 1 : 0) as UInt8 }
  case (.truth, .single): unaryTile { (x: UInt8) in Float(x) }
  case (.truth, .double): unaryTile { (x: UInt8) in Double(x) }
  case (.truth, .integer): unaryTile { (x: UInt8) in Int64(x) }
  case (.truth, .truth): unaryTile { (x: UInt8) in x }
  }
}

@inline(__always)
private func truncatingTile<T: BinaryFloatingPoint & SendableMetatype>(
  _ truncated: @escaping @Sendable (T) -> Int64
) -> TileBody {
  TileBody { operands, result, count in
    let x = operands[0].assumingMemoryBound(to: T.self)
    let y = result.assumingMemoryBound(to: Int64.self)
    var lost = 0
    for i in 0..<count {
      let fits = x[i] >= -0x1p63 && x[i] < 0x1p63
      lost |= fits ? 0 : 1
      y[i] = truncated(fits ? x[i] : 0)
    }
    return lost == 0 ? nil : .overflow
  }
}

/// The `Float` next to `x` whose last bit is set if anything was dropped: rounding that once more, to half
/// the width or less, gives what rounding `x` itself would have given.
@inline(__always)
private func roundedToOdd(_ x: Double) -> Float {
  let near = Float(x)
  let bits = near.bitPattern
  // Towards zero first: one step back where rounding went outwards.
  let truncated = Double(near).magnitude > x.magnitude ? bits &- 1 : bits
  return Double(near) == x || x != x ? near : Float(bitPattern: truncated | 1)
}

@inline(__always)
private func roundedToOdd(_ x: Int64) -> Float {
  // Beyond 53 bits the same trick brings the number to `Double`.
  let isLong = x >= 1 &<< 53 || x <= -1 &<< 53
  let odd = (x & ~0x7FF) | (x & 0x7FF != 0 ? 0x800 : 0)
  return roundedToOdd(Double(isLong ? odd : x))
}
