import Graphs
import Ops
import Tensors
import Testing

/// Products of matrices however they lie in memory.
@Suite struct MatMulTests {
  /// Ways in which a matrix can be a window on something larger.
  enum Window: CaseIterable {
    case plain, transposed, columns, everyOther, reversed, oneRow, oneColumn, oneNumber

    /// A window of shape `[rows, columns]`, with `batch` of them if it is not nil.
    func tensor(_ batch: Int?, _ rows: Int, _ columns: Int, dtype: DType) -> Tensor {
      let count = batch ?? 1
      let base = wave([count * (rows + 1) * (columns + 3) * 2 + 7], dtype: dtype)
      var (row, column, offset, matrix) = (columns, 1, 0, rows * columns)
      switch self {
      case .plain: break
      case .transposed: (row, column) = (1, rows)
      case .columns: (row, offset, matrix) = (columns + 3, 2, rows * (columns + 3))
      case .everyOther: (row, column, matrix) = (2 * columns, 2, 2 * rows * columns)
      case .reversed: (row, column, offset) = (-columns, -1, count * rows * columns - 1)
      case .oneRow: (row, matrix) = (0, columns)
      case .oneColumn: (row, column, matrix) = (1, 0, rows)
      case .oneNumber: (row, column, matrix) = (0, 0, 1)
      }
      if self == .reversed { matrix = -matrix }
      let layout =
        batch.map {
          Layout(shape: [$0, rows, columns], strides: [matrix, row, column], offset: offset)
        } ?? Layout(shape: [rows, columns], strides: [row, column], offset: offset)
      return Tensor(storage: base.storage, dtype: dtype, layout: layout)
    }
  }

  @Test(arguments: Window.allCases, Window.allCases)
  func productsDoNotDependOnLayout(_ left: Window, _ right: Window) throws {
    for dtype in [DType.f32, .f64, .i64, .f16, .bf16] {
      for (m, k, n) in [(5, 7, 3), (1, 4, 6), (6, 1, 5), (4, 6, 1), (1, 5, 1), (9, 12, 17)] {
        for (leftBatch, rightBatch) in [(nil, nil), (2, 2), (2, nil)] as [(Int?, Int?)] {
          if leftBatch != nil && dtype == .f64 { continue }
          let a = left.tensor(leftBatch, m, k, dtype: dtype)
          let b = right.tensor(rightBatch, k, n, dtype: dtype)
          let product = try run(MatMul(), [a, b], poison: 0xFF)[0]
          let expected = try MatMul().reference([ReferenceTensor(a), ReferenceTensor(b)])[0]
          let problem = difference(product, from: expected)
          #expect(problem == nil, "\(a.type) @ \(b.type)")
        }
      }
    }
  }

  /// A batch along the middle of another tensor, such as attention heads: no single row stride.
  @Test func batchesMayBePermuted() throws {
    let heads = wave([2, 5, 3, 4])
    let permuted = Layout(
      shape: [2, 3, 5, 4], strides: [60, 4, 12, 1], offset: 0)
    let q = Tensor(storage: heads.storage, dtype: .f32, layout: permuted)
    let k = Tensor(
      storage: heads.storage, dtype: .f32,
      layout: Layout(shape: [2, 3, 4, 5], strides: [60, 4, 1, 12], offset: 0))
    let w = wave([4, 6])
    for right in [k, w] {
      let product = try run(MatMul(), [q, right], poison: 0xFF)[0]
      let expected = try MatMul().reference([ReferenceTensor(q), ReferenceTensor(right)])[0]
      #expect(difference(product, from: expected) == nil)
    }
  }

  @Test func vectorsAndBatchesComeToMatrices() throws {
    let cases: [(Shape, Shape, Shape)] = [
      ([3], [3], []), ([3], [3, 2], [2]), ([2, 3], [3], [2]), ([3], [4, 3, 2], [4, 2]),
      ([4, 2, 3], [3], [4, 2]), ([5, 1, 2, 3], [4, 3, 2], [5, 4, 2, 2]), ([2, 3], [4, 3, 5], [4, 2, 5]),
      ([0, 3], [3, 2], [0, 2]), ([2, 0], [0, 3], [2, 3]),
    ]
    for (a, b, result) in cases {
      let g = GraphBuilder()
      let product = try g.matmul(g.input(TensorType(.f32, a)), g.input(TensorType(.f32, b)))
      #expect(product.shape == result, "\(a) @ \(b)")
    }
  }

  @Test func wholeProductsAreExact() throws {
    let x = Tensor(integers: [.max, .max], shape: [1, 2])
    let fits = Tensor(integers: [1, 0], shape: [2, 1])
    let beyond = Tensor(integers: [1, 1], shape: [2, 1])
    #expect(try run(MatMul(), [x, fits], poison: 0)[0].integers() == [.max])
    #expect(throws: KernelFault.self) { try run(MatMul(), [x, beyond], poison: 0) }
  }

  @Test func theRejectionSaysWhatMustBeEqual() throws {
    let rejection = #expect(throws: OpRejection.self) {
      try MatMul().resultTypes(of: [TensorType(.f32, [32, 128]), TensorType(.f32, [64, 128])])
    }
    #expect(rejection?.message == "matmul: inner sizes differ, 128 and 64")
    #expect(
      rejection?.notes == ["the columns of <operand 1> (128) must equal the rows of <operand 2> (64)"])
    #expect(rejection?.help == "transpose \(OpRejection.operand(1)) with `.T`")
  }
}
