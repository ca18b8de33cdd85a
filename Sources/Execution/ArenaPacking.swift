import Tensors

/// A piece of the arena, from the step that first writes it to the last that reads it.
struct ArenaBuffer {
  let byteCount: Int
  let first: Int
  var last: Int
  var offset = 0

  var alignedByteCount: Int {
    (max(byteCount, 1) + Storage.alignment - 1) / Storage.alignment * Storage.alignment
  }
}

/// Gives buffers offsets so that those alive together lie apart, in as few bytes as a search finds.
///
/// Buffers are placed one after the other, each in the lowest gap that is free throughout its life; what decides is
/// their order. It starts from those alive when most is alive, the longest-lived first (the largest first is
/// Pisarchyk and Lee 2020). While something reaches above the bound, a buffer that is alive along with it
/// moves to another place in the order, and the change is kept if the arena does not grow. Small buffers,
/// which fit anywhere, come last. The search is bounded in work and draws from a fixed seed.
///
/// - Returns: the bytes taken, and the largest sum of live bytes, which no placement can undercut.
func packArena(_ buffers: inout [ArenaBuffer]) -> (byteCount: Int, lowerBound: Int) {
  let live = liveBytes(buffers)
  let bound = live.max() ?? 0
  if bound == 0 { return (0, 0) }
  var packing = Packing(buffers)
  let large = buffers.indices.filter { buffers[$0].alignedByteCount > bound / 512 }
  let small = buffers.indices.filter { buffers[$0].alignedByteCount <= bound / 512 }
  packing.search(large, tight: live.indices.filter { live[$0] > bound - bound / 32 })
  for index in packing.bySize(small) { packing.place(index) }
  for index in buffers.indices { buffers[index].offset = packing.offsets[index] }
  return (packing.end, bound)
}

/// The sum of what is alive at each step.
private func liveBytes(_ buffers: [ArenaBuffer]) -> [Int] {
  var live = [Int](repeating: 0, count: (buffers.map(\.last).max() ?? -1) + 2)
  for buffer in buffers {
    live[buffer.first] += buffer.alignedByteCount
    live[buffer.last + 1] -= buffer.alignedByteCount
  }
  for step in live.indices.dropFirst() { live[step] += live[step - 1] }
  return live
}

private struct Packing {
  private let sizes: [Int]
  private let firsts: [Int]
  private let lasts: [Int]
  private(set) var offsets: [Int]
  private(set) var end = 0
  /// What has been placed, in the order of offsets, so that one pass finds the first gap.
  private var placed: [Int] = []

  init(_ buffers: [ArenaBuffer]) {
    sizes = buffers.map(\.alignedByteCount)
    firsts = buffers.map(\.first)
    lasts = buffers.map(\.last)
    offsets = Array(repeating: 0, count: buffers.count)
  }

  func bySize(_ indices: [Int]) -> [Int] { indices.sorted { (sizes[$1], $0) < (sizes[$0], $1) } }

  private func overlap(_ a: Int, _ b: Int) -> Bool { firsts[a] <= lasts[b] && firsts[b] <= lasts[a] }

  mutating func place(_ index: Int) {
    let (size, first, last) = (sizes[index], firsts[index], lasts[index])
    var offset = 0
    for other in placed where firsts[other] <= last && first <= lasts[other] {
      if offset + size <= offsets[other] { break }
      offset = max(offset, offsets[other] + sizes[other])
    }
    offsets[index] = offset
    end = max(end, offset + size)
    var low = 0
    var high = placed.count
    while low < high {
      let middle = (low + high) / 2
      if offsets[placed[middle]] > offset { high = middle } else { low = middle + 1 }
    }
    placed.insert(index, at: low)
  }

  private mutating func placeAll(_ order: [Int]) {
    placed.removeAll(keepingCapacity: true)
    end = 0
    for index in order { place(index) }
  }

  /// Pairs of buffers that the search may compare: some 50 ms.
  private static let workLimit = 40_000_000

  /// Places `indices` in the best order that is found.
  /// - Parameter tight: the steps at which almost as much is alive as ever.
  mutating func search(_ indices: [Int], tight: [Int]) {
    if indices.isEmpty { return }
    let bound = largestLiveSum(indices)
    let coverage = sizes.indices.map { index in tight.count { firsts[index] <= $0 && $0 <= lasts[index] } }
    func duration(_ index: Int) -> Int { lasts[index] - firsts[index] }
    let starts = [
      indices.sorted { (coverage[$1], duration($1), $0) < (coverage[$0], duration($0), $1) },
      indices.sorted { (duration($1), $0) < (duration($0), $1) },
      bySize(indices),
    ]
    var best = (end: Int.max, order: starts[0])
    var random = Draw()
    var work = Packing.workLimit
    let pairs = indices.count * indices.count / 2 + 1
    for round in 0..<12 where best.end > bound && (work > 0 || round == 0) {
      var order = starts[round % starts.count]
      placeAll(order)
      work -= pairs
      var current = end
      if current < best.end { best = (current, order) }
      var attempts = 100
      while current > bound && attempts > 0 && work > 0 {
        attempts -= 1
        work -= pairs
        let high = order.filter { offsets[$0] + sizes[$0] > bound }
        let top = high[random.below(high.count)]
        let rivals = order.indices.filter { overlap(order[$0], top) }
        var other = order
        let moved = other.remove(at: rivals[random.below(rivals.count)])
        other.insert(moved, at: random.below(other.count + 1))
        placeAll(other)
        if end <= current {
          (current, order) = (end, other)
          if current < best.end { best = (current, order) }
        } else {
          // Offsets are those of the rejected order: find the tops of the kept one again.
          placeAll(order)
        }
      }
    }
    placeAll(best.order)
  }

  private func largestLiveSum(_ indices: [Int]) -> Int {
    var live = [Int](repeating: 0, count: (indices.map { lasts[$0] }.max() ?? -1) + 2)
    for index in indices {
      live[firsts[index]] += sizes[index]
      live[lasts[index] + 1] -= sizes[index]
    }
    var sum = 0
    return live.reduce(0) { largest, change in
      sum += change
      return max(largest, sum)
    }
  }
}

/// The numbers that the search draws: the same ones every time (Knuth's MMIX generator).
private struct Draw {
  private var state: UInt64 = 1

  mutating func below(_ count: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((state &>> 33) % UInt64(max(count, 1)))
  }
}
