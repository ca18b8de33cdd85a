import Graphs
import Ops
import Tensors

/// The forward pass of a step as a chain of stages with their costs: what the planner of chains works on, and its
/// answers as schedules for the graph.
///
/// A stage's options are minimum cuts. The first keeps what a step without checkpointing keeps: cheap values are
/// computed again in any case. Each further one lets one more product, or the like, run again, the one that saves the
/// most bytes for its time. A transformer's block can so drop the wide values of its MLP and keep the others.
///
/// Bytes are estimates: what fusion never writes is guessed from who reads whom. They order schedules; what a schedule
/// takes is known when it is planned.
package struct StageChain {
  private let planner: ChainPlanner
  /// What each option of each stage keeps.
  private let kept: [[[Int]]]
  /// The number of stages.
  package let count: Int

  /// - Parameter graphs: simplified graphs, as `rebuild` sees them: of one step, on different numbers of rows. The first
  ///   is what costs are taken from.
  /// - Returns: nil where a schedule would not mean the same in all of them, since their stages begin at other nodes.
  package init?(_ graphs: [Graph], _ costs: CostTable) {
    let split = StageSplit(graphs[0])
    for graph in graphs.dropFirst()
    where !graph.hasSameNodes(as: graphs[0]) || StageSplit(graph).outputs != split.outputs { return nil }
    self.init(graphs[0], costs)
  }

  /// - Parameter graph: a simplified graph, as `rebuild` sees it.
  package init(_ graph: Graph, _ costs: CostTable) {
    let estimate = StageEstimate(graph, costs)
    let stages = (0..<estimate.split.count).map { estimate.stage($0) }
    planner = ChainPlanner(stages.map(\.stage))
    kept = stages.map(\.kept)
    count = stages.count
  }

  /// Estimated peaks and times of the best schedules, from the smallest and slowest to the largest and fastest.
  package var frontier: [(bytes: Int, seconds: Double)] { planner.frontier }

  /// A point of the frontier, for `Checkpointing.planned`.
  package func recomputation(_ point: Int) -> Recomputation {
    Recomputation(
      operations: planner.schedule(point).map { operation in
        switch operation {
        case .run(let stages): .run(stages)
        case .keep(let stage, let option): .keep(stage: stage, values: kept[stage][option])
        case .backward(let stage): .backward(stage)
        }
      })
  }
}

/// Guesses what stages take.
private struct StageEstimate {
  let graph: Graph
  let costs: CostTable
  let split: StageSplit
  /// The nodes of each stage: of the forward pass, and of the backward pass.
  private var forward: [[Int]]
  private var backward: [[Int]]
  /// The lowest stage whose backward pass reads a later value; -1 for those that leave the step.
  private var lastReader: [Int]

  init(_ graph: Graph, _ costs: CostTable) {
    self.graph = graph
    self.costs = costs
    split = StageSplit(graph)
    forward = Array(repeating: [], count: split.count)
    backward = Array(repeating: [], count: split.count)
    lastReader = Array(repeating: Int.max, count: graph.values.count)
    for (index, node) in graph.nodes.enumerated() {
      if index < split.firstLater {
        forward[split.stage[index]].append(index)
        continue
      }
      if node.origin.phase == .backward { backward[split.stage[index]].append(index) }
      for operand in node.operands {
        let value = split.base[operand.id]
        lastReader[value] = min(lastReader[value], split.stage[index])
      }
    }
    for value in graph.leavingValues { lastReader[split.base[value.id]] = -1 }
  }

