import Graphs
import Kernels
import Tensors

/// An op that keeps one side of a diagonal: `tril`, `triu`.
package protocol Triangle: TensorOp {
  /// The diagonal: 0 is the main one, 1 the one above it.
  var diagonal: Int { get }
  init(diagonal: Int)
  static var isLower: Bool { get }
}

extension Triangle {
  package static var signature: Signature {
    Signature(.operand("x"), .attribute("diagonal", .int, default: .int(0)))
  }
  package static var dtypes: DTypeSet { .all }
  package static var traits: OpTraits {
    OpTraits(
      precision: .asIs, cost: .memoryBound, fusion: .alone, effect: .pure, promotion: .asIs,
      operands: .contiguous, broadcasts: false, inPlace: false)
  }

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    self.init(diagonal: try attributes.int("diagonal"))
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    try Self.requireDTypes(of: [operands[0]])
    guard operands[0].rank >= 2 else {
      throw OpRejection("a matrix has two axes, got \(operands[0])")
    }
    return operands
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .places(rank: operands[0].rank, operands: 1, mixed: [operands[0].rank - 2, operands[0].rank - 1], attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    var result = operands[0]
    ReferenceTensor.forEachIndex(in: result.shape) { index in
      // How far above the diagonal: saturated, for any diagonal may be asked for.
      let (row, column) = (index[index.count - 2], index[index.count - 1])
      let height = Double(column - row) - Double(diagonal)
      if Self.isLower ? height > 0 : height < 0 { result[index] = 0 }
    }
    return [result]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    copyTriangle(operands[0], offset: diagonal, isLower: Self.isLower, into: results[0])
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int { 0 }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  // dx = the same triangle of dy
  package var gradient: Gradient {
    .pullback { g, at in [try g.emit(self, at.cotangent)] }
  }

  package static var samples: [OpSample] {
    [
      OpSample("square", [.normal([4, 4])]),
      OpSample("wide, above", [.normal([3, 5])], [("diagonal", .int(1))]),
      OpSample("tall, below", [.normal([5, 3])], [("diagonal", .int(-2))]),
      OpSample("batch", [.normal([2, 3, 3])]),
      OpSample("far above", [.normal([2, 2])], [("diagonal", .int(.max))]),
      OpSample("far below", [.normal([2, 2])], [("diagonal", .int(.min))]),
      OpSample("empty", [.normal([0, 3])]),
    ]
  }
  package static var rejections: [OpSample.Rejected] {
    [.init("one axis", [TensorType(.f32, [3])], message: "a matrix has two axes, got f32[3]")]
  }
}
