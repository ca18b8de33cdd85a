import Graphs
import Kernels
import Tensors

/// Makes a strided value contiguous. Plans insert it; programs cannot name it.
struct ContiguousCopy: TensorOp {
  init() {}
  init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {}

  static let name = "contiguous_copy"
  static let documentation = "Copies elements into row-major order."
  static let signature = Signature(.operand("x"))
  static let dtypes = DTypeSet.all
  static let traits = OpTraits(
    precision: .asIs, cost: .memoryBound, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)

  func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] { operands }
  func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] { operands }
  func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    copyRegion(operands[0], into: results[0])
  }
  func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    copyScratchByteCount(operands[0])
  }
  func mayRefuse(_ operands: [TensorType]) -> Bool { false }
  var gradient: Gradient {
    .pullback { _, pullback in [pullback.cotangent] }
  }
  static var samples: [OpSample] { [OpSample("matrix", [.normal([2, 3])])] }
  static var rejections: [OpSample.Rejected] { [] }
}