  func stage(_ number: Int) -> (stage: ChainStage, kept: [[Int]]) {
    let output = split.outputs[number]
    let outputBytes = output.map { graph.values[$0].type.byteCount } ?? 0
    var options: [ChainStage.Option] = []
    var kept: [[Int]] = []
    for cut in cuts(number) {
      let rebuilt = Set(cut.rebuilt.map { split.producer[$0] })
      options.append(
        ChainStage.Option(
          keptBytes: cut.kept.reduce(0) { $0 + graph.values[$1].type.byteCount },
          extraSeconds: rebuilt.reduce(0) { $0 + seconds($1) },
          backwardBytes: backwardBytes(number, cut)))
      kept.append(cut.kept)
    }
    let widest = Set(kept[0]).union(output.map { [$0] } ?? [])
    return (
      ChainStage(
        forwardSeconds: forward[number].reduce(0) { $0 + seconds($1) },
        backwardSeconds: backward[number].reduce(0) { $0 + seconds($1) }, outputBytes: outputBytes,
        cotangentBytes: outputBytes,
        forwardBytes: peakBytes(
          forward[number], counts: { !widest.contains($0) && isOf(number, $0) }, outlives: { _ in false }),
        heldBytes: heldBytes(number), options: options),
      kept
    )
  }

  /// Elementwise nodes mostly run where their operands are in cache: only their arithmetic counts.
  private func seconds(_ index: Int) -> Double {
    let node = graph.nodes[index]
    return node.op is any ElementwiseOp ? node.arithmetic / costs.elementRate : costs.seconds(node)
  }

  private func isOf(_ stage: Int, _ value: Int) -> Bool { split.isForgotten(value) && split.stage(of: value) == stage }

  // MARK: Options

  /// Fewer and fewer values to keep for the backward pass of a stage; the last cut keeps nothing.
  private func cuts(_ number: Int) -> [ValueCut] {
    var read: [Int] = []
    var isRead = Set<Int>()
    for node in graph.nodes[split.firstLater...] where node.origin.phase != .forward {
      for operand in node.operands where split.isForgotten(operand.id) && split.stage(of: operand.id) == number {
        if split.base[operand.id] == split.outputs[number] { continue }
        if isRead.insert(operand.id).inserted { read.append(operand.id) }
      }
    }
    func cut(_ allowed: Set<Int>) -> ValueCut {
      ValueCut(
        graph, split.producer, readLater: read,
        weight: { isOf(number, $0) && split.outputs[number] != $0 ? nil : 0 },
        mayRunAgain: { node in
          if graph.nodes[node].isView { return node < split.firstLater }
          let result = graph.nodes[node].results[0].id
          return split.isForgotten(result) && split.stage(of: result) == number
            && split.outputs[number] != result && (graph.nodes[node].isCheap || allowed.contains(node))
        })
    }
    func bytes(_ cut: ValueCut) -> Int { cut.kept.reduce(0) { $0 + graph.values[$1].type.byteCount } }
    var allowed = Set<Int>()
    var cuts = [cut(allowed)]
    var rest = forward[number].filter { !graph.nodes[$0].isCheap && graph.nodes[$0].mayRunAgain }
    // The most bytes for the time first, as far as each can be told by itself.
    func worth(_ node: Int) -> Double {
      Double(graph.nodes[node].results.reduce(0) { $0 + $1.type.byteCount }) / max(seconds(node), 1e-9)
    }
    rest.sort { (worth($1), $0) < (worth($0), $1) }
    // Few are tried one by one, many in bundles.
    let bundle = max(1, rest.count / 12)
    while !rest.isEmpty, bytes(cuts.last!) > 0 {
      var best = Array(rest.prefix(bundle))
      if rest.count <= 8 {
        let before = bytes(cuts.last!)
        var bestRate = 0.0
        for node in rest {
          let saved = before - bytes(cut(allowed.union([node])))
          let rate = Double(saved) / max(seconds(node), 1e-9)
          if saved > 0, rate > bestRate { (best, bestRate) = ([node], rate) }
        }
      }
      allowed.formUnion(best)
      rest.removeAll(where: best.contains)
      let next = cut(allowed)
      if bytes(next) < bytes(cuts.last!) { cuts.append(next) }
    }
    return cuts
  }

  // MARK: Bytes

