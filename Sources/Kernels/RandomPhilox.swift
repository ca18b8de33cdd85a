import Tensors

/// The random numbers of one op in one step: a pure function from an element's index to 128 random bits.
///
/// The function is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as
/// 1, 2, 3", 2011). The counter is the element's index and the op's ordinal; the key is drawn from the
/// program's seed and the tick, so nothing has to be stored to draw the same numbers again.
package struct RandomStream: Sendable {
  private let key: (UInt32, UInt32)
  private let ordinal: UInt64
  /// Where what is drawn begins in a larger tensor.
  private let first: UInt64

  package init(seed: Int, tick: Int, ordinal: Int, first: Int = 0) {
    let seed = UInt64(bitPattern: Int64(seed))
    let tick = UInt64(bitPattern: Int64(tick))
    let mixed = philox(
      counter: (low(tick), high(tick), 0, 0), key: (low(seed), high(seed)))
    key = (mixed.0, mixed.1)
    self.ordinal = UInt64(bitPattern: Int64(ordinal))
    self.first = UInt64(bitPattern: Int64(first))
  }

  /// Reads (seed, tick) from the key operand, a contiguous i64[2], or (seed, tick, first element) from an i64[3].
  package init(key: TensorView, ordinal: Int) {
    let words = key.base.assumingMemoryBound(to: Int64.self)
    self.init(seed: Int(words[0]), tick: Int(words[1]), ordinal: ordinal, first: key.shape[0] > 2 ? Int(words[2]) : 0)
  }

  /// Returns the four words that belong to an element.
  @inline(__always)
  package func words(at element: Int) -> (UInt32, UInt32, UInt32, UInt32) {
    block(UInt64(truncatingIfNeeded: element) &+ first)
  }

  /// Returns 64 random bits that belong to an element.
  @inline(__always)
  package func bits(at element: Int) -> UInt64 {
    let words = words(at: element)
    return UInt64(words.0) << 32 | UInt64(words.1)
  }

  /// Returns 16 random bits that belong to an element.
  ///
  /// A block of Philox serves 8 elements, 32 apart in a group of 256, so that a loop over a group is one over vectors.
  @inline(__always)
  package func sixteenBits(at element: Int) -> UInt32 {
    let place = UInt64(truncatingIfNeeded: element) &+ first
    let words = block((place >> 8) << 5 | place & 31)
    let lane = place >> 5 & 7
    let word = lane < 4 ? lane < 2 ? words.0 : words.1 : lane < 6 ? words.2 : words.3
    return lane & 1 == 0 ? word & 0xFFFF : word >> 16
  }

  /// The group of 256 elements that an element lies in, and its place there: see `sixteenBits`.
  @inline(__always)
  func group(of element: Int) -> (group: UInt64, place: Int) {
    let place = UInt64(truncatingIfNeeded: element) &+ first
    return (place >> 8, Int(place & 255))
  }

  /// Writes the 16 bits of all 256 elements of a group.
  @inline(__always)
  func fillSixteenBits(_ bits: UnsafeMutablePointer<UInt16>, group: UInt64) {
    for i in 0..<32 {
      let words = block(group << 5 | UInt64(truncatingIfNeeded: i))
      bits[i] = UInt16(truncatingIfNeeded: words.0)
      bits[32 &+ i] = UInt16(truncatingIfNeeded: words.0 >> 16)
      bits[64 &+ i] = UInt16(truncatingIfNeeded: words.1)
      bits[96 &+ i] = UInt16(truncatingIfNeeded: words.1 >> 16)
      bits[128 &+ i] = UInt16(truncatingIfNeeded: words.2)
      bits[160 &+ i] = UInt16(truncatingIfNeeded: words.2 >> 16)
      bits[192 &+ i] = UInt16(truncatingIfNeeded: words.3)
      bits[224 &+ i] = UInt16(truncatingIfNeeded: words.3 >> 16)
    }
  }

  @inline(__always)
  private func block(_ place: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
    philox(counter: (low(place), high(place), low(ordinal), high(ordinal)), key: key)
  }

  /// Returns a number in [0, 1) that belongs to an element, on a grid of 2^-53.
  @inline(__always)
  package func unit(at element: Int) -> Double {
    Double(bits(at: element) >> 11) * 0x1p-53
  }
}

/// One block of Philox4x32-10: four words from a counter of four and a key of two.
@inline(__always)
package func philox(
  counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)
) -> (UInt32, UInt32, UInt32, UInt32) {
  var (c0, c1, c2, c3) = counter
  var (k0, k1) = key
  for _ in 0..<10 {
    let a = UInt64(c0) &* 0xD251_1F53
    let b = UInt64(c2) &* 0xCD9E_8D57
    (c0, c1, c2, c3) = (high(b) ^ c1 ^ k0, low(b), high(a) ^ c3 ^ k1, low(a))
    k0 &+= 0x9E37_79B9
    k1 &+= 0xBB67_AE85
  }
  return (c0, c1, c2, c3)
}

@inline(__always)
private func low(_ word: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: word) }
@inline(__always)
private func high(_ word: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: word >> 32) }
