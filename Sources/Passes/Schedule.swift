import Graphs
import Ops
import Tensors

// Scheduling
//
// Before: nodes in the order of the trace, all updates last. After: an order with a lower peak of live bytes, in
// which each update stands as early as it may, and writes its parameter in place.
//
// A node that makes the new value of an input may write it over the old one if
// - all other readers of the old value come before it, and nothing needs the old value at the end;
// - all nodes that can still refuse the step come before it: then the step is committed and runs to its end.
// Both are edges of the order here. Where they close a circle, the write gives way: its value is computed
// elsewhere and copied when the run is over.
//
// The order is found by list scheduling: of all nodes whose operands are there, a rule chooses the next; a few rules
// are tried, and the order with the lowest peak is taken. What is rebuilt, or copied, from values of the
// forward pass would be there at once: such nodes wait until a node wants them.

/// Orders nodes for a low peak, and decides which writes happen in place.
package func schedule(_ graph: inout Graph) {
  let dependences = Dependences(graph)
  var best: ScheduledOrder?
  for rule in SchedulingRule.allCases {
    var scheduler = ListScheduler(dependences, rule)
    let order = scheduler.order()
    if best.map({ order.peak < $0.peak }) ?? true { best = order }
  }
  guard let best else { return }
  for (index, write) in dependences.writes.enumerated() where write.kernel >= 0 {
    graph.writes[index].isInPlace = !best.givenUp.contains(index)
  }
  graph.nodes = dependences.withViews(best.kernels)
  graph.renumber()
}

private enum SchedulingRule: CaseIterable {
  /// The first in the trace that does not add to what is alive, else the first in the trace.
  case releaseFirst
  /// The one that adds least, the first of several.
  case smallestGrowth
  case asTraced
}

private struct ScheduledOrder {
  let kernels: [Int]
  let peak: Int
  /// Writes that cannot happen in place.
  let givenUp: Set<Int>
}

/// What must come before what: nodes with kernels, and the values that they share memory through.
private struct Dependences {
  struct Kernel {
    /// Nodes that need what this one makes, directly or through nodes made on demand.
    var followers: [Int] = []
    var waitsFor = 0
    /// Nodes made on demand that must run right before, in their order.
    var onDemand: [Int] = []
    var isOnDemand = false
    /// Values that it reads and makes, seen through views.
    var reads: [Int] = []
    var makes: [Int] = []
    /// Whether it can refuse the step.
    var refuses = false
    /// Operands that each result may lie on.
    var overwritable: [[Int]] = []
  }

  struct Write {
    /// The node that makes the value; -1 where it cannot lie in the input.
    var kernel = -1
    /// Readers of the old value, which must come first.
    var readers: [Int] = []
  }

  let graph: Graph
  let base: [Int]
  private(set) var kernels: [Kernel]
  private(set) var writes: [Write]
  /// Values that may lie in an input, with the nodes that make them.
  private(set) var writtenValues: [Int: Int] = [:]
  /// Bytes in the arena by value; 0 for inputs, constants and views.
  private(set) var bytes: [Int]
  private(set) var leaves: [Bool]
  private(set) var readerCount: [Int]