  private func backwardBytes(_ number: Int, _ cut: ValueCut) -> Int {
    var sequence: [Int] = []
    var isThere = Set<Int>()
    for index in backward[number] {
      var stack = graph.nodes[index].operands.map(\.id).filter { cut.rebuilt.contains($0) }
      while let value = stack.last {
        let source = split.producer[value]
        let missing = graph.nodes[source].operands.map(\.id).filter {
          cut.rebuilt.contains($0) && !isThere.contains(split.producer[$0])
        }
        if isThere.contains(source) || missing.isEmpty {
          stack.removeLast()
          if isThere.insert(source).inserted { sequence.append(source) }
        } else {
          stack += missing
        }
      }
      sequence.append(index)
    }
    // What was kept, and the output, go when they have been read; the planner counts them to the end.
    let kept = Set(cut.kept).union(split.outputs[number].map { [$0] } ?? [])
    let peak = peakBytes(
      sequence, from: kept,
      counts: { value in
        split.producer[value] >= split.firstLater
          ? lastReader[value] >= number - 1 : cut.rebuilt.contains(value) || kept.contains(value)
      }, outlives: { split.producer[$0] >= split.firstLater && lastReader[$0] < number })
    return peak - kept.reduce(0) { $0 + graph.values[$1].type.byteCount }
  }

  /// What a stage's backward pass makes for the end of the step.
  private func heldBytes(_ number: Int) -> Int {
    backward[number].reduce(0) { sum, index in
      sum
        + graph.nodes[index].results.reduce(0) {
          lastReader[$1.id] < number - 1 && lastReader[$1.id] >= 0 ? $0 + $1.type.byteCount : $0
        }
    }
  }

  /// The largest sum of live bytes over a sequence of nodes, of the values that count.
  ///
  /// What elementwise nodes hand on to elementwise nodes is taken to be never written, nor a product that only such
  /// read.
  private func peakBytes(
    _ sequence: [Int], from before: Set<Int> = [], counts: (Int) -> Bool, outlives: (Int) -> Bool
  ) -> Int {
    var lastUse: [Int: Int] = [:]
    var isPassedOn: [Int: Bool] = [:]
    for (place, index) in sequence.enumerated() where !graph.nodes[index].isView {
      let node = graph.nodes[index]
      for operand in node.operands {
        let value = split.base[operand.id]
        lastUse[value] = place
        let takesTiles = node.op is any ElementwiseOp && value == operand.id && node.results[0].shape == operand.shape
        isPassedOn[value] = isPassedOn[value] != false && takesTiles
      }
    }
    func bytes(_ value: GraphValue) -> Int {
      if !counts(value.id) { return 0 }
      let source = split.producer[value.id]
      if source >= 0, isPassedOn[value.id] == true, !outlives(value.id) {
        let node = graph.nodes[source]
        let product = node.op as? MatMul
        if node.op is any ElementwiseOp || product?.takesChain(node.operands.map(\.type)) == true { return 0 }
      }
      return value.type.byteCount
    }
    // What others have made for this stage.
    let own = Set(sequence)
    var live = 0
    for value in lastUse.keys
    where before.contains(value) || (!own.contains(split.producer[value]) && split.producer[value] >= split.firstLater) {
      live += bytes(GraphValue(id: value, type: graph.values[value].type))
    }
    var peak = live
    for (place, index) in sequence.enumerated() where !graph.nodes[index].isView {
      let node = graph.nodes[index]
      var dying = Set(node.operands.map { split.base[$0.id] }.filter { lastUse[$0] == place && !outlives($0) })
        .map { GraphValue(id: $0, type: graph.values[$0].type) }.filter { bytes($0) > 0 }
      for result in node.results {
        let taken = bytes(result)
        if type(of: node.op).traits.inPlace, let place = dying.firstIndex(where: { bytes($0) == taken }) {
          dying.remove(at: place)
        } else {
          live += taken
        }
      }
      peak = max(peak, live)
      for value in dying { live -= bytes(value) }
      for result in node.results where lastUse[result.id] == nil && !outlives(result.id) { live -= bytes(result) }
    }
    return peak
  }
}

extension Graph {
  /// Whether values and nodes are numbered alike, whatever their shapes.
  fileprivate func hasSameNodes(as other: Graph) -> Bool {
    values.count == other.values.count
      && nodes.elementsEqual(other.nodes) { node, other in
        type(of: node.op) == type(of: other.op) && node.operands.map(\.id) == other.operands.map(\.id)
          && node.results.map(\.id) == other.results.map(\.id)
      }
  }
}
