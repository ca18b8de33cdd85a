import Graphs
import Kernels
import Tensors

/// `matmul(a, b)`, written `a @ b`: products of matrices.
package struct MatMul: WideSumsOp {
  /// Whether the product of 16-bit floats stays in f32, in which it is added up.
  package let isWide: Bool

  package init(isWide: Bool = false) { self.isWide = isWide }

  package static let name = "matmul"
  package static let documentation = """
    Multiplies matrices: `a @ b`.

    Shapes: [.., m, k] @ [.., k, n] -> [.., m, n]; axes before the last two broadcast. An operand with one
    axis is a row on the left and a column on the right, and leaves no axis behind. Products of whole
    numbers are i64 and exact; one beyond it is an error. Products of 16-bit floats are added up in f32 and
    round once.

    >>> [[1, 2], [3, 4]] @ [[5, 6], [7, 8]]
    f32[2, 2]
    [[19., 22.],
     [43., 50.]]
    >>> matmul([[1, 2], [3, 4]], [1, 1])
    f32[2]
    [3., 7.]
    >>> (ones([8, 32, 64]) @ ones([64, 10])).shape
    [8, 32, 10]
    """
  package static let signature = Signature(.operand("a"), .operand("b"))
  package static let dtypes = DTypeSet.numeric
  package static let traits = OpTraits(
    precision: .low, cost: .computeBound, fusion: .alone, effect: .pure, promotion: .unify,
    operands: .strided, broadcasts: false, inPlace: false)

  package init(_ attributes: Attributes, operands: [TensorType]) throws(OpRejection) { isWide = false }

  /// The op itself takes equal batch axes or a right operand without any; `GraphBuilder.matmul` brings
  /// all other operands to that.
  package func resultTypes(of operands: [TensorType]) throws(OpRejection) -> [TensorType] {
    let (left, right) = (operands[0], operands[1])
    try MatMul.check(left, right)
    let batch = left.shape.sizes.dropLast(2)
    guard left.rank >= 2, right.rank >= 2 else {
      throw OpRejection("matmul: a matrix has two axes, got \(left) and \(right)")
    }
    guard right.rank == 2 || right.shape.sizes.dropLast(2) == batch else {
      throw OpRejection("matmul: batch axes differ, \(left.shape) and \(right.shape)")
    }
    return [
      TensorType(resultDType(of: left.dtype), Shape(batch + [left.shape[left.rank - 2], right.shape[right.rank - 1]]))
    ]
  }

  package var withoutRounding: any TensorOp { MatMul(isWide: true) }

  func resultDType(of dtype: DType) -> DType {
    if !dtype.isFloating { return .i64 }
    return isWide && dtype != .f64 ? .f32 : dtype
  }

  /// Refuses operands of which no product can be made, in terms of what the program wrote.
  static func check(_ left: TensorType, _ right: TensorType) throws(OpRejection) {
    try requireDTypes(of: [left, right])
    try requireOneDType(of: [left, right])
    guard left.rank > 0, right.rank > 0 else {
      throw OpRejection(
        "matmul: a single number has no rows or columns, got \(left) and \(right)",
        help: "multiply by a number with `*`")
    }
    let inner = left.shape[left.rank - 1]
    let rows = right.shape[max(right.rank - 2, 0)]
    guard inner == rows else {
      // Where an operand would fit on its other side, say so.
      let transposed: Int? =
        right.rank >= 2 && right.shape[right.rank - 1] == inner
        ? 1 : left.rank >= 2 && left.shape[left.rank - 2] == rows ? 0 : nil
      var fitting = right.shape
      fitting[max(right.rank - 2, 0)] = inner
      throw OpRejection(
        "matmul: inner sizes differ, \(inner) and \(rows)",
        notes: [
          "the \(left.rank == 1 ? "elements" : "columns") of \(OpRejection.operand(0)) (\(inner)) must equal the \(right.rank == 1 ? "elements" : "rows") of \(OpRejection.operand(1)) (\(rows))"
        ],
        help: transposed.map { "transpose \(OpRejection.operand($0)) with `.T`" },
        fitting: .init(operand: 1, fitting))
    }
    let leftBatch = Shape(Array(left.shape.sizes.dropLast(2)))
    let rightBatch = Shape(Array(right.shape.sizes.dropLast(2)))
    guard leftBatch.broadcast(with: rightBatch) != nil else {
      throw OpRejection(
        "matmul: batch axes \(leftBatch) and \(rightBatch) do not broadcast",
        notes: ["axes before the last two must be equal, or 1, counted from the right"])
    }
    let largest = (left.shape.sizes.suffix(2) + right.shape.sizes.suffix(2)).max() ?? 0
    guard largest <= Int(Int32.max) else {
      throw OpRejection(
        "matmul: a size of \(largest) is beyond the largest, 2147483647", code: "bad-shape")
    }
  }

  package func axisMap(_ operands: [TensorType]) -> AxisMap {
    let (left, right) = (operands[0].rank, operands[1].rank)
    let batch = (0..<left - 2).map { axis in [axis, right == 2 ? nil : axis] as [Int?] }
    let sums = [[left - 1, right - 2]] as [[Int?]]
    return AxisMap(results: batch + [[left - 2, nil], [nil, right - 1]], sums: sums, additivity: .each([0, 1]), attributes: self)
  }

  package func reference(_ operands: [ReferenceTensor]) throws(KernelFault) -> [ReferenceTensor] {
    let (left, right) = (operands[0], operands[1])
    guard let type = try? resultTypes(of: operands.map(\.type))[0] else { return [] }
    let rank = type.rank
    var result = ReferenceTensor(type, [Double](repeating: 0, count: type.elementCount))
    ReferenceTensor.forEachIndex(in: type.shape) { index in
      var (leftIndex, rightIndex) = (index, Array(index.suffix(right.shape.rank)))
      for inner in 0..<left.shape[rank - 1] {
        leftIndex[rank - 1] = inner
        rightIndex[right.shape.rank - 2] = inner
        result[index] += left[leftIndex] * right[rightIndex]
      }
    }
    return [result]
  }

  package func run(_ operands: [TensorView], into results: [TensorView]) throws(KernelFault) {
    if operands[0].dtype.isFloating {
      multiplyMatrices(operands[0], operands[1], into: results[0])
    } else if !multiplyWholeMatrices(operands[0], operands[1], into: results[0]) {
      throw KernelFault("an element of the product does not fit in i64", code: "integer-overflow")
    }
  }

  package func arithmetic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    2 * Double(results[0].elementCount) * Double(operands[0].shape.sizes.last!)
  }

  package func scratchByteCount(_ operands: [TensorView], _ results: [TensorView]) -> Int {
    productScratchByteCount(operands[0], operands[1], result: results[0].dtype)
  }

  package func mayRefuse(_ operands: [TensorType]) -> Bool { !operands[0].dtype.isFloating }

  // c = a @ b:  da = dc @ b.T,  db = a.T @ dc.  With one b for a whole batch, db adds up over the batch,
  // which is one product of the batch as a tall matrix.
  package var gradient: Gradient {
    .pullback { g, at in
      let (a, b) = (at.operands[0], at.operands[1])
      let dc = try g.cast(at.cotangent, to: a.dtype)
      let da = try g.emit(MatMul(), dc, try g.swapLastAxes(b))
      if b.rank == a.rank { return [da, try g.emit(MatMul(), try g.swapLastAxes(a), dc)] }
      let rows = a.shape.sizes.dropLast().reduce(1, *)
      let tall = try g.reshape(a, to: [rows, b.shape[0]])
      let tallCotangent = try g.reshape(dc, to: [rows, b.shape[1]])
      return [da, try g.emit(MatMul(), try g.swapLastAxes(tall), tallCotangent)]
    }
  }

  package static let samples = [
    OpSample("matrices", [.normal([3, 4]), .normal([4, 5])]),
    OpSample("batch", [.normal([2, 3, 4]), .normal([2, 4, 2])]),
    OpSample("two batch axes", [.normal([2, 3, 2, 4]), .normal([2, 3, 4, 1])]),
    OpSample("batch with one matrix", [.normal([2, 3, 4]), .normal([4, 5])]),
    OpSample("two batch axes with one matrix", [.normal([2, 2, 3, 4]), .normal([4, 2])]),
    OpSample("one row and one column", [.normal([1, 6]), .normal([6, 1])]),
    OpSample("outer product", [.normal([4, 1]), .normal([1, 3])]),
    OpSample("no inner elements", [.normal([2, 0]), .normal([0, 3])]),
    OpSample("no rows", [.normal([0, 4]), .normal([4, 3])]),
    OpSample("empty batch", [.normal([0, 2, 3]), .normal([0, 3, 2])]),
    OpSample(
      "whole numbers", [.integers([3, 4], -9...9, dtype: nil), .integers([4, 2], -9...9, dtype: nil)]),
  ]
  package static let rejections: [OpSample.Rejected] = [
    .init(
      "inner sizes", [TensorType(.f32, [32, 128]), TensorType(.f32, [64, 10])],
      message: "matmul: inner sizes differ, 128 and 64"),
    .init(
      "one axis, which only the builder takes", [TensorType(.f32, [2, 2]), TensorType(.f32, [2])],
      message: "a matrix has two axes, got f32[2, 2] and f32[2]"),
    .init(
      "batch axes", [TensorType(.f32, [2, 3, 4]), TensorType(.f32, [5, 4, 3])],
      message: "batch axes [2] and [5] do not broadcast"),
    .init(
      "a number", [TensorType(.f32, []), TensorType(.f32, [2, 2])],
      message: "a single number has no rows or columns"),
    .init(
      "dtypes", [TensorType(.f32, [2, 2]), TensorType(.f64, [2, 2])],
      message: "matmul expects operands of one dtype, got f32 and f64"),
    .init(
      "bool", [TensorType(.bool, [2, 2]), TensorType(.bool, [2, 2])],
      message: "matmul expects f32, f64, f16, bf16, i32, i64 or u8, got bool"),
  ]
}

