import Graphs
import Ops
import Tensors

// Fusion
//
// Before: `a = x * y  b = a + z  c = relu(b)`. After: one node that reads x, y, z and writes c, tile by tile.
//
// A chain takes in elementwise nodes of one shape. All of it runs where its last member stood, so a node may join
// only if nobody else reads a member before that place. A matrix product whose result only one chain reads
// becomes its first link: the chain runs on each block of the product while that is in cache. So a bias and an
// activation, or a whole optimizer, cost no pass over memory, and a weight's gradient is never a tensor.
// A reduction that alone reads a result of a chain takes what leads to it along: it runs where the reduction
// would read, and the squares under a norm are never written.
//
// A chain whose result in blocks is chosen over what it read, whole, takes that choice along: then nothing is copied, and
// where the old value stays its bytes are not touched.
//
// Limits: a view between two members ends a chain; a chain has at most one product, and with one no reduction. A chain
// that rounds to blocks has no reduction, and a product only where that is cut between blocks: they are runs of elements
// in storage. A chain with a product or a reduction leaves choices alone.

/// Joins elementwise nodes into chains, products with the chains that read them, and chains with reductions.
package func fuse(_ graph: inout Graph) {
  deferChoices(&graph)
  var fusion = Fusion(graph)
  fusion.groupElementwise()
  fusion.attachProducts()
  fusion.joinChains()
  fusion.attachReductions()
  fusion.attachChoices()
  graph = fusion.rewritten()
}

/// Moves choices between values in blocks behind all that does not need them: where one stands among the nodes of a
/// chain, it would part them.
private func deferChoices(_ graph: inout Graph) {
  guard graph.nodes.contains(where: isChoiceOfBlocks) else { return }
  var nodes: [Graph.Node] = []
  var deferred: [Graph.Node] = []
  var results = Set<Int>()
  for node in graph.nodes {
    if isChoiceOfBlocks(node) {
      deferred.append(node)
      results.insert(node.results[0].id)
      continue
    }
    if node.operands.contains(where: { results.contains($0.id) }) {
      nodes += deferred
      (deferred, results) = ([], [])
    }
    nodes.append(node)
  }
  graph.nodes = nodes + deferred
  graph.renumber()
}

private func isChoiceOfBlocks(_ node: Graph.Node) -> Bool { node.op is Choose && node.results[0].dtype.isBlocked }

private struct Fusion {
  /// More members would only lengthen tables; no optimizer comes near.
  static let memberLimit = 64
  static let operandLimit = 24

  let graph: Graph
  /// The value that each value looks at, through views.
  private var base: [Int]
  /// The nodes with kernels that read a value, directly or through views, by the value's id.
  private var readers: [[Int]]
  /// Values that leave the graph.
  private var leaves: [Bool]
  private var producer: [Int]

  /// The chain of each node; -1 for nodes in none.
  private var chainOf: [Int]
  private var chains: [[Int]] = []
  /// The product at the head of each chain; -1 where there is none.
  private var productOf: [Int] = []
  /// The chain that each product heads.
  private var headOf: [Int: Int] = [:]
  /// The reduction at the end of each chain that has one.
  private var reductionOf: [Int: Int] = [:]
  /// The condition of each chain that has choices, and the choice that reads a member's result.
  private var conditionOf: [Int: GraphValue] = [:]
  private var choiceOf: [Int: Int] = [:]
  /// Values that exist no more, by which views of them go too.
  private var inside = Set<Int>()

  init(_ graph: Graph) {
    self.graph = graph
    let count = graph.values.count
    base = Array(0..<count)
    readers = Array(repeating: [], count: count)
    leaves = Array(repeating: false, count: count)
    producer = Array(repeating: -1, count: count)
    chainOf = Array(repeating: -1, count: graph.nodes.count)
    for (index, node) in graph.nodes.enumerated() {
      for result in node.results { producer[result.id] = index }
      if node.isView {
        base[node.results[0].id] = base[node.operands[0].id]
        continue
      }
      for operand in node.operands where readers[base[operand.id]].last != index {
        readers[base[operand.id]].append(index)
      }
    }
    for value in graph.leavingValues { leaves[base[value.id]] = true }
  }

  // MARK: Chains

  private func isElementwise(_ index: Int) -> Bool { graph.nodes[index].op is any ElementwiseOp }

  private func shape(_ index: Int) -> Shape { graph.nodes[index].results[0].shape }

  mutating func groupElementwise() {
    for index in graph.nodes.indices where isElementwise(index) {
      var members = Set([index])
      for operand in graph.nodes[index].operands {
        let source = producer[operand.id]
        // An operand behind a view is read from memory.
        if source >= 0, isElementwise(source), shape(source) == shape(index), !members.contains(source) {
          join(source, &members, at: index)
        }
      }
      let chain = members.sorted()
      for old in Set(chain.map { chainOf[$0] }) where old >= 0 { chains[old] = [] }
      for member in chain { chainOf[member] = chains.count }
      chains.append(chain)
    }
    productOf = Array(repeating: -1, count: chains.count)
  }

