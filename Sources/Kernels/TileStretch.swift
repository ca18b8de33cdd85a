/// Instructions in a row that run as one, as steps over blocks.
struct TileStretch {
  /// Places in `TileProgram.running`.
  let instructions: Range<Int>
  /// Places in `TileProgram.steps`; none where the only instruction runs by its loop.
  let steps: Range<Int>
  /// Places in `TileProgram.roundedLast`.
  let roundedLast: Range<Int>
}

extension TileProgram {
  /// Divides the instructions that run into stretches.
  /// - Returns: the stretches, their steps, and the instructions whose values go to storage in 16 bits when a stretch is done.
  static func stretches(
    _ instructions: [Instruction], running: [Int], results: [Int]
  ) -> (stretches: [TileStretch], steps: [BlockStep], roundedLast: [Int]) {
    var stretches: [TileStretch] = []
    var steps: [BlockStep] = []
    var roundedLast: [Int] = []
    var start = 0
    while start < running.count {
      let members = running[start...].prefix { instructions[$0].fitsStretch }
      // One alone runs by its loop.
      let end = members.count > 1 ? members.endIndex : start + 1
      let (firstStep, firstRounded) = (steps.count, roundedLast.count)
      if members.count > 1 {
        let readLater = running[end...].flatMap { instructions[$0].sources }
        let visible = members.filter { results.contains($0) || readLater.contains(.instruction($0)) }
        var writer = BlockWriter(instructions, members: Array(members), visible: Set(visible))
        steps += writer.steps()
        roundedLast += members.filter { instructions[$0].dtype.isNarrow && results.contains($0) }
      }
      stretches.append(
        TileStretch(
          instructions: start..<end, steps: firstStep..<steps.count, roundedLast: firstRounded..<roundedLast.count))
      start = end
    }
    return (stretches, steps, roundedLast)
  }
}

extension TileProgram.Instruction {
  /// Whether it can be in a stretch: all it reads and makes is in the lane of f32.
  fileprivate var fitsStretch: Bool {
    guard let operation = body.blockOperation else { return false }
    // Rounded at the end rather than at once, 8 bits took a fifth more time.
    if dtype != .f32 && !dtype.isNarrow { return false }
    if operation == .power, case .instruction = sources[1] { return false }
    return true
  }
}

/// Writes the steps of one stretch. A value stays in x while its next reader comes next, is kept if the other block is
/// free, and lies in its register of the program otherwise.
private struct BlockWriter {
  private let instructions: [TileProgram.Instruction]
  private let members: [Int]
  /// Those that somebody reads behind the stretch.
  private let visible: Set<Int>
  /// The last member that reads each one, by their places.
  private var lastReads: [Int: Int] = [:]
  private var written: [BlockStep] = []
  /// Whose values x and the kept block hold, and which lie in memory.
  private var x: Int?
  private var kept: Int?
  private var stored = Set<Int>()

  init(_ instructions: [TileProgram.Instruction], members: [Int], visible: Set<Int>) {
    self.instructions = instructions
    self.members = members
    self.visible = visible
    for member in members {
      for case .instruction(let earlier) in instructions[member].sources {
        lastReads[earlier] = member
        if !members.contains(earlier) { stored.insert(earlier) }
      }
    }
  }

  mutating func steps() -> [BlockStep] {
    for member in members { write(member) }
    return written
  }

  private mutating func write(_ member: Int) {
    let instruction = instructions[member]
    let operation = instruction.body.blockOperation!
    let isUnary = instruction.sources.count == 1 || operation == .power
    let sources = instruction.sources.prefix(isUnary ? 1 : 2).map { source in
      if case .instruction(let earlier) = source { earlier } else { nil as Int? }
    }
    // Which source is x: one that is already, or the one that is not kept.
    var side = 0
    if let x, let found = sources.firstIndex(of: x) {
      side = found
    } else {
      if !isUnary, kept != nil, sources[0] == kept { side = 1 }
      save(before: member, neededFrom: member)
      load(side, of: member, sources)
    }
    save(before: member, neededFrom: member + 1)
    let operand: BlockStep.Operand
    if isUnary || sources[1 - side] != nil && sources[1 - side] == sources[side] {
      operand = .same
    } else if let other = sources[1 - side], other == kept {
      operand = side == 0 ? .kept : .keptFirst
    } else {
      operand = side == 0 ? .memory : .memoryFirst
    }
    let other = isUnary && operation != .power ? side : 1 - side
    written.append(BlockStep(operation: operation, operand: operand, place: argument(other, of: member)))
    x = member
    if instruction.dtype.isNarrow {
      let rounding: BlockOperation = instruction.dtype == .f16 ? .roundToF16 : .roundToBF16
      written.append(BlockStep(operation: rounding, operand: .same, place: 0))
    }
    if visible.contains(member) { store() }
  }

  /// Whether a value that is in no memory is read by `member` or later ones.
  private func isNeeded(_ value: Int?, from member: Int) -> Bool {
    guard let value, let last = lastReads[value] else { return false }
    return last >= member && !stored.contains(value)
  }

  /// Puts x by before `member` if it is needed from `first` on: as the kept block, where nobody needs that from now on.
  private mutating func save(before member: Int, neededFrom first: Int) {
    guard isNeeded(x, from: first), x != kept else { return }
    if isNeeded(kept, from: member) {
      store()
    } else {
      written.append(BlockStep(operation: .keep, operand: .same, place: 0))
      kept = x
    }
  }

  private mutating func load(_ side: Int, of member: Int, _ sources: [Int?]) {
    let isKept = sources[side] != nil && sources[side] == kept
    written.append(
      BlockStep(operation: .load, operand: isKept ? .kept : .memory, place: argument(side, of: member)))
    x = sources[side]
  }

  private mutating func store() {
    let place = TileStream.place(ofValueOf: x!, of: instructions.count)
    written.append(BlockStep(operation: .store, operand: .memory, place: place))
    stored.insert(x!)
  }

  private func argument(_ side: Int, of member: Int) -> Int32 { Int32(member * TileProgram.mostSources + side) }
}
