import Graphs
import Kernels
import Tensors

/// Elementwise nodes in one pass over memory: a tile of each operand is read, all members run on it while it is
/// in the first-level cache, and what the rest of the graph needs is written.
package struct FusedElementwise: FusedOp {
  package let chain: ElementwiseChain

  package init(_ chain: ElementwiseChain) { self.chain = chain }
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    throw OpRejection("programs cannot name this op", code: "internal")
  }

  package static let name = "fused"
  package static let documentation = "Elementwise ops in one pass over memory."
  package static let signature = Signature(.operands("x"))
  package static let dtypes: DTypeSet = .stored
  package static let traits = OpTraits.elementwise(.asIs, .asIs)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    guard operands == chain.operandTypes else {
      throw OpRejection("fused for \(chain.operandTypes), got \(operands)", code: "internal")
    }
    return chain.resultTypes
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    try chain.reference(operands)
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    do {
      try chain.program.run(operands, into: results)
    } catch {
      throw chain.explain(error, operands)
    }
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    chain.program.scratchByteCount(operands, results)
  }
  package func mayRefuse(_ operands: [TensorType]) -> Bool { chain.mayRefuse }

  package var gradient: Gradient { .zero(because: "fusion follows differentiation") }
  package static var samples: [OpSample] { [] }
  package static var rejections: [OpSample.Rejected] { [] }

  package func origin(ofResult index: Int) -> Origin { chain.members[chain.results[index]].origin }
  package func name(ofResult index: Int) -> String { chain.name(ofResult: index) }
  package func origin(of fault: KernelFault) -> Origin { chain.members[fault.member].origin }
  /// What explains a fault are the operands, so where one can occur they stay.
  package func mayOverwrite(_ operand: Int) -> Bool { !chain.mayRefuse }
  package var summary: String { chain.summary }
}
