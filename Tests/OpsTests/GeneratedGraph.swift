import Graphs
import Ops
import Tensors

/// A random graph over the catalog's ops, with inputs, that all right evaluators should agree on.
///
/// Nodes that tiny changes of inputs and of earlier results move far are left out: comparisons of nearly equal
/// numbers, differences that cancel, poles. There, evaluators that round differently may differ.
struct GeneratedGraph {
  let builder = GraphBuilder()
  private(set) var inputs: [Tensor] = []
  /// What each graph value is, and what it becomes when all before it change a little.
  private(set) var values: [(exact: ReferenceTensor, moved: ReferenceTensor)] = []
  private(set) var ops: [String] = []

  private let dtype: DType
  private let sensitivity: Sensitivity
  private var random: Random
  private var pool: [GraphValue] = []

  /// The relative change of each element, and the largest change of results that follows, relative to their scale.
  private struct Sensitivity {
    let change: Double
    let limit: Double
  }

  init(seed: Int, dtype: DType) {
    self.dtype = dtype
    sensitivity =
      dtype == .f64
      ? Sensitivity(change: 1e-9, limit: 1e-5) : Sensitivity(change: 1e-6, limit: 1e-4)
    random = Random(seed: "graph \(seed) \(dtype)")
    let count = Int.random(in: 5...30, using: &random)
    for shape in [[4, 6], [6], [4, 1], []] as [Shape] { pool.append(input(.normal(shape))) }
    pool.append(input(.integers([4, 6], -3...3)))
    pool.append(input(.booleans([4, 6])))
    while ops.count < count { grow() }
    builder.graph.outputs = (0..<min(6, pool.count)).map { pool[pool.count - 1 - $0] }
    builder.graph.outputs.append(pool.randomElement(using: &random)!)
  }

  /// How far an evaluator may be from `exact`, relative to the largest element.
  var tolerance: Double { dtype == .f64 ? 1e-10 : 2e-4 }

  // MARK: Growing

  /// Tries one op of the catalog; appends it if its operands fit and its results are tame.
  private mutating func grow() {
    let op = OpCatalog.all.randomElement(using: &random)!
    let sample = op.samples.randomElement(using: &random)!
    let dtypes = [dtype, dtype, .i64, .bool].filter { op.dtypes.contains($0) }
    guard let open = dtypes.randomElement(using: &random) else { return }
    let earlier = (inputs, values, pool, builder.graph)
    var operands = sample.operands.map { operand -> GraphValue in
      let known = pool.filter { $0.dtype == (operand.dtype ?? open) }
      let isFresh = operand.dtype != nil || known.isEmpty || Int.random(in: 0..<4, using: &random) == 0
      return isFresh
        ? input(operand, as: operand.dtype ?? open) : known.randomElement(using: &random)!
    }
    do {
      if op.traits.broadcasts {
        let shape = try broadcastShape(of: operands.map(\.shape))
        for (index, operand) in operands.enumerated() where operand.shape != shape {
          operands[index] = try apply(Broadcast(to: shape), [operand])[0]
        }
      }
      let results = try apply(
        makeOp(op, sample.attributes, operands.map(\.type)), operands)
      pool += results
      ops.append(op.name)
    } catch {
      (inputs, values, pool, builder.graph) = earlier
    }
  }

  private struct NotTame: Error {}

  private mutating func apply(_ op: any TensorOp, _ operands: [GraphValue]) throws -> [GraphValue] {
    let types = try op.resultTypes(of: operands.map(\.type))
    if types.contains(where: { $0.rank > 4 || $0.elementCount > 2000 }) { throw NotTame() }
    let exact = try op.reference(operands.map { values[$0.id].exact })
    let moved = try op.reference(operands.map { values[$0.id].moved })
    for (a, b) in zip(exact, moved) where !isTame(a, b) { throw NotTame() }
    let results = try builder.append(op, operands)
    for (exact, moved) in zip(exact, moved) { values.append((exact: exact, moved: changed(moved))) }
    return results
  }

  private func isTame(_ exact: ReferenceTensor, _ moved: ReferenceTensor) -> Bool {
    let scale = exact.values.reduce(0) { max($0, $1.magnitude) }
    if !(scale < 1e4) || exact.values.contains(where: \.isNaN) { return false }
    // References do not round, and rounding to these is far coarser than any tolerance.
    if DTypeSet.storage.contains(exact.type.dtype) { return false }
    if exact.type.dtype == .u8, exact.values.contains(where: { $0 < 0 || $0 > 255 }) { return false }
    if !exact.type.dtype.isFloating { return exact.values == moved.values }
    if exact.type.dtype != dtype { return false }
    return zip(exact.values, moved.values).allSatisfy {
      ($0 - $1).magnitude <= sensitivity.limit * scale
    }
  }

  private mutating func input(_ operand: OpSample.Operand, as dtype: DType? = nil) -> GraphValue {
    let type = TensorType(dtype ?? operand.dtype ?? self.dtype, operand.shape)
    let numbers = (0..<type.elementCount).map {
      operand.content.value(at: $0, as: type.dtype, &random)
    }
    let tensor = Tensor(numbers, dtype: type.dtype, shape: type.shape)
    let exact = ReferenceTensor(tensor)
    inputs.append(tensor)
    values.append((exact: exact, moved: changed(exact)))
    return builder.input(type)
  }

  private mutating func changed(_ tensor: ReferenceTensor) -> ReferenceTensor {
    guard tensor.type.dtype.isFloating else { return tensor }
    var tensor = tensor
    for index in tensor.values.indices { tensor.values[index] *= 1 + sensitivity.change * random.normal() }
    return tensor
  }
}
