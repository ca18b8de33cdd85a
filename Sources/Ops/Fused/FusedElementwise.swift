import Graphs
import Kernels
import Tensors

/// Elementwise nodes in one pass over memory: a tile of each operand is read, all members run on it while it is
/// in the first-level cache, and what the rest of the graph needs is written.
///
/// Results may be kept: where a condition, the operand behind those of the chain, does not hold, such a result is an old
/// value as it lies, which is another operand. It is not written then, and where it lies on the old value nothing moves.
package struct FusedElementwise: FusedOp {
  package let chain: ElementwiseChain
  /// The operand that is the old value of each result that may be kept; nil for the others.
  package let olds: [Int?]
  private var keeps: Bool { olds.contains { $0 != nil } }

  package init(_ chain: ElementwiseChain) {
    self.init(chain, olds: Array(repeating: nil, count: chain.results.count))
  }
  package init(_ chain: ElementwiseChain, olds: [Int?]) {
    self.chain = chain
    self.olds = olds
  }
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    throw OpRejection("programs cannot name this op", code: "internal")
  }

  package static let name = "fused"
  package static let documentation = "Elementwise ops in one pass over memory."
  package static let signature = Signature(.operands("x"))
  package static let dtypes: DTypeSet = .stored
  package static let traits = OpTraits.elementwise(.asIs, .asIs)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let expected = chain.operandTypes + (keeps ? [TensorType(.bool, .scalar)] : [])
    guard operands == expected else {
      throw OpRejection("fused for \(expected), got \(operands)", code: "internal")
    }
    for (result, old) in zip(chain.resultTypes, olds) where old.map({ operands[$0] != result }) ?? false {
      throw OpRejection("\(result) may not be kept as it is", code: "internal")
    }
    return chain.resultTypes
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let results = try chain.reference(Array(operands.prefix(chain.operandTypes.count)))
    if !keeps || operands.last!.values[0] != 0 { return results }
    return zip(results, olds).map { result, old in old.map { operands[$0] } ?? result }
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    let keepsNow = keeps && !isTrue(operands.last!)
    var unwritten: UInt64 = 0
    if keepsNow {
      for (result, old) in olds.enumerated() where old != nil { unwritten |= 1 << UInt64(result) }
    }
    let own = keeps ? Array(operands.dropLast()) : operands
    do {
      try chain.program.run(own, into: results, unwritten: unwritten)
    } catch {
      throw chain.explain(error, own)
    }
    if keepsNow {
      for (result, old) in zip(results, olds) { if let old { copyWhole(operands[old], into: result) } }
    }
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    chain.arithmetic
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    chain.program.scratchByteCount(keeps ? Array(operands.dropLast()) : operands, results)
  }
  package func mayRefuse(_ operands: [TensorType]) -> Bool { chain.mayRefuse }

  package var gradient: Gradient { .zero(because: "fusion follows differentiation") }
  package static var samples: [OpSample] { [] }
  package static var rejections: [OpSample.Rejected] { [] }

  package func origin(ofResult index: Int) -> Origin { chain.members[chain.results[index]].origin }
  package func name(ofResult index: Int) -> String { chain.name(ofResult: index) }
  package func origin(of fault: KernelFault) -> Origin { chain.members[fault.member].origin }
  /// What explains a fault are the operands, so where one can occur they stay. An old value is copied when all has run:
  /// nothing but what it may become lies on it.
  package func mayOverwrite(_ operand: Int, withResult result: Int) -> Bool {
    !chain.mayRefuse && operand < chain.operandTypes.count && (!olds.contains(operand) || olds[result] == operand)
  }
  package var summary: String {
    chain.summary + olds.map { $0 == nil ? "" : " " + Choose.name }.joined()
  }
}
