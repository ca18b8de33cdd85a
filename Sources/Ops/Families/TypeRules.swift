import Graphs
import Tensors

// Rules of types that many ops share, with the words they reject in.

extension TensorOp {
  /// - Throws: where an operand has a dtype that the op is not defined on.
  package static func requireDTypes(of operands: [TensorType]) throws(OpRejection) {
    for operand in operands where !dtypes.contains(operand.dtype) {
      throw OpRejection(
        "\(name) expects \(dtypes.listing), got \(operand.dtype)", code: "dtype-mismatch")
    }
  }

  /// - Throws: where dtypes differ between operands.
  package static func requireOneDType(of operands: [TensorType]) throws(OpRejection) {
    for operand in operands.dropFirst() where operand.dtype != operands[0].dtype {
      throw OpRejection(
        "\(name) expects operands of one dtype, got \(operands[0].dtype) and \(operand.dtype)",
        code: "dtype-mismatch")
    }
  }

  /// - Throws: where shapes differ between operands.
  package static func requireOneShape(of operands: [TensorType]) throws(OpRejection) {
    for operand in operands.dropFirst() where operand.shape != operands[0].shape {
      throw OpRejection("\(name) expects equal shapes, got \(operands[0].shape) and \(operand.shape)")
    }
  }
}

extension DTypeSet {
  /// The members in words: `f32, f64 or i64`.
  package var listing: String {
    let names = members.map(\.name)
    guard let last = names.last else { return "nothing" }
    return names.count == 1 ? last : names.dropLast().joined(separator: ", ") + " or " + last
  }
}

/// Returns the shape that all of `shapes` broadcast to: aligned at their last axes, sizes must be equal or 1.
package func broadcastShape(of shapes: [Shape]) throws(OpRejection) -> Shape {
  var result = Shape.scalar
  for shape in shapes {
    guard let wider = result.broadcast(with: shape) else {
      let axis = (1...min(result.rank, shape.rank)).first {
        let (a, b) = (result[result.rank - $0], shape[shape.rank - $0])
        return a != b && a != 1 && b != 1
      }!
      let sizes = (result[result.rank - axis], shape[shape.rank - axis])
      throw OpRejection(
        "shapes \(result) and \(shape) do not broadcast: \(sizes.0) and \(sizes.1) differ",
        notes: ["aligned at their last axes, sizes must be equal or 1"])
    }
    result = wider
  }
  return result
}
