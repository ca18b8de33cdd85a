import Tensors

/// A program ready to run on one tile after another: its readers, registers and tables lie in scratch.
struct TileStream {
  private let program: TileProgram
  private let readers: UnsafeMutablePointer<TileReader>
  /// Where the arguments of each instruction lie, `mostSources` each.
  private let arguments: UnsafeMutablePointer<UnsafeRawPointer>
  /// Where each instruction's value lies.
  private let values: UnsafeMutablePointer<UnsafeMutableRawPointer>
  /// Where each instruction's value is rounded to storage, if its dtype is none of a lane.
  private let roundings: UnsafeMutablePointer<UnsafeMutableRawPointer>
  /// The loop of each instruction, which the program keeps.
  private let loops: UnsafeMutablePointer<Unmanaged<TileLoop>>
  /// The steps of all stretches; whether there is a block for each of them, or loops run instead.
  private let steps: UnsafeMutablePointer<BlockStep>
  private var runsBlocks = true
  /// The operands that are read for each tile: numbers are read once.
  private let moving: UnsafeMutablePointer<Int>
  private var movingCount = 0
  /// Which results are computed where they will lie; for the caller.
  let isDirect: UnsafeMutablePointer<Bool>
  /// A tile for what is rounded to storage and back.
  private let rounding: UnsafeMutableRawPointer
  /// Of what `elements` met: the failure at the lowest row-major position.
  private(set) var failure: (position: Int, code: Int)?

  // MARK: Scratch

  /// The lengths of tiles and the scratch that they take.
  struct Sizes {
    /// Elements of a tile: as many as keep registers and operands in the first-level cache.
    let capacity: Int
    fileprivate let registerByteCount: Int
    fileprivate let tableByteCount: Int
    fileprivate private(set) var tilesByteCount: Int
    /// Parts begin at multiples of this: a panel is not read twice.
    private(set) var unit: Int
    private let readersByteCount: Int

    private static let secondLevelCache = 1 &<< 20
    /// Elements of a tile of a long program over what comes from memory: the processor looks ahead from one short loop
    /// into the next, and waits for memory while it computes. AdamW by its 13 loops took 45 ms so, with tiles of 256
    /// elements 54, of 512 64, of 64 57 (32 million parameters, one thread). As one stretch it looks ahead from block to
    /// block, and longer tiles are better: 36 ms with 128 elements, 26 with 256 or 512 (two threads).
    private static let streamedCapacity = 128

    /// - Parameters:
    ///   - count: the elements of each operand.
    ///   - least: the caller wants so many elements at a time, if there are as many.
    init(_ program: TileProgram, _ operands: [TensorView], count: Int, least: Int = 128) {
      let least = program.roundsToBlocks ? max(least, blockSize) : least
      let lines = program.registerCount &+ program.operandCount &+ program.results.count
      var capacity = tileCapacity
      while capacity > least && lines &* capacity &* program.widestLane > 40 &<< 10 { capacity /= 2 }
      if program.isLong && lines &* count &* program.widestLane > Sizes.secondLevelCache {
        capacity = max(min(capacity, Sizes.streamedCapacity), least)
      }
      self.capacity = min(capacity, count)
      registerByteCount = wholeLines(self.capacity &* program.widestLane)
      tableByteCount = Kernels.scratchByteCount(
        of: UnsafeMutableRawPointer.self,
        count: program.operandCount &+ (TileProgram.mostSources &+ 3) &* program.instructions.count
          &+ program.results.count &+ program.steps.count)
      tilesByteCount = tableByteCount &+ (program.registerCount &+ 1) &* registerByteCount
      unit = tileCapacity
      for operand in operands {
        let reader = TileReader(operand, capacity: self.capacity)
        tilesByteCount &+= reader.scratchByteCount
        unit = max(unit, reader.panelElementCount)
      }
      if program.roundsToBlocks { unit = wholeTiles(unit) }
      readersByteCount = Kernels.scratchByteCount(of: TileReader.self, count: operands.count)
    }

    /// What `withStream` takes.
    var scratchByteCount: Int {
      readersByteCount &+ Kernels.scratchByteCount(of: UInt8.self, count: tilesByteCount)
    }
  }

