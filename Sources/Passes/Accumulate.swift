import Graphs
import Ops
import Support
import Tensors

// Accumulation
//
// Before: a step on a whole batch, and the same step traced on a piece of its rows. After: three graphs.
//
// - Before the pieces: what depends on no parameter and needs the whole batch, such as the number of tokens that count.
// - A piece: forward and backward pass of some rows. It runs once per piece and adds to slots: gradients, the loss.
// - After the pieces: what needs the totals, such as the clipping norm and the updates.
//
// The two traces have the same nodes, and where sizes differ, there the batch lies: no rule about shapes is
// needed. Each value is found to be one of these:
//
// - whole: the same for every piece, known before them;
// - rows: its part along one axis belongs to the rows of a piece;
// - sum: what the pieces have of it adds up;
// - late: computed from sums, so known when all pieces have run;
// - own: each piece has its own. Layers with batch statistics ask for that (see `Origin.isBatchStatistic`).
//
// Numbers that differ between the traces are counts (`x.shape[0]`, the divisor of a mean), and those of the whole batch
// hold. Rows that meet a late value, or mix with each other, have no meaning in pieces: the loss is not separable,
// and the error names the line, unless no parameter is involved; then the value is computed before the pieces.
//
// The backward pass of a piece is that of a sum's part, so of its nodes only those that join sums need a rule; but a
// derivative that the program wrote may do anything with rows, and is judged as the forward pass is.

/// Why a step cannot run in pieces.
package struct NotSeparable: Error {
  package let reason: String
  package let site: Site?
}

/// Cuts a step along its batch.
///
/// - Parameters:
///   - whole: the step as traced on the whole batch, unscheduled.
///   - pieces: the same step as traced on so many rows.
///   - parameters: inputs of the graph that are trained.
///   - losses: what is minimized.
/// - Throws: `NotSeparable`.
package func cutBatch(
  _ whole: Graph, rowCount: Int, pieces: [(rowCount: Int, graph: Graph)], parameters: Set<Int>, losses: [GraphValue]
) throws -> BatchSections {
  for piece in pieces { try BatchAnalysis.requireSameNodes(whole, piece.graph) }
  let averages = BatchAnalysis.averages(whole, pieces[0].graph)
  // The losses are outputs while averages are taken apart, so as to be found again.
  func separated(_ graph: Graph) throws -> Graph {
    var graph = graph
    graph.outputs += losses
    return try separateAverages(graph, averages)
  }
  var graph = try separated(whole)
  let lossIDs = graph.outputs.suffix(losses.count).map(\.id)
  graph.outputs.removeLast(losses.count)
  let cut = try pieces.map { (rowCount: $0.rowCount, graph: try separated($0.graph)) }
  let analysis = try BatchAnalysis(
    graph, cut[0].graph, rowCount: rowCount, pieceRowCount: cut[0].rowCount, parameters: parameters)
  for loss in lossIDs {
    if case .mixed? = analysis.parts[loss] { throw analysis.failure(of: loss) }
  }
  var cutter = SectionCutter(graph, cut, analysis, rowCount: rowCount)
  return try cutter.sections()
}

/// Puts sums and counts in the place of averages, by the places of their nodes.
private func separateAverages(_ graph: Graph, _ averages: Set<Int>) throws -> Graph {
  let builder = GraphBuilder()
  var map = [GraphValue?](repeating: nil, count: graph.values.count)
  var producer = [Int?](repeating: nil, count: graph.values.count)
  for (index, node) in graph.nodes.enumerated() {
    for result in node.results { producer[result.id] = index }
  }
  for (id, value) in graph.values.enumerated() where map[id] == nil {
    switch value.definition {
    case .input: map[id] = builder.input(value.type)
    case .constant(let tensor): map[id] = builder.constant(tensor)
    case .result:
      // What no node makes any more was a choice between training and use.
      guard let index = producer[id] else { continue }
      let node = graph.nodes[index]
      builder.origin = node.origin
      let operands = node.operands.map { map[$0.id]! }
      let results =
        averages.contains(index)
        ? try (node.op as! any AveragingOp).separate(builder, operands) : try builder.append(node.op, operands)
      for (result, new) in zip(node.results, results) { map[result.id] = new }
    }
  }
  var result = builder.graph
  result.outputs = graph.outputs.map { map[$0.id]! }
  result.writes = graph.writes.map { Graph.Write(input: $0.input, value: map[$0.value.id]!) }
  result.gradients = graph.gradients.map { (map[$0.value.id]!, $0.path) }
  result.effects = graph.effects.map { effect in
    switch effect.kind {
    case .assertion(let value): Graph.Effect(kind: .assertion(map[value.id]!), origin: effect.origin)
    case .report(let values, let slot):
      Graph.Effect(kind: .report(values.map { map[$0.id]! }, slot: slot), origin: effect.origin)
    }
  }
  return result
}

