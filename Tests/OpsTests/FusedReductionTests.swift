import Graphs
import Kernels
import Ops
import Passes
import Tensors
import Testing

/// A reduction that runs a chain as it reads gives what the two give one after the other.
@Suite(.serialized) struct FusedReductionTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let shape: Shape
    let axes: [Int]
    /// What the reduction sees.
    var seen: Shape?
    var testDescription: String { "\(shape) over \(axes)\(seen.map { " as \($0)" } ?? "")" }
  }

  /// One for each way through an operand, and for each way of cutting it.
  static let cases = [
    Case(shape: [300, 701], axes: [0]), Case(shape: [20_000, 10], axes: [0]),
    Case(shape: [2003, 80], axes: [0]), Case(shape: [64, 3, 50], axes: [1]),
    Case(shape: [5, 7, 130], axes: [0, 2]), Case(shape: [70_001], axes: [0]),
    Case(shape: [400, 401], axes: [0, 1]), Case(shape: [200, 400], axes: [1]),
    Case(shape: [1000, 10], axes: [1]), Case(shape: [3, 9000], axes: [1]),
    Case(shape: [17, 2000], axes: [1]), Case(shape: [40, 5, 43, 47], axes: [0, 2, 3]),
    Case(shape: [6, 1, 40], axes: [1]), Case(shape: [2, 3], axes: []), Case(shape: [7], axes: [0]),
    Case(shape: [300, 350], axes: [0], seen: [105_000]), Case(shape: [12, 70], axes: [1], seen: [7, 120]),
  ]

  @Test(arguments: cases, [DType.f32, .f64, .i64, .i32, .u8, .bool])
  func bitsAreThoseOfTheTwo(_ test: Case, _ dtype: DType) throws {
    let chain = chain(of: dtype, test.shape)
    let made = chain.members[1].type.dtype
    let reductions: [any Reduction] = [
      Sum(axes: test.axes, keep: false), Mean(axes: test.axes, keep: true),
      Max(axes: test.axes, keep: false), Product(axes: test.axes, keep: false),
      AnyTrue(axes: test.axes, keep: false),
    ].filter { type(of: $0).dtypes.contains(dtype) }
    let operands = [wave(test.shape, dtype: dtype), wave(test.shape, dtype: dtype)]
    for way in [nil] + Arrangement.allCases.map(Optional.some) {
      let first = way?.apply(to: operands[0]) ?? operands[0]
      let second = way == nil ? flattened(operands[1], along: 0) : operands[1]
      for reduction in reductions {
        try check(chain, reduction, TensorType(made, test.seen ?? test.shape), [first, second])
      }
    }
  }

  /// Tiles are then as short as a row of lanes allows.
  @Test(arguments: [Case(shape: [40, 700], axes: [0]), Case(shape: [3, 5000], axes: [1])])
  func manyOperands(_ test: Case) throws {
    let type = TensorType(.f64, test.shape)
    let chain = ElementwiseChain(
      operandTypes: Array(repeating: type, count: 20),
      members: (0..<19).map { index in
        ElementwiseChain.Member(
          op: Add(), sources: [index == 0 ? .operand(0) : .instruction(index - 1), .operand(index + 1)],
          type: type, origin: Origin(site: nil))
      }, results: [18])
    try check(
      chain, Sum(axes: test.axes, keep: false), type,
      (0..<20).map { _ in wave(test.shape, dtype: .f64) })
  }

  @Test(arguments: [[0, 3], [3, 0], [0]] as [Shape])
  func nothingIsReduced(_ shape: Shape) throws {
    for axis in shape.sizes.indices {
      try check(
        chain(of: .f32, shape), Sum(axes: [axis], keep: false), TensorType(.f32, shape),
        [wave(shape), wave(shape)])
    }
  }

  /// Half-precision gradients are widened on the way to their norm.
  @Test func castsAreTakenAlong() throws {
    let shape: Shape = [300, 350]
    let (half, single) = (TensorType(.f16, shape), TensorType(.f32, shape))
    let chain = ElementwiseChain(
      operandTypes: [half],
      members: [
        .init(op: Cast(to: .f32), sources: [.operand(0)], type: single, origin: Origin(site: nil)),
        .init(
          op: Multiply(), sources: [.instruction(0), .instruction(0)], type: single,
          origin: Origin(site: nil)),
      ], results: [1])
    try check(chain, Sum(axes: [0, 1], keep: false), single, [wave(shape, dtype: .f16)])
  }

  @Test func theFirstRefusalIsNamed() throws {
    let shape: Shape = [2000, 50]
    var numbers = [Int](repeating: 1, count: shape.elementCount)
    // Met in another order by a reduction over rows, and by several threads.
    for position in [99_999, 40_007, 40_049, 70_000] { numbers[position] = .max }
    let tensor = Tensor(integers: numbers, shape: shape)
    let type = TensorType(.i64, shape)
    let chain = ElementwiseChain(
      operandTypes: [type],
      members: [
        .init(op: Negate(), sources: [.operand(0)], type: type, origin: Origin(site: nil)),
        .init(
          op: Multiply(), sources: [.instruction(0), .instruction(0)], type: type,
          origin: Origin(site: nil)),
      ], results: [1])
    func fault(_ op: any TensorOp) -> KernelFault? {
      do { _ = try run(op, [tensor], poison: 0) } catch { return error as? KernelFault }
      return nil
    }
    let expected = try #require(fault(FusedElementwise(chain)))
    #expect(expected.message.contains("multiply(-9223372036854775807, -9223372036854775807)"))
    #expect(expected.message.hasSuffix("at index [800, 7]"))
    for axes in [[0], [1], [0, 1]] {
      let fused = FusedReduction(chain, Sum(axes: axes, keep: false), of: type, origin: Origin(site: nil))
      #expect(fused.mayRefuse([type]))
      let found = try #require(fault(fused))
      #expect(found.message == expected.message && found.member == 1)
    }
  }

  @Test func theReductionRefusesForItself() throws {
    let type = TensorType(.i64, [2])
    let chain = ElementwiseChain(
      operandTypes: [type],
      members: [.init(op: Abs(), sources: [.operand(0)], type: type, origin: Origin(site: nil))],
      results: [0])
    let fused = FusedReduction(chain, Sum(axes: [0], keep: false), of: type, origin: Origin(site: nil))
    #expect(throws: KernelFault.self) {
      try run(fused, [Tensor(integers: [.max, .max], shape: [2])], poison: 0)
    }
  }

  // MARK: In graphs

  /// The reductions that took a chain along, in the plan of a graph.
  private func fused(
    _ build: (GraphBuilder, GraphValue, GraphValue) throws -> [GraphValue]
  ) throws -> [String] {
    let g = GraphBuilder()
    let x = g.input(TensorType(.f32, [8, 16]))
    let y = g.input(TensorType(.f32, [8, 16]))
    g.graph.outputs = try build(g, x, y)
    var graph = g.graph
    try Pipeline.run(Pipeline.step, on: &graph)
    return graph.nodes.compactMap { ($0.op as? FusedReduction)?.summary }
  }

  @Test func aMeanSquareIsOneNode() throws {
    let found = try fused { g, x, y in
      let difference = try g.subtract(x, y)
      return [try g.mean(try g.multiply(difference, difference), axes: [0, 1], keepingAxes: false)]
    }
    #expect(found == ["subtract multiply mean"])
  }

  @Test func aReshapeBetweenIsNoHindranceAndATransposeIs() throws {
    let reshaped = try fused { g, x, y in
      [try g.sum(try g.reshape(try g.multiply(x, y), to: [128]), axes: [0], keepingAxes: false)]
    }
    #expect(reshaped == ["multiply sum"])
    let transposed = try fused { g, x, y in
      let turned = try g.transpose(try g.multiply(x, y), permutation: [1, 0])
      return [try g.sum(turned, axes: [0], keepingAxes: false)]
    }
    #expect(transposed.isEmpty)
  }

  @Test func whatOthersReadStays() throws {
    let left = try fused { g, x, y in
      let product = try g.multiply(x, y)
      return [product, try g.sum(product, axes: [0], keepingAxes: false)]
    }
    #expect(left.isEmpty)
    let readTwice = try fused { g, x, y in
      let product = try g.multiply(x, y)
      return [
        try g.sum(product, axes: [0], keepingAxes: false),
        try g.maximumReduce(product, axes: [1], keepingAxes: false),
      ]
    }
    #expect(readTwice.isEmpty)
  }

  /// The square under a norm leaves the chain that makes the gradient: what it reads is written anyway.
  @Test func theEndOfAChainLeavesIt() throws {
    let found = try fused { g, x, y in
      let gradient = try g.multiply(x, try g.tanh(y))
      return [gradient, try g.sum(try g.multiply(gradient, gradient), axes: [0, 1], keepingAxes: false)]
    }
    #expect(found == ["multiply sum"])
  }

  @Test func generatedStepsHaveThem() throws {
    var count = 0
    for seed in 0..<100 {
      var graph = try GeneratedStep(seed: seed, dtype: .f32).graph
      try Pipeline.run(Pipeline.step, on: &graph)
      count += graph.nodes.count { $0.op is FusedReduction }
    }
    #expect(count > 100, "\(count)")
  }

  // MARK: Helpers

  /// Two members on two operands, none of which refuses anything.
  private func chain(of dtype: DType, _ shape: Shape) -> ElementwiseChain {
    let type = TensorType(dtype, shape)
    let ops: [any ElementwiseOp] =
      dtype.isFloating
      ? [Multiply(), Subtract()] : dtype == .bool ? [Equal(), LogicalOr()] : [Maximum(), Minimum()]
    return ElementwiseChain(
      operandTypes: [type, type],
      members: [
        .init(op: ops[0], sources: [.operand(0), .operand(1)], type: type, origin: Origin(site: nil)),
        .init(op: ops[1], sources: [.instruction(0), .operand(1)], type: type, origin: Origin(site: nil)),
      ], results: [1])
  }

  private func check(
    _ chain: ElementwiseChain, _ reduction: any Reduction, _ seen: TensorType, _ operands: [Tensor]
  ) throws {
    let before = ThreadPool.threadCount
    defer { ThreadPool.threadCount = before }
    let fused = FusedReduction(chain, reduction, of: seen, origin: Origin(site: nil))
    ThreadPool.threadCount = 1
    let whole = try run(FusedElementwise(chain), operands, poison: 0xFF)[0]
    let reshaped = Tensor(storage: whole.storage, dtype: whole.dtype, layout: Layout(contiguous: seen.shape))
    let expected = Outcome(try run(reduction, [reshaped], poison: 0xFF))
    for count in [1, 2, 4] {
      ThreadPool.threadCount = count
      let types = try fused.resultTypes(of: operands.map(\.type))
      let announced = fused.scratchByteCount(
        operands.map(\.view), types.map { Tensor(uninitialized: $0).view })
      Scratch.resetHighWater()
      let result = try run(fused, operands, poison: 0xFF)
      #expect(Scratch.highWater == announced)
      #expect(Outcome(result) == expected, "\(type(of: reduction).name), \(count) threads")
    }
  }
}
