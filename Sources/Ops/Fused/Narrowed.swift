import Graphs
import Kernels
import Tensors

/// An op of f32 with the conversions before and behind it: it reads and writes some tensors in 16 bits, and no copies of
/// those in f32 are made.
package struct Narrowed<Base: NarrowingOp>: FusedOp {
  package let base: Base
  /// What the op is given, and what it gives.
  private let operandDTypes: [DType]
  private let resultDTypes: [DType]
  private let source: Source

  /// Origins are not compared.
  private struct Source: Hashable, Sendable {
    let origin: Origin
    static func == (a: Source, b: Source) -> Bool { true }
    func hash(into hasher: inout Hasher) {}
  }

  fileprivate init(_ base: Base, _ operands: [DType], _ results: [DType], origin: Origin) {
    self.base = base
    operandDTypes = operands
    resultDTypes = results
    source = Source(origin: origin)
  }
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    throw OpRejection("programs cannot name this op", code: "internal")
  }

  package static var name: String { "narrowed_\(Base.name)" }
  package static var documentation: String { "An op of f32 that reads and writes 16 bits." }
  package static var signature: Signature { Base.signature }
  package static var dtypes: DTypeSet { .stored }
  package static var traits: OpTraits {
    let base = Base.traits
    return OpTraits(
      precision: .asIs, cost: base.cost, fusion: .alone, effect: base.effect, promotion: .asIs,
      operands: Base.narrowReading, broadcasts: false, inPlace: false)
  }

  /// The types that the op itself knows.
  private func widened(_ operands: [TensorType]) -> [TensorType] {
    operands.map { $0.dtype == .f16 || $0.dtype == .bf16 ? TensorType(.f32, $0.shape) : $0 }
  }

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    guard operands.map(\.dtype) == operandDTypes else {
      throw OpRejection("narrowed for \(operandDTypes), got \(operands)", code: "internal")
    }
    return zip(try base.resultTypes(of: widened(operands)), resultDTypes).map { TensorType($1, $0.shape) }
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let operands = zip(operands, widened(operands.map(\.type))).map { ReferenceTensor($1, $0.values) }
    return zip(try base.reference(operands), resultDTypes).map { result, dtype in
      ReferenceTensor(TensorType(dtype, result.shape), result.values)
    }
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    try base.run(operands, into: results)
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    base.arithmetic(widened(operands), widened(results))
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    base.scratchByteCount(operands, results)
  }
  package func mayRefuse(_ operands: [TensorType]) -> Bool { base.mayRefuse(widened(operands)) }

  package var gradient: Gradient { .zero(because: "conversions join ops after differentiation") }
  package static var samples: [OpSample] { [] }
  package static var rejections: [OpSample.Rejected] { [] }

  package func origin(ofResult index: Int) -> Origin { source.origin }
  package func name(ofResult index: Int) -> String { Base.name }
  package func origin(of fault: KernelFault) -> Origin { source.origin }
  package func mayOverwrite(_ operand: Int, withResult result: Int) -> Bool { false }
  package var summary: String { Base.name }
}

extension Narrowed: IndexCheckingOp where Base: IndexCheckingOp {
  package func indexCheck(_ operands: [TensorType]) -> (operand: Int, allowed: AllowedIndices)? {
    base.indexCheck(widened(operands))
  }
}

extension NarrowingOp {
  /// The same op with operands and results of these dtypes.
  package func narrowed(_ operands: [DType], _ results: [DType], origin: Origin) -> any TensorOp {
    Narrowed(self, operands, results, origin: origin)
  }
}
