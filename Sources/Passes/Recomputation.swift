import Graphs
import Ops
import Tensors

// Recomputation by a schedule
//
// Before: the forward pass of stages a, b, c, then their backward pass, which reads what the stages have inside. After:
// where the schedule says so, stages run forward once more between the backward passes, as copies of their nodes;
// copies of copies where it says so twice. Each node of the backward pass reads the newest copy of what it needs; what
// neither was kept nor copied is computed from what is there, right before it is read. So any schedule is right, and a
// bad one only slow.
//
// Copies are equal ops on equal operands, random numbers included, so the bits are the same.

/// When the stages of a step's forward pass run, and what they keep for the backward pass.
package struct Recomputation: Hashable, Sendable {
  /// A step of it. Stages are those that `StageChain` finds in the same graph.
  enum Operation: Hashable, Sendable {
    /// The stages run forward; only the output of the last stays.
    case run(ClosedRange<Int>)
    /// The stage runs forward; its output stays, and these values.
    case keep(stage: Int, values: [Int])
    case backward(Int)
  }

  let operations: [Operation]
}

/// Runs stages of the forward pass again where a schedule says so.
func realize(_ recomputation: Recomputation, in graph: inout Graph) {
  let chain = StageSplit(graph)
  var copier = StageCopier(graph, chain)
  for operation in recomputation.operations { copier.perform(operation) }
  graph.values = copier.values
  graph.nodes = copier.nodes
  graph.renumber()
}

private struct StageCopier {
  private let graph: Graph
  private let split: StageSplit
  private(set) var values: [(type: TensorType, definition: Graph.Definition)]
  private(set) var nodes: [Graph.Node]
  /// The newest copy, or the original, of values of stages that are kept, by the original's id.
  private var atHand: [Int: GraphValue] = [:]
  private var hasRun: [Bool]
  private var laterNodes: [[Int]]

  init(_ graph: Graph, _ split: StageSplit) {
    self.graph = graph
    self.split = split
    values = graph.values
    nodes = Array(graph.nodes[..<split.firstLater])
    hasRun = Array(repeating: false, count: split.count)
    laterNodes = Array(repeating: [], count: split.count)
    for index in split.firstLater..<graph.nodes.count { laterNodes[split.stage[index]].append(index) }
  }

  mutating func perform(_ operation: Recomputation.Operation) {
    switch operation {
    case .run(let stages): forward(stages.last!, keeping: [])
      for stage in stages { hasRun[stage] = true }
    case .keep(let stage, let kept):
      forward(stage, keeping: kept)
      hasRun[stage] = true
    case .backward(let stage):
      var copies: [Int: GraphValue] = [:]
      for index in laterNodes[stage] {
        var node = graph.nodes[index]
        if node.origin.phase != .forward {
          for position in node.operands.indices {
            node.operands[position] = newest(node.operands[position], &copies)
          }
        }
        nodes.append(node)
      }
      for value in atHand.keys where split.stage(of: value) == stage { atHand[value] = nil }
    }
  }

  /// Has the output of a stage and some values of it at hand: those of the forward pass the first time, then copies.
  private mutating func forward(_ stage: Int, keeping kept: [Int]) {
    let wanted = kept + (split.outputs[stage].map { [$0] } ?? [])
    var copies: [Int: GraphValue] = [:]
    for id in wanted {
      let original = GraphValue(id: id, type: graph.values[id].type)
      atHand[id] = hasRun[stage] ? newest(original, &copies) : original
    }
  }

  /// What to read instead of a value: itself if it stays in any case, what is at hand, or a copy made now.
  private mutating func newest(_ value: GraphValue, _ copies: inout [Int: GraphValue]) -> GraphValue {
    if !split.isForgotten(value.id) { return value }
    // Depth first without recursion: a value's operands come before it.
    var stack = [value.id]
    while let id = stack.last {
      if known(id, copies) != nil {
        stack.removeLast()
        continue
      }
      let node = graph.nodes[split.producer[id]]
      let missing = node.operands.map(\.id).filter { split.isForgotten($0) && known($0, copies) == nil }
      if !missing.isEmpty {
        stack += missing
        continue
      }
      stack.removeLast()
      let operands = node.operands.map { known($0.id, copies) ?? $0 }
      if node.isView, operands == node.operands {
        copies[id] = node.results[0]
        continue
      }
      var results: [GraphValue] = []
      for (index, result) in node.results.enumerated() {
        let copy = GraphValue(id: values.count, type: result.type)
        values.append((type: result.type, definition: .result(node: nodes.count, index: index)))
        copies[result.id] = copy
        results.append(copy)
      }
      var origin = Origin(site: node.origin.site, path: node.origin.path, phase: .backward)
      origin.isRebuilt = true
      nodes.append(Graph.Node(op: node.op, operands: operands, results: results, origin: origin))
    }
    return known(value.id, copies)!
  }

