import Tensors
extension TensorOp {
  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }
  package func mayRefuse(_ operands: [TensorType]) -> Bool {
    let n = Self.name
    if ["gather", "scatter_add", "scatter_add_along", "take_along", "cross_entropy", "cross_entropy_gradient", "one_hot", "categorical", "randint"].contains(n) { return true }
    return operands.contains { $0.dtype.isInteger }
  }
}
