import Graphs
import Ops
import Tensors

// Rebuilding
//
// Before: the forward pass keeps `z = x @ w` and `a = gelu(z)` for the backward pass. After: it keeps `z`; where
// the backward pass reads `a`, it is computed from `z` once more.
//
// Which values to keep is a minimum cut between what must be kept at the latest (results of nodes that do not run
// twice) and what the backward pass reads, each value weighing its bytes: the fewest bytes, and of several such cuts
// the one nearest to the readers, so that nothing is rebuilt in vain. (The cut is that of min-cut
// rematerialisation in AOTAutograd, PyTorch 2.) What may run twice is a matter of policy:
//
// - always: ops that stream over memory, such as elementwise ones and normalisations;
// - `selective`: all but products, convolutions and attention;
// - `every(k)`, `sqrt`, `full`: everything, between values that weigh nothing because they are kept: every k-th of those
//   that are all that passes from one layer to the next (Chen et al. 2016). Behind the last of them the backward
//   pass begins, so there nothing runs twice but what always may;
// - inside a call of `checkpoint(f)`: everything, and no value in there is kept.
//
// Random numbers are functions of a counter, so they may run twice like all else. What may refuse its operands runs
// once, unless all that it refuses are indices that it has seen. Rebuilt values have the same bits, since equal kernels
// run on equal operands.
// Limits: one copy serves all readers in the backward pass, however far apart they are.

/// What of the forward pass is computed once more in the backward pass, rather than kept.
package enum Checkpointing: Hashable, Sendable {
  case none
  /// Keeps what passes between every k-th layer and the next.
  case every(Int)
  /// `every(k)` with k the root of the number of layers: least memory if all layers are alike.
  case squareRoot
  /// Keeps products, and computes all else once more.
  case selective
  /// Keeps what passes between layers.
  case full
  /// What a planner has found for a graph.
  case planned(Recomputation)
}

/// Keeps fewer values from the forward for the backward pass, and rebuilds the others where they are read.
package func rebuild(_ graph: inout Graph, _ checkpointing: Checkpointing) {
  defer { graph.noteWhatIsRebuilt() }
  guard let firstLater = graph.nodes.firstIndex(where: { $0.origin.phase != .forward }) else { return }
  if case .planned(let recomputation) = checkpointing {
    realize(recomputation, in: &graph)
    return
  }
  rebuildOnce(&graph, checkpointing, before: firstLater)
  if !graph.nodes.contains(where: { $0.origin.isRebuilt && $0.isProduct }) { return }
  // What was rebuilt for a stretch of layers is there for all of them at once: what is cheap is rebuilt from it
  // where it is read, as from the forward pass.
  let isCopy = graph.nodes.map(\.origin.isRebuilt)
  let nodes = graph.nodes
  rebuild(&graph, from: isCopy, kept: []) { nodes[$0].isCheap }
}

/// Keeps what a policy says, and rebuilds the rest from it, one copy for all readers.
private func rebuildOnce(_ graph: inout Graph, _ checkpointing: Checkpointing, before firstLater: Int) {
  let layers = layers(of: graph, before: firstLater, checkpointing)
  let forward = graph.nodes
  func mayRunAgain(_ index: Int) -> Bool {
    let node = forward[index]
    if !node.mayRunAgain { return false }
    if node.isView || node.origin.checkpoint != 0 { return true }
    switch checkpointing {
    case .none, .planned: return node.isCheap
    case .selective: return !node.isProduct
    case .every, .squareRoot, .full: return node.isCheap || index < layers.end
    }
  }
  let isForward = forward.map { $0.origin.phase == .forward }
  rebuild(&graph, from: isForward, kept: layers.kept, mayRunAgain)
}

extension Graph.Node {
  /// Whether running the node a second time costs no more than reading its operands and writing its results.
  var isCheap: Bool {
    let traits = type(of: op).traits
    return isView || (traits.cost == .streaming && traits.effect == .pure && !op.mayRefuse(operands.map(\.type)))
  }

  /// Whether the node cannot refuse the step, or only for indices that its first run has seen.
  var mayRunAgain: Bool {
    let types = operands.map(\.type)
    return isView || !op.mayRefuse(types) || (op as? any IndexCheckingOp)?.indexCheck(types) != nil
  }
}

extension Graph {
  /// Counts what runs once more, for whoever asks what a policy costs.
  fileprivate mutating func noteWhatIsRebuilt() {
    products = (all: nodes.count { $0.origin.phase == .forward && $0.isProduct }, rebuilt: 0)
    arithmetic = (all: 0, rebuilt: 0)
    for node in nodes {
      let operations = node.arithmetic
      arithmetic.all += operations
      guard node.origin.isRebuilt else { continue }
      arithmetic.rebuilt += operations
      if node.isProduct { products.rebuilt += 1 }
    }
  }
}

