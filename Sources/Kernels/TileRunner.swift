import Synchronization
import Tensors

/// Where elementwise arithmetic failed: the fault and the row-major position of the first such element.
package struct ElementFault: Error, Sendable {
  package let fault: ArithmeticFault
  package let position: Int
}

/// Runs an elementwise function over whole tensors, tile by tile.
///
/// - Requires: all shapes are equal, the result is contiguous, and `body` takes the operands' lanes to the
///   result's. The result may share storage with an operand only if the two coincide.
package func runTiles(
  _ body: TileBody, _ operands: [TensorView], into result: TensorView
) throws(ElementFault) {
  let count = result.elementCount
  if count == 0 { return }
  // Loops over two pointers run scalar where both are the same, so results in place go through a tile.
  var isStaged = !result.dtype.isLaneStorage
  for index in 0..<operands.count where operands[index].base == result.base { isStaged = true }
  let fault = FirstFault()
  withScratch(of: TileReader.self, count: operands.count) { readers in
    let sizes = TileSizes(operands, result, count: count) { (readers + $0).initialize(to: $1) }
    inParallel(count, cost: 1, unit: sizes.unit) { from, to in
      withScratch(of: UInt8.self, count: sizes.partByteCount) { scratch in
        var free = UnsafeMutableRawPointer(scratch)
        func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
          defer { free += byteCount }
          return free
        }
        let pointers = take(sizes.pointersByteCount).assumingMemoryBound(to: UnsafeRawPointer.self)
        let own = take(sizes.readersByteCount).assumingMemoryBound(to: TileReader.self)
        let resultTile = take(sizes.resultByteCount)
        own.initialize(from: readers, count: operands.count)
        for index in 0..<operands.count where own[index].scratchByteCount > 0 {
          own[index].place(in: take(own[index].scratchByteCount), of: operands[index])
        }
        runTiles(
          body, operands, own, pointers, resultTile, isStaged: isStaged, sizes.capacity, result,
          from: from, to: to, fault)
      }
    }
  }
  if let (position, code) = fault.found {
    throw ElementFault(fault: ArithmeticFault(rawValue: code) ?? .overflow, position: position)
  }
}

/// The scratch that `runTiles` takes.
package func tilesScratchByteCount(_ operands: [TensorView], _ result: TensorView) -> Int {
  let count = result.elementCount
  if count == 0 { return 0 }
  let sizes = TileSizes(operands, result, count: count) { _, _ in }
  return scratchByteCount(of: TileReader.self, count: operands.count)
    &+ scratchByteCount(of: UInt8.self, count: sizes.partByteCount)
}

private struct TileSizes {
  /// Elements of the longest tile.
  let capacity: Int
  let pointersByteCount: Int
  /// Each part has readers of its own.
  let readersByteCount: Int
  /// There is a tile for results even where they go straight to storage: what scratch an op needs should not
  /// hang on where its operands lie, and the search for a fault stores elements in any case.
  let resultByteCount: Int
  /// All of it, operands' tiles included.
  private(set) var partByteCount: Int
  /// Parts begin at multiples of this: a panel is not read twice.
  private(set) var unit: Int

  /// - Parameter keep: called with each operand's reader.
  @inline(__always)
  init(
    _ operands: [TensorView], _ result: TensorView, count: Int, _ keep: (Int, TileReader) -> Void
  ) {
    capacity = min(count, tileCapacity)
    pointersByteCount = scratchByteCount(of: UnsafeRawPointer.self, count: operands.count)
    readersByteCount = scratchByteCount(of: TileReader.self, count: operands.count)
    resultByteCount = wholeLines(capacity &* result.dtype.lane.byteCount)
    partByteCount = pointersByteCount &+ readersByteCount &+ resultByteCount
    unit = tileCapacity
    for index in 0..<operands.count {
      let reader = TileReader(operands[index], capacity: capacity)
      partByteCount &+= reader.scratchByteCount
      unit = max(unit, reader.panelElementCount)
      keep(index, reader)
    }
    if result.dtype.isBlocked { unit = wholeTiles(unit) }
  }
}

/// The fault at the lowest position, whichever thread found it first.
struct FirstFault: ~Copyable {
  /// The position, and what went wrong there in the lowest bits.
  private let word = Atomic<Int>(.max)

  /// - Requires: `code` is below 2^16.
  func note(_ code: Int, at position: Int) { word.min(position &<< 16 | code, ordering: .relaxed) }

  /// Whether one is known before `position`.
  func isBefore(_ position: Int) -> Bool { word.load(ordering: .relaxed) &>> 16 < position }

  var found: (position: Int, code: Int)? {
    let word = word.load(ordering: .relaxed)
    return word == .max ? nil : (word &>> 16, word & 0xFFFF)
  }
}

/// The loop over tiles, once there is room.
private func runTiles(
  _ body: TileBody, _ operands: [TensorView], _ readers: UnsafeMutablePointer<TileReader>,
  _ pointers: UnsafeMutablePointer<UnsafeRawPointer>, _ resultTile: UnsafeMutableRawPointer,
  isStaged: Bool, _ capacity: Int, _ result: TensorView, from: Int, to: Int,
  _ firstFault: borrowing FirstFault
) {
  var start = from
  while start < to {
    if firstFault.isBefore(start) { return }
    let length = min(capacity, to &- start)
    for index in 0..<operands.count {
      pointers[index] = readers[index].read(from: start, count: length)
    }
    let target = result.base + result.dtype.byteOffset(of: start)
    var fault: ArithmeticFault?
    if isStaged {
      fault = body(pointers, resultTile, length)
      if fault == nil {
        fault = storeLane(result.dtype, from: resultTile, into: target, count: length)
      }
    } else {
      fault = body(pointers, target, length)
    }
    if fault != nil {
      let (position, kind) = firstFaultInTile(
        body, operands, pointers, resultTile, result.dtype, count: length)
      return firstFault.note(kind.rawValue, at: start &+ position)
    }
    start &+= length
  }
}

/// Returns the place in a tile of the first element that fails, and how, by trying them one at a time.
private func firstFaultInTile(
  _ body: TileBody, _ operands: [TensorView], _ pointers: UnsafeMutablePointer<UnsafeRawPointer>,
  _ resultTile: UnsafeMutableRawPointer, _ dtype: DType, count: Int
) -> (position: Int, fault: ArithmeticFault) {
  for position in 0..<count {
    var stored: UInt64 = 0
    let fault =
      body(pointers, resultTile, 1)
      ?? withUnsafeMutableBytes(of: &stored) {
        storeLane(dtype, from: UnsafeRawPointer(resultTile), into: $0.baseAddress!, count: 1)
      }
    if let fault { return (position, fault) }
    for (index, operand) in operands.enumerated() {
      pointers[index] += operand.dtype.lane.byteCount
    }
  }
  return (0, .overflow)
}