/// What each value of a step is to the pieces of its batch.
private struct BatchAnalysis {
  enum Part {
    case whole
    case rows(BatchRows)
    case own
    case sum
    case late
    /// Cannot be had in pieces.
    case mixed
  }

  private let whole: Graph
  private let piece: Graph
  private let rowCount: Int
  private let pieceRowCount: Int
  private(set) var parts: [Part?]
  /// Values computed before the pieces, from the whole batch.
  private(set) var isEarly: [Bool]
  /// Whether no parameter is involved.
  private var isFree: [Bool]
  /// The node that made a value late or mixed, and what it did.
  private var causes: [Int: NotSeparable] = [:]
  private(set) var hasOwnStatistics = false
  /// The last node of all that makes a gradient.
  private let lastGradientNode: Int

  init(
    _ whole: Graph, _ piece: Graph, rowCount: Int, pieceRowCount: Int, parameters: Set<Int>
  ) throws {
    self.whole = whole
    self.piece = piece
    self.rowCount = rowCount
    self.pieceRowCount = pieceRowCount
    parts = Array(repeating: nil, count: whole.values.count)
    isEarly = Array(repeating: false, count: whole.values.count)
    isFree = Array(repeating: true, count: whole.values.count)
    lastGradientNode = whole.gradients.compactMap { whole.producer(of: $0.value) }.max() ?? whole.nodes.count
    try BatchAnalysis.requireSameNodes(whole, piece)
    for (id, value) in whole.values.enumerated() {
      switch value.definition {
      case .input(let index):
        isFree[id] = !parameters.contains(index)
        parts[id] = place(id)
      case .constant: parts[id] = place(id)
      case .result: continue
      }
    }
    for index in whole.nodes.indices { classify(index) }
  }

  func failure(of value: Int) -> NotSeparable {
    causes[value] ?? NotSeparable(reason: "this is no sum over rows", site: nil)
  }

  // MARK: Two traces

  /// The averages over the batch, and what belongs to them.
  static func averages(_ whole: Graph, _ piece: Graph) -> Set<Int> {
    Set(
      whole.nodes.indices.filter { index in
        let (a, b) = (whole.nodes[index], piece.nodes[index])
        guard a.op is any AveragingOp, !a.origin.isBatchStatistic else { return false }
        // Over the batch: the operand has it, the first result does not; or both do, of a gradient.
        return zip(a.operands, b.operands).contains { $0.shape != $1.shape }
      })
  }

  /// Refuses traces that differ in more than sizes.
  static func requireSameNodes(_ whole: Graph, _ piece: Graph) throws {
    for (a, b) in zip(whole.nodes, piece.nodes)
    where type(of: a.op).name != type(of: b.op).name || a.operands.map(\.id) != b.operands.map(\.id) {
      throw NotSeparable(reason: "this is done in another way for a piece than for the whole batch", site: a.origin.site)
    }
    if whole.nodes.count != piece.nodes.count || whole.values.count != piece.values.count {
      let longer = whole.nodes.count > piece.nodes.count ? whole : piece
      let site = longer.nodes.dropFirst(min(whole.nodes.count, piece.nodes.count)).first?.origin.site
      throw NotSeparable(reason: "this is done in another way for a piece than for the whole batch", site: site)
    }
  }

