import Graphs
import Kernels
import Tensors

/// An op whose result at each place depends on the operands at that place alone.
///
/// Operands come with equal shapes: the interpreter and the builder broadcast before. The kernel is a loop
/// over tiles, which the executor may also run in one pass with those of other elementwise ops.
package protocol ElementwiseOp: TensorOp {
  /// Returns the work on a tile, from the operands' lanes to the result's.
  func tile(for operands: [DType]) -> TileBody
}

extension ElementwiseOp {
  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    do {
      try runTiles(tile(for: operands.map(\.dtype)), operands, into: results[0])
    } catch {
      throw Self.explain(error, operands, results[0])
    }
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    tilesScratchByteCount(operands, results[0])
  }

  /// Says which numbers could not be computed, and where they stand.
  private static func explain(
    _ failure: ElementFault, _ operands: [TensorView], _ result: TensorView
  ) -> KernelFault {
    var index: [Int] = []
    var rest = failure.position
    for size in result.shape.reversed() {
      index.insert(rest % size, at: 0)
      rest /= size
    }
    let numbers = operands.map { operand in
      let offset = zip(index, operand.strides).reduce(0) { $0 + $1.0 * $1.1 }
      return operand.dtype.isFloating
        ? "\(operand.dtype.load(at: operand.base, index: offset))"
        : "\(operand.dtype.loadInteger(at: operand.base, index: offset))"
    }
    let call = "\(name)(\(numbers.joined(separator: ", ")))"
    let place = index.isEmpty ? "" : ", at index \(Shape(index))"
    switch failure.fault {
    case .overflow:
      return KernelFault("\(call) does not fit \(result.dtype)\(place)", code: "integer-overflow")
    case .divisionByZero:
      return KernelFault("\(call) divides by zero\(place)", code: "division-by-zero")
    case .negativeExponent:
      return KernelFault(
        "\(call) is no whole number\(place); make the base a float", code: "bad-argument")
    }
  }
}

extension OpTraits {
  /// The traits of elementwise ops, which differ only in what precision they like and how operands are promoted.
  static func elementwise(_ precision: Precision, _ promotion: Promotion) -> OpTraits {
    OpTraits(
      precision: precision, cost: .memoryBound, fusion: .elementwise, effect: .pure,
      promotion: promotion, operands: .strided, broadcasts: true, inPlace: true)
  }
}
