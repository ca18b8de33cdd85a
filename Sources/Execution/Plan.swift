import Graphs
import Ops
import Support
import Tensors

/// Scratch memory that plans hold offsets into: one per session, as large as the largest plan that ran.
package final class Arena {
  private(set) var storage = Storage(byteCount: 0)
  package init() {}

  func reserve(_ byteCount: Int) {
    if byteCount > storage.byteCount { storage = Storage(byteCount: byteCount) }
  }
}

/// Stops a run between two steps.
package struct Interrupted: Error {
  package init() {}
}

/// A failure with the place of the node that met it.
package struct PlacedFault: Error {
  package let error: any Error
  package let origin: Origin
}

/// An assertion of the program that did not hold.
package struct AssertionFault: Error {
  /// Its place among the graph's effects.
  package let effect: Int
}

/// A graph made ready to run: kernels in order, each with its operands and results at fixed places.
///
/// Values that are views take no memory. Intermediate values lie in the arena; two share bytes when their
/// lifetimes do not meet. Nothing is written outside the arena before the run is over, so a run that
/// fails leaves no trace.
package final class Plan {
  private struct Step {
    let op: any TensorOp
    var operands: [TensorView]
    var results: [TensorView]
    let origin: Origin
  }

  /// An operand that lies in an input: its address is known at each run.
  private struct Patch {
    let step: Int
    let operand: Int
    let input: Int
    let byteOffset: Int
  }

  /// Where a value lies.
  private enum Place {
    case input(Int)
    case constant(Tensor)
    case buffer(Int)
  }

  private struct Location {
    let place: Place
    let layout: Layout
  }

  private struct Buffer {
    let byteCount: Int
    let first: Int
    var last: Int
    var offset = 0
  }

  package let graph: Graph
  /// Bytes of the arena that a run needs.
  package private(set) var arenaByteCount = 0
  private var steps: [Step] = []
  private var patches: [Patch] = []
  /// Operands and results that lie in the arena, to be moved when the arena does.
  private var arenaOperands: [(step: Int, operand: Int, offset: Int)] = []
  private var arenaResults: [(step: Int, result: Int, offset: Int)] = []
  private var arenaBase: UnsafeMutableRawPointer?
  private var locations: [Int: Location] = [:]
  private var buffers: [Buffer] = []

  /// - Throws: `OpRejection` with code `out-of-memory` where the machine cannot hold the step.
  package init(_ graph: Graph) throws {
    self.graph = graph
    try schedule()
    assignOffsets()
    for type in graph.values.map(\.type) { try EagerEvaluator.checkFits(type) }
    if arenaByteCount > Machine.memoryLimit {
      throw OpRejection(
        "the step needs \(arenaByteCount) bytes, more than this machine has", code: "out-of-memory")
    }
  }

  // MARK: Planning

  private func schedule() throws {
    for (id, value) in graph.values.enumerated() {
      switch value.definition {
      case .input(let index):
        locations[id] = Location(place: .input(index), layout: Layout(contiguous: value.type.shape))
      case .constant(let tensor):
        locations[id] = Location(place: .constant(tensor), layout: tensor.layout)
      case .result: break
      }
    }
    // The last node that reads each value, views counted with what they look at.
    let lastUse = lastUses()
    for (index, node) in graph.nodes.enumerated() {
      let traits = type(of: node.op).traits
      if traits.cost == .view, let view = node.op as? any ViewOp {
        try scheduleView(view, node)
        continue
      }
      var operands: [Location] = []
      for operand in node.operands {
        var location = locations[operand.id]!
        if traits.operands == .contiguous, !location.layout.isContiguous {
          location = copy(location, operand.type, node.origin)
        }
        operands.append(location)
      }
      var results: [Location] = []
      for (position, result) in node.results.enumerated() {
        if traits.inPlace, position == 0,
          let reused = reusable(node, operands, result.type, at: index, lastUse)
        {
          results.append(Location(place: .buffer(reused), layout: Layout(contiguous: result.shape)))
        } else {
          results.append(fresh(result.type))
        }
        locations[result.id] = results[position]
      }
      append(
        Step(
          op: node.op, operands: zip(node.operands, operands).map { view($1, $0.dtype) },
          results: zip(node.results, results).map { view($1, $0.dtype) }, origin: node.origin),
        operands, zip(node.results, results).map { ($1, $0.dtype) },
        operandTypes: node.operands.map(\.dtype))
    }
    // What leaves the run lives to its end.
    var leaving = graph.outputs + graph.writes.map(\.value)
    for effect in graph.effects {
      switch effect.kind {
      case .assertion(let value): leaving.append(value)
      case .report(let values, _): leaving += values
      }
    }
    for value in leaving {
      if case .buffer(let buffer)? = locations[value.id]?.place { buffers[buffer].last = steps.count }
    }
  }

  /// For each value, the last node that reads it, directly or through views; past the end for what leaves.
  private func lastUses() -> [Int] {
    var last = [Int](repeating: -1, count: graph.values.count)
    var base = Array(0..<graph.values.count)
    for (index, node) in graph.nodes.enumerated() {
      let isView = type(of: node.op).traits.cost == .view
      for operand in node.operands { last[base[operand.id]] = index }
      if isView { base[node.results[0].id] = base[node.operands[0].id] }
    }
    let end = graph.nodes.count
    for value in graph.outputs + graph.writes.map(\.value) { last[base[value.id]] = end }
    for effect in graph.effects {
      switch effect.kind {
      case .assertion(let value): last[base[value.id]] = end
      case .report(let values, _): for value in values { last[base[value.id]] = end }
      }
    }
    for id in last.indices { last[id] = last[base[id]] }
    return last
  }

  private func scheduleView(_ view: any ViewOp, _ node: Graph.Node) throws {
    let location = locations[node.operands[0].id]!
    if let layout = view.layout(of: location.layout) {
      locations[node.results[0].id] = Location(place: location.place, layout: layout)
      return
    }
    let copied = copy(location, node.operands[0].type, node.origin)
    guard let layout = view.layout(of: copied.layout) else {
      throw InternalError(
        "plan", "\(type(of: node.op).name) has no layout for a contiguous operand")
    }
    locations[node.results[0].id] = Location(place: copied.place, layout: layout)
  }

  /// A dying operand whose bytes the result may take over.
  private func reusable(
    _ node: Graph.Node, _ operands: [Location], _ type: TensorType, at index: Int, _ lastUse: [Int]
  ) -> Int? {
    for (value, location) in zip(node.operands, operands) {
      guard case .buffer(let buffer) = location.place, value.type == type,
        lastUse[value.id] == index, location.layout.isContiguous, location.layout.offset == 0,
        buffers[buffer].byteCount == type.byteCount,
        // Another operand may look at the same bytes in another order.
        !zip(node.operands, operands).contains(where: { other, place in
          if case .buffer(buffer) = place.place { place.layout != location.layout } else { false }
        })
      else { continue }
      return buffer
    }
    return nil
  }

  private func fresh(_ type: TensorType) -> Location {
    buffers.append(Buffer(byteCount: type.byteCount, first: steps.count, last: steps.count))
    return Location(place: .buffer(buffers.count - 1), layout: Layout(contiguous: type.shape))
  }

  private func copy(_ location: Location, _ type: TensorType, _ origin: Origin) -> Location {
    let result = fresh(type)
    append(
      Step(
        op: ContiguousCopy(), operands: [view(location, type.dtype)],
        results: [view(result, type.dtype)], origin: origin), [location], [(result, type.dtype)],
      operandTypes: [type.dtype])
    return result
  }

  private func append(
    _ step: Step, _ operands: [Location], _ results: [(Location, DType)], operandTypes: [DType]
  ) {
    let index = steps.count
    steps.append(step)
    for (position, location) in operands.enumerated() {
      let byteOffset = location.layout.offset * operandTypes[position].byteCount
      switch location.place {
      case .input(let input):
        patches.append(Patch(step: index, operand: position, input: input, byteOffset: byteOffset))
      case .constant: break
      case .buffer(let buffer):
        buffers[buffer].last = index
        arenaOperands.append((index, position, buffer))
      }
    }
    for (position, (location, _)) in results.enumerated() {
      if case .buffer(let buffer) = location.place {
        buffers[buffer].last = max(buffers[buffer].last, index)
        arenaResults.append((index, position, buffer))
      }
    }
  }

  /// A view whose base is an offset for now; constants have their address already.
  private func view(_ location: Location, _ dtype: DType) -> TensorView {
    let base: UnsafeMutableRawPointer
    if case .constant(let tensor) = location.place {
      base = tensor.storage.base + location.layout.offset * dtype.byteCount
    } else {
      base = UnsafeMutableRawPointer(bitPattern: 64 + location.layout.offset * dtype.byteCount)!
    }
    return TensorView(
      base: base, dtype: dtype, shape: location.layout.shape.sizes, strides: location.layout.strides)
  }

  /// Places buffers, largest first, each at the lowest offset free throughout its life.
  private func assignOffsets() {
    let order = buffers.indices.sorted {
      (buffers[$0].byteCount, $1) > (buffers[$1].byteCount, $0)
    }
    var placed: [Int] = []
    for index in order {
      let size = aligned(buffers[index].byteCount)
      var offset = 0
      // `placed` is kept in order of offsets, so one pass finds the first gap.
      for other in placed
      where buffers[other].first <= buffers[index].last && buffers[index].first <= buffers[other].last {
        if offset + size <= buffers[other].offset { break }
        offset = max(offset, buffers[other].offset + aligned(buffers[other].byteCount))
      }
      buffers[index].offset = offset
      arenaByteCount = max(arenaByteCount, offset + size)
      let position = placed.firstIndex { buffers[$0].offset > offset } ?? placed.count
      placed.insert(index, at: position)
    }
    // From buffers to byte offsets, the view's own offset included.
    arenaOperands = arenaOperands.map { entry in
      let own = Int(bitPattern: steps[entry.step].operands[entry.operand].base) - 64
      return (entry.step, entry.operand, buffers[entry.offset].offset + own)
    }
    arenaResults = arenaResults.map { ($0.step, $0.result, buffers[$0.offset].offset) }
  }

  private func aligned(_ byteCount: Int) -> Int {
    (max(byteCount, 1) + Storage.alignment - 1) / Storage.alignment * Storage.alignment
  }

  // MARK: Running

  /// What a run leaves behind, read from the arena before the next one.
  package struct Results {
    package let outputs: [Tensor]
    package let writes: [Tensor]
  }

  /// Computes everything, then hands out outputs and new values of persistent inputs.
  ///
  /// - Parameter inputs: contiguous tensors of the graph's input types.
  /// - Parameter report: called for prints of the program, in order.
  /// - Throws: `PlacedFault`, `AssertionFault`, `Interrupted`.
  package func run(
    _ inputs: [Tensor], in arena: Arena, isInterrupted: () -> Bool,
    report: (Int, [Tensor]) -> Void
  ) throws -> Results {
    arena.reserve(arenaByteCount)
    let base = arena.storage.base
    if arenaBase != base {
      for entry in arenaOperands { steps[entry.step].operands[entry.operand].base = base + entry.offset }
      for entry in arenaResults { steps[entry.step].results[entry.result].base = base + entry.offset }
      arenaBase = base
    }
    for patch in patches {
      let input = inputs[patch.input]
      steps[patch.step].operands[patch.operand].base =
        input.storage.base + (input.layout.offset * input.dtype.byteCount + patch.byteOffset)
    }
    for index in steps.indices {
      if isInterrupted() { throw Interrupted() }
      do {
        try steps[index].op.run(steps[index].operands, into: steps[index].results)
      } catch {
        throw PlacedFault(error: error, origin: steps[index].origin)
      }
    }
    for (index, effect) in graph.effects.enumerated() {
      switch effect.kind {
      case .assertion(let value):
        if tensor(value, inputs, arena).doubles().contains(0) { throw AssertionFault(effect: index) }
      case .report(let values, let slot):
        report(slot, values.map { tensor($0, inputs, arena).copied() })
      }
    }
    let results = Results(
      outputs: graph.outputs.map { tensor($0, inputs, arena).copied() },
      writes: graph.writes.map { tensor($0.value, inputs, arena) })
    withExtendedLifetime(inputs) {}
    return results
  }

  /// A value after a run; in the arena it is valid until the next one.
  private func tensor(_ value: GraphValue, _ inputs: [Tensor], _ arena: Arena) -> Tensor {
    let location = locations[value.id]!
    switch location.place {
    case .input(let index):
      let input = inputs[index]
      var layout = location.layout
      layout.offset += input.layout.offset
      return Tensor(storage: input.storage, dtype: value.dtype, layout: layout)
    case .constant(let tensor):
      return Tensor(storage: tensor.storage, dtype: value.dtype, layout: location.layout)
    case .buffer(let buffer):
      var layout = location.layout
      layout.offset += buffers[buffer].offset / value.dtype.byteCount
      return Tensor(storage: arena.storage, dtype: value.dtype, layout: layout)
    }
  }

  package var stepCount: Int { steps.count }
}

extension Tensor {
  /// The same elements on storage of their own.
  func copied() -> Tensor {
    let result = Tensor(uninitialized: type)
    let source = contiguous()
    result.storage.base.copyMemory(
      from: source.storage.base + source.layout.offset * dtype.byteCount, byteCount: type.byteCount)
    return result
  }
}
