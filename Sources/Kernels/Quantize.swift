import Tensors

// Between blocks of q8 and lanes. `QuantizedBlock` defines what these loops do; they find codes in another way.

// Its constants again, where the compiler sees them.
let blockSize = 256
private let blockByteCount = 4 + blockSize

/// Reads `count` elements of q8 from a position on, wherever it lies in its block.
func dequantize(
  _ base: UnsafeRawPointer, from start: Int, into tile: UnsafeMutablePointer<Float>, count: Int
) {
  let tables = QuantizationTables.shared
  var done = 0
  while done < count {
    let place = (start &+ done) % blockSize
    let length = min(blockSize &- place, count &- done)
    let block = base + (start &+ done) / blockSize &* blockByteCount
    let codes = (block + 4 + place).assumingMemoryBound(to: UInt8.self)
    let scale = block.loadUnaligned(as: Float.self)
    let values = scale.sign == .minus ? tables.signedValues : tables.unsignedValues
    let size = scale.magnitude
    let target = tile + done
    for i in 0..<length { target[i] = values[Int(codes[i])] * size }
    done &+= length
  }
}

/// Writes `count` elements as blocks of q8, the first of which begins at `base`.
func quantize(_ tile: UnsafePointer<Float>, into base: UnsafeMutableRawPointer, count: Int) {
  let tables = QuantizationTables.shared
  var (source, block, left) = (tile, base, count)
  while left > 0 {
    let length = min(blockSize, left)
    quantizeBlock(source, into: block, count: length, tables)
    source += length
    block += blockByteCount
    left &-= length
  }
}

@inline(__always)
private func quantizeBlock(
  _ source: UnsafePointer<Float>, into block: UnsafeMutableRawPointer, count: Int, _ tables: QuantizationTables
) {
  // Of bit patterns, because comparing whole numbers is associative and these loops become vector instructions:
  // the greatest magnitude, above that of infinity for NaN; and above that of -0 if anything is negative.
  let patterns = UnsafeRawPointer(source).assumingMemoryBound(to: UInt32.self)
  var greatest: UInt32 = 0
  var mostNegative: UInt32 = 0
  for i in 0..<count {
    let magnitude = patterns[i] & 0x7FFF_FFFF
    greatest = magnitude > greatest ? magnitude : greatest
    mostNegative = patterns[i] > mostNegative ? patterns[i] : mostNegative
  }
  let codes = (block + 4).assumingMemoryBound(to: UInt8.self)
  let isFinite = greatest < 0x7F80_0000
  if greatest == 0 || !isFinite {
    block.storeBytes(of: isFinite ? 0 : .nan, as: Float.self)
    for i in 0..<count { codes[i] = 0 }
    return
  }
  let scale = Float(bitPattern: greatest)
  let isSigned = mostNegative > 0x8000_0000
  block.storeBytes(of: isSigned ? -scale : scale, as: Float.self)
  let bins = isSigned ? tables.signedBins : tables.unsignedBins
  let zero = isSigned ? tables.signedZero : 0
  // Three loops over memory of their own, which overlaps no other: each becomes vector instructions.
  withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 2 &* blockSize) { scratch in
    let ratios = scratch.baseAddress!
    let entries = ratios + blockSize
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
