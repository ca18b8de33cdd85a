import Execution
import Graphs
import Kernels
import Ops
import Passes
import Tensors
import Testing

/// Products of 16-bit floats as parts of plans: the same bits with what follows fused to them and without, for any number
/// of threads.
@Suite(.serialized) struct NarrowProductTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let dtype: DType
    let left: Shape
    let right: Shape
    var testDescription: String { "\(dtype) \(left) @ \(right)" }
  }

  /// Whole, in blocks of rows and of columns, in panels, cut along the inner axis, small, in a batch.
  static let cases = [DType.f16, .bf16].flatMap { dtype in
    [
      ([5, 7], [7, 3]), ([600, 300], [300, 520]), ([700, 64], [64, 1100]), ([8, 9000], [9000, 8]), ([3, 40, 16], [16, 9]),
      ([1, 1], [1, 1]), ([300, 700], [700, 1]),
    ].map { Case(dtype: dtype, left: Shape($0.0), right: Shape($0.1)) }
  }

  /// A layer of 16-bit floats, and a weight's gradient that is wanted in f32.
  private func graph(_ test: Case, isWide: Bool) throws -> Graph {
    let g = GraphBuilder()
    let x = g.input(TensorType(test.dtype, test.left))
    let weight = g.input(TensorType(.f32, test.right))
    let bias = g.input(TensorType(.f32, [test.right[1]]))
    let narrow = try g.cast(weight, to: test.dtype)
    let product = try g.emit(MatMul(isWide: isWide), x, narrow)
    let wide = try g.cast(product, to: .f32)
    let sum = try g.add(wide, try g.broadcast(bias, to: wide.shape))
    g.graph.outputs = [try g.cast(try g.tanh(sum), to: test.dtype), try g.multiply(wide, wide)]
    return g.graph
  }

  @Test(arguments: cases)
  func bitsDoNotDependOnFusionOrThreads(_ test: Case) throws {
    let before = ThreadPool.threadCount
    defer { ThreadPool.threadCount = before }
    for isWide in [false, true] {
      let inputs = [
        wave(test.left, dtype: test.dtype), wave(test.right), wave([test.right[1]]),
      ]
      var first: Outcome?
      for passes in [Pipeline.unfusedStep, Pipeline.step] {
        for threads in [1, 2, 4] {
          ThreadPool.threadCount = threads
          var graph = try graph(test, isWide: isWide)
          try Pipeline.run(passes, on: &graph)
          let outcome = try Plan(graph).outcome(inputs)
          if let first { #expect(first == outcome, "\(threads) threads") } else { first = outcome }
        }
      }
    }
  }

  /// A wide product keeps digits that one in 16 bits rounds off.
  @Test(arguments: cases)
  func wideProductsAreF32(_ test: Case) throws {
    let (a, b) = (wave(test.left, dtype: test.dtype), wave(test.right, dtype: test.dtype))
    if test.left.elementCount * test.right.elementCount > 1_000_000 { return }
    let product = try run(MatMul(isWide: true), [a, b], poison: 0xFF)[0]
    #expect(product.dtype == .f32)
    let expected = try MatMul(isWide: true).reference([ReferenceTensor(a), ReferenceTensor(b)])[0]
    #expect(difference(product, from: expected) == nil)
  }

  /// What stands in where oneDNN has no memory, on all four ways in which matrices lie, alone and on top of a sum.
  @Test(arguments: [false, true], [false, true])
  func productsWithoutMemoryAreRight(_ aIsTransposed: Bool, _ bIsTransposed: Bool) {
    let (rows, columns, depth, stride) = (3, 5, 4, 7)
    func element(_ row: Int, _ column: Int) -> Float { Float((row * 3 + column * 5) % 7 - 3) }
    func matrix(_ rows: Int, _ columns: Int, isTransposed: Bool) -> [UInt16] {
      var bits = [UInt16](repeating: 0x7FC0, count: 7 * max(rows, columns))
      for row in 0..<rows {
        for column in 0..<columns {
          let place = isTransposed ? column * stride + row : row * stride + column
          bits[place] = UInt16(element(row, column).bitPattern >> 16)
        }
      }
      return bits
    }
    let a = matrix(rows, depth, isTransposed: aIsTransposed)
    let b = matrix(depth, columns, isTransposed: bIsTransposed)
    var result = [Float](repeating: .nan, count: rows * stride)
    for accumulating in [false, true] {
      multiplyInPlace(
        rows: rows, columns: columns, depth: depth, a, isTransposed: aIsTransposed, stride: stride, b,
        isTransposed: bIsTransposed, stride: stride, accumulating: accumulating, into: &result, stride: stride)
      for row in 0..<rows {
        for column in 0..<stride {
          let sum = (0..<depth).reduce(0) { $0 + element(row, $1) * element($1, column) }
          let found = result[row * stride + column]
          #expect(column < columns ? found == (accumulating ? 2 * sum : sum) : found.isNaN)
        }
      }
    }
  }
}
