import Graphs
import Kernels
import Tensors

/// A matrix product whose every block runs through a chain of elementwise nodes while it is in cache: a layer with
/// its bias and activation, a weight's gradient with the optimizer that consumes it. The product is never a tensor: a
/// block at a time lies in scratch. (Only products cut along their inner axis, which are small, and batches whose
/// rows lie at unequal distances are held there as a whole.)
///
/// Operands: left, right, and the chain's own from its second on; the chain's first is the product.
package struct FusedProduct: FusedOp {
  package let product: MatMul
  package let chain: ElementwiseChain
  private let productOrigin: ProductOrigin

  /// Origins are not compared; equality is that of chains.
  private struct ProductOrigin: Hashable, Sendable {
    let origin: Origin
    static func == (a: ProductOrigin, b: ProductOrigin) -> Bool { true }
    func hash(into hasher: inout Hasher) {}
  }

  package init(_ product: MatMul, _ chain: ElementwiseChain, origin: Origin) {
    self.product = product
    self.chain = chain
    productOrigin = ProductOrigin(origin: origin)
  }
  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) {
    throw OpRejection("programs cannot name this op", code: "internal")
  }

  package static let name = "fused_product"
  package static let documentation = "A matrix product and elementwise ops on its blocks."
  package static let signature = Signature(.operand("left"), .operand("right"), .operands("x"))
  package static let dtypes: DTypeSet = .stored
  package static let traits = OpTraits(
    precision: .asIs, cost: .computeBound, fusion: .alone, effect: .pure, promotion: .asIs,
    operands: .strided, broadcasts: false, inPlace: true)

  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let productTypes = try product.resultTypes(of: Array(operands[..<2]))
    guard productTypes + operands[2...] == chain.operandTypes else {
      throw OpRejection("fused for \(chain.operandTypes), got \(operands)", code: "internal")
    }
    return chain.resultTypes
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap { .mixing(self) }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    try chain.reference(product.reference(Array(operands[..<2])) + operands[2...])
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    multiplyMatrices(
      operands[0], operands[1], as: chain.operandTypes[0].dtype, then: chain.program, Array(operands[2...]), into: results)
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    product.arithmetic(Array(operands[..<2]), [chain.operandTypes[0]]) + chain.arithmetic
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    productScratchByteCount(
      operands[0], operands[1], then: chain.program, Array(operands[2...]), into: results)
  }
  package func mayRefuse(_ operands: [TensorType]) -> Bool { false }

  package var gradient: Gradient { .zero(because: "fusion follows differentiation") }
  package static var samples: [OpSample] { [] }
  package static var rejections: [OpSample.Rejected] { [] }

  package func origin(ofResult index: Int) -> Origin { chain.members[chain.results[index]].origin }
  package func name(ofResult index: Int) -> String { chain.name(ofResult: index) }
  package func origin(of fault: KernelFault) -> Origin { productOrigin.origin }
  /// Blocks of the operands of the product are read again for later blocks of the result.
  package func mayOverwrite(_ operand: Int, withResult result: Int) -> Bool { operand >= 2 }
  package var summary: String { MatMul.name + " " + chain.summary }
}

extension MatMul {
  /// Whether a chain can run on the blocks of a product of such operands: floats, one right matrix for all rows.
  package func takesChain(_ operands: [TensorType]) -> Bool {
    operands[0].dtype.isFloating && operands[1].rank == 2 && operands[0].elementCount > 0
      && operands[1].elementCount > 0
  }

  /// Whether that chain may round to blocks: where the product is cut, blocks must not be.
  package func takesBlocks(_ operands: [TensorType]) -> Bool {
    operands[0].rank == 2
      && productIsCutAtBlocks(
        rows: operands[0].shape[0], columns: operands[1].shape[1], inner: operands[0].shape[1])
  }
}