  /// Where the batch lies in a value, by the sizes that differ.
  private func place(_ id: Int) -> Part {
    let (a, b) = (whole.values[id].type.shape, piece.values[id].type.shape)
    if a == b { return .whole }
    guard a.rank == b.rank else { return .mixed }
    let axes = (0..<a.rank).filter { a[$0] != b[$0] }
    guard axes.count == 1, a[axes[0]] % rowCount == 0,
      a[axes[0]] / rowCount * pieceRowCount == b[axes[0]]
    else { return .mixed }
    // That the batch is the outermost part of an axis is all that can be said of a value that comes from no other.
    return .rows(BatchRows(axis: axes[0], outer: 1, inner: a[axes[0]] / rowCount))
  }

  // MARK: Nodes

  private mutating func classify(_ index: Int) {
    let node = whole.nodes[index]
    let op = piece.nodes[index].op
    let operands = node.operands.map { parts[$0.id] ?? .whole }
    let free = node.operands.allSatisfy { isFree[$0.id] }
    if node.origin.isBatchStatistic { hasOwnStatistics = true }
    for result in node.results {
      isFree[result.id] = free
      let kind = part(
        node, op, operands, result, isAfterGradients: node.origin.phase == .update || index > lastGradientNode)
      parts[result.id] = kind
      switch kind {
      case .whole, .rows, .own: continue
      case .sum, .late, .mixed: break
      }
      if free {
        // Nothing is trained there: it is computed before the pieces, from the whole batch.
        parts[result.id] = early(result.id, node)
        isEarly[result.id] = true
      } else if causes[result.id] == nil {
        switch kind {
        case .whole, .rows, .own, .sum: break
        case .late, .mixed: causes[result.id] = cause(node, operands, kind)
        }
      }
    }
  }

  /// What a value is that is computed from the whole batch.
  private func early(_ id: Int, _ node: Graph.Node) -> Part {
    guard case .rows(let rows) = place(id) else { return .whole }
    // Its rows lie as those of the operands, where one has an axis of that size.
    for operand in node.operands {
      if case .rows(let own)? = parts[operand.id], own.outer * own.inner == rows.inner {
        return .rows(BatchRows(axis: rows.axis, outer: own.outer, inner: own.inner))
      }
    }
    return .rows(rows)
  }

  private func cause(_ node: Graph.Node, _ operands: [Part], _ kind: Part) -> NotSeparable {
    // What an operand suffers from comes first.
    for operand in node.operands { if let earlier = causes[operand.id] { return earlier } }
    if case .late = kind {
      return NotSeparable(reason: "this is computed from a sum over the batch, and rows depend on it", site: node.origin.site)
    }
    return NotSeparable(reason: "this mixes rows of the batch", site: node.origin.site)
  }

  /// - Parameter isAfterGradients: the node takes gradients as they are complete: norms, clipping, updates.
  private func part(
    _ node: Graph.Node, _ op: any TensorOp, _ operands: [Part], _ result: GraphValue, isAfterGradients: Bool
  ) -> Part {
    var (rows, own, sums, late) = (false, false, false, false)
    for part in operands {
      switch part {
      case .whole: break
      case .rows: rows = true
      case .own: own = true
      case .sum: sums = true
      case .late: late = true
      case .mixed: return .mixed
      }
    }
    let place = place(result.id)
    if case .mixed = place { return .mixed }
    let hasRows = if case .rows = place { true } else { false }

    if node.origin.isBatchStatistic {
      // A piece is a batch of its own here.
      if late { return rows || own || sums ? .mixed : .late }
      if !rows && !own && !sums { return hasRows ? byAxes(op, node, place, operands) : .whole }
      if hasRows { return place }
      return node.origin.phase == .forward ? .own : .sum
    }
    if late {
      // What a piece has of its own reaches an update as the mean over the pieces: a buffer that moves where the step is
      // not skipped.
      if own, node.origin.phase != .update { return .mixed }
      return rows || hasRows ? .mixed : .late
    }
    if sums {
      if rows || own || hasRows { return .mixed }
      return !isAfterGradients && staysSum(op, node, operands) ? .sum : .late
    }
    if !rows && !own { return hasRows ? byAxes(op, node, place, operands) : .whole }
    if node.origin.phase == .backward, !node.origin.isWrittenDerivative, !node.operands.allSatisfy({ isFree[$0.id] }) {
      return hasRows ? inherited(place, operands) : .sum
    }
    if !rows { return hasRows ? byAxes(op, node, place, operands) : .own }
    return byAxes(op, node, place, operands)
  }