  private func known(_ id: Int, _ copies: [Int: GraphValue]) -> GraphValue? { atHand[id] ?? copies[id] }
}

/// The stages of a step: stretches of the forward pass between the places where one value is all that passes on, and
/// for each what of the backward pass has to do with it.
struct StageSplit {
  /// More are joined: planning looks at pairs of places.
  static let limit = 96

  /// The first node that is not of the forward pass.
  let firstLater: Int
  /// The node that makes each value, -1 where none does.
  let producer: [Int]
  let base: [Int]
  /// What passes from each stage to the next; nil for the last.
  private(set) var outputs: [Int?]
  /// The stage of each node: for later ones, the stage behind which they come in the backward pass.
  private(set) var stage: [Int]
  /// Values that stay to where they are read last, whatever is kept: by the value that is looked at through views.
  private var stays: [Bool]

  var count: Int { outputs.count }

  init(_ graph: Graph) {
    firstLater = graph.nodes.firstIndex { $0.origin.phase != .forward } ?? graph.nodes.count
    base = graph.viewBases()
    var producer = [Int](repeating: -1, count: graph.values.count)
    for (index, node) in graph.nodes.enumerated() {
      for result in node.results { producer[result.id] = index }
    }
    self.producer = producer
    var boundaries = layerBoundaries(of: graph, before: firstLater)
    if boundaries.count >= StageSplit.limit {
      let stride = boundaries.count / StageSplit.limit + 1
      boundaries = boundaries.enumerated().filter { ($0.offset + 1) % stride == 0 }.map(\.element)
    }
    outputs = boundaries.map(\.value) + [nil]
    stage = Array(repeating: outputs.count - 1, count: graph.nodes.count)
    stays = Array(repeating: false, count: graph.values.count)
    var current = 0
    for index in 0..<firstLater {
      while current < boundaries.count, boundaries[current].start <= index { current += 1 }
      stage[index] = current
    }
    findWhatStays(graph)
    // From the last stage down: a node comes when all that it reads is there.
    for index in firstLater..<graph.nodes.count {
      for operand in graph.nodes[index].operands where producer[operand.id] >= 0 {
        if producer[operand.id] >= firstLater {
          stage[index] = min(stage[index], stage[producer[operand.id]])
        } else if isForgotten(operand.id) {
          let own = stage(of: operand.id)
          // An output is there while the next stage's backward pass runs.
          stage[index] = min(stage[index], outputs[own] == base[operand.id] ? own + 1 : own)
        }
      }
    }
  }

  private mutating func findWhatStays(_ graph: Graph) {
    for value in graph.leavingValues { stays[base[value.id]] = true }
    for (index, node) in graph.nodes.enumerated() {
      if index < firstLater, !node.mayRunAgain {
        for result in node.results { stays[result.id] = true }
      }
      if node.isView || (index >= firstLater && node.origin.phase != .forward) { continue }
      for operand in node.operands {
        let source = producer[base[operand.id]]
        guard source >= 0, source < firstLater else { continue }
        // Of what passes by other stages, only small values and those that are read behind the forward pass.
        let isOutput = outputs[stage[source]] == base[operand.id] && stage[index] == stage[source] + 1
        if index >= firstLater || (stage[index] != stage[source] && !isOutput) { stays[base[operand.id]] = true }
      }
    }
  }

  /// The stage in which a value of the forward pass is made, seen through views.
  func stage(of value: Int) -> Int { stage[producer[base[value]]] }

  /// Whether a value is one of the forward pass that is there later only if it was kept.
  func isForgotten(_ value: Int) -> Bool {
    let source = producer[base[value]]
    return source >= 0 && source < firstLater && !stays[base[value]] && producer[value] < firstLater
  }
}
