import Tensors

// Attention over 16-bit floats. The queries of a block, the keys and values of a head are widened into scratch, wherever
// their rows lie, and results round there: so a pass over memory before and behind attention, and f32 copies of all
// heads, are saved. In between all is computed as in f32, with the same bits.

extension AttentionSizes {
  /// Where the rows of a head begin in a view [.., rows, columns], in elements.
  fileprivate func offset(of head: Int, in x: TensorView) -> Int {
    var (offset, rest) = (0, head)
    for axis in batch.indices.reversed() {
      offset &+= rest % batch[axis] &* x.strides[axis]
      rest /= batch[axis]
    }
    return offset
  }

  /// Widens some rows of a head.
  fileprivate func widen(_ x: TensorView, head: Int, rows: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    let axis = batch.count
    let width = x.shape[axis &+ 1]
    var source = x.base + (offset(of: head, in: x) &+ rows.lowerBound &* x.strides[axis]) &* x.dtype.byteCount
    var target = target
    for _ in rows {
      loadLane(x.dtype, from: source, stride: x.strides[axis &+ 1], into: target, count: width)
      source += x.strides[axis] &* x.dtype.byteCount
      target += width
    }
  }
}

/// The results of heads: in scratch to be rounded, or where they go.
private struct HeadResult {
  let view: TensorView
  /// Elements of a head.
  let count: Int

  var scratchCount: Int { view.dtype.isNarrow ? count : 0 }

  /// Where a kernel that adds the offset of the head is to write.
  func base(_ head: Int, _ scratch: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Float> {
    view.dtype.isNarrow ? scratch - head &* count : view.pointer(Float.self)
  }

  func finish(_ head: Int, _ scratch: UnsafeMutablePointer<Float>) {
    if !view.dtype.isNarrow { return }
    _ = storeLane(
      view.dtype, from: scratch, into: view.base + head &* count &* view.dtype.byteCount, count: count)
  }
}

// MARK: - Forward

extension AttentionSizes {
  private var widenedCount: Int { blockRows &* keyWidth &+ keyCount &* (keyWidth &+ valueWidth) }

  /// Floats that a thread needs.
  fileprivate func narrowCount(_ y: TensorView) -> Int {
    scoreCount &+ widenedCount &+ (y.dtype.isNarrow ? blockRows &* valueWidth : 0)
  }
}

func narrowAttentionScratchByteCount(_ y: TensorView, _ sizes: AttentionSizes) -> Int {
  scratchByteCount(of: Float.self, count: sizes.narrowCount(y))
}

/// `attend` for q, k and v in 16 bits, strided, and y in 16 bits or f32.
func attendNarrow(
  _ q: TensorView, _ k: TensorView, _ v: TensorView, mask: TensorView?, into y: TensorView, _ sizes: AttentionSizes
) {
  let (d, e, s) = (sizes.keyWidth, sizes.valueWidth, sizes.keyCount)
  inParallel(sizes.heads &* sizes.blocks, cost: sizes.cost(rows: sizes.blockRows)) { from, to in
    withScratch(of: Float.self, count: sizes.narrowCount(y)) { scores in
      let queries = scores + sizes.scoreCount
      let keys = queries + sizes.blockRows &* d
      let values = keys + s &* d
      let panel = values + s &* e
      // Blocks of a head follow each other, and see more keys each time.
      var known = (head: -1, keyCount: 0)
      for index in from..<to {
        let block = sizes.block(index)
        if known.head != block.head { known = (block.head, 0) }
        if known.keyCount < block.keyCount {
          let rows = known.keyCount..<block.keyCount
          sizes.widen(k, head: block.head, rows: rows, into: keys + rows.lowerBound &* d)
          sizes.widen(v, head: block.head, rows: rows, into: values + rows.lowerBound &* e)
          known.keyCount = block.keyCount
        }
        sizes.widen(q, head: block.head, rows: block.first..<block.first &+ block.count, into: queries)
        probabilities(
          Heads(queries - block.first &* d, width: d), Heads(keys, width: d), mask, block, sizes, into: scores)
        let position = (block.head &* sizes.queryCount &+ block.first) &* e
        let target = y.dtype.isNarrow ? panel : y.pointer(Float.self) + position
        Float.multiply(
          rows: block.count, columns: e, depth: block.keyCount,
          scores, .asIs, stride: block.keyCount, values, .asIs, stride: e,
          scale: 1, accumulating: false, into: target, stride: e)
        if y.dtype.isNarrow {
          _ = storeLane(y.dtype, from: panel, into: y.base + position &* y.dtype.byteCount, count: block.count &* e)
        }
      }
    }
  }
}

// MARK: - Backward

/// What a head of the backward pass needs: its operands widened, its results before they round.
private struct HeadScratch {
  let dq: HeadResult
  let dk: HeadResult
  let dv: HeadResult
  let sizes: AttentionSizes

