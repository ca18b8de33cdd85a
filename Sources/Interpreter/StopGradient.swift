import Graphs
import Tensors

/// A value whose derivative is taken to be zero.
struct StopGradient: ViewOp {
  init() {}
  init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {}
  static let name = "stop_gradient"
  static let documentation = "The value of `x`, through which no gradient flows."
  static let signature = Signature(.operand("x"))
  static let dtypes = DTypeSet.all
  static let traits = OpTraits(
    precision: .asIs, cost: .view, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)
  func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] { operands }
  func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(rank: operands[0].rank, operands: 1, additivity: .together, attributes: self)
  }
  func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] { operands }
  func layout(of operand: Layout) -> Layout? { operand }
  var gradient: Gradient { .zero(because: "stop_gradient was asked for") }
  static var samples: [OpSample] { [] }
  static var rejections: [OpSample.Rejected] { [] }
}