extension GraphBuilder {
  /// Appends the product of any operands that have one: brings those with one axis to matrices, and
  /// broadcasts batch axes.
  package func matmul(_ a: GraphValue, _ b: GraphValue) throws -> GraphValue {
    let widening = Widening(MatMul.self, [a.dtype, b.dtype])
    if widening.dtypes != [a.dtype, b.dtype] {
      let product = try matmul(cast(a, to: widening.dtypes[0]), cast(b, to: widening.dtypes[1]))
      return try widening.result.map { try cast(product, to: $0) } ?? product
    }
    try MatMul.check(a.type, b.type)
    var left = a.rank == 1 ? try reshape(a, to: [1, a.shape[0]]) : a
    var right = b.rank == 1 ? try reshape(b, to: [b.shape[0], 1]) : b
    if right.rank > 2 {
      let leftBatch = Shape(Array(left.shape.sizes.dropLast(2)))
      let rightBatch = Shape(Array(right.shape.sizes.dropLast(2)))
      let batch = leftBatch.broadcast(with: rightBatch) ?? leftBatch
      left = try broadcast(left, to: Shape(batch.sizes + left.shape.sizes.suffix(2)))
      right = try broadcast(right, to: Shape(batch.sizes + right.shape.sizes.suffix(2)))
    }
    let product = try emit(MatMul(), left, right)
    if a.rank > 1 && b.rank > 1 { return product }
    var sizes = product.shape.sizes
    if b.rank == 1 { sizes.removeLast() }
    if a.rank == 1 { sizes.remove(at: sizes.count - (b.rank == 1 ? 1 : 2)) }
    return try reshape(product, to: Shape(sizes))
  }
}
