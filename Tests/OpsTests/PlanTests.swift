import Execution
import Graphs
import Kernels
import Ops
import Passes
import Tensors
import Testing

/// A random graph made into a training step: a loss, its gradients, and updates of some of its inputs.
struct GeneratedStep {
  let graph: Graph
  let inputs: [Tensor]
  let ops: [String]
  /// New values of inputs that are told from old values of others, by input.
  let moved: [Int: Tensor]

  init(seed: Int, dtype: DType) throws {
    let generated = GeneratedGraph(seed: seed, dtype: dtype)
    let g = generated.builder
    // Inputs beside the graph's own, as an optimizer's state: two change places, one takes a third one's old value,
    // and that one is halved.
    let numbers = (0..<4).map { place in Tensor((0..<6).map { Double(10 * place + $0) }, dtype: dtype, shape: [2, 3]) }
    let first = generated.inputs.count
    let states = numbers.map { g.input($0.type) }
    inputs = generated.inputs + numbers
    ops = generated.ops
    moved = [
      first: numbers[1], first + 1: numbers[0], first + 2: numbers[3],
      first + 3: Tensor(numbers[3].doubles().map { $0 / 2 }, dtype: dtype, shape: [2, 3]),
    ]
    var loss = g.constant(0, dtype)
    for output in g.graph.outputs where output.dtype == dtype {
      // Bounded, so that gradients of large values do not drown the others.
      loss = try g.add(loss, try g.sum(try g.tanh(output), axes: Array(0..<output.rank), keepingAxes: false))
    }
    let targets = g.graph.inputs.prefix(first).filter { $0.dtype == dtype && $0.type.elementCount > 0 }
    let gradients = try pullBack(g, from: [loss], cotangents: [try g.number(1, like: loss)], to: targets)
    let factor = seed % 3 == 1 ? try GeneratedStep.clip(g, gradients.compactMap(\.self)) : nil
    for (place, (target, gradient)) in zip(targets, gradients).enumerated() {
      guard let gradient, place % 3 != 2 else { continue }
      g.origin.phase = .update
      g.graph.gradients.append((gradient, "\(place)"))
      var step = try g.multiply(gradient, try g.number(0.01, like: gradient))
      if let factor { step = try g.multiply(step, try g.broadcast(factor, to: step.shape)) }
      let new = try g.subtract(target, step)
      guard case .input(let input) = g.graph.definition(of: target) else { continue }
      g.graph.writes.append(.init(input: input, value: new))
    }
    g.origin.phase = .update
    let half = try g.multiply(states[3], try g.number(0.5, like: states[3]))
    for (place, value) in [states[1], states[0], states[3], half].enumerated() {
      g.graph.writes.append(.init(input: first + place, value: value))
    }
    // In any order: the rules must not hang on it.
    if seed % 2 == 1 { g.graph.writes.reverse() }
    g.graph.outputs.append(loss)
    graph = g.graph
  }

  /// What all gradients are scaled by so that their norm is at most 1.
  private static func clip(_ g: GraphBuilder, _ gradients: [GraphValue]) throws -> GraphValue? {
    guard let first = gradients.first else { return nil }
    var total = g.constant(0, first.dtype)
    for gradient in gradients {
      let flat = try g.reshape(gradient, to: [gradient.shape.elementCount])
      total = try g.add(total, try g.sum(try g.multiply(flat, flat), axes: [0], keepingAxes: false))
    }
    let norm = try g.add(try g.sqrt(total), g.constant(1e-6, first.dtype))
    return try g.minimum(try g.divide(g.constant(1, first.dtype), norm), g.constant(1, first.dtype))
  }

  func planned(_ passes: [Pass]) throws -> Plan {
    var graph = graph
    try Pipeline.run(passes, on: &graph)
    return try Plan(graph)
  }
}

/// What a run leaves behind, as bits.
struct Outcome: Equatable {
  var bytes: [[UInt8]] = []

  init(_ tensors: [Tensor]) {
    bytes = tensors.map { tensor in
      let tensor = tensor.contiguous()
      let start = tensor.storage.base + tensor.layout.offset * tensor.dtype.byteCount
      return Array(UnsafeRawBufferPointer(start: start, count: tensor.type.byteCount))
    }
  }
}

extension Plan {
  /// Runs on copies of tensors, and gives outputs and then the inputs as the run left them.
  func run(
    onCopiesOf inputs: [Tensor], in arena: Arena = Arena(), observer: (any RunObserver)? = nil,
    measuring: TouchRecorder? = nil
  ) throws -> (outputs: [Tensor], inputs: [Tensor], usage: MemoryUsage?) {
    let copies = inputs.map { tensor in
      let copy = Tensor(uninitialized: tensor.type)
      copy.storage.base.copyMemory(from: tensor.contiguous().storage.base, byteCount: tensor.type.byteCount)
      return copy
    }
    let bases = copies.map(\.storage.base)
    return try bases.withUnsafeBufferPointer { bases in
      let fallback = UnsafeMutableRawPointer(bitPattern: 64)!
      return try withUnsafePointer(to: fallback) { empty in
        let pointer = bases.baseAddress ?? empty
        let outputs = try run(pointer, in: arena, observer: observer ?? measuring)
        let usage = measuring.map { self.usage(measuredBy: $0, inputs: pointer, roles: []) }
        return (outputs, copies, usage)
      }
    }
  }

