import Tensors

// Note [Layouts of matrix products]
//
// BLAS reads a matrix whose rows, or whose columns, are contiguous. Transposed and sliced views are such
// and are passed as they are; a matrix with gaps both ways, or broadcast along an axis, is packed first, a
// panel at a time, and so is one that must be widened. A batch whose rows lie at equal distances throughout is one tall matrix: with one right
// operand for all of it the whole product is a single one.

// Note [Blocks of matrix products]
//
// A product is cut into blocks of rows and columns of the result, large enough that packing them, which
// BLAS does for each call, costs little. A batch of small products is cut between products. Where the
// result is small and the inner axis long, as for gradients of weights, the inner axis is cut too: partial
// products are added up in halves. See Note [Threads and bits].

/// Multiplies matrices of floats: `left [..., m, k] @ right [..., k, n]` with equal batch axes, or
/// `right [k, n]`. Of 16-bit floats the result is of the same dtype or f32.
///
/// - Requires: m, k and n fit in 32 bits; `result` is contiguous.
/// See Note [Layouts of matrix products], Note [Products in 16 bits].
package func multiplyMatrices(_ left: TensorView, _ right: TensorView, into result: TensorView) {
  func multiply<Element: ProductElement>(_: Element.Type) {
    if result.dtype.isNarrow {
      multiplyNarrow(left, right, into: result, Element.self)
    } else {
      Kernels.multiply(left, right, into: result.pointer(Element.Sum.self), Element.self)
    }
  }
  switch ProductElements(left.dtype) {
  case .single: multiply(Float.self)
  case .double: multiply(Double.self)
  case .half: multiply(Float16.self)
  case .bfloat16: multiply(NativeBFloat16.self)
  case .wideningBFloat16: multiply(WideningBFloat16.self)
  }
}

/// Multiplies matrices of whole numbers into i64, exactly. False says that a result does not fit.
package func multiplyWholeMatrices(
  _ left: TensorView, _ right: TensorView, into result: TensorView
) -> Bool {
  switch left.dtype {
  case .i64: multiplyExactly(left, right, into: result.pointer(), Int64.self)
  case .i32: multiplyExactly(left, right, into: result.pointer(), Int32.self)
  default: multiplyExactly(left, right, into: result.pointer(), UInt8.self)
  }
}

/// The scratch that a product of `left` and `right` takes, of which the result is kept in `dtype`.
package func productScratchByteCount(_ left: TensorView, _ right: TensorView, result dtype: DType) -> Int {
  func byteCount<Element: ProductElement>(_: Element.Type) -> Int {
    let product = MatrixProduct(left, right, Element.self)
    return dtype.isNarrow ? product.narrowScratchByteCount(of: Element.self) : product.scratchByteCount(of: Element.self)
  }
  if !left.dtype.isFloating { return exactScratchByteCount(left, right) }
  return switch ProductElements(left.dtype) {
  case .single: byteCount(Float.self)
  case .double: byteCount(Double.self)
  case .half: byteCount(Float16.self)
  case .bfloat16: byteCount(NativeBFloat16.self)
  case .wideningBFloat16: byteCount(WideningBFloat16.self)
  }
}

/// How BLAS can read a matrix.
private struct MatrixLayout {
  let order: MatrixOrder
  /// The distance between rows, or between columns of a transposed one.
  let leadingStride: Int

  /// nil where neither rows nor columns are contiguous.
  init?(rows: Int, columns: Int, rowStride: Int, columnStride: Int) {
    // The stride of an axis of size 1 says nothing.
    if columnStride == 1 || columns == 1 {
      let stride = rows == 1 ? columns : rowStride
      if stride >= columns && stride <= Int(Int32.max) {
        (order, leadingStride) = (.asIs, stride)
        return
      }
    }
    if rowStride == 1 || rows == 1 {
      let stride = columns == 1 ? rows : columnStride
      if stride >= rows && stride <= Int(Int32.max) {
        (order, leadingStride) = (.transposed, stride)
        return
      }
    }
    return nil
  }

  func offset(row: Int, column: Int) -> Int {
    order == .asIs ? row &* leadingStride &+ column : column &* leadingStride &+ row
  }
}

/// The sizes of a batch of products.
private struct ProductSizes {
  var batch: Int
  var m: Int
  let n: Int
  let k: Int

