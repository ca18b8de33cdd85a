import Graphs
import Kernels
import Tensors

/// Makes a strided value contiguous. `materialize` inserts it; programs cannot name it.
package struct ContiguousCopy: TensorOp {
  package init() {}
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {}

  package static let name = "contiguous_copy"
  package static let documentation = "Copies elements into row-major order."
  package static let signature = Signature(.operand("x"))
  package static let dtypes = DTypeSet.all
  package static let traits = OpTraits(
    precision: .asIs, cost: .streaming, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] { operands }
  package func axisMap(_ operands: [TensorType]) -> AxisMap { .places(rank: operands[0].rank, operands: 1, additivity: .together, attributes: self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] { operands }
  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    copyRegion(operands[0], into: results[0])
  }
  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    copyScratchByteCount(operands[0])
  }
  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }
  package var gradient: Gradient {
    .pullback { _, pullback in [pullback.cotangent] }
  }
  package static var samples: [OpSample] { [OpSample("matrix", [.normal([2, 3])])] }
  package static var rejections: [OpSample.Rejected] { [] }
}
