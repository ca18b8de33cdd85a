import Graphs
import Support
import Tensors

/// What a step holds memory for.
package enum MemoryCategory: Int, CaseIterable, Sendable {
  /// What training changes, and what models keep beside it.
  case parameters, buffers
  /// What optimizers take, each from when it is made to when it is consumed.
  case gradients
  case optimizerState
  /// Weights in f32 beside working copies in 16 bits.
  case masterWeights
  /// Made by the forward pass, read by a later one.
  case activations
  case temporaries
  /// The step's arguments, and what it reads from outside besides.
  case inputs, captured
  case outputs

  /// Whether the step finds it there.
  package var isResident: Bool {
    switch self {
    case .parameters, .buffers, .optimizerState, .masterWeights, .inputs, .captured: true
    case .gradients, .activations, .temporaries, .outputs: false
    }
  }

  package var name: String {
    switch self {
    case .parameters: "parameters"
    case .buffers: "buffers"
    case .gradients: "gradients"
    case .optimizerState: "optimizer state"
    case .masterWeights: "master weights"
    case .activations: "activations"
    case .temporaries: "temporaries"
    case .inputs: "inputs"
    case .captured: "captured"
    case .outputs: "outputs"
    }
  }
}

/// Bytes by category at each step of a run: what is planned, or what was measured.
package struct MemoryUsage: Equatable, Sendable {
  /// A row a step, a column a category.
  package let bytes: [[Int]]

  package func total(_ step: Int) -> Int { bytes[step].reduce(0, +) }
  /// The step at which most is held, the first of several.
  package var peakStep: Int {
    var best = 0
    for step in bytes.indices where total(step) > total(best) { best = step }
    return best
  }
  package var peak: Int { bytes.isEmpty ? 0 : total(peakStep) }
}

/// The memory of a step, known before it runs: every value with its place in time, and what the step finds there.
package struct Ledger: Sendable {
  /// A tensor that the step finds there or makes.
  package struct Entry: Sendable {
    /// A path in a model where there is one, else the op.
    package let name: String
    package let category: MemoryCategory
    package let type: TensorType
    package let phase: Phase
    package let site: Site?
    /// The steps over which it takes memory of its own; a result that takes over an operand's bytes counts from
    /// the step that makes it, the operand to the step before.
    package let first: Int
    package let last: Int

    package var byteCount: Int { type.byteCount }

    /// The same among the steps of a longer run.
    func moved(by distance: Int) -> Entry {
      Entry(
        name: name, category: category, type: type, phase: phase, site: site, first: first + distance,
        last: last + distance)
    }
  }

  /// A step of the plan.
  package struct Step: Sendable {
    package let op: String
    package let origin: Origin
  }

  package let entries: [Entry]
  package let steps: [Step]
  package let arenaByteCount: Int
  /// The largest sum of the arena's live bytes: no arena can be smaller.
  package let arenaLowerBound: Int
  /// Scratch of one thread.
  package let scratchByteCount: Int
  package let usage: MemoryUsage

  init(
    entries: [Entry], steps: [Step], arenaByteCount: Int, arenaLowerBound: Int, scratchByteCount: Int
  ) {
    self.entries = entries
    self.steps = steps
    self.arenaByteCount = arenaByteCount
    self.arenaLowerBound = arenaLowerBound
    self.scratchByteCount = scratchByteCount
    residentByteCount = entries.reduce(0) { $0 + ($1.category.isResident ? $1.byteCount : 0) }
    outputByteCount = entries.reduce(0) { $0 + ($1.category == .outputs ? $1.byteCount : 0) }
    var changes = [[Int]](
      repeating: [Int](repeating: 0, count: MemoryCategory.allCases.count), count: steps.count + 1)
    for entry in entries where entry.first <= entry.last {
      changes[entry.first][entry.category.rawValue] += entry.byteCount
      changes[entry.last + 1][entry.category.rawValue] -= entry.byteCount
    }
    for step in changes.indices.dropFirst() {
      for category in changes[step].indices { changes[step][category] += changes[step - 1][category] }
    }
    usage = MemoryUsage(bytes: Array(changes.dropLast()))
  }

  /// Bytes of tensors when most is held: the same on every machine.
  package var peak: Int { usage.peak }
  package var peakStep: Int { usage.peakStep }

  /// Bytes of what is there before the step, and stays.
  package let residentByteCount: Int
  package let outputByteCount: Int

  /// Bytes of a category at the peak.
  package func peakBytes(_ category: MemoryCategory) -> Int {
    usage.bytes.isEmpty ? 0 : usage.bytes[peakStep][category.rawValue]
  }

  /// The first difference between the plan and what was measured, in words.
  package func difference(from measured: MemoryUsage, _ measuredScratch: Int) -> String? {
    if measuredScratch != scratchByteCount {
      return "scratch of a thread is \(scratchByteCount) bytes, \(measuredScratch) measured"
    }
    for (step, (planned, found)) in zip(usage.bytes, measured.bytes).enumerated() where planned != found {
      let category = MemoryCategory.allCases.first { planned[$0.rawValue] != found[$0.rawValue] }!
      return "step \(step) (\(steps[step].op)), \(category.name): \(planned[category.rawValue]) bytes planned, \(found[category.rawValue]) measured"
    }
    return usage.bytes.count == measured.bytes.count
      ? nil : "\(usage.bytes.count) steps planned, \(measured.bytes.count) measured"
  }

  /// What holds memory at a step, largest first.
  package func entries(at step: Int) -> [Entry] {
    entries.filter { $0.first <= step && step <= $0.last }
      .enumerated().sorted { ($1.element.byteCount, $0.offset) < ($0.element.byteCount, $1.offset) }
      .map(\.element)
  }
}