  /// Whether sums over the pieces of operands give a sum over the pieces.
  private func staysSum(_ op: any TensorOp, _ node: Graph.Node, _ operands: [Part]) -> Bool {
    let sums = operands.indices.filter { if case .sum = operands[$0] { true } else { false } }
    switch op.axisMap(node.operands.map { piece.values[$0.id].type }).additivity {
    case .none: return false
    case .together: return sums.count == operands.count
    case .each(let places): return sums.count == 1 && places.contains(sums[0])
    }
  }

  /// The rows of a result in the backward pass, which lie as those of its operands.
  private func inherited(_ place: Part, _ operands: [Part]) -> Part {
    guard case .rows(let rows) = place else { return place }
    for case .rows(let own) in operands where own.outer * own.inner == rows.inner {
      return .rows(BatchRows(axis: rows.axis, outer: own.outer, inner: own.inner))
    }
    return place
  }

  /// What a node makes of rows, by the axes that its op keeps apart or adds up.
  private func byAxes(_ op: any TensorOp, _ node: Graph.Node, _ place: Part, _ operands: [Part]) -> Part {
    let types = node.operands.map { piece.values[$0.id].type }
    let map = op.axisMap(types)
    let wholeMap = whole.nodes[whole.producer(of: node.results[0])!].op.axisMap(node.operands.map { whole.values[$0.id].type })
    if map.attributes != wholeMap.attributes { return .mixed }
    let axes: [Int?] = operands.map { if case .rows(let rows) = $0 { rows.axis } else { nil } }
    guard case .rows(let rows) = place else {
      // No batch is left: a sum, or a mix.
      return map.sums.contains { $0.elementsEqual(axes) } ? .sum : .mixed
    }
    if map.isRegrouping {
      guard case .rows(let from) = operands[0] else { return .mixed }
      let (a, b) = (whole.values[node.operands[0].id].type.shape, whole.values[node.results[0].id].type.shape)
      let outer = a.sizes[..<from.axis].reduce(1, *) * from.outer
      let inner = a.sizes[(from.axis + 1)...].reduce(1, *) * from.inner
      let before = b.sizes[..<rows.axis].reduce(1, *)
      let behind = b.sizes[(rows.axis + 1)...].reduce(1, *)
      guard outer % before == 0, inner % behind == 0 else { return .mixed }
      return .rows(BatchRows(axis: rows.axis, outer: outer / before, inner: inner / behind))
    }
    guard let wanted = map.cut(along: rows.axis) else { return .mixed }
    var geometry: BatchRows?
    for (index, part) in operands.enumerated() where index < wanted.count {
      switch (part, wanted[index]) {
      case (.rows(let own), let axis?):
        guard own.axis == axis, own.outer * own.inner == rows.inner else { return .mixed }
        // Rows of two operands must lie alike.
        if let earlier = geometry, earlier.outer != own.outer { return .mixed }
        geometry = BatchRows(axis: rows.axis, outer: own.outer, inner: own.inner)
      case (.rows, nil), (_, _?): return .mixed
      case (_, nil): break
      }
    }
    let result = geometry ?? rows
    if type(of: op).traits.effect == .random {
      // A piece is drawn from an element on: its rows must follow each other.
      let before = whole.values[node.results[0].id].type.shape.sizes[..<rows.axis].reduce(result.outer, *)
      if before != 1 { return .mixed }
    }
    return .rows(result)
  }
}

/// Builds the graphs of the sections.
private struct SectionCutter {
  private let whole: Graph
  private let pieces: [(rowCount: Int, graph: Graph)]
  private let analysis: BatchAnalysis
  private let rowCount: Int
  private var slots: [BatchSections.Slot] = []
  private var slotOf: [Int: Int] = [:]
  /// Values that pieces give to what comes after them, and those that they are given.
  private var crossing: [Int] = []
  private var early: [Int] = []
  private let producer: [Int?]
  private let gradientPaths: [Int: String]