  /// Takes the chain of `source` into `members`, with all chains that must then come along.
  private func join(_ source: Int, _ members: inout Set<Int>, at place: Int) {
    var joined = members
    var waiting = [source]
    while let next = waiting.popLast() {
      if joined.contains(next) { continue }
      let chain = chainOf[next] < 0 ? [next] : chains[chainOf[next]]
      joined.formUnion(chain)
      if joined.count > Fusion.memberLimit { return }
      for member in chain {
        for reader in readers[graph.nodes[member].results[0].id] where reader < place {
          if joined.contains(reader) { continue }
          guard isElementwise(reader), shape(reader) == shape(place) else { return }
          waiting.append(reader)
        }
      }
    }
    if operandCount(joined) > Fusion.operandLimit || joined.contains(where: { looksBack($0, into: joined) }) {
      return
    }
    members = joined
  }

  /// Whether a node sees another member through a view: all of that member would have to be there first.
  private func looksBack(_ index: Int, into members: Set<Int>) -> Bool {
    graph.nodes[index].operands.contains {
      base[$0.id] != $0.id && producer[base[$0.id]] >= 0 && members.contains(producer[base[$0.id]])
    }
  }

  private func operandCount(_ members: Set<Int>) -> Int {
    var seen = Set<Int>()
    for member in members {
      for operand in graph.nodes[member].operands where !members.contains(producer[operand.id]) {
        seen.insert(operand.id)
      }
    }
    return seen.count
  }

  private func mayRefuse(_ index: Int) -> Bool {
    graph.nodes[index].op.mayRefuse(graph.nodes[index].operands.map(\.type))
  }

  /// Whether a node rounds to blocks, for which it must see whole ones.
  private func makesBlocks(_ index: Int) -> Bool { graph.nodes[index].results[0].dtype.isBlocked }

  /// Whether the blocks of what follows a product would be whole.
  private func takesBlocks(_ index: Int) -> Bool {
    let node = graph.nodes[index]
    return (node.op as? MatMul)?.takesBlocks(node.operands.map(\.type)) ?? false
  }

  // MARK: Products

  mutating func attachProducts() {
    for index in graph.nodes.indices.reversed() {
      let node = graph.nodes[index]
      guard let product = node.op as? MatMul, product.takesChain(node.operands.map(\.type)),
        !leaves[node.results[0].id]
      else { continue }
      let result = node.results[0]
      let chain = readers[result.id].first.map { chainOf[$0] } ?? -1
      guard chain >= 0, productOf[chain] < 0,
        readers[result.id].allSatisfy({ chainOf[$0] == chain }),
        shape(chains[chain][0]) == result.shape, !chains[chain].contains(where: mayRefuse),
        takesBlocks(index) || !chains[chain].contains(where: makesBlocks),
        // Read as it is, never through a view.
        chains[chain].allSatisfy({ member in
          graph.nodes[member].operands.allSatisfy { base[$0.id] != result.id || $0.id == result.id }
        })
      else { continue }
      productOf[chain] = index
    }
  }

  // MARK: A second round

  /// Where a node will stand: with its chain, where the chain's last member stood.
  private func place(_ index: Int) -> Int {
    if chainOf[index] >= 0 { return chains[chainOf[index]].last! }
    return headOf[index].map { chains[$0].last! } ?? index
  }

  /// Joins chains that only products stood between, now that those stand with chains further down.
  mutating func joinChains() {
    for (chain, product) in productOf.enumerated() where product >= 0 { headOf[product] = chain }
    for later in chains.indices where !chains[later].isEmpty {
      var sources: [Int] = []
      for member in chains[later] {
        for operand in graph.nodes[member].operands where producer[operand.id] >= 0 {
          let chain = chainOf[producer[operand.id]]
          if chain >= 0 && chain != later && !sources.contains(chain) { sources.append(chain) }
        }
      }
      for earlier in sources {
        if isBetterAlone(earlier, before: later) {
          // The chains join if the product that stood between them does.
          let product = productOf[earlier]
          (productOf[earlier], headOf[product]) = (-1, nil)
          if !mayJoin(earlier, later) { (productOf[earlier], headOf[product]) = (product, earlier) }
        }
        if !mayJoin(earlier, later) { continue }
        chains[later] = (chains[earlier] + chains[later]).sorted()
        chains[earlier] = []
        for member in chains[later] { chainOf[member] = later }
        if productOf[earlier] >= 0 {
          productOf[later] = productOf[earlier]
          headOf[productOf[earlier]] = later
          productOf[earlier] = -1
        }
      }
    }
  }

