import Execution
import Graphs
import Tensors

/// Runs an op on tensors, its results lying in storage whose bytes are all `poison`.
func run(_ op: any TensorOp, _ operands: [Tensor], poison: UInt8) throws -> [Tensor] {
  let types = try op.resultTypes(of: operands.map(\.type))
  if op is any ViewOp { return try EagerEvaluator.run(op, operands, resultTypes: types) }
  let wanted = type(of: op).traits.operands
  let operands = operands.map { wanted.takes($0.layout) ? $0 : $0.contiguous() }
  let results = types.map { Tensor(uninitialized: $0) }
  for result in results {
    result.storage.base.initializeMemory(
      as: UInt8.self, repeating: poison, count: result.storage.byteCount)
  }
  try op.run(operands.map(\.view), into: results.map(\.view))
  withExtendedLifetime(operands) {}
  return results
}

/// Ways in which the same elements can lie in memory.
enum Arrangement: String, CaseIterable {
  /// Axes in reverse order, as after `.T`.
  case transposed
  /// With gaps between elements and before the first, as after slicing.
  case spaced
  /// Backwards along each axis.
  case reversed

  /// Returns a tensor of the same elements laid out this way; blocks lie in order or not at all.
  func apply(to tensor: Tensor) -> Tensor {
    if tensor.dtype.isBlocked { return tensor }
    let shape = tensor.shape
    var strides = shape.contiguousStrides
    var offset = 0
    switch self {
    case .transposed:
      strides = Array(Shape(shape.sizes.reversed()).contiguousStrides.reversed())
    case .spaced:
      var stride = 2
      for axis in (0..<shape.rank).reversed() {
        strides[axis] = stride
        stride = stride * shape[axis] + 1
      }
      offset = 3
    case .reversed:
      for axis in 0..<shape.rank {
        offset += strides[axis] * max(shape[axis] - 1, 0)
        strides[axis].negate()
      }
    }
    let layout = Layout(shape: shape, strides: strides, offset: offset)
    let last = zip(shape.sizes, strides).reduce(offset) { $0 + max(0, ($1.0 - 1) * $1.1) }
    let result = Tensor(
      storage: Storage(byteCount: (max(last, offset) + 1) * tensor.dtype.byteCount),
      dtype: tensor.dtype, layout: layout)
    result.storage.base.initializeMemory(
      as: UInt8.self, repeating: 0xFF, count: result.storage.byteCount)
    var sources: [Int] = []
    tensor.forEachOffset { sources.append($0) }
    var next = 0
    let size = tensor.dtype.byteCount
    result.forEachOffset { target in
      (result.storage.base + target * size).copyMemory(
        from: tensor.storage.base + sources[next] * size, byteCount: size)
      next += 1
    }
    return result
  }
}

/// Returns the tensor with each element along `axis` replaced by the first, without copies: its stride is 0.
func flattened(_ tensor: Tensor, along axis: Int) -> Tensor {
  var layout = tensor.layout
  layout.strides[axis] = 0
  return Tensor(storage: tensor.storage, dtype: tensor.dtype, layout: layout)
}
