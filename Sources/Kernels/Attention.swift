import Tensors

// Scaled dot-product attention, one matrix pair (a head of an example) after the other, and of each a block of
// queries at a time: the scores of a block are all that is ever held.
//
//   S = scale q @ k.T,  P = softmax(S over visible keys),  y = P @ v
//
// Backward, with P found again:
//
//   dP = dy @ v.T,  dS = P (dP - sum(dP P)),  dq = scale dS @ k,  dk = scale dS.T @ q,  dv = P.T @ dy
//
// A query that sees no key at all gives zeros.

/// The sizes of an attention q [.., t, d], k [.., s, d], v [.., s, e] -> [.., t, e].
package struct AttentionSizes: Sendable {
  /// The leading axes, and their product.
  package let batch: [Int]
  package let heads: Int
  /// t: rows of q.
  package let queryCount: Int
  /// s: rows of k and v.
  package let keyCount: Int
  /// d, and e.
  package let keyWidth: Int
  package let valueWidth: Int
  package let scale: Double
  /// Query i sees no key beyond i + s - t: the last query sees all keys.
  package let isCausal: Bool

  package init(
    batch: [Int], queryCount: Int, keyCount: Int, keyWidth: Int, valueWidth: Int, scale: Double,
    isCausal: Bool
  ) {
    self.batch = batch
    heads = batch.reduce(1, &*)
    self.queryCount = queryCount
    self.keyCount = keyCount
    self.keyWidth = keyWidth
    self.valueWidth = valueWidth
    self.scale = scale
    self.isCausal = isCausal
  }

  /// How many keys, from the first on, a query sees.
  package func visibleKeys(_ query: Int) -> Int {
    isCausal ? max(0, min(keyCount, query + 1 + keyCount - queryCount)) : keyCount
  }
}

/// The matrices of heads: where each begins, and how far their rows lie apart.
struct Heads<Scalar> {
  private let base: UnsafeMutablePointer<Scalar>
  let rowStride: Int
  /// The shape and strides of the view, of which the first axes are those of heads.
  private let sizes: [Int]
  private let strides: [Int]
  private let batchRank: Int

  /// - Requires: rows are contiguous.
  init(_ view: TensorView) {
    let rank = view.shape.count
    base = view.pointer(Scalar.self)
    // The stride of a single row says nothing.
    rowStride = view.shape[rank &- 2] == 1 ? view.shape[rank &- 1] : view.strides[rank &- 2]
    (sizes, strides, batchRank) = (view.shape, view.strides, rank &- 2)
  }

  /// One matrix, which serves as that of any head.
  init(_ matrix: UnsafeMutablePointer<Scalar>, width: Int) {
    (base, rowStride, sizes, strides, batchRank) = (matrix, width, [], [], 0)
  }

  /// Not inlined: loops that come after it in long functions would not be either.
  @inline(never)
  func row(_ row: Int, of head: Int) -> UnsafeMutablePointer<Scalar> {
    var (offset, rest) = (row &* rowStride, head)
    for axis in (0..<batchRank).reversed() {
      offset &+= rest % sizes[axis] &* strides[axis]
      rest /= sizes[axis]
    }
    return base + offset
  }
}

/// y = attention(q, k, v); `mask` (bool, broadcast to [.., t, s]) hides keys where it is false. All else is of one dtype, f32
/// or f64, and rows of q, k and v are contiguous; or these are in 16 bits, strided, and y is in 16 bits or f32.
package func attend(
  _ q: TensorView, _ k: TensorView, _ v: TensorView, mask: TensorView?, into y: TensorView,
  _ sizes: AttentionSizes
) {
  if q.dtype.isNarrow {
    attendNarrow(q, k, v, mask: mask, into: y, sizes)
  } else if y.dtype == .f64 {
    attend(Heads(q), Heads(k), Heads(v), mask, y.pointer(Double.self), sizes)
  } else {
    attend(Heads(q), Heads(k), Heads(v), mask, y.pointer(Float.self), sizes)
  }
}

