import Graphs
import Kernels
import Tensors

/// Elementwise nodes and the reduction of their only result: the chain runs where the reduction asks for
/// elements, so that what it makes lies nowhere but in cache. The norm of a gradient writes one number.
///
/// The operands are the chain's. The reduction may see the chain's result in another shape, in the same order.
package struct FusedReduction: FusedOp {
  package let chain: ElementwiseChain
  package let reduction: any Reduction
  /// What the reduction reads.
  private let seen: TensorType
  /// Where the reduction comes from.
  private let origin: Origin

  package init(_ chain: ElementwiseChain, _ reduction: any Reduction, of seen: TensorType, origin: Origin) {
    self.chain = chain
    self.reduction = reduction
    self.seen = seen
    self.origin = origin
  }
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    throw OpRejection("programs cannot name this op", code: "internal")
  }

  /// A chain has one reduction at most; chains are compared by identity.
  package static func == (a: FusedReduction, b: FusedReduction) -> Bool { a.chain == b.chain }
  package func hash(into hasher: inout Hasher) { hasher.combine(chain) }

  package static let name = "fused_reduction"
  package static let documentation = "Elementwise ops and a reduction of their result."
  package static let signature = Signature(.operands("x"))
  package static let dtypes: DTypeSet = .stored
  package static let traits = OpTraits(
    precision: .asIs, cost: .memoryBound, fusion: .reduction, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: false)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    guard operands == chain.operandTypes else {
      throw OpRejection("fused for \(chain.operandTypes), got \(operands)", code: "internal")
    }
    return try reduction.resultTypes(of: [seen])
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let value = try chain.reference(operands)[0]
    return try reduction.reference([ReferenceTensor(seen, value.values)])
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let fits: Bool
    do {
      fits = try reduce(
        reduction.kernel, chain.program, operands, as: seen.shape.sizes, over: reduction.axes,
        into: results[0])
    } catch {
      throw chain.explain(error, operands)
    }
    if !fits {
      var fault = reduction.overflow
      fault.member = chain.members.count
      throw fault
    }
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    chain.arithmetic + reduction.arithmetic([seen], results)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    reductionScratchByteCount(
      reduction.kernel, chain.program, operands, as: seen.shape.sizes, over: reduction.axes)
  }
  package func mayRefuse(_ operands: [TensorType]) -> Bool {
    chain.mayRefuse || reduction.mayRefuse([seen])
  }

  package var gradient: Gradient { .zero(because: "fusion follows differentiation") }
  package static var samples: [OpSample] { [] }
  package static var rejections: [OpSample.Rejected] { [] }

  package func origin(ofResult index: Int) -> Origin { origin }
  package func name(ofResult index: Int) -> String { type(of: reduction).name }
  package func origin(of fault: KernelFault) -> Origin {
    fault.member < chain.members.count ? chain.members[fault.member].origin : origin
  }
  package func mayOverwrite(_ operand: Int, withResult result: Int) -> Bool { false }
  package var summary: String { chain.summary + " " + type(of: reduction).name }
}

extension Reduction {
  /// Whether a chain can make the elements of `operand` while this reduces them: it looks at each once, and at
  /// many in a row.
  package func takesChain(_ operand: TensorType) -> Bool {
    kernel.isOnePass && reductionReadsAtLength(operand.shape.sizes, over: axes)
  }
}
