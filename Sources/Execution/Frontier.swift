import Glibc
import Graphs
import Kernels
import Ops
import Passes
import Support
import Tensors

/// The ways to run a step, by what they take: from the fewest bytes to the least time.
///
/// Each candidate is planned for real, so its bytes are those that a run takes, workspace and packing included; its
/// time is that of a table of costs. A budget picks the fastest candidate that fits, from a set in which fewer bytes
/// always mean more time: so a smaller budget never gives a larger peak, nor a larger one a longer time.
package struct Frontier {
  /// A policy and what the step takes under it.
  package struct Candidate {
    package let checkpointing: Checkpointing
    package let totalBytes: Int
    package let peakBytes: Int
    package let activationBytes: Int
    /// By the table of costs.
    package let seconds: Double
    package let products: (all: Int, rebuilt: Int)
    package let arithmetic: (all: Double, rebuilt: Double)

    /// - Parameter seconds: what computes more is not planned to be faster than what computes less.
    init(
      _ checkpointing: Checkpointing, _ plan: any StepPlan, _ costs: CostTable, threads: Int,
      atLeast seconds: Double = 0
    ) {
      self.checkpointing = checkpointing
      totalBytes = plan.totalByteCount(threads: threads)
      peakBytes = plan.ledger.peak
      activationBytes = plan.ledger.peakBytes(.activations)
      self.seconds = max(seconds, plan.seconds(costs))
      products = plan.products
      arithmetic = plan.arithmetic
    }

    /// The floating-point operations that this adds to those of a step without it, as a share of them.
    package func recomputedShare(beside plain: Candidate) -> Double {
      plain.arithmetic.all == 0 ? 0 : arithmetic.all / plain.arithmetic.all - 1
    }
  }

  /// What no way of running the step can do without.
  package struct LowerBound {
    /// What is there before the step and stays.
    package let residentBytes: Int
    /// What the step returns.
    package let outputBytes: Int
    /// What the node with the most operands and results has to find and make, all at once.
    package let nodeBytes: Int
    package let node: String
    package let origin: Origin?
    package var bytes: Int { residentBytes + outputBytes + nodeBytes }
  }

  /// The step as it is without a policy.
  package let plain: Candidate
  /// Rising in bytes, falling in time; the last is `plain`.
  package let choices: [Candidate]
  package let lowerBound: LowerBound
  /// The stages that the forward pass falls into.
  package let stageCount: Int
  package let costs: CostTable
  /// The threads whose workspace is counted.
  package let threadCount = ThreadPool.threadCount

  /// Plans for all that is worth a look.
  /// - Parameter graph: as it was traced, before any pass.
  package init(_ graph: Graph, inputs roles: [InputRole], _ costs: CostTable) throws {
    self.costs = costs
    let threadCount = self.threadCount
    var simplified = graph
    try Pipeline.run(Pipeline.simplification, on: &simplified)
    func planned(_ checkpointing: Checkpointing) throws -> Plan {
      var graph = simplified
      try Pipeline.run(Pipeline.afterSimplification(checkpointing), on: &graph)
      return try Plan(graph, inputs: roles)
    }
    let plainPlan = try planned(.none)
    let plain = Candidate(.none, plainPlan, costs, threads: threadCount)
    self.plain = plain
    lowerBound = Frontier.lowerBound(simplified, plain: plainPlan)
    guard simplified.nodes.contains(where: { $0.origin.phase == .backward }) else {
      (choices, stageCount) = ([plain], 0)
      return
    }
    let chain = StageChain(simplified, costs)
    stageCount = chain.count
    var candidates: [Candidate] = []
    func add(_ checkpointing: Checkpointing) throws {
      candidates.append(
        Candidate(checkpointing, try planned(checkpointing), costs, threads: threadCount, atLeast: plain.seconds))
    }
    for checkpointing in Frontier.policies { try add(checkpointing) }
    for point in Frontier.sample(chain.frontier, count: Frontier.planCount(simplified)) {
      try add(.planned(chain.recomputation(point)))
    }
    choices = Frontier.best(candidates, below: plain)
  }

  /// Plans for the policies that have names: of a step that runs in pieces of its batch, say.
  ///
  /// - Parameter plan: the step under a checkpointing.
  package init(
    plain: any StepPlan, _ costs: CostTable, plan: (Checkpointing) throws -> any StepPlan
  ) throws {
    self.costs = costs
    let threadCount = self.threadCount
    stageCount = 0
    let candidate = Candidate(.none, plain, costs, threads: threadCount)
    self.plain = candidate
    choices = Frontier.best(
      try Frontier.policies.map {
        Candidate($0, try plan($0), costs, threads: threadCount, atLeast: candidate.seconds)
      }, below: candidate)
    lowerBound = LowerBound(
      residentBytes: plain.ledger.residentByteCount, outputBytes: plain.ledger.outputByteCount, nodeBytes: 0, node: "",
      origin: nil)
  }

  private static let policies: [Checkpointing] = [.selective, .squareRoot, .every(2), .every(3), .full]

  /// The fastest choice within so many bytes in all.
  package func choice(within bytes: Int) -> Candidate? { choices.last { $0.totalBytes <= bytes } }

  /// Small steps can be planned often, of large ones a few plans must do: a second or two in all.
  private static func planCount(_ graph: Graph) -> Int { max(6, min(56, 60_000 / max(1, graph.nodes.count))) }

  /// The points to plan for: the smallest, the fastest, and between them one after the other that which brings the most
  /// bytes the most time, given those that are chosen already.
  private static func sample(_ points: [(bytes: Int, seconds: Double)], count: Int) -> [Int] {
    if points.count <= count { return Array(points.indices) }
    let logs = points.map { log($0.seconds) }
    var chosen = [0, points.count - 1]
    while chosen.count < count {
      var best = (gain: 0.0, place: 0, point: 0)
      for place in 1..<chosen.count {
        let (low, high) = (chosen[place - 1], chosen[place])
        for point in low + 1..<max(high, low + 1) {
          let gain = (logs[low] - logs[point]) * Double(points[high].bytes - points[point].bytes)
          if gain > best.gain { best = (gain, place, point) }
        }
      }
      if best.gain <= 0 { break }
      chosen.insert(best.point, at: best.place)
    }
    return chosen
  }

  /// Those that none is as good as.
  private static func best(_ candidates: [Candidate], below plain: Candidate) -> [Candidate] {
    var choices: [Candidate] = []
    var fastest = Double.infinity
    for candidate in candidates.enumerated().sorted(by: {
      ($0.element.totalBytes, $0.element.seconds, $0.offset) < ($1.element.totalBytes, $1.element.seconds, $1.offset)
    }).map(\.element) where candidate.totalBytes < plain.totalBytes && candidate.seconds < fastest {
      choices.append(candidate)
      fastest = candidate.seconds
    }
    choices.append(plain)
    // More bytes in all must not be fewer at the peak.
    var result: [Candidate] = []
    for candidate in choices.reversed() where result.last.map({ candidate.peakBytes <= $0.peakBytes }) ?? true {
      result.append(candidate)
    }
    return result.reversed()
  }

  // MARK: The lower bound

  /// Bytes that the node which needs most at once cannot do without: operands that are surely written, and results.
  private static func lowerBound(_ graph: Graph, plain: Plan) -> LowerBound {
    let base = graph.viewBases()
    var isResult = [Bool](repeating: false, count: graph.values.count)
    var isElsewhere = [Bool](repeating: false, count: graph.values.count)
    for node in graph.nodes where !node.isView {
      for result in node.results { isResult[result.id] = true }
    }
    for value in graph.leavingValues { isElsewhere[base[value.id]] = true }
    var largest = (bytes: 0, node: "", origin: nil as Origin?)
    // Elementwise nodes and reductions may see their operands in cache alone; others find them in memory.
    for node in graph.nodes where !node.isView && type(of: node.op).traits.fusion == .alone {
      var seen: [Int: Int] = [:]
      var counted = Set<Int>()
      for operand in node.operands where counted.insert(operand.id).inserted {
        seen[base[operand.id], default: 0] += operand.type.byteCount
      }
      // A view may have been copied, and what it looks at be gone.
      var bytes = seen.reduce(0) { sum, entry in
        isResult[entry.key] && !isElsewhere[entry.key]
          ? sum + min(entry.value, graph.values[entry.key].type.byteCount) : sum
      }
      let isTakenInBlocks = (node.op as? MatMul)?.takesChain(node.operands.map(\.type)) == true
      if !isTakenInBlocks {
        for result in node.results where !isElsewhere[result.id] { bytes += result.type.byteCount }
      }
      if bytes > largest.bytes { largest = (bytes, type(of: node.op).name, node.origin) }
    }
    return LowerBound(
      residentBytes: plain.ledger.residentByteCount, outputBytes: plain.ledger.outputByteCount,
      nodeBytes: largest.bytes, node: largest.node, origin: largest.origin)
  }
}
