import Tensors

/// What one reading of a tensor finds. Elements that are not finite are counted and left out of all the rest.
package struct Statistics: Sendable {
  package fileprivate(set) var count = 0
  package fileprivate(set) var nanCount = 0
  package fileprivate(set) var infiniteCount = 0
  /// Infinite where no element is finite.
  package fileprivate(set) var least = Double.infinity
  package fileprivate(set) var greatest = -Double.infinity
  /// The same of whole numbers, exactly; nil of floats and where there is no element.
  package fileprivate(set) var wholeRange: ClosedRange<Int>?
  package fileprivate(set) var mean = 0.0
  fileprivate var squares = 0.0
  /// Elements that stand for all: every one where there are few, else some of them, evenly spread.
  package fileprivate(set) var sample: [Double] = []

  package var finiteCount: Int { count - nanCount - infiniteCount }
  /// Over the count less one, as `std` has it; nan where that is nothing.
  package var deviation: Double { finiteCount > 1 ? (squares / Double(finiteCount - 1)).squareRoot() : .nan }

  /// Of no elements.
  package init() {}

  /// Means and squares of two parts, by Chan, Golub and LeVeque: nothing is subtracted that is not small.
  package mutating func join(_ other: Statistics) {
    let (here, there) = (Double(finiteCount), Double(other.finiteCount))
    count += other.count
    nanCount += other.nanCount
    infiniteCount += other.infiniteCount
    least = min(least, other.least)
    greatest = max(greatest, other.greatest)
    if there == 0 { return }
    // Beside floats whole numbers are floats too.
    if let range = other.wholeRange, here == 0 || wholeRange != nil {
      wholeRange = wholeRange.map { min($0.lowerBound, range.lowerBound)...max($0.upperBound, range.upperBound) } ?? range
    } else {
      wholeRange = nil
    }
    let distance = other.mean - mean
    mean += distance * (there / (here + there))
    squares += other.squares + distance * distance * (here * there / (here + there))
  }
}

/// The elements that are read at a time: they stay in the nearest cache for the second look that the variance takes.
private let tileCount = 4096
/// The parts that all is read in.
private let mostParts = 256
private let sampleCount = 1 &<< 14

/// Reads `view` once, without a copy of it. The result has the same bits for any number of threads.
package func statistics(of view: TensorView) -> Statistics {
  let x = view.inStorageOrder
  let count = x.elementCount
  var result = Statistics()
  if count == 0 { return result }
  // An odd step keeps out of step with rows, whose lengths are mostly even.
  let step = count <= sampleCount ? 1 : (count / sampleCount) | 1
  result.sample = [Double](repeating: 0, count: (count &- 1) / step &+ 1)
  let cut = Cut(count, cost: 1, unit: tileCount, most: mostParts)
  let parts = UnsafeMutablePointer<Statistics>.allocate(capacity: cut.parts)
  parts.initialize(repeating: Statistics(), count: cut.parts)
  result.sample.withUnsafeMutableBufferPointer { sample in
    let sample = Sample(elements: sample.baseAddress!, step: step)
    inParallel(parts: cut.parts) { part in
      parts[part] = statistics(of: x, from: cut.start(part), to: cut.end(part), sample)
    }
  }
  for part in 0..<cut.parts { result.join(parts[part]) }
  parts.deinitialize(count: cut.parts)
  parts.deallocate()
  return result
}

extension TensorView {
  /// The same elements with axes of long strides outermost: a transposed matrix is read as it lies.
  fileprivate var inStorageOrder: TensorView {
    let order = shape.indices.sorted { (abs(strides[$0]), $1) > (abs(strides[$1]), $0) }
    return TensorView(base: base, dtype: dtype, shape: order.map { shape[$0] }, strides: order.map { strides[$0] })
  }
}

/// Every so many elements, by their place.
private struct Sample {
  let elements: UnsafeMutablePointer<Double>
  let step: Int

  @inline(__always)
  func take<Element>(
    from tile: UnsafePointer<Element>, at start: Int, count: Int, _ widen: (Element) -> Double
  ) {
    var index = (start &+ step &- 1) / step
    while index &* step < start &+ count {
      elements[index] = widen(tile[index &* step &- start])
      index &+= 1
    }
  }
}

private func statistics(of x: TensorView, from start: Int, to end: Int, _ sample: Sample) -> Statistics {
  var reader = TileReader(x, capacity: tileCount)
  var result = Statistics()
  withScratch(of: UInt8.self, count: reader.scratchByteCount) { scratch in
    reader.place(in: UnsafeMutableRawPointer(scratch), of: x)
    withScratch(of: Double.self, count: tileCount) { room in
      var position = start
      while position < end {
        let count = min(tileCount, end &- position)
        let tile = reader.read(from: position, count: count)
        switch x.dtype.lane {
        case .single:
          let tile = tile.assumingMemoryBound(to: Float.self)
          sample.take(from: tile, at: position, count: count) { Double($0) }
          let rest = UnsafeMutableRawPointer(room).assumingMemoryBound(to: Float.self)
          result.join(floats(tile, count, room: rest))
        case .double:
          let tile = tile.assumingMemoryBound(to: Double.self)
          sample.take(from: tile, at: position, count: count) { $0 }
          result.join(floats(tile, count, room: room))
        case .integer:
          let tile = tile.assumingMemoryBound(to: Int64.self)
          sample.take(from: tile, at: position, count: count) { Double($0) }
          result.join(wholeNumbers(tile, count, room: room) { Int($0) })
        case .truth:
          let tile = tile.assumingMemoryBound(to: UInt8.self)
          sample.take(from: tile, at: position, count: count) { $0 == 0 ? 0 : 1 }
          result.join(wholeNumbers(tile, count, room: room) { $0 == 0 ? 0 : 1 })
        }
        position &+= count
      }
    }
  }
  return result
}