  init(_ graph: Graph) {
    self.graph = graph
    base = graph.viewBases()
    kernels = Array(repeating: Kernel(), count: graph.nodes.count)
    bytes = Array(repeating: 0, count: graph.values.count)
    leaves = Array(repeating: false, count: graph.values.count)
    readerCount = Array(repeating: 0, count: graph.values.count)
    writes = Array(repeating: Write(), count: graph.writes.count)
    var producer = [Int](repeating: -1, count: graph.values.count)
    var readers = [[Int]](repeating: [], count: graph.values.count)
    for value in graph.leavingValues { leaves[base[value.id]] = true }
    var checked = Set<Check>()
    // What is written waits for others, and what may refuse the step must not be waited for in vain.
    var isAwaited = [Bool](repeating: false, count: graph.values.count)
    for write in graph.writes { isAwaited[base[write.value.id]] = true }
    for case .assertion(let value) in graph.effects.map(\.kind) { isAwaited[base[value.id]] = true }
    for (index, node) in graph.nodes.enumerated() where !node.isView {
      for result in node.results {
        producer[result.id] = index
        bytes[result.id] = result.type.byteCount
        kernels[index].makes.append(result.id)
      }
      for operand in node.operands {
        let id = base[operand.id]
        if readers[id].last == index { continue }
        readers[id].append(index)
        readerCount[id] += 1
        kernels[index].reads.append(id)
      }
      kernels[index].refuses = refuses(node, &checked)
      let isBound = kernels[index].refuses || node.results.contains { isAwaited[$0.id] }
      link(index, node, producer, mayWait: !isBound)
      kernels[index].overwritable = node.results.indices.map { node.overwritableOperands(base, byResult: $0) }
    }
    // What an assertion looks at must be there before the step is committed.
    for case .assertion(let value) in graph.effects.map(\.kind) where producer[base[value.id]] >= 0 {
      kernels[producer[base[value.id]]].refuses = true
    }
    var taken = Set<Int>()
    for (index, write) in graph.writes.enumerated() {
      let input = graph.inputs[write.input].id
      let kernel = base[write.value.id] == write.value.id ? producer[write.value.id] : -1
      guard kernel >= 0, !leaves[input], !kernels[kernel].refuses,
        taken.insert(write.value.id).inserted,
        !kernels[kernel].reads.contains(input)
          || kernels[kernel].overwritable[kernels[kernel].makes.firstIndex(of: write.value.id)!].contains(input)
      else { continue }
      // What runs on demand of the node itself runs before it in any case.
      writes[index] = Write(
        kernel: kernel,
        readers: readers[input].filter { $0 != kernel && !kernels[kernel].onDemand.contains($0) })
      writtenValues[write.value.id] = kernel
    }
  }

  /// Notes what a node waits for.
  private mutating func link(_ index: Int, _ node: Graph.Node, _ producer: [Int], mayWait: Bool) {
    let sources = kernels[index].reads.compactMap { producer[$0] >= 0 ? producer[$0] : nil }
    kernels[index].isOnDemand =
      mayWait && node.origin.phase != .forward && (node.origin.isRebuilt || type(of: node.op).traits.cost == .streaming)
      && sources.allSatisfy { graph.nodes[$0].origin.phase == .forward || kernels[$0].isOnDemand }
    var seen = Set<Int>()
    for source in sources {
      guard kernels[source].isOnDemand else {
        if seen.insert(source).inserted && !kernels[index].isOnDemand { wait(index, for: source) }
        continue
      }
      for earlier in kernels[source].onDemand + [source] where !kernels[index].onDemand.contains(earlier) {
        kernels[index].onDemand.append(earlier)
      }
    }
    if kernels[index].isOnDemand { return }
    for earlier in kernels[index].onDemand {
      for value in kernels[earlier].reads {
        let source = producer[value]
        if source >= 0, !kernels[source].isOnDemand, seen.insert(source).inserted { wait(index, for: source) }
      }
    }
  }

  private mutating func wait(_ index: Int, for source: Int) {
    kernels[source].followers.append(index)
    kernels[index].waitsFor += 1
  }

  private struct Check: Hashable {
    let value: Int
    let allowed: AllowedIndices
  }

  /// Whether a node can refuse the step for a reason that no node before it has looked at.
  private func refuses(_ node: Graph.Node, _ checked: inout Set<Check>) -> Bool {
    let types = node.operands.map(\.type)
    guard node.op.mayRefuse(types) else { return false }
    guard let check = (node.op as? any IndexCheckingOp)?.indexCheck(types) else { return true }
    return checked.insert(Check(value: node.operands[check.operand].id, allowed: check.allowed)).inserted
  }

  /// The phases in order; updates run along with the backward pass.
  func phase(_ kernel: Int) -> Int { graph.nodes[kernel].origin.phase == .forward ? 0 : 1 }