  init(_ left: TensorView, _ right: TensorView) {
    let rank = left.shape.count
    batch = 1
    for axis in 0..<(rank - 2) { batch &*= left.shape[axis] }
    m = left.shape[rank - 2]
    k = left.shape[rank - 1]
    n = right.shape[right.shape.count - 1]
  }

  var resultCount: Int { batch &* m &* n }
}

/// Returns the distance between rows of all matrices of the batch, if it is the same throughout.
private func commonRowStride(_ x: TensorView) -> Int? {
  var stride: Int?
  var count = 1
  for axis in Swift.stride(from: x.shape.count - 2, through: 0, by: -1) where x.shape[axis] != 1 {
    if let stride, x.strides[axis] != count &* stride { return nil }
    if stride == nil { stride = x.strides[axis] }
    count &*= x.shape[axis]
  }
  return stride ?? x.shape[x.shape.count - 1]
}

// MARK: - Cuts

/// Multiplications worth a part of their own, some 40 microseconds.
private let productGrain = 1 &<< 21
/// Multiplications of a block: enough for a few, or worth many, as each is packed anew.
private let blockGrain = (few: 1 &<< 23, many: 1 &<< 26)
private let blockCount = (few: 4, many: 16)
/// Blocks are not cut to sides below this: to be few, or many.
private let blockSide = (few: 96, many: 192)
/// Rows of blocks are not made shorter than this while blocks can be made lower: what runs on a product runs on rows, and
/// an optimizer on rows of 256 took twice the time.
private let wideBlock = 384
/// The inner axis is cut so often at most, into no less than this, and for so many partial results.
private let mostInnerBlocks = 8
private let innerSide = 512
private let mostPartials = 1 &<< 17

/// A batch of products and its cuts.
/// See Note [Blocks of matrix products].
private struct MatrixProduct {
  let sizes: ProductSizes
  let leftRank: Int
  let rightRank: Int
  let leftStrides: (row: Int, column: Int)
  let rightStrides: (row: Int, column: Int)
  let leftLayout: MatrixLayout?
  let rightLayout: MatrixLayout?
  /// Whether operands are packed: to be read by the library, or as wider floats.
  let packsLeft: Bool
  let packsRight: Bool

  /// Products of the batch that a part does.
  let batch: Cut
  /// Blocks of one product.
  private(set) var rowBlocks = 1
  private(set) var columnBlocks = 1
  private(set) var innerBlocks = 1

  init<Element: ProductElement>(_ left: TensorView, _ right: TensorView, _: Element.Type) {
    leftRank = left.shape.count
    rightRank = right.shape.count
    var sizes = ProductSizes(left, right)
    innerBlocks = MatrixProduct.innerBlocks(sizes, isShared: rightRank == 2)
    var rowStride = left.strides[leftRank - 2]
    if rightRank == 2, let stride = commonRowStride(left), sizes.batch &* sizes.m <= Int(Int32.max) {
      rowStride = stride
      sizes.m &*= sizes.batch
      sizes.batch = 1
    }
    self.sizes = sizes
    leftStrides = (rowStride, left.strides[leftRank - 1])
    rightStrides = (right.strides[rightRank - 2], right.strides[rightRank - 1])
    leftLayout = MatrixLayout(
      rows: sizes.m, columns: sizes.k, rowStride: leftStrides.row, columnStride: leftStrides.column)
    rightLayout = MatrixLayout(
      rows: sizes.k, columns: sizes.n, rowStride: rightStrides.row, columnStride: rightStrides.column)
    packsLeft = leftLayout == nil || !Element.isFactor
    packsRight = rightLayout == nil || !Element.isFactor
    let work = sizes.m &* sizes.n &* sizes.k
    batch = Cut(sizes.batch, cost: work / (productGrain / partGrain), most: 64)
    let wanted = max(
      min(blockCount.few, work / blockGrain.few), min(blockCount.many, work / blockGrain.many))
    if batch.length == 1 {
      while partCount < wanted {
        let (height, width) = (sizes.m / rowBlocks, sizes.n / columnBlocks)
        let side = partCount < blockCount.few ? blockSide.few : blockSide.many
        let rowSide = width >= wideBlock ? blockSide.few : side
        let columnSide = height >= side ? side : wideBlock
        if height >= 2 &* rowSide && (height >= width || width < 2 &* wideBlock) {
          rowBlocks &*= 2
        } else if width >= 2 &* columnSide {
          columnBlocks &*= 2
        } else if height >= 2 &* rowSide {
          rowBlocks &*= 2
        } else {
          break
        }
      }
    }
  }

