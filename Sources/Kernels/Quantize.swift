import Tensors

// Between blocks and lanes. `QuantizedBlock` defines what these loops do; they find codes in another way.

// Its constants again, where the compiler sees them.
let blockSize = 256
private let blockByteCount = 4 + blockSize

/// Reads `count` elements of blocks from a position on, wherever it lies in its block.
func dequantize(
  _ dtype: DType, _ base: UnsafeRawPointer, from start: Int, into tile: UnsafeMutablePointer<Float>, count: Int
) {
  let tables = QuantizationTables.shared
  let floats = Float8Tables.shared.e4m3
  let hasFloats = dtype == .q8e4m3
  var done = 0
  while done < count {
    let place = (start &+ done) % blockSize
    let length = min(blockSize &- place, count &- done)
    let block = base + (start &+ done) / blockSize &* blockByteCount
    let codes = (block + 4 + place).assumingMemoryBound(to: UInt8.self)
    let scale = block.loadUnaligned(as: Float.self)
    let values = hasFloats ? floats : scale.sign == .minus ? tables.signedValues : tables.unsignedValues
    let size = scale.magnitude
    let target = tile + done
    for i in 0..<length { target[i] = values[Int(codes[i])] * size }
    done &+= length
  }
}

/// Writes `count` elements as blocks, the first of which begins at `base`.
func quantize(_ dtype: DType, _ tile: UnsafePointer<Float>, into base: UnsafeMutableRawPointer, count: Int) {
  let tables = QuantizationTables.shared
  let hasFloats = dtype == .q8e4m3
  var (source, block, left) = (tile, base, count)
  while left > 0 {
    let length = min(blockSize, left)
    if hasFloats {
      quantizeFloats(source, into: block, count: length)
    } else {
      quantizeFractions(source, into: block, count: length, tables)
    }
    source += length
    block += blockByteCount
    left &-= length
  }
}

// Scales are found from bit patterns, because comparing whole numbers is associative and such loops become vector
// instructions.

/// Writes a block of zeros, or of NaN.
@inline(__always)
private func fill(_ block: UnsafeMutableRawPointer, count: Int, scale: Float) {
  block.storeBytes(of: scale, as: Float.self)
  (block + 4).initializeMemory(as: UInt8.self, repeating: 0, count: count)
}

/// A block of q8.
@inline(__always)
private func quantizeFractions(
  _ source: UnsafePointer<Float>, into block: UnsafeMutableRawPointer, count: Int, _ tables: QuantizationTables
) {
  // The greatest magnitude, above that of infinity for NaN; and above that of -0 if anything is negative.
  let patterns = UnsafeRawPointer(source).assumingMemoryBound(to: UInt32.self)
  var greatest: UInt32 = 0
  var mostNegative: UInt32 = 0
  for i in 0..<count {
    let magnitude = patterns[i] & 0x7FFF_FFFF
    greatest = magnitude > greatest ? magnitude : greatest
    mostNegative = patterns[i] > mostNegative ? patterns[i] : mostNegative
  }
  if greatest == 0 { return fill(block, count: count, scale: 0) }
  if greatest >= 0x7F80_0000 { return fill(block, count: count, scale: .nan) }
  let codes = (block + 4).assumingMemoryBound(to: UInt8.self)
  let scale = Float(bitPattern: greatest)
  let isSigned = mostNegative > 0x8000_0000
  block.storeBytes(of: isSigned ? -scale : scale, as: Float.self)
  let bins = isSigned ? tables.signedBins : tables.unsignedBins
  let zero = isSigned ? tables.signedZero : 0
  // Three loops over memory of their own, which overlaps no other: each becomes vector instructions. Twice 1024 bytes: what is
  // larger would come from the heap.
  withUnsafeTemporaryAllocation(of: UInt32.self, capacity: blockSize) { ratioBuffer in
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: blockSize) { entryBuffer in
      let (ratios, entries) = (ratioBuffer.baseAddress!, entryBuffer.baseAddress!)
      for i in 0..<count { ratios[i] = (source[i] / scale).bitPattern & 0x7FFF_FFFF }
      for i in 0..<count {
        let bin = max(Int32(truncatingIfNeeded: ratios[i] &>> 16), QuantizationTables.firstBin)
        entries[i] = bins[Int(bin &- QuantizationTables.firstBin)]
      }
      for i in 0..<count {
        // How many boundaries of the map lie below the ratio.
        let isBeyond: Int32 = ratios[i] & 0xFFFF > entries[i] &>> 8 ? 1 : 0
        let steps = Int32(truncatingIfNeeded: entries[i] & 0xFF) &+ isBeyond
        // All bits set below 0: there the steps go down, and there is one fewer.
        let sign = isSigned ? Int32(bitPattern: patterns[i]) &>> 31 : 0
        let bound = 255 &- zero &+ sign
        let code = zero &+ ((min(steps, bound) ^ sign) &- sign)
        codes[i] = UInt8(truncatingIfNeeded: code)
      }
    }
  }
}

