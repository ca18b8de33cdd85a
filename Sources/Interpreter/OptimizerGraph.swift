import Graphs
import Ops
import Passes
import Support
import Tensors

extension Interpreter {
  /// `graph(opt)`: what one update of an optimizer is made of, and how many passes over memory it takes.
  ///
  /// The update is traced for a matrix. Work on single numbers, such as bias corrections, is no pass.
  func printGraph(of optimizer: OptimizerValue, at site: Site) throws(Failure) {
    let shape: Shape = [64, 64]
    let zeros = Tensor.zeros(TensorType(optimizer.hasRounding ? .bf16 : .f32, shape))
    let parameter = ModelParameter(zeros, isBuffer: false, made: site)
    let trace = Trace(self, isStep: true)
    let outer = (self.trace, isCapturing)
    (self.trace, isCapturing) = (trace, true)
    defer {
      trace.finish()
      (self.trace, isCapturing) = outer
    }
    do {
      trace.phase = .update
      trace.setOrigin(site)
      _ = trace.track(parameter)
      let gradient = trace.builder.input(zeros.type)
      try update([(ParameterPath(path: "p", parameter: parameter), gradient)], optimizer, trace, tests: trace.tests, at: site)
      var graph = trace.builder.graph
      for (id, value) in trace.parameterWrites {
        graph.writes.append(.init(input: trace.inputIndex(of: trace.parameters[id]!), value: value))
      }
      for write in trace.stateWrites { graph.writes.append(.init(input: write.input, value: write.value)) }
      try Pipeline.run(Pipeline.simplification + [Pipeline.materialize, Pipeline.duplicate, Pipeline.fusion], on: &graph)
      let passes = graph.nodes.filter { node in
        !node.isView && (node.operands + node.results).contains { $0.type.elementCount >= shape.elementCount }
      }
      let states = optimizer.slot(for: parameter)?.stateNames ?? []
      output.write(
        "\(optimizer.definition.name): \(passes.count) pass\(passes.count == 1 ? "" : "es") over p, g"
          + states.map { ", " + $0 }.joined() + "\n")
      for node in passes {
        let summary = (node.op as? any FusedOp)?.summary ?? type(of: node.op).name
        output.write("  \(summary)\n")
      }
    } catch {
      throw Failure.from(error, at: site)
    }
  }
}
