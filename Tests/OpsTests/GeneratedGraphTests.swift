import Execution
import Graphs
import Ops
import Passes
import Tensors
import Testing

/// Random graphs mean the same to the reference evaluator, to single ops run one by one, to a plan, and to
/// a plan of the simplified graph.
@Suite struct GeneratedGraphTests {
  @Test(arguments: 0..<60, [DType.f64, .f32])
  func evaluatorsAgree(_ seed: Int, _ dtype: DType) throws {
    let generated = GeneratedGraph(seed: seed, dtype: dtype)
    var graph = generated.builder.graph
    let expected = try evaluateReference(graph, inputs: generated.inputs.map { ReferenceTensor($0) })
    let outputs = graph.outputs.map { expected[$0.id] }

    expect(outputs, try runOneByOne(graph, generated.inputs), "op by op", generated)
    let arena = Arena()
    var prepared = graph
    try Pipeline.run([Pipeline.materialize], on: &prepared)
    let plan = try Plan(prepared)
    expect(outputs, try plan.run(onCopiesOf: generated.inputs, in: arena).outputs, "planned", generated)
    // Once more over what the first run left in the arena.
    expect(outputs, try plan.run(onCopiesOf: generated.inputs, in: arena).outputs, "planned, again", generated)

    try Pipeline.run(Pipeline.step, on: &graph)
    expect(
      outputs, try Plan(graph).run(onCopiesOf: generated.inputs).outputs, "after all passes", generated)
    let simplified = try evaluateReference(
      graph, inputs: generated.inputs.map { ReferenceTensor($0) })
    for (a, e) in zip(graph.outputs, outputs) { #expect(simplified[a.id].values == e.values) }
  }

  @Test func graphsReachMostOps() {
    let used = Set((0..<60).flatMap { GeneratedGraph(seed: $0, dtype: .f64).ops })
    print("generated graphs use \(used.count) of \(OpCatalog.all.count) ops")
    #expect(
      used.count > OpCatalog.all.count * 2 / 3,
      "unused: \(OpCatalog.all.map { $0.name }.filter { !used.contains($0) })")
  }

  private func runOneByOne(_ graph: Graph, _ inputs: [Tensor]) throws -> [Tensor] {
    var known: [Int: Tensor] = [:]
    for (value, tensor) in zip(graph.inputs, inputs) { known[value.id] = tensor }
    let evaluator = EagerEvaluator()
    for node in graph.nodes {
      let results = try evaluator.evaluate(node.op, node.operands.map { known[$0.id]! })
      for (value, tensor) in zip(node.results, results) { known[value.id] = tensor }
    }
    return graph.outputs.map { known[$0.id]! }
  }

  private func expect(
    _ expected: [ReferenceTensor], _ actual: [Tensor], _ way: String, _ generated: GeneratedGraph
  ) {
    #expect(actual.map(\.type) == expected.map(\.type))
    for (index, (a, e)) in zip(actual, expected).enumerated() {
      let scale = e.values.reduce(0) { max($0, $1.magnitude) }
      let bound = a.dtype.isFloating ? generated.tolerance * scale : 0
      let worst = zip(a.doubles(), e.values).reduce(0) { max($0, ($1.0 - $1.1).magnitude) }
      if !(worst <= bound) {
        Issue.record("\(way): output \(index), \(a.type), is off by \(worst) of \(scale); \(generated.ops)")
      }
    }
  }
}
