import Graphs
import Kernels
import Ops
import Support
import Tensors

/// Runs single ops on real tensors: a one-node graph with a trivial plan.
package final class EagerEvaluator: OpEvaluator {
  package init() {}

  /// - Throws: `OpRejection`, `KernelFault`.
  package func evaluate(_ op: any TensorOp, _ operands: [Tensor]) throws -> [Tensor] {
    let types = try op.resultTypes(of: operands.map(\.type))
    return try EagerEvaluator.run(op, operands, resultTypes: types)
  }

  /// Runs an op whose result types are known.
  package static func run(
    _ op: any TensorOp, _ operands: [Tensor], resultTypes: [TensorType]
  ) throws -> [Tensor] {
    let traits = type(of: op).traits
    if let view = op as? any ViewOp {
      return [try EagerEvaluator.view(view, of: operands[0])]
    }
    var operands = operands
    for index in operands.indices where !traits.operands.takes(operands[index].layout) {
      try checkFits(operands[index].type)
      operands[index] = contiguous(operands[index])
    }
    for type in resultTypes { try checkFits(type) }
    let results = resultTypes.map { Tensor(uninitialized: $0) }
    ProductBreak.allow(true)
    defer { ProductBreak.allow(false) }
    try op.run(operands.map(\.view), into: results.map(\.view))
    withExtendedLifetime(operands) {}
    if ProductBreak.takeHappened() { throw Interrupted() }
    return results
  }

  /// Whether products under way are to be broken off where nothing is lost by it: an interrupt need not wait for them.
  package static func breakProducts(_ isWanted: Bool) { ProductBreak.want(isWanted) }

  private static func view(_ op: any ViewOp, of operand: Tensor) throws -> Tensor {
    if let layout = op.layout(of: operand.layout) {
      return Tensor(storage: operand.storage, dtype: operand.dtype, layout: layout)
    }
    try checkFits(operand.type)
    let copy = contiguous(operand)
    guard let layout = op.layout(of: copy.layout) else {
      throw InternalError("views", "\(type(of: op).name) has no layout for a contiguous operand")
    }
    return Tensor(storage: copy.storage, dtype: copy.dtype, layout: layout)
  }

  /// Returns the tensor with contiguous elements, copied by a kernel where it must be.
  package static func contiguous(_ tensor: Tensor) -> Tensor {
    if tensor.layout.isContiguous { return tensor }
    let result = Tensor(uninitialized: tensor.type)
    copyRegion(tensor.view, into: result.view)
    return result
  }

  /// Refuses what no machine holds, so that sums of bytes can be counted. Whether this one holds a plan is asked when it
  /// is to run: a plan for more can still be looked at.
  package static func checkCountable(_ type: TensorType) throws(OpRejection) {
    guard let count = type.shape.checkedElementCount, count < 1 << 43 else {
      throw OpRejection("\(type) needs more bytes than any machine has", code: "out-of-memory")
    }
  }

  /// Refuses an allocation that the machine cannot hold, rather than letting the process die.
  package static func checkFits(_ type: TensorType) throws(OpRejection) {
    guard type.shape.checkedElementCount != nil else {
      throw OpRejection("\(type) needs more bytes than can be counted", code: "out-of-memory")
    }
    if type.byteCount > Machine.memoryLimit {
      throw OpRejection("\(type) needs \(type.byteCount) bytes, more than this machine has", code: "out-of-memory")
    }
    if Machine.shortage(of: type.byteCount) != nil {
      throw OpRejection("\(type) needs \(type.byteCount) bytes, more than are free", code: "out-of-memory")
    }
  }
}
