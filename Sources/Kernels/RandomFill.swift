import Glibc
import Tensors

// Elements are made in blocks so that the integer rounds of Philox and the floating-point formula that
// follows are each a loop without branches, which vectorises.
private let blockCount = 256
/// What a number costs, in elements of a simple loop.
private let drawCost = 4

/// The scratch that uniform and normal numbers of `dtype` take.
package func drawScratchByteCount(_ dtype: DType) -> Int {
  dtype == .f64 ? 0 : scratchByteCount(of: UInt32.self, count: 2 &* blockCount)
}

/// Fills `result` (f32 or f64) with numbers from [low, high).
package func fillUniform(
  _ result: TensorView, from low: Double, to high: Double, stream: RandomStream
) {
  let count = result.elementCount
  if result.dtype == .f64 {
    let y = result.base.assumingMemoryBound(to: Double.self)
    let span = high - low
    let top = high.nextDown
    inParallel(count, cost: drawCost) { from, to in
      for i in from..<to {
        let value = low + span * stream.unit(at: i)
        y[i] = value < top ? value : top
      }
    }
    return
  }
  let y = result.base.assumingMemoryBound(to: Float.self)
  let start = Float(low)
  let span = Float(high - low)
  // Rounding may carry the sum up to `high`, which is not in the interval.
  let top = max(start, Float(high).nextDown)
  inParallel(count, cost: drawCost, unit: blockCount) { from, to in
    fillUniform(y, from: from, to: to, start: start, span: span, top: top, stream: stream)
  }
}

@inline(never)
private func fillUniform(
  _ y: UnsafeMutablePointer<Float>, from: Int, to: Int, start: Float, span: Float, top: Float,
  stream: RandomStream
) {
  forEachBlock(from, to, stream) { words, _, first, size in
    for i in 0..<size {
      let value = start + span * unit(words[i])
      y[first + i] = value < top ? value : top
    }
  }
}

/// Fills `result` (f32 or f64) with normally distributed numbers by the Box-Muller transform,
/// sqrt(-2 ln u) cos(2 pi v) with u in (0, 1] and v in [0, 1) from the element's own words.
package func fillNormal(_ result: TensorView, stream: RandomStream) {
  let count = result.elementCount
  if result.dtype == .f64 {
    let y = result.base.assumingMemoryBound(to: Double.self)
    inParallel(count, cost: 4 &* drawCost) { from, to in
      for i in from..<to {
        let words = stream.words(at: i)
        let u = Double((UInt64(words.0) << 32 | UInt64(words.1)) >> 11 + 1) * 0x1p-53
        let v = Double((UInt64(words.2) << 32 | UInt64(words.3)) >> 11) * 0x1p-53
        y[i] = (-2 * log(u)).squareRoot() * cos(2 * Double.pi * v)
      }
    }
    return
  }
  let y = result.base.assumingMemoryBound(to: Float.self)
  inParallel(count, cost: drawCost, unit: blockCount) { from, to in
    fillNormal(y, from: from, to: to, stream: stream)
  }
}

@inline(never)
private func fillNormal(
  _ y: UnsafeMutablePointer<Float>, from: Int, to: Int, stream: RandomStream
) {
  forEachBlock(from, to, stream) { words, others, first, size in
    for i in 0..<size {
      // Exact. Adding the 1 as a whole number makes rounds of this loop wait for each other: the compiler's
      // way to have a 1 is an instruction that the processor thinks depends on the last result.
      let u = unit(words[i]) + 0x1p-24
      y[first + i] = (-2 * VectorMath.log(u)).squareRoot() * cosineOfTurns(unit(others[i]))
    }
  }
}

/// Fills `result` (i64) with whole numbers from low ..< high.
///
/// A number is the high half of 64 random bits times the size of the range, so that no value's
/// probability is off by more than 2^-64.
package func fillIntegers(_ result: TensorView, from low: Int, to high: Int, stream: RandomStream) {
  let y = result.base.assumingMemoryBound(to: Int.self)
  let span = UInt64(bitPattern: Int64(high &- low))
  inParallel(result.elementCount, cost: drawCost) { from, to in
    for i in from..<to {
      y[i] = low &+ Int(bitPattern: UInt(stream.bits(at: i).multipliedFullWidth(by: span).high))
    }
  }
}

