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
  for index in operands.indices where operands[index].base == result.base { isStaged = true }
  // The search for a fault stores single elements in any case.
  let resultTileBytes = wholeLines((isStaged ? capacity : 1) &* result.dtype.lane.byteCount)
  let pointerBytes = wholeLines(operands.count &* MemoryLayout<UnsafeRawPointer>.stride)
  var failure: ElementFault?
  withScratch(of: TileReader.self, count: operands.count) { readers in
    var scratchBytes = pointerBytes &+ resultTileBytes
    for index in operands.indices {
      (readers + index).initialize(to: TileReader(operands[index], capacity: capacity))
      scratchBytes &+= readers[index].scratchByteCount
    }
    withScratch(of: UInt8.self, count: scratchBytes) { scratch in
      var free = UnsafeMutableRawPointer(scratch)
      func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
        defer { free += byteCount }
        return free
      }
      let pointers = take(pointerBytes).assumingMemoryBound(to: UnsafeRawPointer.self)
      let resultTile = take(resultTileBytes)
      for index in operands.indices {
        readers[index].place(in: take(readers[index].scratchByteCount), of: operands[index])
      }
      failure = runTiles(
        body, operands, readers, pointers, resultTile, isStaged: isStaged, capacity, result, count)
    }
  }
  if let failure { throw failure }
}

/// The loop over tiles, once there is room.
private func runTiles(
  _ body: TileBody, _ operands: [TensorView], _ readers: UnsafeMutablePointer<TileReader>,
  _ pointers: UnsafeMutablePointer<UnsafeRawPointer>, _ resultTile: UnsafeMutableRawPointer,
  isStaged: Bool, _ capacity: Int, _ result: TensorView, _ count: Int
) -> ElementFault? {
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
