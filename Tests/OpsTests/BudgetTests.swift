import Execution
import Graphs
import Kernels
import Ops
import Passes
import Tensors
import Testing

/// A training step of a deep network of blocks: products, normalisation, dropout, residual sums.
struct DeepStep {
  let graph: Graph
  let inputs: [Tensor]

  init(blocks: Int, rows: Int, width: Int) throws {
    let g = GraphBuilder()
    var tensors: [Tensor] = []
    func input(_ shape: Shape, _ scale: Double) -> GraphValue {
      let count = shape.elementCount
      let numbers = (0..<count).map { Double(($0 * 7919 + tensors.count * 104_729) % 211 - 105) / 105 * scale }
      tensors.append(Tensor(numbers, dtype: .f32, shape: shape))
      return g.input(TensorType(.f32, shape))
    }
    var x = input([rows, width], 1)
    let key = g.input(TensorType(.i64, [2]))
    tensors.append(Tensor(integers: [3, 5], shape: [2]))
    var parameters: [GraphValue] = []
    for _ in 0..<blocks {
      let expand = input([width, 4 * width], 0.2)
      let contract = input([4 * width, width], 0.2)
      parameters += [expand, contract]
      var h = try g.matmul(x, expand)
      h = try g.multiply(h, try g.sigmoid(h))
      let drawn = try g.emit(try Uniform(shape: h.shape, ordinal: g.nextOrdinal()), key)
      h = try g.select(try g.less(drawn, try g.number(0.75, like: drawn)), h, try g.zeros(like: h))
      x = try g.add(x, try g.tanh(try g.matmul(h, contract)))
    }
    let loss = try g.sum(try g.multiply(x, x), axes: [0, 1], keepingAxes: false)
    let gradients = try pullBack(g, from: [loss], cotangents: [try g.number(1, like: loss)], to: parameters)
    g.origin.phase = .update
    for (parameter, gradient) in zip(parameters, gradients) {
      guard let gradient, case .input(let index) = g.graph.definition(of: parameter) else { continue }
      g.graph.gradients.append((gradient, "\(index)"))
      let step = try g.multiply(gradient, try g.number(0.001, like: gradient))
      g.graph.writes.append(.init(input: index, value: try g.subtract(parameter, step)))
    }
    g.graph.outputs = [loss]
    graph = g.graph
    inputs = tensors
  }

  func planned(_ checkpointing: Checkpointing) throws -> Plan {
    var graph = graph
    try Pipeline.run(Pipeline.step(checkpointing), on: &graph)
    return try Plan(graph)
  }
}

@Suite struct BudgetTests {
  @Test(arguments: 0..<100)
  func anyScheduleHasTheSameBits(_ seed: Int) throws {
    let step = try GeneratedStep(seed: seed, dtype: .f32)
    let expected = try step.planned(Pipeline.step).outcome(step.inputs)
    let frontier = try Frontier(StepDraft(step.graph, inputs: []), .standard)
    #expect(frontier.choices.last?.checkpointing == Checkpointing.none)
    var simplified = step.graph
    try Pipeline.run(Pipeline.simplification, on: &simplified)
    let chain = StageChain(simplified, .standard)
    let points = chain.frontier.indices
    let policies =
      [.selective, .squareRoot, .every(2), .full] + frontier.choices.map(\.checkpointing)
      + stride(from: 0, to: points.count, by: max(1, points.count / 6)).map { .planned(chain.recomputation($0)) }
    for policy in policies as [Checkpointing] {
      let plan = try step.planned(Pipeline.step(policy))
      #expect(try plan.outcome(step.inputs) == expected, "\(policy): \(step.ops)")
      let measured = try plan.run(onCopiesOf: step.inputs, measuring: TouchRecorder()).usage
      #expect(measured == plan.ledger.usage, "\(policy): \(step.ops)")
    }
  }

  @Test func everyPointOfAFrontierIsAsPlanned() throws {
    let step = try DeepStep(blocks: 9, rows: 48, width: 16)
    let expected = try step.planned(.none).outcome(step.inputs)
    let frontier = try Frontier(StepDraft(step.graph, inputs: []), .standard)
    #expect(frontier.choices.count > 12)
    #expect(frontier.stageCount > 9)
    for choice in frontier.choices {
      let plan = try step.planned(choice.checkpointing)
      #expect(plan.totalByteCount(threads: frontier.threadCount) == choice.totalBytes)
      #expect(plan.ledger.peak == choice.peakBytes)
      #expect(frontier.lowerBound.bytes <= choice.totalBytes)
      #expect(try plan.outcome(step.inputs) == expected)
      let measured = try plan.run(onCopiesOf: step.inputs, measuring: TouchRecorder()).usage
      #expect(measured == plan.ledger.usage)
      #expect(plan.measuredScratchByteCount == plan.ledger.scratchByteCount)
    }
    // Copies of copies: something runs more than twice where memory is short.
    #expect(frontier.choices[0].products.rebuilt > frontier.choices[0].products.all)
  }

  /// 50 budgets from all that the step takes down to the least that was found.
  @Test func smallerBudgetsNeverTakeMoreNorLargerOnesLonger() throws {
    let step = try DeepStep(blocks: 12, rows: 64, width: 16)
    let frontier = try Frontier(StepDraft(step.graph, inputs: []), .standard)
    let (most, least) = (frontier.plain.totalBytes, frontier.choices[0].totalBytes)
    var before: Frontier.Candidate?
    var different = Set<Int>()
    for number in 0..<50 {
      let budget = most - (most - least) * number / 49
      guard let choice = frontier.choice(within: budget) else {
        Issue.record("nothing within \(budget), though \(least) was found")
        continue
      }
      #expect(choice.totalBytes <= budget)
      let plan = try step.planned(choice.checkpointing)
      #expect(plan.totalByteCount(threads: frontier.threadCount) == choice.totalBytes)
      if let before {
        #expect(choice.totalBytes <= before.totalBytes && choice.peakBytes <= before.peakBytes)
        #expect(choice.seconds >= before.seconds)
      }
      before = choice
      different.insert(choice.totalBytes)
    }
    #expect(different.count > 12)
    #expect(frontier.choice(within: least - 1) == nil)
  }

  @Test func plansOfTheirOwnBeatFixedPolicies() throws {
    let step = try DeepStep(blocks: 16, rows: 64, width: 16)
    let frontier = try Frontier(StepDraft(step.graph, inputs: []), .standard)
    let own = frontier.choices.filter { if case .planned = $0.checkpointing { true } else { false } }
    for policy in [.squareRoot, .every(2), .every(3), .full] as [Checkpointing] {
      let plan = try step.planned(policy)
      let choice = own.last { $0.totalBytes <= plan.totalByteCount(threads: frontier.threadCount) }
      #expect(choice.map { $0.seconds < plan.seconds(.standard) } == true, "\(policy)")
    }
  }
}
