/// Instructions in a row that run as one, as steps over blocks.
struct TileStretch {
  /// Places in `TileProgram.running`.
  let instructions: Range<Int>
  /// Places in `TileProgram.steps`; none where the only instruction runs by its loop.
  let steps: Range<Int>
}

extension TileProgram {
  /// Divides the instructions that run into stretches.
  static func stretches(
    _ instructions: [Instruction], running: [Int], results: [Int]
  ) -> (stretches: [TileStretch], steps: [BlockStep]) {
    var stretches: [TileStretch] = []
    var steps: [BlockStep] = []
    var start = 0
    while start < running.count {
      var members = Set<Int>()
      var end = start
      while end < running.count, instructions[running[end]].joins(members, of: instructions) {
        members.insert(running[end])
        end += 1
      }
      let firstStep = steps.count
      if members.count > 1 {
        let read = running[end...].flatMap { instructions[$0].sources }
        var writer = BlockWriter(
          instructions, members: Array(running[start..<end]),
          visible: members.filter {
            results.contains($0) || read.contains(.instruction($0)) || !instructions[$0].dtype.isLaneStorage
          })
        steps += writer.steps()
      } else {
        end = start + 1
      }
      stretches.append(TileStretch(instructions: start..<end, steps: firstStep..<steps.count))
      start = end
    }
    return (stretches, steps)
  }
}

extension TileProgram.Instruction {
  /// Whether it can follow `members` in a stretch: all lanes are f32, and what it reads is not rounded to storage, which
  /// happens at the end.
  fileprivate func joins(_ members: Set<Int>, of instructions: [TileProgram.Instruction]) -> Bool {
    guard let operation = body.blockOperation, dtype.lane == .single else { return false }
    if operation == .power, case .instruction = sources[1] { return false }
    return sources.allSatisfy { source in
      guard case .instruction(let earlier) = source, members.contains(earlier) else { return true }
      return instructions[earlier].dtype == .f32
    }
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