  init(_ whole: Graph, _ pieces: [(rowCount: Int, graph: Graph)], _ analysis: BatchAnalysis, rowCount: Int) {
    self.whole = whole
    self.pieces = pieces
    self.analysis = analysis
    self.rowCount = rowCount
    var producer = [Int?](repeating: nil, count: whole.values.count)
    for (index, node) in whole.nodes.enumerated() {
      for result in node.results { producer[result.id] = index }
    }
    self.producer = producer
    gradientPaths = Dictionary(whole.gradients.map { ($0.value.id, $0.path) }, uniquingKeysWith: { first, _ in first })
  }

  mutating func sections() throws -> BatchSections {
    let afterNodes = try markAfter()
    let pieceNodes = try markPiece()
    let beforeNodes = markBefore()
    for id in early.sorted() { addSlot(id, .early, whole.values[id].type) }
    for id in crossing.sorted() {
      let type = whole.values[id].type
      switch analysis.parts[id] {
      case .rows(let rows)?: addSlot(id, .rows(rows), type)
      case .own?: addSlot(id, .mean, accumulated(type))
      default: addSlot(id, .sum, accumulated(type))
      }
    }
    let before = try early.isEmpty ? nil : beforeSection(beforeNodes)
    let cut = try pieces.map { (rowCount: $0.rowCount, section: try pieceSection(pieceNodes, $0.graph, $0.rowCount)) }
    return BatchSections(
      slots: slots, before: before, pieces: cut, after: try afterSection(afterNodes),
      hasOwnStatistics: analysis.hasOwnStatistics)
  }

  /// Sums of 16-bit floats are kept in f32.
  private func accumulated(_ type: TensorType) -> TensorType {
    type.dtype.isFloating && type.dtype != .f64 ? TensorType(.f32, type.shape) : type
  }

  private mutating func addSlot(_ id: Int, _ kind: BatchSections.Slot.Kind, _ type: TensorType) {
    slotOf[id] = slots.count
    slots.append(BatchSections.Slot(type: type, kind: kind, gradientPath: gradientPaths[id]))
  }

  // MARK: What runs where

  /// The nodes that run when all pieces have; notes what they want of the pieces.
  private mutating func markAfter() throws -> Set<Int> {
    var nodes = Set<Int>()
    var seen = Set<Int>()
    var stack = whole.leavingValues.map(\.id)
    while let id = stack.popLast() {
      guard seen.insert(id).inserted, let node = producer[id] else { continue }
      if analysis.isEarly[id] {
        early.append(id)
        continue
      }
      switch analysis.parts[id] {
      case .mixed?: throw analysis.failure(of: id)
      case .rows?, .own?, .sum?: crossing.append(id)
      case .whole?, .late?, nil:
        if nodes.insert(node).inserted { stack += whole.nodes[node].operands.map(\.id) }
      }
    }
    return nodes
  }

  /// The nodes that run for each piece; notes what they want to be there before.
  private mutating func markPiece() throws -> Set<Int> {
    var nodes = Set<Int>()
    var seen = Set<Int>()
    var known = Set(early)
    var stack = crossing
    while let id = stack.popLast() {
      guard seen.insert(id).inserted, let node = producer[id] else { continue }
      let isWhole: Bool
      switch analysis.parts[id] {
      case .mixed?, .late?: throw analysis.failure(of: id)
      case .rows?, .own?, .sum?: isWhole = false
      case .whole?, nil: isWhole = true
      }
      if analysis.isEarly[id] || (isWhole && !whole.nodes[node].isView) {
        if known.insert(id).inserted { early.append(id) }
        continue
      }
      if nodes.insert(node).inserted { stack += whole.nodes[node].operands.map(\.id) }
    }
    return nodes
  }

  private func markBefore() -> Set<Int> {
    var nodes = Set<Int>()
    var stack = early
    while let id = stack.popLast() {
      guard let node = producer[id], nodes.insert(node).inserted else { continue }
      stack += whole.nodes[node].operands.map(\.id)
    }
    return nodes
  }