/// Fills `result` (i64) with 0 ..< count in random order: Fisher and Yates' shuffle, whose exchange of
/// place i draws from element i.
package func fillPermutation(_ result: TensorView, stream: RandomStream) {
  let y = result.base.assumingMemoryBound(to: Int.self)
  let count = result.elementCount
  for i in 0..<count { y[i] = i }
  for i in stride(from: count - 1, to: 0, by: -1) {
    let j = Int(stream.bits(at: i).multipliedFullWidth(by: UInt64(i + 1)).high)
    let saved = y[i]
    y[i] = y[j]
    y[j] = saved
  }
}

/// Returns the index that `unit` of [0, 1) picks from a distribution given by unnormalised log
/// probabilities, or nil where they contain a NaN, +inf, or no finite number.
@inline(__always)
private func pick<Scalar: BinaryFloatingPoint>(
  _ logits: UnsafePointer<Scalar>, count: Int, unit: Double
) -> Int? {
  var top = -Double.infinity
  for i in 0..<count {
    let value = Double(logits[i])
    if value.isNaN { return nil }
    top = max(top, value)
  }
  guard top.isFinite else { return nil }
  var total = 0.0
  for i in 0..<count { total += exp(Double(logits[i]) - top) }
  let threshold = unit * total
  var cumulative = 0.0
  var last = 0
  for i in 0..<count {
    let weight = exp(Double(logits[i]) - top)
    cumulative += weight
    if cumulative > threshold { return i }
    if weight > 0 { last = i }
  }
  return last
}

/// Fills `result` (i64) with one sample for each row of `logits` [.., c]: the first index at which the
/// cumulative probability exceeds the row's uniform number.
/// - Returns: the first row that is no distribution, after which nothing is written; nil where all are.
package func fillCategorical(
  _ result: TensorView, logits: TensorView, stream: RandomStream
) -> Int? {
  let classCount = logits.shape[logits.shape.count - 1]
  let y = result.base.assumingMemoryBound(to: Int.self)
  for row in 0..<result.elementCount {
    let unit = stream.unit(at: row)
    let choice =
      logits.dtype == .f64
      ? pick(
        logits.base.assumingMemoryBound(to: Double.self) + row * classCount, count: classCount,
        unit: unit)
      : pick(
        logits.base.assumingMemoryBound(to: Float.self) + row * classCount, count: classCount,
        unit: unit)
    guard let choice else { return row }
    y[row] = choice
  }
  return nil
}

// MARK: - Blocks

/// Calls `body` for each block with its elements' first two words, its first element and its count.
@inline(__always)
private func forEachBlock(
  _ from: Int, _ to: Int, _ stream: RandomStream,
  _ body: (
    _ words: UnsafePointer<UInt32>, _ others: UnsafePointer<UInt32>, _ first: Int, _ size: Int
  ) -> Void
) {
  withScratch(of: UInt32.self, count: 2 &* blockCount) { words in
    let others = words + blockCount
    for first in stride(from: from, to: to, by: blockCount) {
      let size = min(blockCount, to &- first)
      for i in 0..<size {
        let drawn = stream.words(at: first &+ i)
        words[i] = drawn.0
        others[i] = drawn.1
      }
      body(words, others, first, size)
    }
  }
}

/// A number in [0, 1) from the upper 24 bits of a word: every one is exact in f32.
@inline(__always)
private func unit(_ word: UInt32) -> Float {
  Float(Int32(truncatingIfNeeded: word >> 8)) * 0x1p-24
}

/// cos(2 pi t) for t in [0, 1), 1 ulp. The reduction to a quarter turn is exact.
@inline(__always)
private func cosineOfTurns(_ t: Float) -> Float {
  let x = abs(t - 0.5) - 0.25
  let square = x * x
  // sin(2 pi x) on [-1/4, 1/4]: the Taylor polynomial of degree 13, whose remainder is below 2^-26.
  var p: Float = 3.819_952_6
  p = p * square - 15.094_642_6
  p = p * square + 42.058_693_9
  p = p * square - 76.705_859_8
  p = p * square + 81.605_249_3
  p = p * square - 41.341_702_2
  return (p * square) * x + x * 6.283_185_3
}