/// A block of q8e4m3.
@inline(__always)
private func quantizeFloats(_ source: UnsafePointer<Float>, into block: UnsafeMutableRawPointer, count: Int) {
  let patterns = UnsafeRawPointer(source).assumingMemoryBound(to: UInt32.self)
  var greatest: UInt32 = 0
  for i in 0..<count {
    let magnitude = patterns[i] & 0x7FFF_FFFF
    greatest = magnitude > greatest ? magnitude : greatest
  }
  if greatest == 0 { return fill(block, count: count, scale: 0) }
  if greatest >= 0x7F80_0000 { return fill(block, count: count, scale: .nan) }
  let codes = (block + 4).assumingMemoryBound(to: UInt8.self)
  let scale = max(Float(bitPattern: greatest) / 448, .leastNormalMagnitude)
  block.storeBytes(of: scale, as: Float.self)
  for i in 0..<count { codes[i] = float8e4m3Bits(source[i] / scale) }
}

/// The maps of q8 as kernels look them up.
///
/// Codes are found by the upper 16 bits of a ratio: those name a bin so narrow that no more than one boundary lies in
/// it. A bin's entry is the code at its beginning and, above that, the lower 16 bits of the boundary.
struct QuantizationTables: @unchecked Sendable {
  static let shared = QuantizationTables()

  let signedValues: UnsafePointer<Float>
  let unsignedValues: UnsafePointer<Float>
  let signedBins: UnsafePointer<UInt32>
  let unsignedBins: UnsafePointer<UInt32>
  let signedZero: Int32

  /// The bin of 2^-23, below all boundaries.
  static let firstBin: Int32 = (127 - 23) << 7
  private static let binCount = 23 << 7 + 1

  private init() {
    func kept<Element>(_ elements: [Element]) -> UnsafePointer<Element> {
      let copy = UnsafeMutablePointer<Element>.allocate(capacity: elements.count)
      copy.initialize(from: elements, count: elements.count)
      return UnsafePointer(copy)
    }
    signedValues = kept(DynamicMap.signed.values)
    unsignedValues = kept(DynamicMap.unsigned.values)
    signedBins = kept(QuantizationTables.bins(of: .signed))
    unsignedBins = kept(QuantizationTables.bins(of: .unsigned))
    signedZero = Int32(DynamicMap.signed.zero)
  }

  private static func bins(of map: DynamicMap) -> [UInt32] {
    let boundaries = map.boundaries.map(\.bitPattern)
    return (0..<binCount).map { bin in
      let start = UInt32(bin + Int(firstBin)) << 16
      let code = UInt32(boundaries.count { $0 < start })
      let boundary = boundaries.first { $0 >= start && $0 < start | 0xFFFF }
      return code | (boundary.map { $0 & 0xFFFF } ?? 0xFFFF) << 8
    }
  }
}