/// Keeps fewer values of the nodes that are `early` for later phases, and rebuilds the others where they are read.
private func rebuild(
  _ graph: inout Graph, from isEarly: [Bool], kept: [Int], _ mayRunAgain: (Int) -> Bool
) {
  let base = graph.viewBases()
  var producer = [Int](repeating: -1, count: graph.values.count)
  for (index, node) in graph.nodes.enumerated() {
    for result in node.results { producer[result.id] = index }
  }
  func isEarlyValue(_ value: Int) -> Bool { producer[value] >= 0 && isEarly[producer[value]] }
  func isLateNode(_ index: Int) -> Bool { !isEarly[index] && graph.nodes[index].origin.phase != .forward }
  // What is there in any case weighs nothing.
  var isFree = graph.values.map { value in
    if case .result = value.definition { return false }
    return true
  }
  for value in graph.leavingValues { isFree[base[value.id]] = true }
  for value in kept { isFree[value] = true }
  // What is made inside a checkpointed call and read only there.
  var isInner = [Bool](repeating: false, count: graph.values.count)
  for (index, node) in graph.nodes.enumerated() where isEarly[index] && node.origin.checkpoint != 0 {
    for result in node.results { isInner[result.id] = true }
  }
  for (index, node) in graph.nodes.enumerated() where isEarly[index] {
    for operand in node.operands
    where producer[operand.id] >= 0 && graph.nodes[producer[operand.id]].origin.checkpoint != node.origin.checkpoint {
      isInner[operand.id] = false
      isInner[base[operand.id]] = false
    }
  }

  // What comes out of a checkpointed call is kept, or one call after the other would be rebuilt from the first on.
  for (index, node) in graph.nodes.enumerated() where isEarly[index] && node.origin.checkpoint != 0 {
    for result in node.results where !isInner[result.id] { isFree[base[result.id]] = true }
  }

  var read: [Int] = []
  var isRead = [Bool](repeating: false, count: graph.values.count)
  for (index, node) in graph.nodes.enumerated() where isLateNode(index) {
    for operand in node.operands where isEarlyValue(operand.id) && !isRead[operand.id] {
      isRead[operand.id] = true
      read.append(operand.id)
    }
  }
  if read.isEmpty { return }
  let cut = ValueCut(
    graph, producer, readLater: read, weight: { isInner[$0] ? FlowNetwork.unlimited : isFree[$0] || !isEarlyValue($0) ? 0 : nil },
    mayRunAgain: { isEarly[$0] && mayRunAgain($0) })

  // What the cut puts behind it is rebuilt; each value gets a copy before its first reader.
  func isRebuilt(_ id: Int) -> Bool { cut.rebuilt.contains(id) }
  var copies: [Int: GraphValue] = [:]
  var nodes: [Graph.Node] = []
  func copy(of id: Int, for origin: Origin) -> GraphValue {
    // Depth first without recursion: a value's operands are copied before it.
    var stack = [id]
    while let next = stack.last {
      if copies[next] != nil {
        stack.removeLast()
        continue
      }
      let node = graph.nodes[producer[next]]
      let missing = node.operands.map(\.id).filter { isRebuilt($0) && copies[$0] == nil }
      if !missing.isEmpty {
        stack += missing
        continue
      }
      stack.removeLast()
      var results: [GraphValue] = []
      for (index, result) in node.results.enumerated() {
        let value = GraphValue(id: graph.values.count, type: result.type)
        graph.values.append((type: result.type, definition: .result(node: nodes.count, index: index)))
        copies[result.id] = value
        results.append(value)
      }
      var place = Origin(site: node.origin.site, path: node.origin.path, phase: origin.phase)
      place.isRebuilt = true
      nodes.append(
        Graph.Node(
          op: node.op, operands: node.operands.map { copies[$0.id] ?? $0 }, results: results, origin: place))
    }
    return copies[id]!
  }
  for (index, var node) in graph.nodes.enumerated() {
    if isLateNode(index) {
      for position in node.operands.indices where isRebuilt(node.operands[position].id) {
        node.operands[position] = copy(of: node.operands[position].id, for: node.origin)
      }
    }
    nodes.append(node)
  }
  graph.nodes = nodes
  graph.renumber()
}

/// The fewest bytes to keep so that all that is read later can be had from them.
///
/// A minimum cut between what must be kept at the latest (results of nodes that do not run again) and what is read,
/// each value weighing its bytes; of several the one nearest to the readers.
struct ValueCut {
  /// Values to compute again.
  private(set) var rebuilt = Set<Int>()
  /// Values to keep that weigh something.
  private(set) var kept: [Int] = []

