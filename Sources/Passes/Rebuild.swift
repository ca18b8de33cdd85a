import Graphs
import Ops
import Tensors

// Rebuilding what is cheap
//
// Before: the forward pass keeps `z = x @ w` and `a = gelu(z)` for the backward pass. After: it keeps `z`; where
// the backward pass reads `a`, it is computed from `z` once more.
//
// Ops that stream over memory (elementwise ones, normalisations) may run twice; products, convolutions,
// attention, random numbers and all that may refuse its operands run once. Which values to keep is a minimum cut
// between what must be kept at the latest (results that may not run twice) and what the backward pass reads, each
// value weighing its bytes: the fewest bytes, and of several such cuts the one nearest to the readers, so that nothing
// is rebuilt in vain. (The cut is that of min-cut rematerialisation in AOTAutograd, PyTorch 2.)
//
// Rebuilt values have the same bits, since equal kernels run on equal operands.
// Limits: one copy serves all readers in the backward pass, however far apart they are.

/// Keeps fewer values from the forward for the backward pass, and rebuilds the others where they are read.
package func rebuildCheapValues(_ graph: inout Graph) {
  guard let firstLater = graph.nodes.firstIndex(where: { $0.origin.phase != .forward }) else { return }
  let base = graph.viewBases()
  var producer = [Int](repeating: -1, count: graph.values.count)
  for (index, node) in graph.nodes.enumerated() {
    for result in node.results { producer[result.id] = index }
  }
  func isForward(_ value: Int) -> Bool {
    producer[value] >= 0 && graph.nodes[producer[value]].origin.phase == .forward
  }
  // What is there in any case weighs nothing.
  var isFree = graph.values.map { value in
    if case .result = value.definition { return false }
    return true
  }
  for value in graph.leavingValues { isFree[base[value.id]] = true }

  // Values that later phases read, and all that they could be rebuilt from.
  var read = [Bool](repeating: false, count: graph.values.count)
  var region = [Bool](repeating: false, count: graph.values.count)
  var stack: [Int] = []
  for node in graph.nodes[firstLater...] where node.origin.phase != .forward {
    for operand in node.operands where isForward(operand.id) && !read[operand.id] {
      read[operand.id] = true
      stack.append(operand.id)
    }
  }
  if stack.isEmpty { return }
  while let id = stack.popLast() {
    if region[id] { continue }
    region[id] = true
    if producer[id] >= 0, graph.nodes[producer[id]].isCheap { stack += graph.nodes[producer[id]].operands.map(\.id) }
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
    let weight = isView ? FlowNetwork.unlimited : isFree[id] ? 0 : value.type.byteCount
    network.join(2 * place, to: 2 * place + 1, capacity: weight)
    if producer[id] >= 0, graph.nodes[producer[id]].isCheap {
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
  var nodes = Array(graph.nodes[..<firstLater])
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
      let place = Origin(site: node.origin.site, path: node.origin.path, phase: origin.phase)
      nodes.append(
        Graph.Node(
          op: node.op, operands: node.operands.map { copies[$0.id] ?? $0 }, results: results, origin: place))
    }
    return copies[id]!
  }
  for var node in graph.nodes[firstLater...] {
    if node.origin.phase != .forward {
      for position in node.operands.indices where isRebuilt(node.operands[position].id) {
        node.operands[position] = copy(of: node.operands[position].id, for: node.origin)
      }
    }
    nodes.append(node)
  }
  graph.nodes = nodes
  graph.renumber()
}

extension Graph.Node {
  /// Whether running the node a second time costs no more than reading its operands and writing its results.
  fileprivate var isCheap: Bool {
    let traits = type(of: op).traits
    return isView || (traits.cost == .streaming && traits.effect == .pure && !op.mayRefuse(operands.map(\.type)))
  }
}
