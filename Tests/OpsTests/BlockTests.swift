import Execution
import Graphs
import Kernels
import Ops
import Passes
import Tensors
import Testing

/// Steps with blocks in them: they run in one pass with what surrounds them, and no bit depends on that.
@Suite(.serialized) struct BlockTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Of the parameter and its state.
    let shape: Shape
    /// Where the gradient comes from.
    var gradient = Source.input
    /// The inner axis of a product.
    var inner = 40
    /// Whether the product must join the update.
    var isOnePass = false
    /// Whether new values are taken, or the old ones stay: chosen while the step runs. Nil where nothing is chosen.
    var takesNew: Bool?
    /// How often the parameter and its state are updated, each time from what the time before gave.
    var updates = 1
    enum Source { case input, product, transposed, row }
  }

  static let cases = [
    Case(testDescription: "a block", shape: [256]),
    Case(testDescription: "less than a block", shape: [5]),
    Case(testDescription: "blocks and a tail", shape: [70, 65]),
    Case(testDescription: "tiles and a tail", shape: [3, 2801]),
    Case(testDescription: "parts for threads", shape: [300, 1001]),
    Case(testDescription: "a weight's gradient", shape: [96, 70], gradient: .product, isOnePass: true),
    Case(testDescription: "a large weight's gradient", shape: [700, 300], gradient: .product),
    Case(testDescription: "rows of whole blocks", shape: [130, 512], gradient: .product, isOnePass: true),
    Case(testDescription: "a weight whose columns are cut", shape: [256, 256], gradient: .product, inner: 600),
    Case(
      testDescription: "columns cut between blocks", shape: [200, 1024], gradient: .product, inner: 300,
      isOnePass: true),
    Case(testDescription: "many rows", shape: [3000, 64], gradient: .product, inner: 100, isOnePass: true),
    Case(testDescription: "a long inner axis", shape: [64, 65], gradient: .product, inner: 5000, isOnePass: true),
    Case(testDescription: "a transposed gradient", shape: [300, 100], gradient: .transposed),
    Case(testDescription: "a gradient that is one row", shape: [33, 300], gradient: .row),
    Case(testDescription: "taken", shape: [70, 65], takesNew: true),
    Case(testDescription: "left", shape: [70, 65], takesNew: false),
    Case(testDescription: "less than a block, left", shape: [5], takesNew: false),
    Case(testDescription: "parts for threads, left", shape: [300, 1001], takesNew: false),
    Case(testDescription: "behind a product, taken", shape: [96, 70], gradient: .product, takesNew: true),
    Case(testDescription: "behind a product, left", shape: [96, 70], gradient: .product, takesNew: false),
    Case(testDescription: "three times", shape: [70, 65], updates: 3),
    Case(testDescription: "three times, taken", shape: [70, 65], takesNew: true, updates: 3),
    Case(testDescription: "three times, left", shape: [70, 65], takesNew: false, updates: 3),
  ]

  struct Step {
    let graph: Graph
    let inputs: [Tensor]

    init(_ test: Case, _ dtype: DType) throws {
      let g = GraphBuilder()
      let shape = test.shape
      var random = Random(seed: test.testDescription)
      func numbers(_ shape: Shape, squared: Bool = false) -> [Double] {
        (0..<shape.elementCount).map { _ in
          let number = random.normal()
          return squared ? number * number : number
        }
      }
      var inputs: [Tensor] = []
      func input(_ type: TensorType, squared: Bool = false) -> GraphValue {
        inputs.append(Tensor(numbers(type.shape, squared: squared), dtype: type.dtype, shape: type.shape))
        return g.input(type)
      }
      let p = input(TensorType(.f32, shape))
      let m = input(TensorType(dtype, shape))
      let v = input(TensorType(dtype, shape), squared: true)
      let rows = shape[0]
      let columns = shape.elementCount / rows
      let gradient: GraphValue
      switch test.gradient {
      case .input: gradient = input(TensorType(.f32, shape))
      case .product:
        let (x, dy) = (input(TensorType(.f32, [test.inner, rows])), input(TensorType(.f32, [test.inner, columns])))
        gradient = try g.matmul(g.transpose(x, permutation: [1, 0]), dy)
      case .transposed: gradient = try g.transpose(input(TensorType(.f32, [columns, rows])), permutation: [1, 0])
      case .row: gradient = try g.broadcast(input(TensorType(.f32, [columns])), to: shape)
      }
      func scaled(_ x: GraphValue, _ factor: Double) throws -> GraphValue {
        try g.multiply(x, g.broadcast(g.constant(factor, .f32), to: x.shape))
      }
      var condition: GraphValue?
      if let takesNew = test.takesNew {
        inputs.append(Tensor([takesNew ? 1 : 0], dtype: .bool, shape: .scalar))
        condition = g.input(TensorType(.bool, .scalar))
      }
      func chosen(_ new: GraphValue, _ old: GraphValue) throws -> GraphValue {
        guard let condition else { return new }
        if new.dtype.isBlocked { return try g.choose(condition, new, old) }
        return try g.select(g.broadcast(condition, to: shape), new, old)
      }
      g.origin.phase = .update
      var values = (p: p, m: m, v: v)
      var newM = p
      for update in 0..<test.updates {
        let gradient = update == 0 ? gradient : try scaled(gradient, 1 / Double(1 + update))
        newM = try g.add(scaled(g.cast(values.m, to: .f32), 0.9), scaled(gradient, 0.1))
        let newV = try g.add(
          scaled(g.cast(values.v, to: .f32), 0.999), scaled(g.multiply(gradient, gradient), 0.001))
        let root = try g.add(g.sqrt(newV), g.broadcast(g.constant(1e-8, .f32), to: shape))
        let step = try g.divide(newM, root)
        // State first, as optimizers do: the choice of m comes while the others are still being computed.
        values.m = try chosen(g.cast(newM, to: dtype), values.m)
        values.v = try chosen(g.cast(newV, to: dtype), values.v)
        values.p = try chosen(g.subtract(values.p, scaled(step, 0.01)), values.p)
      }
      for (input, value) in [values.p, values.m, values.v].enumerated() {
        g.graph.writes.append(.init(input: input, value: value))
      }
      if condition == nil {
        // What lies between may be rounded too, read again, and summed up.
        let rounded = try g.cast(g.cast(newM, to: dtype), to: .f32)
        let error = try g.subtract(rounded, newM)
        let axes = Array(0..<shape.rank)
        g.graph.outputs.append(try g.sum(g.multiply(error, error), axes: axes, keepingAxes: false))
        g.graph.outputs.append(rounded)
      }
      graph = g.graph
      self.inputs = inputs
    }

    func planned(_ passes: [Pass]) throws -> Plan {
      var graph = graph
      try Pipeline.run(passes, on: &graph)
      return try Plan(graph)
    }
  }

  @Test(arguments: cases, [DType.q8, .q8e4m3])
  func bitsDependOnNeitherFusionNorThreads(_ test: Case, _ dtype: DType) throws {
    let step = try Step(test, dtype)
    let before = ThreadPool.threadCount
    defer { ThreadPool.threadCount = before }
    ThreadPool.threadCount = 1
    let unfused = try step.planned(Pipeline.unfusedStep).outcome(step.inputs)
    let plan = try step.planned(Pipeline.step)
    if test.isOnePass { #expect(plan.ledger.steps.contains { $0.op.hasPrefix("matmul cast") }) }
    // No pass is only there to choose, unless a product stands before the chain.
    if test.gradient != .product { #expect(!plan.ledger.steps.contains { $0.op == "choose" }) }
    for count in [1, 2, 4] {
      ThreadPool.threadCount = count
      let isSame = try plan.outcome(step.inputs) == unfused
      #expect(isSame, "\(count) threads")
    }
  }

  @Test(arguments: cases, [DType.q8, .q8e4m3])
  func plannedMemoryIsWhatKernelsTouch(_ test: Case, _ dtype: DType) throws {
    let step = try Step(test, dtype)
    for passes in [Pipeline.step, Pipeline.unfusedStep] {
      let plan = try step.planned(passes)
      let measured = try plan.run(onCopiesOf: step.inputs, measuring: TouchRecorder()).usage
      #expect(measured == plan.ledger.usage)
      #expect(plan.measuredScratchByteCount == plan.ledger.scratchByteCount)
    }
  }

  /// What is left has the bytes that it had, in fused steps and others, and with all that lies between.
  @Test(arguments: cases.filter { $0.takesNew == false }, [DType.q8, .q8e4m3])
  func whatIsLeftKeepsItsBytes(_ test: Case, _ dtype: DType) throws {
    let step = try Step(test, dtype)
    for passes in [Pipeline.step, Pipeline.unfusedStep] {
      let after = try step.planned(passes).run(onCopiesOf: step.inputs).inputs
      for (old, new) in zip(step.inputs, after) { expectBytes(new, old) }
    }
  }

  /// Chosen state lies where it lay: with its choices an update is one pass, which takes no memory.
  @Test func choicesTakeNoMemory() throws {
    let step = try Step(Case(testDescription: "chosen", shape: [300, 1001], takesNew: true), .q8)
    let plan = try step.planned(Pipeline.step)
    #expect(plan.ledger.arenaByteCount == 0)
    #expect(plan.ledger.steps.map(\.op).filter { $0 != "results" }.count == 1)
  }

  /// All bins of the kernel's tables, and numbers about their edges and about the boundaries between codes.
  @Test(arguments: [false, true])
  func kernelsFindTheNearestCodes(_ isSigned: Bool) throws {
    let map = isSigned ? DynamicMap.signed : .unsigned
    var ratios = map.boundaries.flatMap { [$0.nextDown, $0, $0.nextUp] } + map.values.map(\.magnitude)
    for bin in UInt32(0)...0x3F80 {
      let start = Float(bitPattern: bin << 16)
      ratios += [start, start.nextUp, max(start.nextDown, 0)].filter { $0 <= 1 }
    }
    // Each block holds a 1, so that its ratios are its numbers; and with signs all of them with either.
    for scale in [1, 0x1p-100, 0x1p-146, 0x1p100] as [Float] {
      for sign in isSigned ? [1, -1] : [1] as [Float] {
        var numbers: [Float] = []
        for start in stride(from: 0, to: ratios.count, by: 250) {
          let block = ratios[start..<min(start + 250, ratios.count)].map { $0 * sign }
          let rest = [Float](repeating: isSigned ? -0.5 : 0.5, count: 255 - block.count)
          numbers += [1] + block + rest
        }
        numbers = numbers.map { $0 * scale }
        try expectDefinition(numbers, .q8)
      }
    }
  }

  /// Checks that the kernel writes the bytes of the definition.
  private func expectDefinition(_ numbers: [Float], _ dtype: DType) throws {
    let operand = Tensor(numbers.map(Double.init), dtype: .f32, shape: [numbers.count])
    let kernel = try run(Cast(to: dtype), [operand], poison: 0xFF)[0]
    let definition = Tensor(numbers.map(Double.init), dtype: dtype, shape: [numbers.count])
    expectBytes(kernel, definition)
  }

  /// Compares outside of the expectation, which would take minutes to describe how long arrays differ.
  private func expectBytes(_ actual: Tensor, _ expected: Tensor, sourceLocation: SourceLocation = #_sourceLocation) {
    let place = zip(bytes(actual), bytes(expected)).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    #expect(actual.type == expected.type && place == nil, "the first byte that differs", sourceLocation: sourceLocation)
  }

  private func bytes(_ tensor: Tensor) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: tensor.storage.base, count: tensor.type.byteCount))
  }

  /// All numbers of f8e4m3, what lies halfway between two and just beside; in blocks whose scale is a power of two, so
  /// that the ratios are these, and in others.
  @Test(arguments: [1, 0x1p-100, 0x1p-126, 0x1p-133, 0x1p-140, 0x1p119, 0.7, 1e-37] as [Float])
  func kernelsFindTheNearestFloats(_ scale: Float) throws {
    let values = (0...0x7E).map { Float8.e4m3.value(of: $0) }
    let halves = zip(values, values.dropFirst()).map { ($0 + $1) / 2 }
    let ratios = values + (values + halves).flatMap { [$0.nextDown, $0, $0.nextUp] }.filter { $0 <= 448 }
    var numbers: [Float] = []
    for start in stride(from: 0, to: ratios.count, by: 127) {
      let part = ratios[start..<min(start + 127, ratios.count)]
      numbers += [448] + part + part.map { -$0 } + [Float](repeating: 3, count: 255 - 2 * part.count)
    }
    try expectDefinition(numbers.map { $0 * scale }, .q8e4m3)
    // A tail of its own, and a block of one.
    try expectDefinition(numbers.dropLast(100).map { $0 * scale }, .q8e4m3)
    try expectDefinition([-3 * scale], .q8e4m3)
  }

  /// Blocks of zeros are bytes 0. What is no number, or infinite, spoils its own block alone. A 0 with a sign makes no block
  /// one with signs.
  @Test(arguments: [DType.q8, .q8e4m3])
  func blocksKeepTheirRules(_ dtype: DType) throws {
    let zeros = Tensor([Double](repeating: -0.0, count: 300), dtype: dtype, shape: [300])
    #expect(bytes(zeros).allSatisfy { $0 == 0 })
    try expectDefinition([Float](repeating: -0.0, count: 300), dtype)
    try expectDefinition([0.5, -0.0, 1, 0.3, 0], dtype)
    for bad in [Float.nan, .infinity, -.infinity] {
      var numbers = [Float](repeating: 2, count: 600)
      numbers[300] = bad
      try expectDefinition(numbers, dtype)
      let back = Tensor(numbers.map(Double.init), dtype: dtype, shape: [600]).doubles()
      let places = back.indices.filter { back[$0].isNaN }
      #expect(places == Array(256..<512))
    }
  }

  /// However small or large the greatest of a block: nothing finite comes back as no number, nor further off than rounding
  /// to f8e4m3 takes it.
  @Test func blocksOfFloatsHoldAllSizes() throws {
    let ones = Tensor([Double](repeating: 1, count: 256), dtype: .q8e4m3, shape: [256])
    #expect(bytes(ones)[4...].allSatisfy { $0 == 0x7E })
    #expect(ones.doubles().allSatisfy { abs($0 - 1) < 1e-7 })
    for exponent in -149...127 {
      for significand in [1, 1.3, 1.6, 1.9999999] as [Float] {
        let greatest = significand * Float(sign: .plus, exponent: exponent, significand: 1)
        let numbers = [greatest, -greatest, greatest / 3, 0]
        try expectDefinition(numbers, .q8e4m3)
        let back = Tensor(numbers.map(Double.init), dtype: .q8e4m3, shape: [4]).doubles()
        // Half of the distance between two f8e4m3; and what lies under the least scale comes in steps of 2^-135.
        for (a, b) in zip(back, numbers) {
          #expect(abs(a - Double(b)) <= Double(b.magnitude) / 15 + Double(greatest) * 0x1p-10 / 448 + 0x1p-136)
        }
      }
    }
  }

  /// The bound of research: half a gap of the top decade, and nothing beyond it.
  @Test func numbersComeBackWithinHalfAGap() throws {
    var random = Random(seed: "gaps")
    let numbers = (0..<10_000).map { _ in random.normal() }
    let back = Tensor(numbers, dtype: .q8, shape: [numbers.count]).doubles()
    for start in stride(from: 0, to: numbers.count, by: 256) {
      let block = start..<min(start + 256, numbers.count)
      let greatest = block.map { numbers[$0].magnitude }.max()!
      for index in block { #expect((back[index] - numbers[index]).magnitude <= 0.00704 * greatest) }
    }
  }
}
