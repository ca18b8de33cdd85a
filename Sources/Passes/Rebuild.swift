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
}

/// Keeps fewer values from the forward for the backward pass, and rebuilds the others where they are read.
package func rebuild(_ graph: inout Graph, _ checkpointing: Checkpointing) {
  guard let firstLater = graph.nodes.firstIndex(where: { $0.origin.phase != .forward }) else { return }
  let layers = layers(of: graph, before: firstLater, checkpointing)
  let forward = graph.nodes
  func mayRunAgain(_ index: Int) -> Bool {
    let node = forward[index]
    if node.isView { return true }
    if node.op.mayRefuse(node.operands.map(\.type)),
      (node.op as? any IndexCheckingOp)?.indexCheck(node.operands.map(\.type)) == nil
    {
      return false
    }
    if node.origin.checkpoint != 0 { return true }
    switch checkpointing {
    case .none: return node.isCheap
    case .selective: return !node.isProduct
    case .every, .squareRoot, .full: return node.isCheap || index < layers.end
    }
  }
  let isForward = forward.map { $0.origin.phase == .forward }
  rebuild(&graph, from: isForward, kept: layers.kept, mayRunAgain)
  graph.products.all = graph.nodes.count { $0.origin.phase == .forward && $0.isProduct }
  graph.products.rebuilt = graph.nodes.count { $0.origin.isRebuilt && $0.isProduct }
  if graph.products.rebuilt == 0 { return }
  // What was rebuilt for a stretch of layers is there for all of them at once: what is cheap is rebuilt from it
  // where it is read, as from the forward pass.
  let isCopy = graph.nodes.map(\.origin.isRebuilt)
  let nodes = graph.nodes
  rebuild(&graph, from: isCopy, kept: []) { nodes[$0].isCheap }
}

extension Graph.Node {
  fileprivate var isProduct: Bool { type(of: op).traits.cost == .computeBound }

  /// Whether running the node a second time costs no more than reading its operands and writing its results.
  fileprivate var isCheap: Bool {
    let traits = type(of: op).traits
    return isView || (traits.cost == .streaming && traits.effect == .pure && !op.mayRefuse(operands.map(\.type)))
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

  // Values that later phases read, and all that they could be rebuilt from.
  var read = [Bool](repeating: false, count: graph.values.count)
  var region = [Bool](repeating: false, count: graph.values.count)
  var stack: [Int] = []
  for (index, node) in graph.nodes.enumerated() where isLateNode(index) {
    for operand in node.operands where isEarlyValue(operand.id) && !read[operand.id] {
      read[operand.id] = true
      stack.append(operand.id)
    }
  }
  if stack.isEmpty { return }
  while let id = stack.popLast() {
    if region[id] { continue }
    region[id] = true
    if isEarlyValue(id), mayRunAgain(producer[id]) { stack += graph.nodes[producer[id]].operands.map(\.id) }
  }

  // Each value is two vertices joined by an edge of its bytes.
  let members = region.indices.filter { region[$0] }
  var number: [Int: Int] = [:]
  for (place, id) in members.enumerated() { number[id] = place }
  let (source, sink) = (2 * members.count, 2 * members.count + 1)
  var network = FlowNetwork(vertexCount: 2 * members.count + 2)
  for (place, id) in members.enumerated() {
    let value = graph.values[id]
    let isView = producer[id] >= 0 && graph.nodes[producer[id]].isView
    // Keeping a view keeps what it looks at: the cut goes there.
    let weight = isView || isInner[id] ? FlowNetwork.unlimited : isFree[id] || !isEarlyValue(id) ? 0 : value.type.byteCount
    network.join(2 * place, to: 2 * place + 1, capacity: weight)
    if isEarlyValue(id), mayRunAgain(producer[id]) {
      for operand in Set(graph.nodes[producer[id]].operands.map(\.id)) {
        network.join(2 * number[operand]! + 1, to: 2 * place, capacity: FlowNetwork.unlimited)
      }
    } else {
      network.join(source, to: 2 * place, capacity: FlowNetwork.unlimited)
    }
    if read[id] { network.join(2 * place + 1, to: sink, capacity: FlowNetwork.unlimited) }
  }
  let isLate = network.cut(from: source, to: sink)

  // Values whose first vertex is on the sink's side are rebuilt; each gets a copy before its first reader.
  func isRebuilt(_ id: Int) -> Bool { number[id].map { isLate[2 * $0] } ?? false }
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

/// The values that are all that passes from one layer to the next, as a policy keeps them, and where the last kept
/// one has been made: behind it nothing need run twice.
///
/// A layer is a stretch of the forward pass with a product, convolution or the like in it, at whose end one value
/// of some size is alive. Small values, such as statistics, do not count.
private func layers(
  of graph: Graph, before end: Int, _ checkpointing: Checkpointing
) -> (kept: [Int], end: Int) {
  switch checkpointing {
  case .none, .selective: return ([], 0)
  case .every, .squareRoot, .full: break
  }
  let base = graph.viewBases()
  var lastUse = [Int](repeating: -1, count: graph.values.count)
  var largest = 0
  for (index, node) in graph.nodes[..<end].enumerated() where !node.isView {
    for operand in node.operands { lastUse[base[operand.id]] = index }
    largest = max(largest, node.results.map(\.type.byteCount).max() ?? 0)
  }
  var boundaries: [(value: Int, end: Int)] = []
  var live = Set<Int>()
  var candidate: Int?
  for (index, node) in graph.nodes[..<end].enumerated() where !node.isView {
    if type(of: node.op).traits.cost == .computeBound, let value = candidate {
      if boundaries.last?.value != value { boundaries.append((value, index)) }
      candidate = nil
    }
    for operand in node.operands where lastUse[base[operand.id]] == index { live.remove(base[operand.id]) }
    for result in node.results where lastUse[result.id] > index && result.type.byteCount > largest / 64 {
      live.insert(result.id)
    }
    if live.count == 1 { candidate = live.first }
  }
  let stride: Int
  switch checkpointing {
  case .every(let count): stride = max(1, count)
  case .squareRoot:
    stride = max(1, Int(Double(boundaries.count + 1).squareRoot().rounded(.up)))
  case .none, .selective, .full: stride = 1
  }
  let kept = boundaries.enumerated().filter { ($0.offset + 1) % stride == 0 }.map(\.element)
  return (kept.map(\.value), kept.last?.end ?? 0)
}
