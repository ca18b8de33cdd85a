import Graphs
import Tensors

/// Watches a run, kernel by kernel. It knows nothing of the plan but what kernels are given.
package protocol RunObserver: AnyObject {
  /// Whether pieces of a batch are of interest that touch what an earlier one has touched.
  var watchesRepetitions: Bool { get }
  /// A kernel is about to read and write these.
  func willRun(step: Int, reads: [TensorView], writes: [TensorView])
  func didRun(step: Int)
}

/// Notes the addresses that kernels are given to read and write, and finds from them alone what memory was held when: what a kernel
/// writes is held until the last read of any of it before something else is written there.
package final class TouchRecorder: RunObserver {
  private struct Touch {
    let step: Int
    let start: UInt
    let end: UInt
    /// The place among the step's results; -1 for a read.
    let result: Int
  }
  private var touches: [Touch] = []
  private(set) var stepCount = 0

  package init() {}

  package func willRun(step: Int, reads: [TensorView], writes: [TensorView]) {
    stepCount = max(stepCount, step + 1)
    for view in reads { note(view, step, -1) }
    for (index, view) in writes.enumerated() { note(view, step, index) }
  }

  package func didRun(step: Int) {}
  package let watchesRepetitions = false

  private func note(_ view: TensorView, _ step: Int, _ result: Int) {
    guard let range = view.touchedRange else { return }
    touches.append(Touch(step: step, start: range.lowerBound, end: range.upperBound, result: result))
  }

  /// What was held, in the categories that `category` gives to the results of steps.
  ///
  /// - Parameter residents: memory that is there all the time, counted in full if any of it was touched.
  package func usage(
    residents: [(start: UInt, byteCount: Int, category: MemoryCategory)],
    category: (_ step: Int, _ result: Int) -> MemoryCategory
  ) -> MemoryUsage {
    let categories = MemoryCategory.allCases.count
    var changes = [[Int]](repeating: [Int](repeating: 0, count: categories), count: stepCount + 1)
    var isTouched = [Bool](repeating: false, count: residents.count)
    let order = residents.indices.sorted { residents[$0].start < residents[$1].start }
    /// Marks what an address lies in: one tensor may come in several times.
    func touchResidents(at address: UInt) -> Bool {
      var (low, high) = (0, order.count)
      while low < high {
        let middle = (low + high) / 2
        if residents[order[middle]].start <= address { low = middle + 1 } else { high = middle }
      }
      var found = false
      var place = low - 1
      while place >= 0 {
        let resident = residents[order[place]]
        if found && resident.start + UInt(resident.byteCount) <= address { break }
        if address < resident.start + UInt(resident.byteCount) {
          isTouched[order[place]] = true
          found = true
        }
        place -= 1
      }
      return found
    }
    let moving = touches.filter { !touchResidents(at: $0.start) }
    for (index, resident) in residents.enumerated() where isTouched[index] {
      changes[0][resident.category.rawValue] += resident.byteCount
      changes[stepCount][resident.category.rawValue] -= resident.byteCount
    }

    // What has been written and not yet written over, in the order of addresses, apart from each other.
    var open: [(write: Touch, lastRead: Int)] = []
    func close(_ held: (write: Touch, lastRead: Int), before next: Int?) {
      // Written over by the step that reads it last: from there on it counts for the new value.
      let last = held.lastRead == next ? held.lastRead - 1 : held.lastRead
      if last < held.write.step { return }
      let index = category(held.write.step, held.write.result).rawValue
      let byteCount = Int(held.write.end - held.write.start)
      changes[held.write.step][index] += byteCount
      changes[last + 1][index] -= byteCount
    }
    /// The first of `open` that ends behind an address.
    func firstOpen(endingAfter address: UInt) -> Int {
      var (low, high) = (0, open.count)
      while low < high {
        let middle = (low + high) / 2
        if open[middle].write.end <= address { low = middle + 1 } else { high = middle }
      }
      return low
    }
    // A step's reads were noted before its writes.
    for touch in moving {
      let first = firstOpen(endingAfter: touch.start)
      var end = first
      while end < open.count, open[end].write.start < touch.end { end += 1 }
      if touch.result < 0 {
        for index in first..<end { open[index].lastRead = touch.step }
      } else {
        for held in open[first..<end] { close(held, before: touch.step) }
        open.replaceSubrange(first..<end, with: [(touch, touch.step)])
      }
    }
    for held in open { close(held, before: nil) }
    for step in changes.indices.dropFirst() {
      for category in 0..<categories { changes[step][category] += changes[step - 1][category] }
    }
    return MemoryUsage(bytes: Array(changes.dropLast()))
  }
}

extension TensorView {
  /// The addresses from the first to behind the last byte of its elements; nil where it has none.
  package var touchedRange: Range<UInt>? {
    var low = 0
    var high = 0
    for (size, stride) in zip(shape, strides) {
      if size == 0 { return nil }
      if stride < 0 { low += (size - 1) * stride } else { high += (size - 1) * stride }
    }
    let start = UInt(bitPattern: base)
    // Blocks come whole, in order.
    if dtype.isBlocked { return start..<start &+ UInt(dtype.byteCount(of: high + 1)) }
    return start &+ UInt(bitPattern: low * dtype.byteCount)..<start &+ UInt(
      bitPattern: (high + 1) * dtype.byteCount)
  }
}
