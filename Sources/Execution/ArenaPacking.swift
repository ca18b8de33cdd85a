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
  func overlaps(_ other: ArenaBuffer) -> Bool { first <= other.last && other.first <= last }
}

/// Gives buffers offsets so that those alive together lie apart, in as few bytes as a search finds.
///
/// Buffers are placed one after the other, each in the lowest gap that is free throughout its life: largest first
/// (Pisarchyk and Lee 2020), or longest-lived first, or in order of time. While the best result is above
/// the bound, the buffer that reaches highest is placed earlier and all is tried again.
///
/// - Returns: the bytes taken, and the largest sum of live bytes, which no placement can undercut.
func packArena(_ buffers: inout [ArenaBuffer]) -> (byteCount: Int, lowerBound: Int) {
  let bound = largestLiveSum(buffers)
  var orders: [[Int]] = []
  orders.append(
    buffers.indices.sorted { (buffers[$1].alignedByteCount, $0) < (buffers[$0].alignedByteCount, $1) })
  func area(_ index: Int) -> Int {
    buffers[index].alignedByteCount &* (buffers[index].last - buffers[index].first + 1)
  }
  orders.append(buffers.indices.sorted { (area($1), $0) < (area($0), $1) })
  orders.append(buffers.indices.sorted { (buffers[$0].first, $0) < (buffers[$1].first, $1) })

  var best: (byteCount: Int, offsets: [Int], order: [Int])?
  func attempt(_ order: [Int]) {
    let (byteCount, offsets) = place(buffers, in: order)
    if best.map({ byteCount < $0.byteCount }) ?? true { best = (byteCount, offsets, order) }
  }
  for order in orders where best.map({ $0.byteCount > bound }) ?? true { attempt(order) }
  // A few more for large arenas; each costs as much as one placement.
  var rounds = buffers.count < 2000 ? 60 : 4
  while rounds > 0, let found = best, found.byteCount > bound {
    rounds -= 1
    var order = found.order
    let highest = order.indices.max {
      found.offsets[order[$0]] + buffers[order[$0]].alignedByteCount
        < found.offsets[order[$1]] + buffers[order[$1]].alignedByteCount
    }!
    if highest == 0 { break }
    let moved = order.remove(at: highest)
    order.insert(moved, at: rounds % 2 == 0 ? 0 : highest / 2)
    let before = found.byteCount
    attempt(order)
    // Where this order is no better, the next round starts from it all the same.
    if let now = best, now.byteCount == before { best = (now.byteCount, now.offsets, order) }
  }
  guard let best else { return (0, 0) }
  for index in buffers.indices { buffers[index].offset = best.offsets[index] }
  return (best.byteCount, bound)
}

private func largestLiveSum(_ buffers: [ArenaBuffer]) -> Int {
  var changes: [Int: Int] = [:]
  for buffer in buffers {
    changes[buffer.first, default: 0] += buffer.alignedByteCount
    changes[buffer.last + 1, default: 0] -= buffer.alignedByteCount
  }
  var live = 0
  var largest = 0
  for step in changes.keys.sorted() {
    live += changes[step]!
    largest = max(largest, live)
  }
  return largest
}

private func place(_ buffers: [ArenaBuffer], in order: [Int]) -> (byteCount: Int, offsets: [Int]) {
  var offsets = [Int](repeating: 0, count: buffers.count)
  var end = 0
  // In order of offsets, so that one pass finds the first gap.
  var placed: [Int] = []
  for index in order {
    let size = buffers[index].alignedByteCount
    var offset = 0
    for other in placed where buffers[other].overlaps(buffers[index]) {
      if offset + size <= offsets[other] { break }
      offset = max(offset, offsets[other] + buffers[other].alignedByteCount)
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
  return (end, offsets)
}