  var queryCount: Int { sizes.queryCount &* sizes.keyWidth }
  var keyCount: Int { sizes.keyCount &* sizes.keyWidth }
  var valueCount: Int { sizes.keyCount &* sizes.valueWidth }
  var resultCount: Int { sizes.queryCount &* sizes.valueWidth }
  var count: Int {
    2 &* sizes.scoreCount &+ queryCount &+ keyCount &+ valueCount &+ resultCount
      &+ dq.scratchCount &+ dk.scratchCount &+ dv.scratchCount
  }

  init(_ dq: TensorView, _ dk: TensorView, _ dv: TensorView, _ sizes: AttentionSizes) {
    self.dq = HeadResult(view: dq, count: sizes.queryCount &* sizes.keyWidth)
    self.dk = HeadResult(view: dk, count: sizes.keyCount &* sizes.keyWidth)
    self.dv = HeadResult(view: dv, count: sizes.keyCount &* sizes.valueWidth)
    self.sizes = sizes
  }
}

func narrowAttentionGradientScratchByteCount(
  _ dq: TensorView, _ dk: TensorView, _ dv: TensorView, _ sizes: AttentionSizes
) -> Int {
  scratchByteCount(of: Float.self, count: HeadScratch(dq, dk, dv, sizes).count)
}

/// `attendGradient` for q, k, v and dy in 16 bits, strided, and results in 16 bits or f32.
/// See Note [Attention backward in parallel].
func attendGradientNarrow(
  _ q: TensorView, _ k: TensorView, _ v: TensorView, _ dy: TensorView, mask: TensorView?,
  dq: TensorView, dk: TensorView, dv: TensorView, _ sizes: AttentionSizes
) {
  let parts = HeadScratch(dq, dk, dv, sizes)
  func heads(_ from: Int, _ to: Int) {
    withScratch(of: Float.self, count: parts.count) { p in
      let ds = p + sizes.scoreCount
      let queries = ds + sizes.scoreCount
      let keys = queries + parts.queryCount
      let values = keys + parts.keyCount
      let cotangents = values + parts.valueCount
      let queryResults = cotangents + parts.resultCount
      let keyResults = queryResults + parts.dq.scratchCount
      let valueResults = keyResults + parts.dk.scratchCount
      for head in from..<to {
        sizes.widen(q, head: head, rows: 0..<sizes.queryCount, into: queries)
        sizes.widen(k, head: head, rows: 0..<sizes.keyCount, into: keys)
        sizes.widen(v, head: head, rows: 0..<sizes.keyCount, into: values)
        sizes.widen(dy, head: head, rows: 0..<sizes.queryCount, into: cotangents)
        let pass = BackwardPass(
          q: Heads(queries, width: sizes.keyWidth), k: Heads(keys, width: sizes.keyWidth),
          v: Heads(values, width: sizes.valueWidth), dy: Heads(cotangents, width: sizes.valueWidth), mask: mask,
          dq: parts.dq.base(head, queryResults), dk: parts.dk.base(head, keyResults),
          dv: parts.dv.base(head, valueResults), sizes: sizes)
        pass.run(head, p, ds)
        parts.dq.finish(head, queryResults)
        parts.dk.finish(head, keyResults)
        parts.dv.finish(head, valueResults)
      }
    }
  }
  if sizes.sharesBlocks {
    heads(0, sizes.heads)
  } else {
    inParallel(sizes.heads, cost: 2 &* sizes.cost(rows: sizes.queryCount), heads)
  }
}
