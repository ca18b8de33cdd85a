import Graphs
import Ops
import Support
import Tensors

extension CostTable {
  /// The table of this machine, from a few kernels of some size, each the best of several runs: some 0.2 s.
  package static func measured() throws -> CostTable {
    let clock = ContinuousClock()
    func seconds(_ op: any TensorOp, _ operands: [Tensor], times: Int) throws -> Double {
      let types = try op.resultTypes(of: operands.map(\.type))
      let results = types.map { Tensor(uninitialized: $0) }
      var best = Double.infinity
      for _ in 0..<6 {
        let start = clock.now
        for _ in 0..<times { try op.run(operands.map(\.view), into: results.map(\.view)) }
        best = min(best, start.duration(to: clock.now).inSeconds / Double(times))
      }
      withExtendedLifetime((operands, results)) {}
      return best
    }
    func filled(_ shape: Shape, _ dtype: DType = .f32) -> Tensor {
      Tensor((0..<shape.elementCount).map { Double($0 % 7) * 0.1 }, dtype: dtype, shape: shape)
    }
    let (left, right, long, short) = (filled([1024, 512]), filled([512, 512]), filled([1 << 22]), filled([8]))
    let product = MatMul()
    let productTime = try seconds(product, [left, right], times: 4)
    let narrowTime = try seconds(product, [filled([1024, 512], .bf16), filled([512, 512], .bf16)], times: 4)
    let moved = Double(3 * long.type.byteCount)
    let addTime = try seconds(Add(), [long, long], times: 1)
    // A value that stays in cache: what is left is the arithmetic.
    let inCache = filled([1 << 14])
    let arithmeticTime = try seconds(Add(), [inCache, inCache], times: 64)
    let overhead = try seconds(Add(), [short, short], times: 1000)
    let operations = product.arithmetic([left.type, right.type], try product.resultTypes(of: [left.type, right.type]))
    return CostTable(
      productRate: operations / productTime, narrowProductRate: operations / narrowTime, elementRate: Double(inCache.elementCount) / max(arithmeticTime - overhead, 1e-9),
      bandwidth: moved / addTime, overhead: overhead)
  }
}
