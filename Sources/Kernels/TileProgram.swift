import Tensors

/// A chain of elementwise functions run tile by tile: what lies between them never leaves the first-level cache.
///
/// Each instruction rounds to its own dtype, so a program gives the bits that its functions would give one by one.
package final class TileProgram: Sendable {
  /// What an instruction reads.
  package enum Source: Hashable, Sendable {
    case operand(Int)
    /// The result of an earlier instruction.
    case instruction(Int)
  }

  package struct Instruction: Sendable {
    package let body: TileBody
    package fileprivate(set) var sources: [Source]
    package fileprivate(set) var dtype: DType
    /// Whether the body only copies, so that the instruction does nothing but round to its dtype.
    package let isCopy: Bool

    package init(body: TileBody, sources: [Source], dtype: DType, isCopy: Bool = false) {
      self.body = body
      self.sources = sources
      self.dtype = dtype
      self.isCopy = isCopy
    }
  }

  /// Sources of one instruction at most.
  static let mostSources = 4
  /// Parts of a whole tensor at most: each part sets its tables up, and so many share the work evenly.
  private static let mostParts = 512

  let instructions: [Instruction]
  /// The instructions that run: of the others the value is that of an earlier one, or of an operand.
  let running: [Int]
  /// The instruction that makes each result.
  let results: [Int]
  let operandCount: Int
  /// The same, those together that run as one, and the steps of these.
  let stretches: [TileStretch]
  let steps: [BlockStep]
  /// The steps that read an operand, which may turn out to be a number.
  let operandSteps: [(step: Int, operand: Int)]
  let roundedLast: [Int]
  /// The loops of each instruction: on tiles, with a number first, with a number second.
  let loops: [TileLoop]
  /// Which arguments of instructions, `mostSources` each, read each operand and then each instruction; and where
  /// those of each begin.
  let arguments: [Int]
  let firstArgument: [Int]
  /// The register of each instruction, and how many registers there are.
  let registers: [Int]
  let registerCount: Int
  /// The last instruction that reads each operand; -1 where none does.
  let lastReads: [Int]
  /// Whether a later instruction reads each one's result.
  let isRead: [Bool]
  /// Whether an instruction rounds to blocks, which begin where tiles do.
  package let roundsToBlocks: Bool
  /// Whether there are so many stretches that memory would wait for them.
  let isLong: Bool
  /// Bytes of the widest element that an instruction makes.
  let widestLane: Int

  /// - Requires: instructions read operands and instructions before them; each result is an instruction.
  package init(operandCount: Int, instructions: [Instruction], results: [Int]) {
    let (instructions, running, results) = TileProgram.withoutCopies(instructions, results)
    self.instructions = instructions
    self.running = running
    self.results = results
    (stretches, steps, roundedLast) = TileProgram.stretches(instructions, running: running, results: results)
    operandSteps = steps.indices.compactMap { [steps] index in
      guard steps[index].readsArgument else { return nil }
      let (instruction, side) = Int(steps[index].place).quotientAndRemainder(dividingBy: TileProgram.mostSources)
      guard case .operand(let operand) = instructions[instruction].sources[side] else { return nil }
      return (index, operand)
    }
    self.operandCount = operandCount
    var last = Array(instructions.indices)
    var lastReads = [Int](repeating: -1, count: operandCount)
    var isRead = [Bool](repeating: false, count: instructions.count)
    var arguments = [[Int]](repeating: [], count: operandCount + instructions.count)
    for (index, instruction) in instructions.enumerated() {
      for (place, source) in instruction.sources.enumerated() {
        let argument = index * TileProgram.mostSources + place
        switch source {
        case .operand(let operand):
          lastReads[operand] = index
          arguments[operand].append(argument)
        case .instruction(let earlier):
          last[earlier] = index
          isRead[earlier] = true
          arguments[operandCount + earlier].append(argument)
        }
      }
    }
    // Results stay where they are until the tile is done.
    for result in results { last[result] = instructions.count }
    var free: [Int] = []
    var count = 0
    var registers = [Int](repeating: 0, count: instructions.count)
    for index in running {
      let instruction = instructions[index]
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
    self.arguments = Array(arguments.joined())
    firstArgument = arguments.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    loops = instructions.flatMap { [$0.body.loop, $0.body.loopOfNumberFirst, $0.body.loopOfNumberSecond] }
    self.registers = registers
    registerCount = count
    self.lastReads = lastReads
    self.isRead = isRead
    isLong = stretches.count >= 8
    roundsToBlocks = instructions.contains { $0.dtype.isBlocked }
    widestLane = running.map { instructions[$0].dtype.lane.byteCount }.max() ?? 4
  }

  /// Leaves out copies between 16-bit floats and f32. One that widens has the bits of its source. One that rounds leaves that
  /// to its source, if nobody else reads this in f32.
  private static func withoutCopies(
    _ original: [Instruction], _ originalResults: [Int]
  ) -> (instructions: [Instruction], running: [Int], results: [Int]) {
    var instructions = original
    var results = originalResults
    var running: [Int] = []
    var readerCount = [Int](repeating: 0, count: original.count)
    for case .instruction(let earlier) in original.flatMap(\.sources) { readerCount[earlier] += 1 }
    var standIn = original.indices.map { Source.instruction($0) }
    for index in original.indices {
      let sources = original[index].sources.map { source in
        if case .instruction(let earlier) = source { standIn[earlier] } else { source }
      }
      instructions[index].sources = sources
      let dtype = original[index].dtype
      if original[index].isCopy, dtype == .f32 || dtype.isNarrow {
        let isResult = results.contains(index)
        switch sources[0] {
        case _ where dtype == .f32 && !isResult:
          standIn[index] = sources[0]
        case .instruction(let earlier) where dtype.isNarrow && !results.contains(earlier):
          let isRounded = instructions[earlier].dtype == dtype
          if isRounded || instructions[earlier].dtype == .f32 && sources == original[index].sources && readerCount[earlier] == 1 {
            instructions[earlier].dtype = dtype
            standIn[index] = sources[0]
            results = results.map { $0 == index ? earlier : $0 }
          }
        default: break
        }
      }
      if standIn[index] != .instruction(index) {
        instructions[index].sources = []
      } else {
        running.append(index)
      }
    }
    return (instructions, running, results)
  }

  /// Where a program failed: the instruction, what it met, and the row-major position of the element.
  package struct Fault: Error, Sendable {
    package let instruction: Int
    package let fault: ArithmeticFault
    package let position: Int

    /// - Parameter code: as `TileStream` gives it.
    init(code: Int, position: Int) {
      instruction = code &>> 2
      fault = ArithmeticFault(rawValue: code & 3) ?? .overflow
      self.position = position
    }
  }

  // MARK: Running

  /// Runs the program over whole tensors.
  ///
  /// - Parameter unwritten: results that stay as they are, the n-th by the n-th bit.
  /// - Requires: operands and results have equal element counts; operands may be strided, results are
  ///   contiguous. A result may share storage with an operand only if the two coincide.
  package func run(_ operands: [TensorView], into results: [TensorView], unwritten: UInt64 = 0) throws(Fault) {
    guard let count = results.first?.elementCount, count > 0 else { return }
    let sizes = TileStream.Sizes(self, operands, count: count)
    let fault = FirstFault()
    inParallel(count, cost: running.count, unit: sizes.unit, most: TileProgram.mostParts) { from, to in
      run(operands, into: results, sizes, .whole, rows: 0..<1, columns: from..<to, fault, unwritten: unwritten)
    }
    if let (position, code) = fault.found { throw Fault(code: code, position: position) }
  }

  /// The scratch that `run` takes on each thread.
  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    guard let count = results.first?.elementCount, count > 0 else { return 0 }
    return TileStream.Sizes(self, operands, count: count).scratchByteCount
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
  /// - Requires: if an instruction rounds to blocks, the whole begins and ends with them.
  func run(
    _ operands: [TensorView], into results: [TensorView], on block: Block, rows: Range<Int>, columns: Range<Int>
  ) {
    let sizes = TileStream.Sizes(self, operands, count: results[0].elementCount)
    run(operands, into: results, sizes, block, rows: rows, columns: columns, FirstFault(), unwritten: 0)
  }

  private func run(
    _ operands: [TensorView], into results: [TensorView], _ sizes: TileStream.Sizes, _ block: Block,
    rows: Range<Int>, columns: Range<Int>, _ firstFault: borrowing FirstFault, unwritten: UInt64
  ) {
    func isWritten(_ result: Int) -> Bool { unwritten &>> UInt64(truncatingIfNeeded: result) & 1 == 0 }
    withStream(operands, sizes) { stream in
      // A result is computed, or rounded to, where it will lie unless a later, or the same, instruction still
      // reads an operand from there; operands that are converted are read before any instruction runs.
      for (index, result) in results.enumerated() {
        stream.isDirect[index] = isWritten(index)
        for (operand, view) in operands.enumerated()
        where view.base == result.base && view.dtype.isLaneStorage && lastReads[operand] >= self.results[index] {
          stream.isDirect[index] = false
        }
      }
      let firstRead = block.base == nil ? 0 : 1
      for row in rows {
        var column = columns.lowerBound
        while column < columns.upperBound {
          let position = row &* block.columnCount &+ column
          if firstFault.isBefore(position) { return }
          let length = min(sizes.capacity, columns.upperBound &- column)
          stream.read(operandsFrom: firstRead, at: position, count: length)
          if let base = block.base {
            let offset = (row &- rows.lowerBound) &* block.stride
              &+ (column &- columns.lowerBound) &* operands[0].dtype.byteCount
            stream.place(operand: 0, at: base + offset)
          }
          for (index, instruction) in self.results.enumerated() where stream.isDirect[index] {
            let dtype = results[index].dtype
            let place = results[index].base + dtype.byteOffset(of: position)
            if dtype.isLaneStorage {
              stream.place(instruction: instruction, at: place)
            } else {
              stream.place(roundingOf: instruction, at: place)
            }
          }
          if let (place, code) = stream.run(length) {
            firstFault.note(code, at: position &+ place)
            return
          }
          for (index, instruction) in self.results.enumerated() where !stream.isDirect[index] && isWritten(index) {
            let result = results[index]
            _ = storeLane(
              result.dtype, from: stream.value(of: instruction),
              into: result.base + result.dtype.byteOffset(of: position), count: length)
          }
          column &+= length
        }
      }
    }
  }
}