  fileprivate init(
    _ program: TileProgram, _ operands: [TensorView], _ sizes: Sizes,
    readers: UnsafeMutablePointer<TileReader>, tiles: UnsafeMutableRawPointer
  ) {
    var free = tiles
    func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
      defer { free += byteCount }
      return free
    }
    func words<Word>(_: Word.Type, after base: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Word> {
      base.assumingMemoryBound(to: Word.self)
    }
    let count = program.instructions.count
    self.program = program
    self.readers = readers
    arguments = words(UnsafeRawPointer.self, after: take(sizes.tableByteCount))
    values = words(UnsafeMutableRawPointer.self, after: arguments + count &* TileProgram.mostSources)
    roundings = values + count
    loops = words(Unmanaged<TileLoop>.self, after: roundings + count)
    moving = words(Int.self, after: loops + count)
    steps = words(BlockStep.self, after: moving + program.operandCount)
    isDirect = words(Bool.self, after: steps + program.steps.count)
    rounding = take(sizes.registerByteCount)
    roundings.update(repeating: rounding, count: count)
    let registers = take(program.registerCount &* sizes.registerByteCount)
    for index in program.running {
      loops[index] = .passUnretained(program.loops[3 &* index])
      place(instruction: index, at: registers + program.registers[index] &* sizes.registerByteCount)
    }
    for index in operands.indices {
      (readers + index).initialize(to: TileReader(operands[index], capacity: sizes.capacity))
      readers[index].place(in: take(readers[index].scratchByteCount), of: operands[index])
      if readers[index].isNumber {
        place(operand: index, at: readers[index].read(from: 0, count: sizes.capacity))
        for place in program.firstArgument[index]..<program.firstArgument[index &+ 1] {
          let (instruction, side) = program.arguments[place].quotientAndRemainder(dividingBy: TileProgram.mostSources)
          // A loop for a number first and another for a number second; whichever comes last is as good.
          if side < 2 { loops[instruction] = .passUnretained(program.loops[3 &* instruction &+ 1 &+ side]) }
        }
      } else {
        moving[movingCount] = index
        movingCount &+= 1
      }
    }
    if !program.steps.isEmpty { takeNumbersIntoSteps() }
  }

  /// Fits the steps to which operands are numbers.
  private mutating func takeNumbersIntoSteps() {
    program.steps.withUnsafeBufferPointer { steps.initialize(from: $0.baseAddress!, count: $0.count) }
    for (index, operand) in program.operandSteps {
      if readers[operand].isNumber {
        steps[index].takeNumber(arguments[Int(steps[index].place)].load(as: Float.self))
      }
      if steps[index].operation == .power { runsBlocks = false }
    }
  }

  // MARK: Tiles

  @inline(__always)
  private func pass(_ base: UnsafeRawPointer, of value: Int) {
    for place in program.firstArgument[value]..<program.firstArgument[value &+ 1] {
      arguments[program.arguments[place]] = base
    }
  }
  @inline(__always)
  func place(operand: Int, at base: UnsafeRawPointer) { pass(base, of: operand) }
  @inline(__always)
  func place(instruction: Int, at base: UnsafeMutableRawPointer) {
    values[instruction] = base
    pass(UnsafeRawPointer(base), of: program.operandCount &+ instruction)
  }
  @inline(__always)
  func place(roundingOf instruction: Int, at base: UnsafeMutableRawPointer) { roundings[instruction] = base }
  @inline(__always)
  func value(of instruction: Int) -> UnsafeRawPointer { UnsafeRawPointer(values[instruction]) }

  /// Reads `count` elements of each operand from `first` on, from a row-major position on.
  @inline(__always)
  func read(operandsFrom first: Int, at position: Int, count: Int) {
    for place in 0..<movingCount where moving[place] >= first {
      let index = moving[place]
      pass(readers[index].read(from: position, count: count), of: index)
    }
  }

