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
  let capacity = min(count, tileCapacity)
  // Loops over two pointers run scalar where both are the same, so results in place go through a tile.
  var isStaged = !result.dtype.isLaneStorage
  let pointerBytes = wholeLines(operands.count &* MemoryLayout<UnsafeRawPointer>.stride)
  let readerBytes = wholeLines(operands.count &* MemoryLayout<TileReader>.stride)
  var scratchBytes = pointerBytes &+ readerBytes
  for operand in operands {
    scratchBytes &+= TileReader.scratchByteCount(operand, capacity: capacity)
    if operand.base == result.base { isStaged = true }
  }
  // The search for a fault stores single elements in any case.
  let resultTileBytes = wholeLines((isStaged ? capacity : 1) &* result.dtype.lane.byteCount)
  scratchBytes &+= resultTileBytes

  // An alignment of 16 is what the allocator gives without extra work; up to 1 KB lies on the stack.
  let failure: ElementFault? = withUnsafeTemporaryAllocation(
    byteCount: scratchBytes &+ 48, alignment: 16
  ) { scratch in
    var free = scratch.baseAddress!.alignedUp(toMultipleOf: 64)
    func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
      defer { free += byteCount }
      return free
    }
    let resultTile = take(resultTileBytes)
    let pointers = take(pointerBytes).assumingMemoryBound(to: UnsafeRawPointer.self)
    let readers = take(readerBytes).assumingMemoryBound(to: TileReader.self)
    for (index, operand) in operands.enumerated() {
      let room = take(TileReader.scratchByteCount(operand, capacity: capacity))
      (readers + index).initialize(to: TileReader(operand, capacity: capacity, scratch: room))
    }

    var start = 0
    while start < count {
      let length = min(capacity, count &- start)
      for index in 0..<operands.count {
        pointers[index] = readers[index].read(from: start, count: length)
      }
      let target = result.base + start &* result.dtype.byteCount
      var fault: ArithmeticFault?
      if isStaged {
        fault = body(pointers, resultTile, length)
        if fault == nil {
          fault = storeLane(result.dtype, from: resultTile, into: target, count: length)
        }
      } else {
        fault = body(pointers, target, length)
      }
      if let fault {
        return ElementFault(
          fault: fault,
          position: start
            &+ firstFault(body, operands, pointers, resultTile, result.dtype, count: length))
      }
      start &+= length
    }
    return nil
  }
  if let failure { throw failure }
}

/// Returns the place in a tile of the first element that fails, by trying them one at a time.
private func firstFault(
  _ body: TileBody, _ operands: [TensorView], _ pointers: UnsafeMutablePointer<UnsafeRawPointer>,
  _ resultTile: UnsafeMutableRawPointer, _ dtype: DType, count: Int
) -> Int {
  for position in 0..<count {
    var stored: UInt64 = 0
    let failed =
      body(pointers, resultTile, 1) != nil
      || withUnsafeMutableBytes(of: &stored) {
        storeLane(dtype, from: UnsafeRawPointer(resultTile), into: $0.baseAddress!, count: 1)
      } != nil
    if failed { return position }
    for (index, operand) in operands.enumerated() {
      pointers[index] += operand.dtype.lane.byteCount
    }
  }
  return 0
}