  /// By sizes alone, as it decides in what order products are added.
  private static func innerBlocks(_ sizes: ProductSizes, isShared: Bool) -> Int {
    let rows = isShared ? sizes.batch &* sizes.m : sizes.m
    let work = rows &* sizes.n &* sizes.k
    let otherBlocks = max(1, rows / blockSide.few) &* max(1, sizes.n / blockSide.few)
    var blocks = 1
    while blocks &* otherBlocks < mostInnerBlocks && work / (2 &* blocks) >= productGrain
      && sizes.k / (2 &* blocks) >= innerSide
      && (2 &* blocks &- 1) &* rows &* sizes.n <= mostPartials
    {
      blocks &*= 2
    }
    return blocks
  }

  var partCount: Int { batch.parts &* rowBlocks &* columnBlocks &* innerBlocks }

  // Blocks are equal but for the last.
  var rowLength: Int { (sizes.m &+ rowBlocks &- 1) / rowBlocks }
  var columnLength: Int { (sizes.n &+ columnBlocks &- 1) / columnBlocks }
  var innerLength: Int { (sizes.k &+ innerBlocks &- 1) / innerBlocks }

  // MARK: Scratch

  /// The sides of a packed panel at most.
  fileprivate static let panelSide = 256

  /// Elements of the result that one call of BLAS makes: what a chain then runs on is still in the second-level cache,
  /// and a weight's gradient that a chain consumes is never held as a whole.
  private static let panelCapacity = 1 << 17

  /// What one call of BLAS does of a block.
  var panelRows: Int {
    let most = max(32, MatrixProduct.panelCapacity / max(columnLength, 1))
    return min(rowLength, packsLeft ? min(MatrixProduct.panelSide, most) : most)
  }
  var panelColumns: Int { packsRight ? min(columnLength, MatrixProduct.panelSide) : columnLength }
  var panelDepth: Int { packsLeft || packsRight ? min(innerLength, MatrixProduct.panelSide) : innerLength }
  var leftPackCount: Int { packsLeft ? panelRows &* panelDepth : 0 }
  var rightPackCount: Int { packsRight ? panelDepth &* panelColumns : 0 }
  /// Partial products but for the first, which is made where the result goes.
  var partialCount: Int { (innerBlocks &- 1) &* sizes.resultCount }

  func scratchByteCount<Element: ProductElement>(of _: Element.Type) -> Int {
    if sizes.resultCount == 0 || sizes.k == 0 { return 0 }
    return Kernels.scratchByteCount(of: Element.Sum.self, count: partialCount)
      &+ Kernels.scratchByteCount(of: WalkAxis.self, count: leftRank &+ rightRank)
      &+ Kernels.scratchByteCount(of: Element.Factor.self, count: leftPackCount)
      &+ Kernels.scratchByteCount(of: Element.Factor.self, count: rightPackCount)
  }

  /// Where sums round to 16 bits.
  func narrowScratchByteCount<Element: ProductElement>(of _: Element.Type) -> Int {
    if sizes.resultCount == 0 || sizes.k == 0 { return 0 }
    return Kernels.scratchByteCount(of: Element.Sum.self, count: innerBlocks > 1 ? sizes.resultCount : panelCount)
      &+ scratchByteCount(of: Element.self)
  }

  /// Elements of the result that are made at a time.
  var panelCount: Int { panelRows &* columnLength }
}

// MARK: - Floats

private func multiply<Element: ProductElement>(
  _ left: TensorView, _ right: TensorView, into result: UnsafeMutablePointer<Element.Sum>, _: Element.Type
) {
  let product = MatrixProduct(left, right, Element.self)
  let sizes = product.sizes
  if sizes.resultCount == 0 { return }
  if sizes.k == 0 {
    result.update(repeating: 0, count: sizes.resultCount)
    return
  }
  withScratch(of: Element.Sum.self, count: product.partialCount) { partials in
    inParallel(parts: product.partCount) { index in
      let part = product.part(index)
      let inner = part.inner
      multiply(
        left, right, product,
        into: inner == 0 ? result : partials + (inner &- 1) &* sizes.resultCount, stride: sizes.n,
        batch: part.batch, rows: part.rows, columns: part.columns,
        inner: inner &* product.innerLength..<min((inner &+ 1) &* product.innerLength, sizes.k), Element.self)
    }
    if product.innerBlocks > 1 {
      addHalves(partials, blocks: product.innerBlocks, count: sizes.resultCount, onto: result)
    }
  }
}