/// The cotangents of q, k and v, where dy is that of attention(q, k, v).
package func attendGradient(
  _ q: TensorView, _ k: TensorView, _ v: TensorView, _ dy: TensorView, mask: TensorView?,
  dq: TensorView, dk: TensorView, dv: TensorView, _ sizes: AttentionSizes
) {
  if q.dtype.isNarrow {
    attendGradientNarrow(q, k, v, dy, mask: mask, dq: dq, dk: dk, dv: dv, sizes)
  } else if dq.dtype == .f64 {
    attendGradient(
      Heads(q), Heads(k), Heads(v), Heads(dy), mask,
      dq.pointer(Double.self), dk.pointer(Double.self), dv.pointer(Double.self), sizes)
  } else {
    attendGradient(
      Heads(q), Heads(k), Heads(v), Heads(dy), mask,
      dq.pointer(Float.self), dk.pointer(Float.self), dv.pointer(Float.self), sizes)
  }
}

/// The scratch that `attend` takes.
package func attentionScratchByteCount(_ q: TensorView, _ y: TensorView, _ sizes: AttentionSizes) -> Int {
  q.dtype.isNarrow ? narrowAttentionScratchByteCount(y, sizes) : scoresByteCount(q.dtype, sizes, matrices: 1)
}

/// The scratch that its gradient takes.
package func attentionGradientScratchByteCount(
  _ q: TensorView, _ dq: TensorView, _ dk: TensorView, _ dv: TensorView, _ sizes: AttentionSizes
) -> Int {
  q.dtype.isNarrow
    ? narrowAttentionGradientScratchByteCount(dq, dk, dv, sizes) : scoresByteCount(q.dtype, sizes, matrices: 2)
}

private func scoresByteCount(_ dtype: DType, _ sizes: AttentionSizes, matrices: Int) -> Int {
  matrices &* (dtype == .f64
    ? scratchByteCount(of: Double.self, count: sizes.scoreCount)
    : scratchByteCount(of: Float.self, count: sizes.scoreCount))
}

private func attend<Scalar: KernelFloat & BLASScalar>(
  _ q: Heads<Scalar>, _ k: Heads<Scalar>, _ v: Heads<Scalar>, _ mask: TensorView?, _ y: UnsafeMutablePointer<Scalar>,
  _ sizes: AttentionSizes
) {
  let e = sizes.valueWidth
  inParallel(sizes.heads &* sizes.blocks, cost: sizes.cost(rows: sizes.blockRows)) { from, to in
    withScratch(of: Scalar.self, count: sizes.scoreCount) { scratch in
      for index in from..<to {
        let block = sizes.block(index)
        probabilities(q, k, mask, block, sizes, into: scratch)
        Scalar.multiply(
          rows: block.count, columns: e, depth: block.keyCount,
          scratch, .asIs, stride: block.keyCount, v.row(0, of: block.head), .asIs, stride: v.rowStride,
          scale: 1, accumulating: false, into: y + (block.head &* sizes.queryCount &+ block.first) &* e, stride: e)
      }
    }
  }
}

// Note [Attention backward in parallel]
//
// All queries of a head add to dk and dv. Heads are many as a rule, and each is one thread's work, block
// after block. Few heads are done one after the other, and threads share each block twice: first its queries,
// which find P, dS and dq, then its keys, whose rows of dk and dv are nobody else's.

private func attendGradient<Scalar: KernelFloat & BLASScalar>(
  _ q: Heads<Scalar>, _ k: Heads<Scalar>, _ v: Heads<Scalar>, _ dy: Heads<Scalar>, _ mask: TensorView?,
  _ dq: UnsafeMutablePointer<Scalar>, _ dk: UnsafeMutablePointer<Scalar>,
  _ dv: UnsafeMutablePointer<Scalar>, _ sizes: AttentionSizes
) {
  let pass = BackwardPass(
    q: q, k: k, v: v, dy: dy, mask: mask, dq: dq, dk: dk, dv: dv, sizes: sizes)
  func heads(_ from: Int, _ to: Int) {
    withScratch(of: Scalar.self, count: sizes.scoreCount) { p in
      withScratch(of: Scalar.self, count: sizes.scoreCount) { ds in
        for head in from..<to { pass.run(head, p, ds) }
      }
    }
  }
  if sizes.sharesBlocks {
    heads(0, sizes.heads)
  } else {
    inParallel(sizes.heads, cost: 2 &* sizes.cost(rows: sizes.queryCount), heads)
  }
}