  func outcome(_ inputs: [Tensor], observer: (any RunObserver)? = nil, arena: Arena = Arena()) throws -> Outcome {
    let result = try run(onCopiesOf: inputs, in: arena, observer: observer)
    return Outcome(result.outputs + result.inputs)
  }
}

/// Watches that kernels write nothing but their results, and poisons memory that nobody reads any more.
final class Warden: RunObserver {
  let watchesRepetitions = false
  private var readsByStep: [[Range<UInt>]] = []
  private var writesByStep: [[Range<UInt>]] = []
  private let arena: Arena
  private let poisons: Bool
  private var before: [UInt8] = []
  private(set) var violations: [Int] = []

  /// - Parameter lessons: a warden that has seen the same plan run; what it saw last read is then poisoned.
  init(_ arena: Arena, after lessons: Warden? = nil) {
    self.arena = arena
    poisons = lessons != nil
    if let lessons { (readsByStep, writesByStep) = (lessons.readsByStep, lessons.writesByStep) }
  }

  private var arenaBytes: UnsafeMutableBufferPointer<UInt8> {
    UnsafeMutableBufferPointer(
      start: arena.storage.base.assumingMemoryBound(to: UInt8.self), count: arena.storage.byteCount)
  }

  func willRun(step: Int, reads: [TensorView], writes: [TensorView]) {
    if !poisons {
      readsByStep.append(reads.compactMap(\.touchedRange))
      writesByStep.append(writes.compactMap(\.touchedRange))
    }
    before = Array(arenaBytes)
  }

  func didRun(step: Int) {
    let start = UInt(bitPattern: arena.storage.base)
    var changed = Set<Int>()
    let now = arenaBytes
    for index in before.indices where before[index] != now[index] { changed.insert(index) }
    for range in writesByStep[step] {
      for address in range where address >= start { changed.remove(Int(address - start)) }
    }
    if !changed.isEmpty { violations.append(step) }
    if !poisons { return }
    // All of the arena that no later step reads before it is written.
    var isNeeded = [Bool](repeating: false, count: now.count)
    for later in stride(from: readsByStep.count - 1, to: step, by: -1) {
      for range in writesByStep[later] {
        for address in range where address >= start && address < start + UInt(now.count) {
          isNeeded[Int(address - start)] = false
        }
      }
      for range in readsByStep[later] {
        for address in range where address >= start && address < start + UInt(now.count) {
          isNeeded[Int(address - start)] = true
        }
      }
    }
    for index in isNeeded.indices where !isNeeded[index] { now[index] = 0xFF }
  }
}

@Suite struct PlanTests {
  @Test(arguments: 0..<100, [DType.f64, .f32])
  func passesKeepTheMeaning(_ seed: Int, _ dtype: DType) throws {
    let step = try GeneratedStep(seed: seed, dtype: dtype)
    let inputs = step.inputs.map { ReferenceTensor($0) }
    func leaving(_ graph: Graph) throws -> [[Double]] {
      let values = try evaluateReference(graph, inputs: inputs)
      return (graph.outputs + graph.writes.map(\.value)).map { values[$0.id].values }
    }
    let expected = try leaving(step.graph)
    var graph = step.graph
    for pass in Pipeline.step {
      try Pipeline.run([pass], on: &graph)
      let now = try leaving(graph)
      let isSame = zip(now, expected).allSatisfy { $0.elementsEqual($1) { $0 == $1 || ($0.isNaN && $1.isNaN) } }
      #expect(isSame, "\(pass.name) changes what the step means: \(step.ops)")
    }
  }

  @Test(arguments: 0..<100, [DType.f64, .f32])
  func bitsDependOnNeitherFusionNorThreads(_ seed: Int, _ dtype: DType) throws {
    let step = try GeneratedStep(seed: seed, dtype: dtype)
    let before = ThreadPool.threadCount
    defer { ThreadPool.threadCount = before }
    ThreadPool.threadCount = 1
    let unfused = try step.planned(Pipeline.unfusedStep).outcome(step.inputs)
    let plan = try step.planned(Pipeline.step)
    for count in [1, 2, 4] {
      ThreadPool.threadCount = count
      #expect(try plan.outcome(step.inputs) == unfused, "\(count) threads: \(step.ops)")
    }
  }

  @Test(arguments: 0..<100, [DType.f64, .f32])
  func newValuesAreToldFromOldOnes(_ seed: Int, _ dtype: DType) throws {
    let step = try GeneratedStep(seed: seed, dtype: dtype)
    for passes in [Pipeline.step, Pipeline.unfusedStep] {
      let after = try step.planned(passes).run(onCopiesOf: step.inputs).inputs
      for (input, expected) in step.moved {
        #expect(after[input].doubles() == expected.doubles(), "input \(input): \(step.ops)")
      }
    }
  }