/// - Parameter room: for as many elements.
@inline(__always)
private func floats<Scalar: Wideable>(
  _ tile: UnsafePointer<Scalar>, _ count: Int, room: UnsafeMutablePointer<Scalar>
) -> Statistics {
  var result = Statistics()
  result.count = count
  if describe(tile, count, &result) { return result }
  // Some are not finite: look at the others.
  var kept = 0
  for index in 0..<count {
    let value = tile[index]
    room[kept] = value
    kept &+= value.isFinite ? 1 : 0
    result.nanCount &+= value.isNaN ? 1 : 0
  }
  result.infiniteCount = count &- kept &- result.nanCount
  if kept > 0 { _ = describe(room, kept, &result) }
  return result
}

@inline(__always)
private func wholeNumbers<Element>(
  _ tile: UnsafePointer<Element>, _ count: Int, room: UnsafeMutablePointer<Double>, _ whole: (Element) -> Int
) -> Statistics {
  var result = Statistics()
  result.count = count
  var (least, greatest) = (Int.max, Int.min)
  for index in 0..<count {
    let value = whole(tile[index])
    least = min(least, value)
    greatest = max(greatest, value)
    room[index] = Double(value)
  }
  result.wholeRange = least...greatest
  _ = describe(room, count, &result)
  return result
}

/// Fills in the range, the mean and the squares of elements; false where one of them is not finite.
/// - Requires: there is one.
@inline(__always)
private func describe<Scalar: Wideable>(
  _ tile: UnsafePointer<Scalar>, _ count: Int, _ result: inout Statistics
) -> Bool {
  let whole = count & ~(laneCount &- 1)
  let first = tile[0]
  // What is not finite makes nan of a difference with itself, and a sum keeps it.
  var (strange, low, high) = (first - first, first, first)
  var sum = 0.0
  withScratch(of: Scalar.self, count: 3 &* laneCount) { lanes in
    withScratch(of: Double.self, count: laneCount) { sums in
      let (stranges, lows, highs) = (lanes, lanes + laneCount, lanes + 2 &* laneCount)
      for lane in 0..<laneCount {
        (stranges[lane], lows[lane], highs[lane]) = (0, first, first)
        sums[lane] = 0
      }
      var start = 0
      // A loop for each: with one store in it, it becomes vector instructions.
      while start < whole {
        let x = tile + start
        for lane in 0..<laneCount { sums[lane] += x[lane].wide }
        for lane in 0..<laneCount { lows[lane] = x[lane] < lows[lane] ? x[lane] : lows[lane] }
        for lane in 0..<laneCount { highs[lane] = x[lane] > highs[lane] ? x[lane] : highs[lane] }
        for lane in 0..<laneCount { stranges[lane] += x[lane] - x[lane] }
        start &+= laneCount
      }
      for lane in 0..<laneCount {
        if lows[lane] < low { low = lows[lane] }
        if highs[lane] > high { high = highs[lane] }
        strange += stranges[lane]
        sum += sums[lane]
      }
    }
  }
  for index in whole..<count {
    let value = tile[index]
    strange += value - value
    if value < low { low = value }
    if value > high { high = value }
    sum += value.wide
  }
  if strange != 0 { return false }
  let mean = sum / Double(count)
  var squares = 0.0
  withScratch(of: Double.self, count: laneCount) { sums in
    for lane in 0..<laneCount { sums[lane] = 0 }
    var start = 0
    while start < whole {
      let x = tile + start
      for lane in 0..<laneCount {
        let distance = x[lane].wide - mean
        sums[lane] += distance * distance
      }
      start &+= laneCount
    }
    for lane in 0..<laneCount { squares += sums[lane] }
  }
  for index in whole..<count {
    let distance = tile[index].wide - mean
    squares += distance * distance
  }
  (result.least, result.greatest, result.mean, result.squares) = (low.wide, high.wide, mean, squares)
  return true
}

/// Sums that go on side by side.
private let laneCount = 64

/// A float whose f64 the compiler knows: the general conversion goes by way of bits.
private protocol Wideable: BinaryFloatingPoint {
  var wide: Double { get }
}

extension Float: Wideable {
  @inline(__always)
  fileprivate var wide: Double { Double(self) }
}

extension Double: Wideable {
  @inline(__always)
  fileprivate var wide: Double { self }
}
