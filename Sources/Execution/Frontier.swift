import Glibc
import Graphs
import Kernels
import Ops
import Passes
import Support
import Tensors

/// The ways to run a step, by what they take: from the fewest bytes to the least time.
///
/// Each candidate, a checkpointing of the step or of its pieces, is planned for real, so its bytes are those that a run takes, workspace and packing included; its
/// time is that of a table of costs. A budget picks the fastest candidate that fits, from a set in which fewer bytes
/// always mean more time: so a smaller budget never gives a larger peak, nor a larger one a longer time.
package struct Frontier {
  /// A way to run the step and what it takes.
  package struct Candidate {
    package let checkpointing: Checkpointing
    /// The pieces that the batch is taken in.
    package let pieceCount: Int
    package let totalBytes: Int
    package let peakBytes: Int
    package let activationBytes: Int
    /// By the table of costs.
    package let seconds: Double
    package let products: (all: Int, rebuilt: Int)
    package let arithmetic: (all: Double, rebuilt: Double)

    /// - Parameter seconds: what computes more is not planned to be faster than what computes less.
    init(
      _ draft: StepDraft, _ checkpointing: Checkpointing, _ plan: any StepPlan, _ costs: CostTable, threads: Int,
      atLeast seconds: Double = 0
    ) {
      self.checkpointing = checkpointing
      pieceCount = draft.pieceCount
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
  /// The stages that the forward pass falls into; 0 for a step without a backward pass.
  package let stageCount: Int
  package let costs: CostTable
  /// The threads whose workspace is counted.
  package let threadCount = ThreadPool.threadCount

  /// Plans for all that is worth a look.
  /// - Parameters:
  ///   - draft: the step as it is.
  ///   - others: the step in pieces of its batch, if those are a choice.
  ///   - request: asked between plans, of which each may take a second for a graph of thousands of nodes.
  /// - Throws: `Interrupted` besides what planning throws.
  package init(
    _ draft: StepDraft, orInPieces others: [StepDraft] = [], _ costs: CostTable,
    request: () -> StopRequest = { .none }
  ) throws {
    self.costs = costs
    let threadCount = self.threadCount
    let plainPlan = try draft.plan(.none)
    let plain = Candidate(draft, .none, plainPlan, costs, threads: threadCount)
    self.plain = plain
    lowerBound = Frontier.lowerBound(draft, plainPlan, mayBeCut: !others.isEmpty)
    var stageCount = 0
    var candidates: [Candidate] = []
    for variant in [draft] + others where variant.hasBackwardPass {
      let isCut = variant.pieceCount != draft.pieceCount
      // Pieces are not planned to be faster than the whole, nor what computes more than what computes less.
      var least = plain.seconds
      func add(_ checkpointing: Checkpointing) throws {
        if request() != .none { throw Interrupted() }
        candidates.append(
          Candidate(
            variant, checkpointing, try variant.plan(checkpointing), costs, threads: threadCount, atLeast: least))
      }
      if isCut {
        try add(.none)
        least = candidates.last!.seconds
      }
      for checkpointing in Frontier.policies { try add(checkpointing) }
      guard let chain = StageChain(variant.graphs, costs) else { continue }
      if !isCut { stageCount = chain.count }
      let count = max(6, Frontier.planCount(variant.graphs[0]) / (others.count + 1))
      for point in Frontier.sample(chain.frontier, count: count) { try add(.planned(chain.recomputation(point))) }
    }
    self.stageCount = stageCount
    choices = Frontier.best(candidates, below: plain)
  }

  private static let policies: [Checkpointing] = [.selective, .squareRoot, .every(2), .every(3), .full]

  /// The fastest choice within so many bytes in all.
  package func choice(within bytes: Int) -> Candidate? { choices.last { $0.totalBytes <= bytes } }

  /// Small steps can be planned often, of large ones a few plans must do: a second or two in all.
  private static func planCount(_ graph: Graph) -> Int { max(6, min(56, 60_000 / max(1, graph.nodes.count))) }

  /// The places of some points of a frontier: the smallest, the fastest, and between them one after the other that which
  /// brings the most bytes the most time, given those that are chosen already.
  package static func sample(_ points: [(bytes: Int, seconds: Double)], count: Int) -> [Int] {
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
    // More bytes in all must not be fewer at the peak. The step as it is stays, and the smallest, or budgets that it keeps
    // would be refused.
    choices.removeAll { $0.peakBytes > plain.peakBytes }
    let least = choices[0].peakBytes
    var result: [Candidate] = []
    for candidate in choices.dropFirst().reversed()
    where candidate.peakBytes >= least && candidate.peakBytes <= result.last?.peakBytes ?? Int.max {
      result.append(candidate)
    }
    return [choices[0]] + result.reversed()
  }

  // MARK: The lower bound

  /// - Parameter mayBeCut: whether pieces of the batch are a choice: then no node has to find its operands whole.
  private static func lowerBound(_ draft: StepDraft, _ plan: any StepPlan, mayBeCut: Bool) -> LowerBound {
    let ledger = plan.ledger
    var node = (bytes: 0, name: "", origin: nil as Origin?)
    if draft.pieceCount == 1 && !mayBeCut {
      // What ops read and write themselves in 16 bits needs no conversion.
      var graph = draft.graphs[0]
      narrow(&graph)
      node = largestNode(graph)
    }
    return LowerBound(
      residentBytes: ledger.residentByteCount, outputBytes: ledger.outputByteCount, nodeBytes: node.bytes,
      node: node.name, origin: node.origin)
  }

  /// The node that needs most at once, and the bytes that it cannot do without: operands that are surely written, and
  /// results.
  private static func largestNode(_ graph: Graph) -> (bytes: Int, name: String, origin: Origin?) {
    let base = graph.viewBases()
    var isResult = [Bool](repeating: false, count: graph.values.count)
    var isElsewhere = [Bool](repeating: false, count: graph.values.count)
    for node in graph.nodes where !node.isView {
      for result in node.results { isResult[result.id] = true }
    }
    for value in graph.leavingValues { isElsewhere[base[value.id]] = true }
    var largest = (bytes: 0, name: "", origin: nil as Origin?)
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
    return largest
  }
}
