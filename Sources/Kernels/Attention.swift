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

/// y = attention(q, k, v); `mask` (bool, contiguous, broadcast to [.., t, s]) hides keys where it is false.
package func attend(
  _ q: TensorView, _ k: TensorView, _ v: TensorView, mask: TensorView?, into y: TensorView,
  _ sizes: AttentionSizes
) {
  if y.dtype == .f64 {
    attend(
      q.pointer(Double.self), k.pointer(Double.self), v.pointer(Double.self), mask, y.pointer(Double.self), sizes)
  } else {
    attend(q.pointer(Float.self), k.pointer(Float.self), v.pointer(Float.self), mask, y.pointer(Float.self), sizes)
  }
}

/// The cotangents of q, k and v, where dy is that of attention(q, k, v).
package func attendGradient(
  _ q: TensorView, _ k: TensorView, _ v: TensorView, _ dy: TensorView, mask: TensorView?,
  dq: TensorView, dk: TensorView, dv: TensorView, _ sizes: AttentionSizes
) {
  if dq.dtype == .f64 {
    attendGradient(
      q.pointer(Double.self), k.pointer(Double.self), v.pointer(Double.self), dy.pointer(Double.self), mask,
      dq.pointer(Double.self), dk.pointer(Double.self), dv.pointer(Double.self), sizes)
  } else {
    attendGradient(
      q.pointer(Float.self), k.pointer(Float.self), v.pointer(Float.self), dy.pointer(Float.self), mask,
      dq.pointer(Float.self), dk.pointer(Float.self), dv.pointer(Float.self), sizes)
  }
}

private func attend<Scalar: KernelFloat & BLASScalar>(
  _ q: UnsafeMutablePointer<Scalar>, _ k: UnsafeMutablePointer<Scalar>,
  _ v: UnsafeMutablePointer<Scalar>, _ mask: TensorView?, _ y: UnsafeMutablePointer<Scalar>,
  _ sizes: AttentionSizes
) {
  let (d, e, s) = (sizes.keyWidth, sizes.valueWidth, sizes.keyCount)
  forEachBlock(sizes, scratchMatrices: 1, of: Scalar.self) { block, scratch in
    let (k, v) = (k + block.head &* s &* d, v + block.head &* s &* e)
    let query = block.head &* sizes.queryCount &+ block.first
    probabilities(q + query &* d, k, mask, block, sizes, into: scratch)
    Scalar.multiply(
      rows: block.count, columns: e, depth: block.keyCount,
      scratch, .asIs, stride: block.keyCount, v, .asIs, stride: e,
      scale: 1, accumulating: false, into: y + query &* e, stride: e)
  }
}

private func attendGradient<Scalar: KernelFloat & BLASScalar>(
  _ q: UnsafeMutablePointer<Scalar>, _ k: UnsafeMutablePointer<Scalar>,
  _ v: UnsafeMutablePointer<Scalar>, _ dy: UnsafeMutablePointer<Scalar>, _ mask: TensorView?,
  _ dq: UnsafeMutablePointer<Scalar>, _ dk: UnsafeMutablePointer<Scalar>,
  _ dv: UnsafeMutablePointer<Scalar>, _ sizes: AttentionSizes
) {
  let (d, e, s) = (sizes.keyWidth, sizes.valueWidth, sizes.keyCount)
  dk.update(repeating: 0, count: sizes.heads * s * d)
  dv.update(repeating: 0, count: sizes.heads * s * e)
  let scale = Scalar(sizes.scale)
  forEachBlock(sizes, scratchMatrices: 2, of: Scalar.self) { block, scratch in
    let n = block.keyCount
    let (p, ds) = (scratch, scratch + block.count &* n)
    let (keys, values) = (block.head &* s &* d, block.head &* s &* e)
    let query = block.head &* sizes.queryCount &+ block.first
    let (q, dq, dy) = (q + query &* d, dq + query &* d, dy + query &* e)
    probabilities(q, k + keys, mask, block, sizes, into: p)
    Scalar.multiply(
      rows: n, columns: e, depth: block.count,
      p, .transposed, stride: n, dy, .asIs, stride: e,
      scale: 1, accumulating: true, into: dv + values, stride: e)
    Scalar.multiply(
      rows: block.count, columns: n, depth: e,
      dy, .asIs, stride: e, v + values, .transposed, stride: e,
      scale: 1, accumulating: false, into: ds, stride: n)
    for row in 0..<block.count {
      let (p, ds) = (p + row &* n, ds + row &* n)
      let dot = sumByLanes(n) { p[$0] * ds[$0] }
      for i in 0..<n { ds[i] = p[i] * (ds[i] - dot) }
    }
    Scalar.multiply(
      rows: block.count, columns: d, depth: n,
      ds, .asIs, stride: n, k + keys, .asIs, stride: d,
      scale: scale, accumulating: false, into: dq, stride: d)
    Scalar.multiply(
      rows: n, columns: d, depth: block.count,
      ds, .transposed, stride: n, q, .asIs, stride: d,
      scale: scale, accumulating: true, into: dk + keys, stride: d)
  }
}

// MARK: - Blocks of queries

/// Queries of a block.
private let queryBlock = 64

/// Some queries of one head, and the keys that any of them sees.
private struct QueryBlock {
  let head: Int
  let first: Int
  let count: Int
  let keyCount: Int
}

/// Calls `body` with each block and scratch for matrices of its scores. A block that sees no key comes with
/// one all the same, of no weight: BLAS need not know of empty matrices.
@inline(__always)
private func forEachBlock<Scalar>(
  _ sizes: AttentionSizes, scratchMatrices: Int, of type: Scalar.Type,
  _ body: (QueryBlock, UnsafeMutablePointer<Scalar>) -> Void
) {
  let rows = min(queryBlock, sizes.queryCount)
  withScratch(of: Scalar.self, count: scratchMatrices * rows * sizes.keyCount) { scratch in
    for head in 0..<sizes.heads {
      for first in stride(from: 0, to: sizes.queryCount, by: queryBlock) {
        let count = min(queryBlock, sizes.queryCount - first)
        body(
          QueryBlock(
            head: head, first: first, count: count,
            keyCount: max(1, sizes.visibleKeys(first + count - 1))),
          scratch)
      }
    }
  }
}

/// P of a block: each row the softmax of its scaled scores over the keys it sees, zero elsewhere.
@inline(__always)
private func probabilities<Scalar: KernelFloat & BLASScalar>(
  _ q: UnsafeMutablePointer<Scalar>, _ k: UnsafeMutablePointer<Scalar>, _ mask: TensorView?,
  _ block: QueryBlock, _ sizes: AttentionSizes, into p: UnsafeMutablePointer<Scalar>
) {
  let (d, n) = (sizes.keyWidth, block.keyCount)
  Scalar.multiply(
    rows: block.count, columns: n, depth: d, q, .asIs, stride: d, k, .transposed, stride: d,
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
