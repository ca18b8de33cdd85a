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

  private let instructions: [Instruction]
  /// The instruction that makes each result.
  private let results: [Int]
  private let operandCount: Int
  /// The sources of all instructions, as places in a table of operands and then instructions; where those
  /// of each instruction begin.
  private let sources: [Int]
  private let firstSource: [Int]
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
    var last = Array(instructions.indices)
    var lastReads = [Int](repeating: -1, count: operandCount)
    var sources: [Int] = []
    var firstSource: [Int] = []
    for (index, instruction) in instructions.enumerated() {
      firstSource.append(sources.count)
      for source in instruction.sources {
        switch source {
        case .operand(let operand):
          lastReads[operand] = index
          sources.append(operand)
        case .instruction(let earlier):
          last[earlier] = index
          sources.append(operandCount + earlier)
        }
      }
    }
    // Results stay where they are until the tile is done.
    for result in results { last[result] = instructions.count }
    var free: [Int] = []
    var count = 0
    var registers = [Int](repeating: 0, count: instructions.count)
    for (index, instruction) in instructions.enumerated() {
      // Taken before those of the sources are given back: loops over one pointer would run scalar.
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
    self.sources = sources
    self.firstSource = firstSource
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

  // MARK: Running

  /// Runs the program over whole tensors.
  ///
  /// - Requires: operands and results have equal element counts; operands may be strided, results are
  ///   contiguous. A result may share storage with an operand only if the two coincide.
  package func run(_ operands: [TensorView], into results: [TensorView]) throws(Fault) {
    guard let count = results.first?.elementCount, count > 0 else { return }
    let sizes = Sizes(self, operands, count: count)
    let fault = FirstFault()
    inParallel(count, cost: instructions.count, unit: sizes.unit) { from, to in
      run(operands, into: results, sizes, .whole, rows: 0..<1, columns: from..<to, fault)
    }
    if let (position, code) = fault.found {
      throw Fault(
        instruction: code &>> 2, fault: ArithmeticFault(rawValue: code & 3) ?? .overflow, position: position)
    }
  }

  /// The scratch that `run` takes on each thread.
  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    guard let count = results.first?.elementCount, count > 0 else { return 0 }
    return Sizes(self, operands, count: count).scratchByteCount
  }

  /// A block of the first operand that lies apart, when the others lie as wholes.
  struct Block {
    let base: UnsafeRawPointer?
    /// Bytes from row to row.
    let stride: Int
    /// The number of columns of the whole.
    let columnCount: Int

    /// The first operand lies as the others do.
    static var whole: Block { Block(base: nil, stride: 0, columnCount: 0) }
  }

  /// Runs the program over a block of rows and columns, of which `block` holds the first operand.
  func run(
    _ operands: [TensorView], into results: [TensorView], on block: Block, rows: Range<Int>, columns: Range<Int>
  ) {
    let sizes = Sizes(self, operands, count: results[0].elementCount)
    run(operands, into: results, sizes, block, rows: rows, columns: columns, FirstFault())
  }

  /// The lengths of tiles and the scratch that they take.
  struct Sizes {
    /// Elements of a tile: as many as keep registers and operands in the first-level cache.
    let capacity: Int
    let registerByteCount: Int
    let tableByteCount: Int
    private(set) var tilesByteCount: Int
    /// Parts begin at multiples of this: a panel is not read twice.
    private(set) var unit: Int
    private let readersByteCount: Int

    init(_ program: TileProgram, _ operands: [TensorView], count: Int) {
      let lines = program.registerCount &+ program.operandCount &+ program.results.count
      var capacity = tileCapacity
      while capacity > 256 && lines &* capacity &* program.widestLane > 40 &<< 10 { capacity /= 2 }
      self.capacity = min(capacity, count)
      registerByteCount = wholeLines(self.capacity &* program.widestLane)
      tableByteCount = Kernels.scratchByteCount(
        of: UnsafeMutableRawPointer.self,
        count: program.operandCount &+ program.instructions.count &+ TileProgram.mostSources &+ program.results.count)
      tilesByteCount = tableByteCount &+ (program.registerCount &+ 1) &* registerByteCount
      unit = tileCapacity
      for operand in operands {
        let reader = TileReader(operand, capacity: self.capacity)
        tilesByteCount &+= reader.scratchByteCount
        unit = max(unit, reader.panelElementCount)
      }
      readersByteCount = Kernels.scratchByteCount(of: TileReader.self, count: operands.count)
    }

    var scratchByteCount: Int {
      readersByteCount &+ Kernels.scratchByteCount(of: UInt8.self, count: tilesByteCount)
    }
  }

  /// Operands of one instruction at most.
  private static let mostSources = 4

  private func run(
    _ operands: [TensorView], into results: [TensorView], _ sizes: Sizes, _ block: Block, rows: Range<Int>,
    columns: Range<Int>, _ firstFault: borrowing FirstFault
  ) {
    withScratch(of: TileReader.self, count: operands.count) { readers in
      withScratch(of: UInt8.self, count: sizes.tilesByteCount) { scratch in
        var free = UnsafeMutableRawPointer(scratch)
        func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
          defer { free += byteCount }
          return free
        }
        var frame = Frame(
          table: take(sizes.tableByteCount), program: self,
          rounding: take(sizes.registerByteCount))
        for index in instructions.indices {
          frame.place(instruction: index, at: free + registers[index] &* sizes.registerByteCount)
        }
        free += registerCount &* sizes.registerByteCount
        for index in operands.indices {
          (readers + index).initialize(to: TileReader(operands[index], capacity: sizes.capacity))
          readers[index].place(in: take(readers[index].scratchByteCount), of: operands[index])
        }
        // A result is computed where it will lie unless a later, or the same, instruction still reads an
        // operand from there.
        for (index, result) in results.enumerated() {
          frame.isDirect[index] = result.dtype.isLaneStorage
          for (operand, view) in operands.enumerated()
          where view.base == result.base && lastReads[operand] >= self.results[index] {
            frame.isDirect[index] = false
          }
        }
        for row in rows {
          var column = columns.lowerBound
          while column < columns.upperBound {
            let position = row &* block.columnCount &+ column
            if firstFault.isBefore(position) { return }
            let length = min(sizes.capacity, columns.upperBound &- column)
            for index in operands.indices where index > 0 || block.base == nil {
              frame.place(operand: index, at: readers[index].read(from: position, count: length))
            }
            if let base = block.base {
              let offset = (row &- rows.lowerBound) &* block.stride
                &+ (column &- columns.lowerBound) &* operands[0].dtype.byteCount
              frame.place(operand: 0, at: base + offset)
            }
            for (index, instruction) in self.results.enumerated() where frame.isDirect[index] {
              frame.place(
                instruction: instruction,
                at: results[index].base + position &* results[index].dtype.byteCount)
            }
            for index in instructions.indices {
              if step(index, frame, length) == nil { continue }
              let (place, fault) = locate(index, frame, length)
              firstFault.note(index &<< 2 | fault.rawValue, at: position &+ place)
              return
            }
            for (index, instruction) in self.results.enumerated() where !frame.isDirect[index] {
              let result = results[index]
              _ = storeLane(
                result.dtype, from: frame.value(of: instruction),
                into: result.base + position &* result.dtype.byteCount, count: length)
            }
            column &+= length
          }
        }
      }
    }
  }

  /// Where the tiles of a run lie.
  private struct Frame {
    /// Operands, then instructions.
    private let table: UnsafeMutablePointer<UnsafeRawPointer>
    private let operandCount: Int
    /// The operands of the instruction under way.
    let sources: UnsafeMutablePointer<UnsafeRawPointer>
    let isDirect: UnsafeMutablePointer<Bool>
    /// A tile for what is rounded to storage and back.
    let rounding: UnsafeMutableRawPointer

    init(table: UnsafeMutableRawPointer, program: TileProgram, rounding: UnsafeMutableRawPointer) {
      let count = program.operandCount &+ program.instructions.count
      self.table = table.assumingMemoryBound(to: UnsafeRawPointer.self)
      operandCount = program.operandCount
      sources = self.table + count
      isDirect = UnsafeMutableRawPointer(sources + TileProgram.mostSources).assumingMemoryBound(to: Bool.self)
      self.rounding = rounding
    }

    @inline(__always)
    mutating func place(operand: Int, at base: UnsafeRawPointer) { table[operand] = base }
    @inline(__always)
    mutating func place(instruction: Int, at base: UnsafeMutableRawPointer) {
      table[operandCount &+ instruction] = UnsafeRawPointer(base)
    }
    @inline(__always)
    func value(of instruction: Int) -> UnsafeRawPointer { table[operandCount &+ instruction] }
    @inline(__always)
    subscript(place: Int) -> UnsafeRawPointer { table[place] }
  }

  /// Runs one instruction on a tile.
  @inline(__always)
  private func step(_ index: Int, _ frame: Frame, _ length: Int) -> ArithmeticFault? {
    let first = firstSource[index]
    let end = index &+ 1 < firstSource.count ? firstSource[index &+ 1] : sources.count
    for place in first..<end { frame.sources[place &- first] = frame[sources[place]] }
    let value = UnsafeMutableRawPointer(mutating: frame.value(of: index))
    if let fault = instructions[index].body(frame.sources, value, length) { return fault }
    let dtype = instructions[index].dtype
    if dtype.isLaneStorage { return nil }
    if let fault = storeLane(dtype, from: UnsafeRawPointer(value), into: frame.rounding, count: length) {
      return fault
    }
    loadLane(dtype, from: UnsafeRawPointer(frame.rounding), stride: 1, into: value, count: length)
    return nil
  }

  /// Finds the first element of a tile on which an instruction fails: the shortest prefix that fails ends with it.
  private func locate(_ index: Int, _ frame: Frame, _ length: Int) -> (place: Int, fault: ArithmeticFault) {
    var (passes, fails) = (0, length)
    while fails &- passes > 1 {
      let middle = (passes &+ fails) / 2
      if step(index, frame, middle) == nil { passes = middle } else { fails = middle }
    }
    return (passes, step(index, frame, fails) ?? .overflow)
  }
}