  // MARK: Sections

  /// A section being built: what its values are called in the graph it comes from.
  private struct Draft {
    var section = BatchSections.Section()
    var values: [Int: GraphValue] = [:]
    /// Inputs of the step that are inputs of the section.
    var inputs: [Int: Int] = [:]

    mutating func constant(_ tensor: Tensor) -> GraphValue { define(tensor.type, .constant(tensor)) }

    mutating func input(_ type: TensorType, _ feed: BatchSections.Feed) -> GraphValue {
      let value = define(type, .input(section.graph.inputs.count))
      section.graph.inputs.append(value)
      section.feeds.append(feed)
      return value
    }

    mutating func stepInput(_ index: Int, _ type: TensorType) -> GraphValue {
      if let known = inputs[index] { return section.graph.inputs[known] }
      inputs[index] = section.graph.inputs.count
      return input(type, .input(index))
    }

    /// Appends a node and returns its results.
    mutating func append(_ op: any TensorOp, _ operands: [GraphValue], _ types: [TensorType], _ origin: Origin) -> [GraphValue] {
      let node = section.graph.nodes.count
      let results = types.enumerated().map { define($1, .result(node: node, index: $0)) }
      section.graph.nodes.append(Graph.Node(op: op, operands: operands, results: results, origin: origin))
      return results
    }

    mutating func cast(_ value: GraphValue, to dtype: DType, _ origin: Origin) -> GraphValue {
      value.dtype == dtype
        ? value : append(Cast(to: dtype), [value], [TensorType(dtype, value.shape)], origin)[0]
    }

    private mutating func define(_ type: TensorType, _ definition: Graph.Definition) -> GraphValue {
      let value = GraphValue(id: section.graph.values.count, type: type)
      section.graph.values.append((type: type, definition: definition))
      return value
    }
  }

  private func beforeSection(_ nodes: Set<Int>) throws -> BatchSections.Section {
    var draft = Draft()
    for index in nodes.sorted() { add(whole.nodes[index], to: &draft) { value(of: $1, in: &$0) } }
    for id in early {
      _ = draft.input(whole.values[id].type, .slot(slotOf[id]!))
      draft.section.graph.writes.append(
        Graph.Write(input: draft.section.graph.inputs.count - 1, value: draft.values[id]!))
    }
    return draft.section
  }

  private func afterSection(_ nodes: Set<Int>) throws -> BatchSections.Section {
    var draft = Draft()
    let origin = Origin(site: nil, phase: .update)
    func found(_ id: Int, _ draft: inout Draft) -> GraphValue {
      if let known = draft.values[id] { return known }
      guard let slot = slotOf[id] else { return value(of: id, in: &draft) }
      let held = draft.input(slots[slot].type, .slot(slot))
      let result = draft.cast(held, to: whole.values[id].type.dtype, origin)
      draft.values[id] = result
      return result
    }
    for index in nodes.sorted() where !whole.nodes[index].results.allSatisfy({ slotOf[$0.id] != nil }) {
      // Whatever it was for, it runs when the pieces' passes are over.
      var node = whole.nodes[index]
      node.origin.phase = .update
      add(node, to: &draft) { found($1, &$0) }
    }
    draft.section.graph.outputs = whole.outputs.map { found($0.id, &draft) }
    for write in whole.writes {
      let new = found(write.value.id, &draft)
      _ = draft.stepInput(write.input, whole.inputs[write.input].type)
      draft.section.graph.writes.append(Graph.Write(input: draft.inputs[write.input]!, value: new))
    }
    for effect in whole.effects {
      switch effect.kind {
      case .assertion(let value):
        draft.section.graph.effects.append(
          Graph.Effect(kind: .assertion(found(value.id, &draft)), origin: effect.origin))
      case .report(let values, let slot):
        draft.section.graph.effects.append(
          Graph.Effect(kind: .report(values.map { found($0.id, &draft) }, slot: slot), origin: effect.origin))
      }
    }
    return draft.section
  }