  /// - Parameters:
  ///   - producer: the node that makes each value; -1 for inputs and constants.
  ///   - weight: what a value weighs, where that is not its bytes.
  init(
    _ graph: Graph, _ producer: [Int], readLater: [Int], weight: (Int) -> Int?, mayRunAgain: (Int) -> Bool
  ) {
    func runsAgain(_ id: Int) -> Bool { producer[id] >= 0 && mayRunAgain(producer[id]) }
    // What is read, and all that it could be rebuilt from.
    var number: [Int: Int] = [:]
    var members: [Int] = []
    var stack = readLater
    while let id = stack.popLast() {
      if number[id] != nil { continue }
      number[id] = members.count
      members.append(id)
      if runsAgain(id) { stack += graph.nodes[producer[id]].operands.map(\.id) }
    }
    members.sort()
    for (place, id) in members.enumerated() { number[id] = place }
    // Each value is two vertices joined by an edge of its weight.
    let (source, sink) = (2 * members.count, 2 * members.count + 1)
    var network = FlowNetwork(vertexCount: 2 * members.count + 2)
    var weights: [Int] = []
    for (place, id) in members.enumerated() {
      let isView = producer[id] >= 0 && graph.nodes[producer[id]].isView
      // Keeping a view keeps what it looks at: the cut goes there. What no node makes is there in any case.
      let weight =
        isView
        ? FlowNetwork.unlimited
        : weight(id) ?? (producer[id] < 0 ? 0 : graph.values[id].type.byteCount)
      weights.append(weight)
      network.join(2 * place, to: 2 * place + 1, capacity: weight)
      if runsAgain(id) {
        for operand in Set(graph.nodes[producer[id]].operands.map(\.id)) {
          network.join(2 * number[operand]! + 1, to: 2 * place, capacity: FlowNetwork.unlimited)
        }
      } else {
        network.join(source, to: 2 * place, capacity: FlowNetwork.unlimited)
      }
    }
    for id in readLater { network.join(2 * number[id]! + 1, to: sink, capacity: FlowNetwork.unlimited) }
    let isLate = network.cut(from: source, to: sink)
    for (place, id) in members.enumerated() {
      if isLate[2 * place] {
        rebuilt.insert(id)
      } else if isLate[2 * place + 1], weights[place] > 0 {
        kept.append(id)
      }
    }
  }
}

/// The values that are all that passes from one layer to the next, as a policy keeps them, and where the last kept
/// one has been made: behind it nothing need run twice.
private func layers(
  of graph: Graph, before end: Int, _ checkpointing: Checkpointing
) -> (kept: [Int], end: Int) {
  let stride: Int
  let boundaries: [LayerBoundary]
  switch checkpointing {
  case .none, .selective, .planned: return ([], 0)
  case .every(let count):
    boundaries = layerBoundaries(of: graph, before: end)
    stride = max(1, count)
  case .squareRoot:
    boundaries = layerBoundaries(of: graph, before: end)
    stride = max(1, Int(Double(boundaries.count + 1).squareRoot().rounded(.up)))
  case .full:
    boundaries = layerBoundaries(of: graph, before: end)
    stride = 1
  }
  let kept = boundaries.enumerated().filter { ($0.offset + 1) % stride == 0 }.map(\.element)
  return (kept.map(\.value), kept.last?.end ?? 0)
}

/// A place in the forward pass where one value is all that passes on.
struct LayerBoundary {
  let value: Int
  /// The node behind the last one that has to do with the layers before.
  let start: Int
  /// The product, convolution or the like that the next layer begins with.
  let end: Int
}

/// The boundaries between the layers of a forward pass.
///
/// A layer is a stretch of the forward pass with a product, convolution or the like in it, at whose end one value
/// of some size is alive. Small values, such as statistics, do not count.
func layerBoundaries(of graph: Graph, before end: Int) -> [LayerBoundary] {
  let base = graph.viewBases()
  var lastUse = [Int](repeating: -1, count: graph.values.count)
  var largest = 0
  for (index, node) in graph.nodes[..<end].enumerated() where !node.isView {
    for operand in node.operands { lastUse[base[operand.id]] = index }
    largest = max(largest, node.results.map(\.type.byteCount).max() ?? 0)
  }
  var boundaries: [LayerBoundary] = []
  var live = Set<Int>()
  var candidate: (value: Int, start: Int)?
  for (index, node) in graph.nodes[..<end].enumerated() where !node.isView {
    if node.isProduct, let (value, start) = candidate {
      if boundaries.last?.value != value { boundaries.append(LayerBoundary(value: value, start: start, end: index)) }
      candidate = nil
    }
    for operand in node.operands where lastUse[base[operand.id]] == index { live.remove(base[operand.id]) }
    for result in node.results where lastUse[result.id] > index && result.type.byteCount > largest / 64 {
      live.insert(result.id)
    }
    if live.count == 1 { candidate = (live.first!, index + 1) }
  }
  return boundaries
}
