import Execution
import Graphs
import Kernels
import Ops
import Passes
import Tensors
import Testing

/// Ops of f32 that read and write 16 bits give the bits of conversions before and behind them.
@Suite(.serialized) struct NarrowedTests {
  static let cases = (OpCase.all + OpCase.large).filter { $0.dtype == .f32 && $0.op is any NarrowingOp.Type }

  @Test(arguments: cases)
  func bitsAreThoseOfConversions(_ test: OpCase) throws {
    let before = ThreadPool.threadCount
    defer { ThreadPool.threadCount = before }
    for dtype in [DType.f16, .bf16] {
      for isTransposed in [false, true] {
        let tensors = test.narrowOperands(dtype)
        let g = GraphBuilder()
        let inputs = try tensors.map { tensor -> GraphValue in
          // Rows may lie at distances of their own, as those of heads do.
          guard isTransposed && tensor.shape.rank > 1 && tensor.dtype == dtype else { return g.input(tensor.type) }
          let axes = Array((0..<tensor.shape.rank).reversed())
          return try g.transpose(
            g.input(TensorType(dtype, Shape(tensor.shape.sizes.reversed()))), permutation: axes)
        }
        let op = try test.makeOp(inputs.map { TensorType($0.dtype == dtype ? .f32 : $0.dtype, $0.shape) })
        g.graph.outputs = try g.appendWidening(op, inputs)
        let arguments = zip(tensors, g.graph.inputs).map { tensor, input in
          tensor.shape == input.shape ? tensor : Tensor(tensor.doubles(), dtype: tensor.dtype, shape: input.shape)
        }
        var first: Outcome?
        for passes in [Pipeline.unfusedStep, Pipeline.step] {
          var graph = g.graph
          try Pipeline.run(passes, on: &graph)
          let plan = try Plan(graph)
          for threads in [1, 2, 4] {
            ThreadPool.threadCount = threads
            let outcome = try plan.outcome(arguments)
            if let first { #expect(first == outcome, "\(dtype), \(threads) threads") } else { first = outcome }
          }
        }
      }
    }
  }

  /// What can be read in 16 bits is, and takes the scratch that was announced.
  @Test(arguments: cases)
  func scratchIsAnnounced(_ test: OpCase) throws {
    for dtype in [DType.f16, .bf16] {
      let operands = test.narrowOperands(dtype)
      let wide = operands.map { TensorType($0.dtype == dtype ? .f32 : $0.dtype, $0.shape) }
      guard let op = try test.makeOp(wide) as? any NarrowingOp else { return }
      let tensors = op.narrowTensors(wide)
      var given = operands
      for place in given.indices where given[place].dtype == dtype && !tensors.operands.contains(place) {
        given[place] = Tensor(given[place].doubles(), dtype: .f32, shape: given[place].shape)
      }
      var dtypes = try op.resultTypes(of: wide).map(\.dtype)
      for withResults in [false, true] {
        if withResults { for place in tensors.results { dtypes[place] = dtype } }
        let narrowed = op.narrowed(given.map(\.dtype), dtypes, origin: Origin(site: nil))
        let results = try narrowed.resultTypes(of: given.map(\.type)).map { Tensor(uninitialized: $0) }
        let (views, targets) = (given.map(\.view), results.map(\.view))
        let announced = narrowed.scratchByteCount(views, targets)
        Scratch.resetHighWater()
        try narrowed.run(views, into: targets)
        #expect(Scratch.highWater == announced)
        let widened = given.map { $0.dtype == dtype ? Tensor($0.doubles(), dtype: .f32, shape: $0.shape) : $0 }
        for (a, e) in zip(results, try run(op, widened, poison: 0xFF)) {
          #expect(Outcome([a]) == Outcome([Tensor(e.doubles(), dtype: a.dtype, shape: e.shape)]), "\(dtype)")
        }
        withExtendedLifetime(given) {}
      }
    }
  }

  /// A norm between 16 bits is one kernel, without a conversion.
  @Test func conversionsAreGone() throws {
    let g = GraphBuilder()
    let x = g.input(TensorType(.bf16, [8, 16]))
    let one = g.input(TensorType(.f32, [16]))
    let y = try g.append(LayerNorm(epsilon: 1e-5), [try g.cast(x, to: .f32), one, one])[0]
    g.graph.outputs = [try g.cast(y, to: .bf16)]
    var graph = g.graph
    try Pipeline.run(Pipeline.step, on: &graph)
    #expect(graph.nodes.count == 1)
    #expect(graph.nodes[0].operands[0].dtype == .bf16)
  }
}

extension OpCase {
  /// The operands, floats that the sample leaves open in 16 bits.
  fileprivate func narrowOperands(_ narrow: DType) -> [Tensor] {
    zip(operands, sample.operands).map { tensor, operand in
      operand.dtype == nil && tensor.dtype == .f32
        ? Tensor(tensor.doubles(), dtype: narrow, shape: tensor.shape) : tensor
    }
  }
}