  private func pieceSection(_ nodes: Set<Int>, _ piece: Graph, _ pieceRowCount: Int) throws -> BatchSections.Section {
    var draft = Draft()
    var constants: [Int: GraphValue] = [:]
    func found(_ id: Int, _ draft: inout Draft, isStatistic: Bool) -> GraphValue {
      if let known = draft.values[id] { return known }
      let type = piece.values[id].type
      var rows: BatchRows?
      if case .rows(let own)? = analysis.parts[id] { rows = own }
      let result: GraphValue
      if let slot = slotOf[id], case .early = slots[slot].kind {
        result = draft.input(type, rows.map { .slotRows(slot, $0) } ?? .slot(slot))
      } else {
        switch whole.values[id].definition {
        case .input(let index):
          result = rows == nil ? draft.stepInput(index, type) : draft.input(type, .inputRows(index))
        case .constant(let tensor):
          if let rows {
            result = draft.input(type, .constantRows(tensor, rows))
          } else if isStatistic, case .constant(let own) = piece.values[id].definition {
            // A count of its own rows.
            if let known = constants[id] { return known }
            constants[id] = draft.constant(own)
            return constants[id]!
          } else {
            result = draft.constant(tensor)
          }
        case .result: preconditionFailure("a value of a piece is made by none of its nodes")
        }
      }
      draft.values[id] = result
      return result
    }
    for index in nodes.sorted() {
      let node = piece.nodes[index]
      var operands = node.operands.map { found($0.id, &draft, isStatistic: node.origin.isBatchStatistic) }
      if type(of: node.op).traits.effect == .random, case .rows(let rows)? = analysis.parts[node.results[0].id],
        case .input(let key) = whole.values[node.operands[0].id].definition
      {
        let behind = node.results[0].shape.sizes[(rows.axis + 1)...].reduce(rows.inner, *)
        operands[0] = draft.input(placedRandomKeyType, .key(key, elementsPerRow: behind))
      }
      let results = draft.append(node.op, operands, node.results.map(\.type), node.origin)
      for (result, new) in zip(node.results, results) { draft.values[result.id] = new }
    }
    for id in crossing {
      let (slot, origin) = (slots[slotOf[id]!], piece.nodes[producer[id]!].origin)
      var value = draft.values[id]!
      if case .rows(let rows) = slot.kind {
        _ = draft.input(value.type, .slotRows(slotOf[id]!, rows))
      } else {
        value = draft.cast(value, to: slot.type.dtype, origin)
        if let path = slot.gradientPath { draft.section.graph.gradients.append((value, path)) }
        if case .mean = slot.kind {
          let weight = draft.constant(
            Tensor([Double(pieceRowCount) / Double(rowCount)], dtype: slot.type.dtype, shape: .scalar))
          let spread = draft.append(Broadcast(to: value.shape), [weight], [value.type], origin)[0]
          value = draft.append(Multiply(), [value, spread], [value.type], origin)[0]
        }
        let target = draft.input(slot.type, .slot(slotOf[id]!))
        value = draft.append(Add(), [target, value], [slot.type], origin)[0]
      }
      draft.section.graph.writes.append(
        Graph.Write(input: draft.section.graph.inputs.count - 1, value: value))
    }
    return draft.section
  }

  /// Appends a node of the whole step's graph.
  private func add(
    _ node: Graph.Node, to draft: inout Draft, _ operand: (inout Draft, Int) -> GraphValue
  ) {
    let operands = node.operands.map { operand(&draft, $0.id) }
    let results = draft.append(node.op, operands, node.results.map(\.type), node.origin)
    for (result, new) in zip(node.results, results) where draft.values[result.id] == nil {
      draft.values[result.id] = new
    }
  }

  /// An input or a constant of the step, or what a node before has made.
  private func value(of id: Int, in draft: inout Draft) -> GraphValue {
    if let known = draft.values[id] { return known }
    let result: GraphValue
    switch whole.values[id].definition {
    case .input(let index): result = draft.stepInput(index, whole.values[id].type)
    case .constant(let tensor): result = draft.constant(tensor)
    case .result: preconditionFailure("a value of a section is made by none of its nodes")
    }
    draft.values[id] = result
    return result
  }
}
