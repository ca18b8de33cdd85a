import Execution
import Graphs
import Kernels
import Ops
import Passes
import Tensors
import Testing

/// Steps with blocks of q8 in them: they run in one pass with what surrounds them, and no bit depends on that.
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
  ]

  struct Step {
    let graph: Graph
    let inputs: [Tensor]

    init(_ test: Case) throws {
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
      let m = input(TensorType(.q8, shape))
      let v = input(TensorType(.q8, shape), squared: true)
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
      g.origin.phase = .update
      let newM = try g.add(scaled(g.cast(m, to: .f32), 0.9), scaled(gradient, 0.1))
      let newV = try g.add(scaled(g.cast(v, to: .f32), 0.999), scaled(g.multiply(gradient, gradient), 0.001))
      let root = try g.add(g.sqrt(newV), g.broadcast(g.constant(1e-8, .f32), to: shape))
      let step = try g.divide(newM, root)
      g.graph.writes.append(.init(input: 0, value: try g.subtract(p, scaled(step, 0.01))))
      g.graph.writes.append(.init(input: 1, value: try g.cast(newM, to: .q8)))
      g.graph.writes.append(.init(input: 2, value: try g.cast(newV, to: .q8)))
      // What lies between may be rounded too, read again, and summed up.
      let rounded = try g.cast(g.cast(newM, to: .q8), to: .f32)
      let error = try g.subtract(rounded, newM)
      let axes = Array(0..<shape.rank)
      g.graph.outputs.append(try g.sum(g.multiply(error, error), axes: axes, keepingAxes: false))
      g.graph.outputs.append(rounded)
      graph = g.graph
      self.inputs = inputs
    }

    func planned(_ passes: [Pass]) throws -> Plan {
      var graph = graph
      try Pipeline.run(passes, on: &graph)
      return try Plan(graph)
    }
  }

  @Test(arguments: cases)
  func bitsDependOnNeitherFusionNorThreads(_ test: Case) throws {
    let step = try Step(test)
    let before = ThreadPool.threadCount
    defer { ThreadPool.threadCount = before }
    ThreadPool.threadCount = 1
    let unfused = try step.planned(Pipeline.unfusedStep).outcome(step.inputs)
    let plan = try step.planned(Pipeline.step)
    if test.isOnePass { #expect(plan.ledger.steps.contains { $0.op.hasPrefix("matmul cast") }) }
    for count in [1, 2, 4] {
      ThreadPool.threadCount = count
      #expect(try plan.outcome(step.inputs) == unfused, "\(count) threads")
    }
  }

  @Test(arguments: cases)
  func plannedMemoryIsWhatKernelsTouch(_ test: Case) throws {
    let step = try Step(test)
    for passes in [Pipeline.step, Pipeline.unfusedStep] {
      let plan = try step.planned(passes)
      let measured = try plan.run(onCopiesOf: step.inputs, measuring: TouchRecorder()).usage
      #expect(measured == plan.ledger.usage)
      #expect(plan.measuredScratchByteCount == plan.ledger.scratchByteCount)
    }
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
        let operand = Tensor(numbers.map(Double.init), dtype: .f32, shape: [numbers.count])
        let kernel = try run(Cast(to: .q8), [operand], poison: 0xFF)[0]
        let definition = Tensor(numbers.map(Double.init), dtype: .q8, shape: [numbers.count])
        let byteCount = kernel.type.byteCount
        #expect(
          Array(UnsafeRawBufferPointer(start: kernel.storage.base, count: byteCount))
            == Array(UnsafeRawBufferPointer(start: definition.storage.base, count: byteCount)))
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