  /// Nodes in the order of `kernels`, each view before its first reader.
  func withViews(_ order: [Int]) -> [Graph.Node] {
    var viewOf: [Int: Int] = [:]
    for (index, node) in graph.nodes.enumerated() where node.isView { viewOf[node.results[0].id] = index }
    var nodes: [Graph.Node] = []
    nodes.reserveCapacity(graph.nodes.count)
    var placed = Set<Int>()
    func placeViews(_ value: GraphValue) {
      var chain: [Int] = []
      var next = value
      while let view = viewOf[next.id], placed.insert(view).inserted {
        chain.append(view)
        // Only the first operand is looked at; the others are there for derivatives.
        next = graph.nodes[view].operands[0]
      }
      for view in chain.reversed() { nodes.append(graph.nodes[view]) }
    }
    for index in order {
      for operand in graph.nodes[index].operands { placeViews(operand) }
      nodes.append(graph.nodes[index])
    }
    for value in graph.leavingValues { placeViews(value) }
    return nodes
  }
}

private struct ListScheduler {
  private let dependences: Dependences
  private let rule: SchedulingRule
  private var waitsFor: [Int]
  private var readersLeft: [Int]
  private var readyKernels: [Int] = []
  private var isDone: [Bool]
  private var live = 0
  private var peak = 0
  private var refusersLeft: Int
  /// For a node that writes in place: how many readers of the old value are still to come.
  private var oldReadersLeft: [Int]
  /// The writes that wait for a reader, by the reader.
  private var writesAfter: [[Int]]
  private var givenUp = Set<Int>()
  /// Nodes that make new values of inputs, while those are to be written in place.
  private var writesInPlace: [Bool]

  init(_ dependences: Dependences, _ rule: SchedulingRule) {
    self.dependences = dependences
    self.rule = rule
    let count = dependences.kernels.count
    waitsFor = dependences.kernels.map(\.waitsFor)
    readersLeft = dependences.readerCount
    isDone = Array(repeating: false, count: count)
    refusersLeft = dependences.kernels.count { $0.refuses }
    oldReadersLeft = Array(repeating: 0, count: count)
    writesAfter = Array(repeating: [], count: count)
    writesInPlace = Array(repeating: false, count: count)
    for (index, write) in dependences.writes.enumerated() where write.kernel >= 0 {
      // A node that makes several new values waits for the readers of all of them.
      writesInPlace[write.kernel] = true
      oldReadersLeft[write.kernel] += write.readers.count
      for reader in write.readers { writesAfter[reader].append(index) }
    }
    for (index, node) in dependences.graph.nodes.enumerated()
    where !node.isView && waitsFor[index] == 0 && !dependences.kernels[index].isOnDemand {
      readyKernels.append(index)
    }
  }

  mutating func order() -> ScheduledOrder {
    var order: [Int] = []
    while !readyKernels.isEmpty {
      guard let place = next() else {
        giveUp()
        continue
      }
      for kernel in withDemand(readyKernels.remove(at: place)) {
        run(kernel)
        order.append(kernel)
      }
    }
    // What only leaves the graph was wanted by no node.
    for kernel in dependences.kernels.indices where dependences.kernels[kernel].isOnDemand && !isDone[kernel] {
      run(kernel)
      order.append(kernel)
    }
    return ScheduledOrder(kernels: order, peak: peak, givenUp: givenUp)
  }

  /// A node behind those that it wants and that have not run.
  private func withDemand(_ kernel: Int) -> [Int] {
    dependences.kernels[kernel].onDemand.filter { !isDone[$0] } + [kernel]
  }

  /// Whether nothing but its operands holds a node back.
  private func mayRun(_ kernel: Int) -> Bool {
    !writesInPlace[kernel] || (oldReadersLeft[kernel] == 0 && refusersLeft == 0)
  }

  /// How many ready nodes are looked at, in the order of the trace: those that write inputs, and the others. Wide
  /// graphs have thousands, of which the first are as good as any.
  private static let window = 48