struct BackwardPass<Scalar: KernelFloat & BLASScalar> {
  let q: Heads<Scalar>
  let k: Heads<Scalar>
  let v: Heads<Scalar>
  let dy: Heads<Scalar>
  let mask: TensorView?
  let dq: UnsafeMutablePointer<Scalar>
  let dk: UnsafeMutablePointer<Scalar>
  let dv: UnsafeMutablePointer<Scalar>
  let sizes: AttentionSizes

  /// All of a head, with room for the scores of a block, and for their cotangents.
  func run(_ head: Int, _ p: UnsafeMutablePointer<Scalar>, _ ds: UnsafeMutablePointer<Scalar>) {
    let (d, e, s) = (sizes.keyWidth, sizes.valueWidth, sizes.keyCount)
    (dk + head &* s &* d).update(repeating: 0, count: s &* d)
    (dv + head &* s &* e).update(repeating: 0, count: s &* e)
    for index in head &* sizes.blocks..<(head &+ 1) &* sizes.blocks {
      let block = sizes.block(index)
      if sizes.sharesBlocks {
        inParallel(block.count, cost: sizes.cost(rows: 1), unit: sharedRows) { first, last in
          scores(block, rows: first..<last, p, ds)
        }
        inParallel(block.keyCount, cost: sizes.keyCost(block), unit: sharedRows) { first, last in
          keys(block, keys: first..<last, p, ds)
        }
      } else {
        scores(block, rows: 0..<block.count, p, ds)
        keys(block, keys: 0..<block.keyCount, p, ds)
      }
    }
  }

  /// P and dS of some queries of a block, and their dq.
  private func scores(
    _ block: QueryBlock, rows: Range<Int>, _ p: UnsafeMutablePointer<Scalar>,
    _ ds: UnsafeMutablePointer<Scalar>
  ) {
    let (d, e, n) = (sizes.keyWidth, sizes.valueWidth, block.keyCount)
    let first = block.first &+ rows.lowerBound
    let (p, ds) = (p + rows.lowerBound &* n, ds + rows.lowerBound &* n)
    let part = QueryBlock(head: block.head, first: first, count: rows.count, keyCount: n)
    probabilities(q, k, mask, part, sizes, into: p)
    Scalar.multiply(
      rows: rows.count, columns: n, depth: e,
      dy.row(first, of: block.head), .asIs, stride: dy.rowStride, v.row(0, of: block.head), .transposed,
      stride: v.rowStride,
      scale: 1, accumulating: false, into: ds, stride: n)
    for row in 0..<rows.count {
      let (p, ds) = (p + row &* n, ds + row &* n)
      let dot = sumByLanes(n) { p[$0] * ds[$0] }
      for i in 0..<n { ds[i] = p[i] * (ds[i] - dot) }
    }
    Scalar.multiply(
      rows: rows.count, columns: d, depth: n,
      ds, .asIs, stride: n, k.row(0, of: block.head), .asIs, stride: k.rowStride,
      scale: Scalar(sizes.scale), accumulating: false, into: dq + (block.head &* sizes.queryCount &+ first) &* d, stride: d)
  }

  /// What a block adds to dk and dv of some keys.
  private func keys(
    _ block: QueryBlock, keys: Range<Int>, _ p: UnsafeMutablePointer<Scalar>,
    _ ds: UnsafeMutablePointer<Scalar>
  ) {
    let (d, e, n) = (sizes.keyWidth, sizes.valueWidth, block.keyCount)
    let key = block.head &* sizes.keyCount &+ keys.lowerBound
    Scalar.multiply(
      rows: keys.count, columns: e, depth: block.count,
      p + keys.lowerBound, .transposed, stride: n, dy.row(block.first, of: block.head), .asIs, stride: dy.rowStride,
      scale: 1, accumulating: true, into: dv + key &* e, stride: e)
    Scalar.multiply(
      rows: keys.count, columns: d, depth: block.count,
      ds + keys.lowerBound, .transposed, stride: n, q.row(block.first, of: block.head), .asIs, stride: q.rowStride,
      scale: Scalar(sizes.scale), accumulating: true, into: dk + key &* d, stride: d)
  }
}