extension MatrixProduct {
  /// What is one thread's work: blocks of some products of the batch.
  struct Part {
    let batch: Range<Int>
    let rows: Range<Int>
    let columns: Range<Int>
    /// Which piece of the inner axis.
    let inner: Int
  }

  func part(_ index: Int) -> Part {
    var rest = index
    let inner = rest % innerBlocks
    rest /= innerBlocks
    let column = min(rest % columnBlocks &* columnLength, sizes.n)
    rest /= columnBlocks
    let row = min(rest % rowBlocks &* rowLength, sizes.m)
    let batch = rest / rowBlocks
    return Part(
      batch: self.batch.start(batch)..<self.batch.end(batch), rows: row..<min(row &+ rowLength, sizes.m),
      columns: column..<min(column &+ columnLength, sizes.n), inner: inner)
  }
}

// MARK: - Results in 16 bits

private func multiplyNarrow<Element: ProductElement>(
  _ left: TensorView, _ right: TensorView, into result: TensorView, _: Element.Type
) {
  let product = MatrixProduct(left, right, Element.self)
  let sizes = product.sizes
  let dtype = result.dtype
  if sizes.resultCount == 0 { return }
  if sizes.k == 0 {
    result.base.initializeMemory(as: UInt8.self, repeating: 0, count: sizes.resultCount &* dtype.byteCount)
    return
  }
  func round(_ sums: UnsafePointer<Element.Sum>, at position: Int, count: Int) {
    _ = storeLane(dtype, from: sums, into: result.base + position &* dtype.byteCount, count: count)
  }
  if product.innerBlocks > 1 {
    return withScratch(of: Element.Sum.self, count: sizes.resultCount) { sums in
      multiply(left, right, into: sums, Element.self)
      inParallel(sizes.resultCount, cost: 1) { from, to in round(sums + from, at: from, count: to &- from) }
    }
  }
  inParallel(parts: product.partCount) { index in
    let part = product.part(index)
    withScratch(of: Element.Sum.self, count: product.panelCount) { panel in
      for batch in part.batch {
        product.forEachPanel(left, right, batch: batch, rows: part.rows, columns: part.columns, in: panel, Element.self) { rows in
          let width = part.columns.count
          // Whole rows lie one after the other.
          let isWhole = width == sizes.n
          for row in isWhole ? 0..<1 : 0..<rows.count {
            round(
              panel + row &* width, at: (batch &* sizes.m &+ rows.lowerBound &+ row) &* sizes.n &+ part.columns.lowerBound,
              count: isWhole ? rows.count &* width : width)
          }
        }
      }
    }
  }
}

extension MatrixProduct {
  /// Makes a block of one product of the batch, whose inner axis is not cut, panel after panel, and calls `body` with the
  /// rows of each: their columns lie one after the other in `panel`.
  @inline(__always)
  func forEachPanel<Element: ProductElement>(
    _ left: TensorView, _ right: TensorView, batch: Int, rows: Range<Int>, columns: Range<Int>,
    in panel: UnsafeMutablePointer<Element.Sum>, _: Element.Type, _ body: (Range<Int>) -> Void
  ) {
    if columns.isEmpty { return }
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: panelRows) {
      let rows = first..<min(first &+ panelRows, rows.upperBound)
      multiply(
        left, right, self,
        into: panel - ((batch &* sizes.m &+ first) &* columns.count &+ columns.lowerBound), stride: columns.count,
        batch: batch..<batch &+ 1, rows: rows, columns: columns, inner: 0..<sizes.k, Element.self)
      body(rows)
    }
  }
}

// MARK: - Products with a chain

/// Multiplies floats `left [..., m, k] @ right [k, n]` and runs a program on each block of the product while it is in
/// cache: the bits are those of the product as a whole in `dtype`, then the program.
///
/// - Parameter operands: those of the program from its second on; its first is the product.
/// - Requires: the program cannot fail.
package func multiplyMatrices(
  _ left: TensorView, _ right: TensorView, as dtype: DType, then program: TileProgram, _ operands: [TensorView],
  into results: [TensorView]
) {
  func multiply<Element: ProductElement>(_: Element.Type) {
    Kernels.multiply(left, right, as: dtype, then: program, operands, into: results, Element.self)
  }
  switch ProductElements(left.dtype) {
  case .single: multiply(Float.self)
  case .double: multiply(Double.self)
  case .half: multiply(Float16.self)
  case .bfloat16: multiply(NativeBFloat16.self)
  case .wideningBFloat16: multiply(WideningBFloat16.self)
  }
}

