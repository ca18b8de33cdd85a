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
  /// Whether the work on a tile copies the operand as it is, so that all that is left is to round it to the result's dtype.
  func copiesLanes(of operands: [DType]) -> Bool
}

extension ElementwiseOp {
  package func copiesLanes(of operands: [DType]) -> Bool { false }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    .places(rank: operands[0].rank, operands: operands.count, attributes: self)
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    do {
      try runTiles(tile(for: operands.map(\.dtype)), operands, into: results[0])
    } catch {
      let index = Shape(results[0].shape).index(at: error.position)
      throw Self.explain(
        error.fault, operands.map { $0.element(at: index) }, results[0].dtype, at: index)
    }
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    perElement(1, operands, results)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    tilesScratchByteCount(operands, results[0])
  }

  /// Says which numbers could not be computed, and where they stand.
  static func explain(
    _ fault: ArithmeticFault, _ operands: [Tensor], _ dtype: DType, at index: [Int]
  ) -> KernelFault {
    let numbers = operands.map {
      $0.dtype.isFractional ? "\($0.scalar)" : "\($0.integerScalar)"
    }
    let call = "\(name)(\(numbers.joined(separator: ", ")))"
    let place = index.isEmpty ? "" : ", at index \(Shape(index))"
    switch fault {
    case .overflow:
      return KernelFault("\(call) does not fit \(dtype)\(place)", code: "integer-overflow")
    case .divisionByZero:
      return KernelFault("\(call) divides by zero\(place)", code: "division-by-zero")
    case .negativeExponent:
      return KernelFault(
        "\(call) is no whole number\(place); make the base a float", code: "bad-argument")
    }
  }
}

extension Shape {
  /// The index of the element at a row-major position.
  func index(at position: Int) -> [Int] {
    var index: [Int] = []
    var rest = position
    for size in sizes.reversed() {
      index.insert(rest % size, at: 0)
      rest /= size
    }
    return index
  }
}

extension TensorView {
  /// A copy of one element; of a block the number that it stands for.
  func element(at index: [Int]) -> Tensor {
    if dtype.isBlocked {
      let place = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 }
      return Tensor([Double(QuantizedBlock.element(place, at: base, of: dtype))], dtype: .f32, shape: .scalar)
    }
    let result = Tensor(uninitialized: TensorType(dtype, .scalar))
    let offset = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 }
    result.storage.base.copyMemory(from: base + offset * dtype.byteCount, byteCount: dtype.byteCount)
    return result
  }
}

extension OpTraits {
  /// The traits of elementwise ops, which differ only in what precision they like and how operands are promoted.
  static func elementwise(_ precision: Precision, _ promotion: Promotion) -> OpTraits {
    OpTraits(
      precision: precision, cost: .streaming, fusion: .elementwise, effect: .pure,
      promotion: promotion, operands: .strided, broadcasts: true, inPlace: true)
  }
}