// MARK: - Blocks of queries

/// Queries of a block.
private let queryBlock = 64
/// With fewer heads than this, threads share blocks, and take so many queries or keys at least.
private let fewHeads = 8
private let sharedRows = 16

/// Some queries of one head, and the keys that any of them sees.
struct QueryBlock {
  let head: Int
  let first: Int
  let count: Int
  let keyCount: Int
}

extension AttentionSizes {
  /// Blocks of a head, and the queries of each but the last.
  var blocks: Int { (queryCount + queryBlock - 1) / queryBlock }
  var blockRows: Int { min(queryBlock, queryCount) }
  /// Whether threads share blocks, rather than heads, of the backward pass.
  var sharesBlocks: Bool { heads < fewHeads }
  /// The scores of a block.
  var scoreCount: Int { blockRows * max(1, keyCount) }

  /// A block that sees no key comes with one all the same, of no weight: BLAS need not know of empty matrices.
  func block(_ index: Int) -> QueryBlock {
    let (head, block) = index.quotientAndRemainder(dividingBy: blocks)
    let first = block * queryBlock
    let count = min(queryBlock, queryCount - first)
    return QueryBlock(
      head: head, first: first, count: count, keyCount: max(1, visibleKeys(first + count - 1)))
  }

  /// What some queries cost, in elements of a simple loop.
  func cost(rows: Int) -> Int { rows * keyCount * (4 + (keyWidth + valueWidth) / 32) }

  /// What one key of a block costs.
  fileprivate func keyCost(_ block: QueryBlock) -> Int { block.count * (1 + (keyWidth + valueWidth) / 32) }
}

/// P of a block: each row the softmax of its scaled scores over the keys it sees, zero elsewhere.
@inline(__always)
func probabilities<Scalar: KernelFloat & BLASScalar>(
  _ q: Heads<Scalar>, _ k: Heads<Scalar>, _ mask: TensorView?, _ block: QueryBlock, _ sizes: AttentionSizes, into p: UnsafeMutablePointer<Scalar>
) {
  let (d, n) = (sizes.keyWidth, block.keyCount)
  Scalar.multiply(
    rows: block.count, columns: n, depth: d, q.row(block.first, of: block.head), .asIs, stride: q.rowStride,
    k.row(0, of: block.head), .transposed, stride: k.rowStride,
    scale: Scalar(sizes.scale), accumulating: false, into: p, stride: n)
  for row in 0..<block.count {
    let line = p + row &* n
    let visible = sizes.visibleKeys(block.first &+ row)
    if let mask {
      let (bits, step) = maskRow(mask, head: block.head, query: block.first &+ row, sizes)
      for i in 0..<visible { line[i] = bits[i &* step] != 0 ? line[i] : -.infinity }
    }
    let top = maximumByLanes(visible) { line[$0] }
    // Where no key is seen: subtracting 0 leaves -inf, whose exponentials are 0.
    let base: Scalar = top == -.infinity ? 0 : top
    for i in 0..<visible { line[i] = Scalar.exponential(line[i] - base) }
    let total = sumByLanes(visible) { line[$0] }
    let scale: Scalar = total == 0 ? 0 : 1 / total
    for i in 0..<visible { line[i] *= scale }
    for i in visible..<n { line[i] = 0 }
  }
}

/// The elements of a mask for the keys of one query: the first, and the distance to the next, 0 where one
/// serves all.
private func maskRow(
  _ mask: TensorView, head: Int, query: Int, _ sizes: AttentionSizes
) -> (first: UnsafePointer<UInt8>, step: Int) {
  let rank = mask.shape.count
  // The mask's axes are the last of [batch.., t, s].
  let missing = sizes.batch.count + 2 - rank
  func stride(_ axis: Int) -> Int {
    axis < missing || mask.shape[axis - missing] == 1 ? 0 : mask.strides[axis - missing]
  }
  var offset = query &* stride(sizes.batch.count)
  var rest = head
  for axis in sizes.batch.indices.reversed() {
    offset &+= rest % sizes.batch[axis] &* stride(axis)
    rest /= sizes.batch[axis]
  }
  return (UnsafePointer(mask.pointer(UInt8.self) + offset), stride(sizes.batch.count + 1))
}
