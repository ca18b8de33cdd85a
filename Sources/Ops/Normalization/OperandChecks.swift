import Graphs
import Tensors

/// Refuses an operand that is neither f32 nor f64.
func requireFloating(_ operand: TensorType) throws(OpRejection) {
  guard DTypeSet.floating.contains(operand.dtype) else {
    throw OpRejection("operands must be f32 or f64, got \(operand)", code: "dtype-mismatch")
  }
}

/// Refuses operands that are neither f32 nor f64, or not all of one dtype.
func requireSameFloating(_ operands: TensorType...) throws(OpRejection) {
  for operand in operands { try requireFloating(operand) }
  for operand in operands where operand.dtype != operands[0].dtype {
    throw OpRejection(
      "operands must have one dtype, got \(operands[0]) and \(operand)",
      code: "dtype-mismatch", help: "convert one: `cast(x, \(operands[0].dtype))`")
  }
}

/// Refuses any other number of operands.
func requireCount(_ count: Int, _ operands: [TensorType]) throws(OpRejection) {
  guard operands.count == count else {
    throw OpRejection(
      "takes \(count) operands, got \(operands.count)", code: "bad-argument")
  }
}
