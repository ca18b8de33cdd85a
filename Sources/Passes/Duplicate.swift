import Graphs
import Ops
import Tensors

// Duplicates in updates
//
// Before: `s = g^2 + 1e-30  r = mean(s, axis: 1)  c = mean(s, axis: 0)`, where s is written to memory and read twice.
// After: `r` and `c` have an s of their own each, so that fusion makes its elements where they are read: g is read
// twice, and s is nowhere.
//
// What a kernel computes from one tensor of the same size costs it as much to read as the result would, and the
// result need not be written. So small elementwise expressions of that kind are computed once for each of the kernels
// that read them, as fusion will group them: each reduction is one, elementwise nodes are one where as many reductions
// lie before them. Values do not change, whoever computes them.
//
// Limits: only in updates, which are all memory traffic; what leaves the graph, or is read by anything else, is there
// anyway.

/// Gives each kernel of an update its own copy of cheap expressions that several read.
package func duplicate(_ graph: inout Graph) {
  var duplication = Duplication(graph)
  graph = duplication.run()
}

private struct Duplication {
  /// Longer ones would cost more than the memory traffic that they save.
  static let memberLimit = 8

  private var graph: Graph
  private let readers: [[Int]]
  private let leaves: Set<Int>
  private let base: [Int]
  /// How many kernels that are not elementwise lie before a node, at most one after another.
  private var stage: [Int]
  /// Clones to stand before a node, and the operands that it reads instead.
  private var clones: [Int: [Graph.Node]] = [:]
  private var replacements: [Int: [Int: GraphValue]] = [:]

  private enum Kernel: Hashable {
    case reduction(Int)
    case elementwise(stage: Int)
  }

  init(_ graph: Graph) {
    self.graph = graph
    base = graph.viewBases()
    leaves = Set(graph.leavingValues.map { $0.id })
    var readers = [[Int]](repeating: [], count: graph.values.count)
    stage = [Int](repeating: 0, count: graph.nodes.count)
    for (index, node) in graph.nodes.enumerated() {
      for operand in node.operands {
        if readers[operand.id].last != index { readers[operand.id].append(index) }
        guard let source = graph.producer(of: operand) else { continue }
        let isPassing = graph.nodes[source].isView || graph.nodes[source].op is any ElementwiseOp
        stage[index] = max(stage[index], stage[source] + (isPassing ? 0 : 1))
      }
    }
    self.readers = readers
  }

  mutating func run() -> Graph {
    for index in graph.nodes.indices.reversed() where isCandidate(index) { duplicate(index) }
    if clones.isEmpty { return graph }
    var nodes: [Graph.Node] = []
    for (index, var node) in graph.nodes.enumerated() {
      nodes += clones[index] ?? []
      if let replaced = replacements[index] {
        node.operands = node.operands.map { replaced[$0.id] ?? $0 }
      }
      nodes.append(node)
    }
    graph.nodes = nodes
    graph.renumber()
    return graph
  }

  private func isCandidate(_ index: Int) -> Bool {
    let node = graph.nodes[index]
    return node.op is any ElementwiseOp && node.origin.phase == .update && !leaves.contains(node.results[0].id)
      && node.results[0].type.elementCount > 1 && !node.op.mayRefuse(node.operands.map(\.type))
      && !node.results[0].dtype.isBlocked
  }

  /// The kernel that a reader of a value will be part of; nil where it wants the value in memory.
  private func kernel(_ reader: Int, of value: GraphValue) -> Kernel? {
    let node = graph.nodes[reader]
    if node.op is any ElementwiseOp {
      return node.results[0].shape == value.shape ? .elementwise(stage: stage[reader]) : nil
    }
    if let reduction = node.op as? any Reduction, reduction.takesChain(value.type) { return .reduction(reader) }
    return nil
  }

  private mutating func duplicate(_ index: Int) {
    let value = graph.nodes[index].results[0]
    var groups: [(kernel: Kernel, readers: [Int])] = []
    for reader in readers[value.id] {
      guard let kernel = kernel(reader, of: value) else { return }
      if let place = groups.firstIndex(where: { $0.kernel == kernel }) {
        groups[place].readers.append(reader)
      } else {
        groups.append((kernel, [reader]))
      }
    }
    guard groups.count > 1, let members = expression(index) else { return }
    // The first kernel keeps the nodes that there are.
    for group in groups.dropFirst() {
      var copies: [Int: GraphValue] = [:]
      for member in members {
        let node = graph.nodes[member]
        let copy = GraphValue(id: graph.values.count, type: node.results[0].type)
        graph.values.append((type: copy.type, definition: .result(node: member, index: 0)))
        copies[node.results[0].id] = copy
        clones[group.readers[0], default: []].append(
          Graph.Node(
            op: node.op, operands: node.operands.map { copies[$0.id] ?? $0 }, results: [copy], origin: node.origin))
      }
      for reader in group.readers { replacements[reader, default: [:]][value.id] = copies[value.id]! }
    }
  }

  /// The elementwise nodes of one shape that lead to a node, in order, itself included; nil where they are many, or read
  /// more than one tensor of that size.
  private func expression(_ index: Int) -> [Int]? {
    let count = graph.nodes[index].results[0].type.elementCount
    var members = Set<Int>()
    var sources = Set<Int>()
    var waiting = [index]
    while let next = waiting.popLast() {
      if !members.insert(next).inserted { continue }
      if members.count > Duplication.memberLimit { return nil }
      for operand in graph.nodes[next].operands {
        if let source = graph.producer(of: operand), isCandidate(source),
          graph.nodes[source].results[0].type.elementCount == count
        {
          waiting.append(source)
        } else if graph.values[base[operand.id]].type.elementCount >= count {
          sources.insert(base[operand.id])
        }
      }
    }
    return sources.count <= 1 ? members.sorted() : nil
  }
}