/// The scratch that a product with a program takes on each thread.
package func productScratchByteCount(
  _ left: TensorView, _ right: TensorView, then program: TileProgram, _ operands: [TensorView],
  into results: [TensorView]
) -> Int {
  func byteCount<Element: ProductElement>(_: Element.Type) -> Int {
    let product = MatrixProduct(left, right, Element.self)
    let ofProgram = program.scratchByteCount([productView(left, right)] + operands, results)
    let held = product.hasBlocks ? product.panelCount : product.sizes.resultCount
    return scratchByteCount(of: Element.Sum.self, count: held)
      &+ max(product.scratchByteCount(of: Element.self), ofProgram)
  }
  return switch ProductElements(left.dtype) {
  case .single: byteCount(Float.self)
  case .double: byteCount(Double.self)
  case .half: byteCount(Float16.self)
  case .bfloat16: byteCount(NativeBFloat16.self)
  case .wideningBFloat16: byteCount(WideningBFloat16.self)
  }
}

/// Whether a program on such a product runs on whole blocks of storage alone, wherever the product is cut: on rows that lie
/// one after the other, or on pieces of rows that are blocks themselves.
package func productIsCutAtBlocks(rows m: Int, columns n: Int, inner k: Int) -> Bool {
  func view(_ rows: Int, _ columns: Int) -> TensorView {
    TensorView(
      base: UnsafeMutableRawPointer(bitPattern: Storage.alignment)!, dtype: .f32, shape: [rows, columns],
      strides: [columns, 1])
  }
  let product = MatrixProduct(view(m, k), view(k, n), Float.self)
  func isAligned(_ count: Int) -> Bool { count % blockSize == 0 }
  if product.innerBlocks > 1 { return true }
  if product.columnBlocks > 1 { return isAligned(n) && isAligned(product.columnLength) }
  // Of an operand that must be packed, panels may be lower.
  let panels = [product.panelRows, min(product.panelRows, MatrixProduct.panelSide)]
  return (product.rowBlocks == 1 || isAligned(product.rowLength &* n))
    && panels.allSatisfy { $0 >= product.rowLength || isAligned($0 &* n) }
}

/// The sums of a product as they would lie in memory, at no place in particular.
private func productView(_ left: TensorView, _ right: TensorView) -> TensorView {
  let shape = Array(left.shape.dropLast()) + [right.shape[1]]
  return TensorView(
    base: left.base, dtype: left.dtype == .f64 ? .f64 : .f32, shape: shape, strides: Shape(shape).contiguousStrides)
}

extension MatrixProduct {
  /// Whether blocks are complete when they are made, and lie in one matrix.
  var hasBlocks: Bool { innerBlocks == 1 && sizes.batch == 1 }
}

private func multiply<Element: ProductElement>(
  _ left: TensorView, _ right: TensorView, as dtype: DType, then program: TileProgram, _ operands: [TensorView],
  into results: [TensorView], _: Element.Type
) {
  let product = MatrixProduct(left, right, Element.self)
  let sizes = product.sizes
  var whole = productView(left, right)
  func round(_ sums: UnsafeMutablePointer<Element.Sum>, count: Int) {
    if dtype.isNarrow { roundInPlace(dtype, UnsafeMutableRawPointer(sums).assumingMemoryBound(to: Float.self), count: count) }
  }
  guard product.hasBlocks else {
    // Small, or of rows at unequal distances: the whole product first.
    return withScratch(of: Element.Sum.self, count: sizes.resultCount) { held in
      whole.base = UnsafeMutableRawPointer(held)
      multiply(left, right, into: held, Element.self)
      inParallel(sizes.resultCount, cost: 1) { from, to in round(held + from, count: to &- from) }
      try? program.run([whole] + operands, into: results)
    }
  }
  let all = [whole] + operands
  inParallel(parts: product.partCount) { index in
    let part = product.part(index)
    let columns = part.columns
    withScratch(of: Element.Sum.self, count: product.panelCount) { panel in
      product.forEachPanel(left, right, batch: 0, rows: part.rows, columns: columns, in: panel, Element.self) { rows in
        round(panel, count: rows.count &* columns.count)
        // Whole rows lie one after the other.
        let isWhole = columns.count == sizes.n
        program.run(
          all, into: results,
          on: TileProgram.Block(
            base: UnsafeRawPointer(panel), stride: columns.count &* MemoryLayout<Element.Sum>.stride,
            columnCount: isWhole ? 0 : sizes.n),
          rows: isWhole ? 0..<1 : rows,
          columns: isWhole ? rows.lowerBound &* sizes.n..<rows.upperBound &* sizes.n : columns)
      }
    }
  }
}