  /// Runs all instructions on `count` elements.
  /// - Returns: where and how the program failed: `TileProgram.Fault` reads the code.
  @inline(__always)
  func run(_ count: Int) -> (place: Int, code: Int)? {
    for stretch in program.stretches {
      if runsBlocks && !stretch.steps.isEmpty {
        run(stretch, count)
        continue
      }
      for place in stretch.instructions {
        let index = program.running[place]
        if step(index, count) != nil {
          let (place, fault) = locate(index, count)
          return (place, index &<< 2 | fault.rawValue)
        }
      }
    }
    return nil
  }

  /// Runs a stretch on blocks; its instructions never fail.
  @inline(__always)
  private func run(_ stretch: TileStretch, _ length: Int) {
    runBlocks(
      UnsafeBufferPointer(start: steps + stretch.steps.lowerBound, count: stretch.steps.count),
      UnsafeRawPointer(arguments).assumingMemoryBound(to: UnsafeMutableRawPointer.self), count: length)
    for place in stretch.roundedLast { _ = round(program.roundedLast[place], length) }
  }

  /// The place of an instruction's value in the table that begins with `arguments`.
  static func place(ofValueOf instruction: Int, of count: Int) -> Int32 {
    Int32(count &* TileProgram.mostSources &+ instruction)
  }

  /// Returns the only result from a row-major position on, as it would be stored, until the next call.
  ///
  /// Behind a failure elements may be anything; of all that were asked for, the lowest that fails is noted.
  mutating func elements(from position: Int, count: Int) -> UnsafeRawPointer {
    let result = program.results[0]
    let dtype = program.instructions[result].dtype
    if failure == nil || failure!.position > position {
      read(operandsFrom: 0, at: position, count: count)
      if let (place, code) = run(count), failure == nil || failure!.position > position &+ place {
        failure = (position &+ place, code)
      }
    }
    if dtype.isLaneStorage { return value(of: result) }
    _ = storeLane(dtype, from: value(of: result), into: rounding, count: count)
    return UnsafeRawPointer(rounding)
  }

  /// Runs one instruction on a tile.
  @inline(__always)
  private func step(_ index: Int, _ length: Int) -> ArithmeticFault? {
    let value = values[index]
    let operands = UnsafePointer(arguments + index &* TileProgram.mostSources)
    if let fault = loops[index]._withUnsafeGuaranteedRef({ $0(operands, value, length) }) { return fault }
    return program.instructions[index].dtype.isLaneStorage ? nil : round(index, length)
  }

  /// Rounds an instruction's value to its dtype.
  @inline(__always)
  private func round(_ index: Int, _ length: Int) -> ArithmeticFault? {
    let value = values[index]
    let dtype = program.instructions[index].dtype
    let stored = roundings[index]
    if program.isRead[index] && dtype.isNarrow {
      let value = value.assumingMemoryBound(to: Float.self)
      if stored == rounding { roundInPlace(dtype, value, count: length) } else { roundAndStore(dtype, value, into: stored, count: length) }
      return nil
    }
    if let fault = storeLane(dtype, from: UnsafeRawPointer(value), into: stored, count: length) {
      return fault
    }
    if program.isRead[index] {
      loadLane(dtype, from: UnsafeRawPointer(stored), stride: 1, into: value, count: length)
    }
    return nil
  }

  /// Finds the first element of a tile on which an instruction fails: the shortest prefix that fails ends with
  /// it.
  @inline(never)
  private func locate(_ index: Int, _ length: Int) -> (place: Int, fault: ArithmeticFault) {
    var (passes, fails) = (0, length)
    while fails &- passes > 1 {
      let middle = (passes &+ fails) / 2
      if step(index, middle) == nil { passes = middle } else { fails = middle }
    }
    return (passes, step(index, fails) ?? .overflow)
  }
}

extension TileProgram {
  /// Calls `body` with a stream of the program over `operands`, in `sizes.scratchByteCount` bytes of scratch.
  @inline(__always)
  func withStream(
    _ operands: [TensorView], _ sizes: TileStream.Sizes, _ body: (inout TileStream) -> Void
  ) {
    withScratch(of: TileReader.self, count: operands.count) { readers in
      withScratch(of: UInt8.self, count: sizes.tilesByteCount) { tiles in
        var stream = TileStream(
          self, operands, sizes, readers: readers, tiles: UnsafeMutableRawPointer(tiles))
        body(&stream)
      }
    }
  }
}