  @Test func aStepThatIsRefusedLeavesNoTrace() throws {
    // The update needs nothing of what is refused, and stands before it in the graph.
    let g = GraphBuilder()
    let w = g.input(TensorType(.f32, [4]))
    let indices = g.input(TensorType(.i64, [1]))
    g.origin.phase = .update
    g.graph.writes.append(.init(input: 0, value: try g.multiply(w, try g.number(0.5, like: w))))
    g.origin.phase = .forward
    g.graph.outputs.append(try g.gather(w, indices: indices, axis: 0))
    for passes in [Pipeline.step, Pipeline.unfusedStep] {
      var graph = g.graph
      try Pipeline.run(passes, on: &graph)
      let plan = try Plan(graph)
      let weights = Tensor([1, 2, 3, 4], dtype: .f32, shape: [4])
      let stray = Tensor(integers: [9], shape: [1])
      var bases = [weights.storage.base, stray.storage.base]
      #expect(throws: PlacedFault.self) { try plan.run(&bases, in: Arena()) }
      #expect(weights.doubles() == [1, 2, 3, 4])
      stray.storage.base.storeBytes(of: 3, as: Int.self)
      #expect(try plan.run(&bases, in: Arena())[0].doubles() == [4])
      #expect(weights.doubles() == [0.5, 1, 1.5, 2])
    }
  }

  @Test func aStopComesBeforeTheCommitPointOrNotAtAll() throws {
    let g = GraphBuilder()
    let (w, v) = (g.input(TensorType(.f32, [4])), g.input(TensorType(.f32, [2])))
    g.graph.outputs.append(try g.sum(w, axes: [0], keepingAxes: false))
    g.origin.phase = .update
    g.graph.writes.append(.init(input: 0, value: try g.multiply(w, try g.number(2, like: w))))
    g.graph.writes.append(.init(input: 1, value: try g.multiply(v, try g.number(2, like: v))))
    var graph = g.graph
    try Pipeline.run(Pipeline.step, on: &graph)
    let plan = try Plan(graph)
    func run(_ stop: StopRequest, from step: Int) throws -> [Double] {
      let inputs = [
        Tensor([1, 1, 1, 1], dtype: .f32, shape: [4]), Tensor([1, 1], dtype: .f32, shape: [2]),
      ]
      var bases = inputs.map(\.storage.base)
      var asked = -1
      do {
        _ = try plan.run(
          &bases, in: Arena(),
          request: {
            asked += 1
            return asked >= step ? stop : .none
          })
      } catch is Torn { return [-1] }
      return inputs.flatMap { $0.doubles() }
    }
    #expect(plan.commitStep + 2 == plan.stepCount)
    for step in 0...plan.commitStep {
      #expect(throws: Interrupted.self) { try run(.soon, from: step) }
      #expect(throws: Interrupted.self) { try run(.now, from: step) }
    }
    #expect(try run(.soon, from: plan.commitStep + 1) == [2, 2, 2, 2, 2, 2])
    #expect(try run(.now, from: plan.commitStep + 1) == [-1])
  }

  @Test(arguments: 0..<100, [DType.f64, .f32])
  func plannedMemoryIsWhatKernelsTouch(_ seed: Int, _ dtype: DType) throws {
    let step = try GeneratedStep(seed: seed, dtype: dtype)
    for passes in [Pipeline.step, Pipeline.unfusedStep] {
      let plan = try step.planned(passes)
      let measured = try plan.run(onCopiesOf: step.inputs, measuring: TouchRecorder()).usage
      #expect(measured == plan.ledger.usage, "\(step.ops)")
      #expect(plan.measuredScratchByteCount == plan.ledger.scratchByteCount, "\(step.ops)")
      #expect(plan.ledger.arenaByteCount >= plan.ledger.arenaLowerBound)
    }
  }

  @Test(arguments: 0..<60)
  func nothingOutsideTheLedgerIsTouched(_ seed: Int) throws {
    let step = try GeneratedStep(seed: seed, dtype: .f32)
    let plan = try step.planned(Pipeline.step)
    let arena = Arena()
    // The first run makes the arena as large as it must be.
    let expected = try plan.outcome(step.inputs, arena: arena)
    let watching = Warden(arena)
    #expect(try plan.outcome(step.inputs, observer: watching, arena: arena) == expected)
    let poisoning = Warden(arena, after: watching)
    #expect(try plan.outcome(step.inputs, observer: poisoning, arena: arena) == expected, "\(step.ops)")
    #expect(watching.violations.isEmpty && poisoning.violations.isEmpty, "\(step.ops)")
  }

  @Test func aPlanThatIsWrongIsNoticed() throws {
    // The recorder must not take its answer from the plan: a run that reads an extra tensor is not as planned.
    let step = try GeneratedStep(seed: 3, dtype: .f32)
    let plan = try step.planned(Pipeline.step)
    let recorder = TouchRecorder()
    let stray = Tensor(uninitialized: TensorType(.f32, [100]))
    recorder.willRun(step: 0, reads: [], writes: [stray.view])
    recorder.willRun(step: 1, reads: [stray.view], writes: [])
    #expect(try plan.run(onCopiesOf: step.inputs, measuring: recorder).usage != plan.ledger.usage)
  }
}