  /// Whether the product at the head of a chain computes once more what a later chain, with a product of its own, reads
  /// several values of: all of them would be written, where the product alone is one.
  private func isBetterAlone(_ earlier: Int, before later: Int) -> Bool {
    guard productOf[earlier] >= 0, productOf[later] >= 0, graph.nodes[productOf[earlier]].origin.isRebuilt else {
      return false
    }
    let passed = chains[earlier].count { member in
      readers[graph.nodes[member].results[0].id].contains { chainOf[$0] == later }
    }
    return passed > 1
  }

  private func mayJoin(_ earlier: Int, _ later: Int) -> Bool {
    let (first, second) = (chains[earlier], chains[later])
    guard !first.isEmpty, shape(first[0]) == shape(second[0]),
      first.count + second.count <= Fusion.memberLimit, productOf[earlier] < 0 || productOf[later] < 0
    else { return false }
    // All other readers must come later, and what the product of the later chain reads must be there before.
    let end = second.last!
    for member in first {
      for reader in readers[graph.nodes[member].results[0].id] where chainOf[reader] != earlier {
        if chainOf[reader] != later && place(reader) <= end { return false }
        if headOf[reader] == later { return false }
      }
    }
    let all = Set(first + second)
    if productOf[earlier] >= 0 || productOf[later] >= 0 {
      let product = productOf[earlier] >= 0 ? productOf[earlier] : productOf[later]
      if all.contains(where: mayRefuse) || !takesBlocks(product) && all.contains(where: makesBlocks) { return false }
    }
    return operandCount(all) <= Fusion.operandLimit && !all.contains { looksBack($0, into: all) }
  }

  // MARK: Reductions