  /// The place in `readyKernels`, which is in the order of the trace, of the node to run.
  private func next() -> Int? {
    var candidates: [Int] = []
    var (writers, others) = (0, 0)
    for (place, kernel) in readyKernels.enumerated() where mayRun(kernel) {
      if writesInPlace[kernel] {
        if writers == ListScheduler.window { continue }
        writers += 1
      } else {
        if others == ListScheduler.window { continue }
        others += 1
      }
      candidates.append(place)
      if writers + others == 2 * ListScheduler.window { break }
    }
    // Not ahead of the phase: what is computed for a later one would only wait for it.
    let earliest = candidates.map { dependences.phase(readyKernels[$0]) }.min() ?? 0
    candidates.removeAll { dependences.phase(readyKernels[$0]) > earliest }
    switch rule {
    case .asTraced: return candidates.first
    case .releaseFirst: return candidates.first { growth(readyKernels[$0]) <= 0 } ?? candidates.first
    case .smallestGrowth:
      var best: (place: Int, growth: Int)?
      for place in candidates {
        let growth = growth(readyKernels[place])
        if growth < best?.growth ?? .max { best = (place, growth) }
      }
      return best?.place
    }
  }

  /// Nothing can run: the first write that waits gives up its place.
  private mutating func giveUp() {
    guard let kernel = readyKernels.first(where: { writesInPlace[$0] }) else {
      readyKernels = []
      return
    }
    for (index, write) in dependences.writes.enumerated() where write.kernel == kernel { givenUp.insert(index) }
    writesInPlace[kernel] = false
  }

  private func isWrittenInPlace(_ value: Int, by kernel: Int) -> Bool {
    writesInPlace[kernel] && dependences.writtenValues[value] != nil
  }

  /// Bytes that a node takes for its results, and those that its operands give back.
  private func change(_ kernel: Int) -> (taken: Int, freed: Int) {
    let node = dependences.kernels[kernel]
    var dying = node.reads.filter { readersLeft[$0] == 1 && !dependences.leaves[$0] && dependences.bytes[$0] > 0 }
    var freed = dying.reduce(0) { $0 + dependences.bytes[$1] }
    var taken = 0
    for (position, value) in node.makes.enumerated() where !isWrittenInPlace(value, by: kernel) {
      let bytes = dependences.bytes[value]
      if let place = dying.firstIndex(where: {
        dependences.bytes[$0] == bytes && node.overwritable[position].contains($0)
      }) {
        dying.remove(at: place)
        freed -= bytes
      } else {
        taken += bytes
      }
    }
    return (taken, freed)
  }

  /// Bytes by which a node, with those that it wants, adds to what is alive behind it.
  private func growth(_ kernel: Int) -> Int {
    let group = withDemand(kernel)
    if group.count == 1 {
      let change = change(kernel)
      return change.taken - change.freed
    }
    var readers: [Int: Int] = [:]
    var growth = 0
    for member in group {
      for value in dependences.kernels[member].reads { readers[value, default: 0] += 1 }
      for value in dependences.kernels[member].makes where !isWrittenInPlace(value, by: member) {
        growth += dependences.bytes[value]
      }
    }
    for (value, count) in readers where readersLeft[value] == count && !dependences.leaves[value] {
      growth -= dependences.bytes[value]
    }
    return growth
  }

  private mutating func run(_ kernel: Int) {
    let change = change(kernel)
    peak = max(peak, live + change.taken)
    live += change.taken - change.freed
    let node = dependences.kernels[kernel]
    isDone[kernel] = true
    for value in node.reads { readersLeft[value] -= 1 }
    // Results that nobody reads are gone at once.
    for value in node.makes
    where readersLeft[value] == 0 && !dependences.leaves[value] && !isWrittenInPlace(value, by: kernel) {
      live -= dependences.bytes[value]
    }
    if node.refuses { refusersLeft -= 1 }
    for write in writesAfter[kernel] { oldReadersLeft[dependences.writes[write].kernel] -= 1 }
    for follower in node.followers {
      waitsFor[follower] -= 1
      if waitsFor[follower] == 0 {
        var (low, high) = (0, readyKernels.count)
        while low < high {
          let middle = (low + high) / 2
          if readyKernels[middle] > follower { high = middle } else { low = middle + 1 }
        }
        readyKernels.insert(follower, at: low)
      }
    }
  }
}
