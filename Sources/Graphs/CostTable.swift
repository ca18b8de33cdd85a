import Tensors

/// How fast a machine is, in five numbers: enough to order plans of one step by their time, not to predict it.
///
/// The standard table is fixed, so that what a budget chooses is the same everywhere; it resembles two cores with
/// AVX-512 that multiply bf16. `calibrate()` in the language measures another.
package struct CostTable: Equatable, Sendable {
  /// Floating-point operations a second in products, convolutions and attention.
  package var productRate: Double
  /// The same in products of bf16.
  package var narrowProductRate: Double
  /// Operations a second in kernels that take elements one by one.
  package var elementRate: Double
  /// Bytes a second that kernels read and write.
  package var bandwidth: Double
  /// Seconds to start a kernel.
  package var overhead: Double

  package init(productRate: Double, narrowProductRate: Double, elementRate: Double, bandwidth: Double, overhead: Double) {
    self.productRate = productRate
    self.narrowProductRate = narrowProductRate
    self.elementRate = elementRate
    self.bandwidth = bandwidth
    self.overhead = overhead
  }

  package static let standard = CostTable(
    productRate: 200e9, narrowProductRate: 400e9, elementRate: 12e9, bandwidth: 24e9, overhead: 1e-6)

  /// The seconds that a node is planned to take.
  package func seconds(_ node: Graph.Node) -> Double {
    if node.isView { return 0 }
    let arithmetic = node.arithmetic
    // f16 widens in cache, and takes the time of f32.
    let productRate = node.operands.first?.dtype == .bf16 ? narrowProductRate : productRate
    let streaming = Double(node.byteCount) / bandwidth
    return overhead
      + (type(of: node.op).traits.cost == .computeBound
        ? arithmetic / productRate + streaming : max(arithmetic / elementRate, streaming))
  }
}

extension Graph.Node {
  /// Its floating-point operations.
  package var arithmetic: Double { op.arithmetic(operands.map(\.type), results.map(\.type)) }

  /// The bytes that its kernel reads and writes, each operand and result once.
  package var byteCount: Int {
    operands.reduce(0) { $0 + $1.type.byteCount } + results.reduce(0) { $0 + $1.type.byteCount }
  }

  /// Whether it is a product, a convolution or the like, whose arithmetic takes the time.
  package var isProduct: Bool { type(of: op).traits.cost == .computeBound }
}