  mutating func attachReductions() {
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      guard let reduction = node.op as? any Reduction, reduction.takesChain(node.operands[0].type),
        let source = sourceInOrder(of: node.operands[0])
      else { continue }
      let result = graph.nodes[source].results[0].id
      guard chainOf[source] >= 0, readers[result] == [index], !leaves[result] else { continue }
      let chain = chainOf[source]
      let members = exclusiveMembers(behind: source)
      if members.contains(where: makesBlocks) { continue }
      if members.count < chains[chain].count {
        guard maySplit(members, from: chain) else { continue }
        let taken = Set(members)
        chains[chain].removeAll(where: taken.contains)
        for member in members { chainOf[member] = chains.count }
        chains.append(members)
        productOf.append(-1)
      } else if productOf[chain] >= 0 {
        continue
      }
      reductionOf[chainOf[source]] = index
      inside.insert(result)
    }
  }

  /// The node that makes a value, seen through views that leave elements in their order.
  private func sourceInOrder(of value: GraphValue) -> Int? {
    var value = value
    while producer[value.id] >= 0 {
      let node = graph.nodes[producer[value.id]]
      guard let view = node.op as? any ViewOp else { return producer[value.id] }
      let isInOrder =
        view.layout(of: Layout(contiguous: node.operands[0].shape)) == Layout(contiguous: value.shape)
      if !isInOrder { return nil }
      value = node.operands[0]
    }
    return nil
  }

  /// The members of a chain that only lead to `source`, in order, itself included.
  private func exclusiveMembers(behind source: Int) -> [Int] {
    var taken = Set([source])
    for member in chains[chainOf[source]].reversed() where member != source {
      let result = graph.nodes[member].results[0].id
      if !leaves[result] && readers[result].allSatisfy(taken.contains) { taken.insert(member) }
    }
    return taken.sorted()
  }

  /// Whether some members can be a chain of their own, which reads of the others only what is written anyway.
  private func maySplit(_ members: [Int], from chain: Int) -> Bool {
    let taken = Set(members)
    let others = Set(chains[chain]).subtracting(taken)
    for operand in members.flatMap({ graph.nodes[$0].operands }) where producer[operand.id] >= 0 {
      let source = producer[operand.id]
      if source == productOf[chain] { return false }
      if others.contains(source) && !isResult(source, of: others.union(taken)) { return false }
    }
    return operandCount(taken) <= Fusion.operandLimit
  }

  /// Whether a member's value is needed outside of its chain.
  private func isResult(_ member: Int, of chain: Set<Int>) -> Bool {
    let value = graph.nodes[member].results[0].id
    return leaves[value] || readers[value].contains { !chain.contains($0) }
  }

  // MARK: Choices

  /// Lets chains take the choices between their results in blocks and the old values that they read.
  mutating func attachChoices() {
    for (index, node) in graph.nodes.enumerated() where isChoiceOfBlocks(node) {
      let (condition, new, old) = (node.operands[0], node.operands[1], node.operands[2])
      let member = producer[new.id]
      guard member >= 0, chainOf[member] >= 0, readers[new.id] == [index], !leaves[new.id] else { continue }
      let chain = chainOf[member]
      // The condition is there before the chain begins, so that nothing waits for itself.
      guard productOf[chain] < 0, reductionOf[chain] == nil, producer[base[condition.id]] < chains[chain][0],
        conditionOf[chain].map({ $0.id == condition.id }) ?? true,
        chains[chain].contains(where: { graph.nodes[$0].operands.contains { $0.id == old.id } }),
        producer[old.id] < 0 || chainOf[producer[old.id]] != chain
      else { continue }
      conditionOf[chain] = condition
      choiceOf[member] = index
    }
  }

  // MARK: Rewriting

  func rewritten() -> Graph {
    var result = graph
    // Nodes keep their order; a chain stands where its last member stood.
    var nodes: [(place: Int, node: Graph.Node)] = []
    let joined = Set(productOf.filter { $0 >= 0 }).union(reductionOf.values).union(choiceOf.values)
    for index in graph.nodes.indices where chainOf[index] < 0 && !joined.contains(index) {
      let node = graph.nodes[index]
      if node.isView && inside.contains(base[node.results[0].id]) { continue }
      nodes.append((index, node))
    }
    for (number, chain) in chains.enumerated() where !chain.isEmpty {
      let reduction = reductionOf[number]
      nodes.append((
        reduction ?? chain.last!, node(of: chain, product: productOf[number], reduction: reduction)
      ))
    }
    nodes.sort { $0.place < $1.place }
    result.nodes = inOrder(nodes.map(\.node))
    result.renumber()
    return result
  }

  /// Views of a chain's results may stand before it: they move behind.
  private func inOrder(_ nodes: [Graph.Node]) -> [Graph.Node] {
    var known = [Bool](repeating: false, count: graph.values.count)
    for (id, value) in graph.values.enumerated() {
      if case .result = value.definition { continue }
      known[id] = true
    }
    var result: [Graph.Node] = []
    result.reserveCapacity(nodes.count)
    // By the value that they wait for.
    var waiting: [Int: [Graph.Node]] = [:]
    func place(_ node: Graph.Node) {
      var ready = [node]
      while let next = ready.popLast() {
        if let missing = next.operands.first(where: { !known[$0.id] }) {
          waiting[missing.id, default: []].append(next)
          continue
        }
        result.append(next)
        for value in next.results {
          known[value.id] = true
          if let freed = waiting.removeValue(forKey: value.id) { ready += freed.reversed() }
        }
      }
    }
    for node in nodes { place(node) }
    return result
  }

  private func node(of chain: [Int], product: Int, reduction: Int?) -> Graph.Node {
    let last = graph.nodes[chain.last!]
    let condition = conditionOf[chainOf[chain[0]]]
    if chain.count == 1 && product < 0 && reduction == nil && condition == nil { return last }
    var operands: [GraphValue] = []
    var places: [Int: Int] = [:]
    var members: [ElementwiseChain.Member] = []
    var memberOf: [Int: Int] = [:]
    func operand(_ value: GraphValue) -> Int {
      if let place = places[value.id] { return place }
      places[value.id] = operands.count
      operands.append(value)
      return operands.count - 1
    }
    // A product is the chain's operand 0.
    if product >= 0 { _ = operand(graph.nodes[product].results[0]) }
    for index in chain {
      let node = graph.nodes[index]
      memberOf[node.results[0].id] = members.count
      members.append(
        ElementwiseChain.Member(
          op: node.op as! any ElementwiseOp,
          sources: node.operands.map { value in
            memberOf[value.id].map { .instruction($0) } ?? .operand(operand(value))
          },
          type: node.results[0].type, origin: node.origin))
    }
    let all = Set(chain)
    var results: [GraphValue] = []
    var resultMembers: [Int] = []
    var olds: [Int?] = []
    for (member, index) in chain.enumerated() where isResult(index, of: all) {
      let choice = choiceOf[index].map { graph.nodes[$0] }
      results.append((choice ?? graph.nodes[index]).results[0])
      olds.append(choice.map { places[$0.operands[2].id]! })
      resultMembers.append(member)
    }
    let made = ElementwiseChain(
      operandTypes: operands.map(\.type), members: members, results: resultMembers)
    if let reduction {
      let end = graph.nodes[reduction]
      return Graph.Node(
        op: FusedReduction(
          made, end.op as! any Reduction, of: end.operands[0].type, origin: end.origin),
        operands: operands, results: end.results, origin: end.origin)
    }
    if product < 0 {
      return Graph.Node(
        op: FusedElementwise(made, olds: olds), operands: operands + (condition.map { [$0] } ?? []), results: results,
        origin: last.origin)
    }
    let head = graph.nodes[product]
    return Graph.Node(
      op: FusedProduct(head.op as! MatMul, made, origin: head.origin),
      operands: head.operands + operands.dropFirst(), results: results, origin: last.origin)
  }
}
