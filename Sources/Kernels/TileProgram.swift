import Tensors

/// A chain of elementwise functions run tile by tile: what lies between them never leaves the first-level cache.
///
/// Each instruction rounds to its own dtype, so a program gives the bits that its functions would give one by one.
package struct TileProgram: Sendable {
  /// What an instruction reads.
  package enum Source: Hashable, Sendable {
    case operand(Int)
    /// The result of an earlier instruction.
    case instruction(Int)
  }

  package struct Instruction: Sendable {
    package let body: TileBody
    package let sources: [Source]
    package let dtype: DType

    package init(body: @escaping TileBody, sources: [Source], dtype: DType) {
      self.body = body
      self.sources = sources
      self.dtype = dtype
    }
  }

  let instructions: [Instruction]
  /// The instruction that makes each result.
  let results: [Int]
  let operandCount: Int
  /// The register of each instruction, and how many registers there are.
  private let registers: [Int]
  private let registerCount: Int
  /// The last instruction that reads each operand; -1 where none does.
  private let lastReads: [Int]
  /// Bytes of the widest element that an instruction makes.
  private let widestLane: Int

  /// - Requires: instructions read operands and instructions before them; each result is an instruction.
  package init(operandCount: Int, instructions: [Instruction], results: [Int]) {
    self.instructions = instructions
    self.results = results
    self.operandCount = operandCount
    var last = [Int](repeating: 0, count: instructions.count)
    var lastReads = [Int](repeating: -1, count: operandCount)
    for (index, instruction) in instructions.enumerated() {
      last[index] = index
      for source in instruction.sources {
        switch source {
        case .operand(let operand): lastReads[operand] = index
        case .instruction(let earlier): last[earlier] = index
        }
      }
    }
    // Results stay where they are until the tile is done.
    for result in results { last[result] = instructions.count }
    var free: [Int] = []
    var count = 0
    var registers = [Int](repeating: 0, count: instructions.count)
    for (index, instruction) in instructions.enumerated() {
      // The result must not lie on an operand: loops over one pointer would run scalar.
      if let register = free.popLast() {
        registers[index] = register
      } else {
        registers[index] = count
        count += 1
      }
      if last[index] == index { free.append(registers[index]) }
      var freed = Set<Int>()
      for case .instruction(let earlier) in instruction.sources
      where last[earlier] == index && freed.insert(earlier).inserted {
        free.append(registers[earlier])
      }
    }
    self.registers = registers
    registerCount = count
    self.lastReads = lastReads
    widestLane = instructions.map { $0.dtype.lane.byteCount }.max() ?? 4
  }

  /// Where a program failed: the instruction, what it met, and the row-major position of the element.
  package struct Fault: Error, Sendable {
    package let instruction: Int
    package let fault: ArithmeticFault
    package let position: Int
  }

  /// Elements of a tile: as many as keep registers and tiles of operands in the first-level cache.
  private func tileSize(_ count: Int) -> Int {
    let lines = registerCount &+ operandCount &+ results.count
    var size = tileCapacity
    while size > 256 && lines &* size &* widestLane > 40 &<< 10 { size /= 2 }
    return min(size, max(count, 1))
  }

  // MARK: Running

  /// Runs the program over whole tensors.
  ///
  /// - Requires: operands and results have equal element counts; operands may be strided, results are
  ///   contiguous. A result may share storage with an operand only if the two coincide.
  package func run(_ operands: [TensorView], into results: [TensorView]) throws(Fault) {
    guard let count = results.first?.elementCount, count > 0 else { return }
    if let fault = run(operands, into: results, from: 0, count: count) { throw fault }
  }

  /// Runs the program over the elements from `start` on in row-major order.
  func run(
    _ operands: [TensorView], into results: [TensorView], from start: Int, count: Int
  ) -> Fault? {
    let size = tileSize(count)
    var fault: Fault?
    withScratch(of: TileReader.self, count: operandCount) { readers in
      var scratchBytes = fixedScratchByteCount(size)
      for index in 0..<operandCount {
        (readers + index).initialize(to: TileReader(operands[index], capacity: size))
        scratchBytes &+= readers[index].scratchByteCount
      }
      withScratch(of: UInt8.self, count: scratchBytes) { scratch in
        var free = UnsafeMutableRawPointer(scratch) + fixedScratchByteCount(size)
        for index in 0..<operandCount {
          readers[index].place(in: free, of: operands[index])
          free += readers[index].scratchByteCount
        }
        fault = run(
          operands, into: results, readers, UnsafeMutableRawPointer(scratch), size, from: start,
          count: count)
      }
    }
    return fault
  }

  /// Registers, a tile to round in, and three tables of pointers.
  private func fixedScratchByteCount(_ size: Int) -> Int {
    (registerCount &+ 1) &* registerByteCount(size) &+ tableByteCount
  }
  private func registerByteCount(_ size: Int) -> Int { wholeLines(size &* widestLane) }
  private var tableByteCount: Int {
    wholeLines((operandCount &+ instructions.count &+ maximalSources) &* 8 &+ results.count)
  }
  private var maximalSources: Int { 4 }

  private func run(
    _ operands: [TensorView], into results: [TensorView], _ readers: UnsafeMutablePointer<TileReader>,
    _ scratch: UnsafeMutableRawPointer, _ size: Int, from start: Int, count: Int
  ) -> Fault? {
    let registerBytes = registerByteCount(size)
    let rounding = scratch + registerCount &* registerBytes
    let table = rounding + registerBytes
    let tiles = table.assumingMemoryBound(to: UnsafeRawPointer.self)
    let values = (table + operandCount &* 8).assumingMemoryBound(to: UnsafeMutableRawPointer.self)
    let sources = (table + (operandCount &+ instructions.count) &* 8)
      .assumingMemoryBound(to: UnsafeRawPointer.self)
    let isDirect = (table + (operandCount &+ instructions.count &+ maximalSources) &* 8)
      .assumingMemoryBound(to: Bool.self)
    // A result is computed where it will lie unless a later, or the same, instruction still reads an
    // operand from there.
    for (index, result) in results.enumerated() {
      isDirect[index] = result.dtype.isLaneStorage
      for (operand, view) in operands.enumerated()
      where view.base == result.base && lastReads[operand] >= self.results[index] {
        isDirect[index] = false
      }
    }
    for index in 0..<instructions.count { values[index] = scratch + registers[index] &* registerBytes }

    var done = 0
    while done < count {
      let position = start &+ done
      let length = min(size, count &- done)
      for index in 0..<operandCount { tiles[index] = readers[index].read(from: position, count: length) }
      for (index, instruction) in self.results.enumerated() where isDirect[index] {
        values[instruction] = results[index].base + position &* results[index].dtype.byteCount
      }
      for index in 0..<instructions.count {
        if let fault = step(index, tiles, values, sources, rounding, length) {
          return locate(index, fault, tiles, values, sources, rounding, position, length)
        }
      }
      for (index, instruction) in self.results.enumerated() where !isDirect[index] {
        let result = results[index]
        let target = result.base + position &* result.dtype.byteCount
        _ = storeLane(result.dtype, from: UnsafeRawPointer(values[instruction]), into: target, count: length)
      }
      done &+= length
    }
    return nil
  }

  /// Runs one instruction on a tile.
  @inline(__always)
  private func step(
    _ index: Int, _ tiles: UnsafeMutablePointer<UnsafeRawPointer>,
    _ values: UnsafeMutablePointer<UnsafeMutableRawPointer>,
    _ sources: UnsafeMutablePointer<UnsafeRawPointer>, _ rounding: UnsafeMutableRawPointer, _ length: Int
  ) -> ArithmeticFault? {
    instructions.withUnsafeBufferPointer { instructions in
      let instruction = instructions[index]
      instruction.sources.withUnsafeBufferPointer { list in
        for (place, source) in list.enumerated() {
          switch source {
          case .operand(let operand): sources[place] = tiles[operand]
          case .instruction(let earlier): sources[place] = UnsafeRawPointer(values[earlier])
          }
        }
      }
      if let fault = instruction.body(sources, values[index], length) { return fault }
      let dtype = instruction.dtype
      if dtype.isLaneStorage { return nil }
      if let fault = storeLane(dtype, from: UnsafeRawPointer(values[index]), into: rounding, count: length) {
        return fault
      }
      loadLane(dtype, from: UnsafeRawPointer(rounding), stride: 1, into: values[index], count: length)
      return nil
    }
  }

  /// Finds the first element of a tile on which an instruction fails, by running it on ever shorter tiles.
  private func locate(
    _ index: Int, _ fault: ArithmeticFault, _ tiles: UnsafeMutablePointer<UnsafeRawPointer>,
    _ values: UnsafeMutablePointer<UnsafeMutableRawPointer>,
    _ sources: UnsafeMutablePointer<UnsafeRawPointer>, _ rounding: UnsafeMutableRawPointer, _ start: Int,
    _ length: Int
  ) -> Fault {
    // The shortest prefix that fails ends with the element.
    var (passes, fails) = (0, length)
    while fails &- passes > 1 {
      let middle = (passes &+ fails) / 2
      if step(index, tiles, values, sources, rounding, middle) == nil { passes = middle } else { fails = middle }
    }
    return Fault(instruction: index, fault: fault, position: start &+ passes)
  }
}