/// Adds `blocks - 1` partial results of `count` elements to a first one, each to the one that lies half the
/// rest further down.
func addHalves<Value: BinaryFloatingPoint>(
  _ partials: UnsafeMutablePointer<Value>, blocks: Int, count: Int, onto first: UnsafeMutablePointer<Value>
) {
  if blocks == 1 { return }
  inParallel(count, cost: blocks) { from, to in
    func block(_ index: Int) -> UnsafeMutablePointer<Value> {
      index == 0 ? first : partials + (index &- 1) &* count
    }
    var left = blocks
    while left > 1 {
      let half = (left &+ 1) / 2
      for index in 0..<(left &- half) {
        let (a, b) = (block(index), block(half &+ index))
        for i in from..<to { a[i] += b[i] }
      }
      left = half
    }
  }
}

/// One block of some products of a batch.
private func multiply<Element: ProductElement>(
  _ left: TensorView, _ right: TensorView, _ product: MatrixProduct,
  into result: UnsafeMutablePointer<Element.Sum>, stride resultStride: Int, batch: Range<Int>, rows: Range<Int>,
  columns: Range<Int>, inner: Range<Int>, _: Element.Type
) {
  if rows.isEmpty || columns.isEmpty { return }
  withScratch(of: WalkAxis.self, count: product.leftRank &+ product.rightRank) { scratch in
    var leftWalk = StridedWalk(scratch: scratch)
    var rightWalk = StridedWalk(scratch: scratch + product.leftRank)
    if product.sizes.batch > 1 {
      leftWalk.appendBatch(left)
      rightWalk.appendBatch(right)
      leftWalk.seek(batch.lowerBound)
      rightWalk.seek(batch.lowerBound)
    }
    withScratch(of: Element.Factor.self, count: product.leftPackCount) { leftPack in
      withScratch(of: Element.Factor.self, count: product.rightPackCount) { rightPack in
        var leftMatrix = PackedMatrix(
          base: UnsafePointer(left.pointer(Element.self)), layout: product.leftLayout,
          strides: product.leftStrides, pack: leftPack)
        var rightMatrix = PackedMatrix(
          base: UnsafePointer(right.pointer(Element.self)), layout: product.rightLayout,
          strides: product.rightStrides, pack: rightPack)
        for index in batch {
          let target = result + index &* product.sizes.m &* resultStride
          for depth in stride(from: inner.lowerBound, to: inner.upperBound, by: product.panelDepth) {
            let depths = depth..<min(depth &+ product.panelDepth, inner.upperBound)
            for column in stride(from: columns.lowerBound, to: columns.upperBound, by: product.panelColumns) {
              let width = min(product.panelColumns, columns.upperBound &- column)
              let b = rightMatrix.block(
                at: rightWalk.offset, rows: depths, columns: column..<column &+ width)
              for row in stride(from: rows.lowerBound, to: rows.upperBound, by: product.panelRows) {
                if ProductBreak.isDue { return }
                let height = min(product.panelRows, rows.upperBound &- row)
                let a = leftMatrix.block(
                  at: leftWalk.offset, rows: row..<row &+ height, columns: depths)
                Element.multiply(
                  rows: height, columns: width, depth: depths.count,
                  a.base, a.order, stride: a.stride, b.base, b.order, stride: b.stride,
                  accumulating: depth > inner.lowerBound, into: target + row &* resultStride + column,
                  stride: resultStride)
              }
            }
          }
          leftWalk.advance()
          rightWalk.advance()
        }
      }
    }
  }
}

extension StridedWalk {
  /// Appends the axes of a batch of matrices.
  fileprivate mutating func appendBatch(_ view: TensorView) {
    for axis in 0..<(view.shape.count - 2) {
      append(count: view.shape[axis], stride: view.strides[axis])
    }
  }
}

/// The matrices of a batch as the library can read them, packed where it must be.
private struct PackedMatrix<Element: ProductElement> {
  let base: UnsafePointer<Element>
  let layout: MatrixLayout?
  let strides: (row: Int, column: Int)
  /// Room for one panel, if there is no layout, or elements are widened.
  let pack: UnsafeMutablePointer<Element.Factor>
  /// What was packed last: a broadcast matrix is packed once.
  private var packed: (offset: Int, rows: Range<Int>, columns: Range<Int>)?

  init(
    base: UnsafePointer<Element>, layout: MatrixLayout?, strides: (row: Int, column: Int),
    pack: UnsafeMutablePointer<Element.Factor>
  ) {
    self.base = base
    self.layout = layout
    self.strides = strides
    self.pack = pack
  }

  /// A block of the matrix that begins at `offset`.
  mutating func block(
    at offset: Int, rows: Range<Int>, columns: Range<Int>
  ) -> (base: UnsafePointer<Element.Factor>, order: MatrixOrder, stride: Int) {
    if let layout, Element.isFactor {
      let start = base + offset + layout.offset(row: rows.lowerBound, column: columns.lowerBound)
      return (
        UnsafeRawPointer(start).assumingMemoryBound(to: Element.Factor.self), layout.order, layout.leadingStride
      )
    }
    if packed == nil || packed! != (offset, rows, columns) {
      pack(offset, rows, columns)
      packed = (offset, rows, columns)
    }
    // Columns that are contiguous stay so.
    let isTransposed = layout?.order == .transposed
    return (UnsafePointer(pack), isTransposed ? .transposed : .asIs, isTransposed ? rows.count : columns.count)
  }

  private func pack(_ offset: Int, _ rows: Range<Int>, _ columns: Range<Int>) {
    var target = pack
    let base = base + offset
    switch layout?.order {
    case .asIs?:
      for row in rows {
        let source = base + row &* layout!.leadingStride + columns.lowerBound
        for i in 0..<columns.count { target[i] = Element.widened(source[i]) }
        target += columns.count
      }
    case .transposed?:
      for column in columns {
        let source = base + column &* layout!.leadingStride + rows.lowerBound
        for i in 0..<rows.count { target[i] = Element.widened(source[i]) }
        target += rows.count
      }
    case nil:
      for row in rows {
        let source = base + row &* strides.row
        for column in columns {
          target.pointee = Element.widened(source[column &* strides.column])
          target += 1
        }
      }
    }
  }
}

// MARK: - Whole numbers

private func exactScratchByteCount(_ left: TensorView, _ right: TensorView) -> Int {
  if ProductSizes(left, right).resultCount == 0 { return 0 }
  return scratchByteCount(of: WalkAxis.self, count: left.shape.count &+ right.shape.count)
}

private func multiplyExactly<Whole: FixedWidthInteger>(
  _ left: TensorView, _ right: TensorView, into result: UnsafeMutablePointer<Int64>, _: Whole.Type
) -> Bool {
  let sizes = ProductSizes(left, right)
  if sizes.resultCount == 0 { return true }
  let (leftRank, rightRank) = (left.shape.count, right.shape.count)
  var fits = true
  withScratch(of: WalkAxis.self, count: leftRank + rightRank) { scratch in
    var leftWalk = StridedWalk(scratch: scratch)
    var rightWalk = StridedWalk(scratch: scratch + leftRank)
    leftWalk.appendBatch(left)
    rightWalk.appendBatch(right)
    var target = result
    for _ in 0..<sizes.batch {
      for row in 0..<sizes.m {
        if ProductBreak.isDue { return }
        for column in 0..<sizes.n {
          var a = left.pointer(Whole.self) + leftWalk.offset + row &* left.strides[leftRank - 2]
          var b = right.pointer(Whole.self) + rightWalk.offset + column &* right.strides[rightRank - 1]
          var sum: Int128 = 0
          for _ in 0..<sizes.k {
            let (next, overflow) = sum.addingReportingOverflow(Int128(a.pointee) &* Int128(b.pointee))
            sum = next
            if overflow { fits = false }
            a += left.strides[leftRank - 1]
            b += right.strides[rightRank - 2]
          }
          if Int64(exactly: sum) == nil { fits = false }
          target.pointee = Int64(truncatingIfNeeded: sum)
          target += 1
        }
      }
      leftWalk.advance()
      rightWalk.advance()
    }
  }
  return fits
}
