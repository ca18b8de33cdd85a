import Tensors

// Softmax and its logarithm along one axis, and their gradients. Operands and results are contiguous and
// of one dtype, f32 or f64; along the last axis any of them may be in 16 bits, beside f32. The backward passes want the result y, not the operand.
//
// Lines along the last axis are rows: each is summed by lanes. Other lines lie across rows and are worked on
// side by side, so that every loop runs along memory; their sums are made in f64. Rows, and blocks of such
// lines, are shared by threads.

/// What an element costs, in elements of a simple loop.
private let elementCost = 2

/// y = exp(x - max) / sum(exp(x - max)) along an axis. A line with nothing above -inf gives NaN.
package func softmax(_ x: TensorView, into y: TensorView, _ sizes: LineSizes) {
  if sizes.inner == 1 {
    if y.dtype == .f64 {
      softmaxRows(x, y, sizes, Double.self)
    } else {
      softmaxRows(x, y, sizes, Float.self)
    }
  } else if y.dtype == .f64 {
    softmax(x.pointer(Double.self), y.pointer(Double.self), sizes)
  } else {
    softmax(x.pointer(Float.self), y.pointer(Float.self), sizes)
  }
}

/// y = x - max - log(sum(exp(x - max))) along an axis.
package func logSoftmax(_ x: TensorView, into y: TensorView, _ sizes: LineSizes) {
  if sizes.inner == 1 {
    if y.dtype == .f64 {
      logSoftmaxRows(x, y, sizes, Double.self)
    } else {
      logSoftmaxRows(x, y, sizes, Float.self)
    }
  } else if y.dtype == .f64 {
    logSoftmax(x.pointer(Double.self), y.pointer(Double.self), sizes)
  } else {
    logSoftmax(x.pointer(Float.self), y.pointer(Float.self), sizes)
  }
}

/// dx = y (dy - sum(dy y)), where y is a softmax.
package func softmaxGradient(
  _ y: TensorView, _ dy: TensorView, into dx: TensorView, _ sizes: LineSizes
) {
  if sizes.inner == 1 {
    if dx.dtype == .f64 {
      softmaxGradientRows(y, dy, dx, sizes, Double.self)
    } else {
      softmaxGradientRows(y, dy, dx, sizes, Float.self)
    }
  } else if dx.dtype == .f64 {
    softmaxGradient(y.pointer(Double.self), dy.pointer(Double.self), dx.pointer(Double.self), sizes)
  } else {
    softmaxGradient(y.pointer(Float.self), dy.pointer(Float.self), dx.pointer(Float.self), sizes)
  }
}

/// dx = dy - exp(y) sum(dy), where y is the logarithm of a softmax.
package func logSoftmaxGradient(
  _ y: TensorView, _ dy: TensorView, into dx: TensorView, _ sizes: LineSizes
) {
  if sizes.inner == 1 {
    if dx.dtype == .f64 {
      logSoftmaxGradientRows(y, dy, dx, sizes, Double.self)
    } else {
      logSoftmaxGradientRows(y, dy, dx, sizes, Float.self)
    }
  } else if dx.dtype == .f64 {
    logSoftmaxGradient(y.pointer(Double.self), dy.pointer(Double.self), dx.pointer(Double.self), sizes)
  } else {
    logSoftmaxGradient(y.pointer(Float.self), dy.pointer(Float.self), dx.pointer(Float.self), sizes)
  }
}

// MARK: - Rows

/// Elements whose exponentials are taken in one loop: many rows where rows are short.
private let rowBlock = 1024

/// y = exp(x - max of the row), for `rowCount` rows of `count` that follow each other. NaN where a row has NaN.
@inline(__always)
private func exponentials<Scalar: KernelFloat>(
  _ x: UnsafePointer<Scalar>, _ y: UnsafeMutablePointer<Scalar>, rowCount: Int, count: Int
) {
  for row in 0..<rowCount {
    let (x, y) = (x + row &* count, y + row &* count)
    let top = maximumByLanes(count) { x[$0] }
    for i in 0..<count { y[i] = x[i] - top }
  }
  for i in 0..<rowCount &* count { y[i] = Scalar.exponential(y[i]) }
}

/// y = softmax(x) of rows that follow each other.
@inline(__always)
func softmaxRows<Scalar: KernelFloat>(
  _ x: UnsafePointer<Scalar>, _ y: UnsafeMutablePointer<Scalar>, rowCount: Int, count: Int
) {
  let blockRows = max(1, rowBlock / max(count, 1))
  for start in stride(from: 0, to: rowCount, by: blockRows) {
    let rows = min(blockRows, rowCount &- start)
    let (x, y) = (x + start &* count, y + start &* count)
    exponentials(x, y, rowCount: rows, count: count)
    for row in 0..<rows {
      let y = y + row &* count
      let scale = 1 / sumByLanes(count) { y[$0] }
      for i in 0..<count { y[i] *= scale }
    }
  }
}

@inline(__always)
private func logSoftmaxRows<Scalar: KernelFloat>(
  _ x: UnsafePointer<Scalar>, _ y: UnsafeMutablePointer<Scalar>, rowCount: Int, count: Int
) {
  let blockRows = max(1, rowBlock / max(count, 1))
  for start in stride(from: 0, to: rowCount, by: blockRows) {
    let rows = min(blockRows, rowCount &- start)
    let (x, y) = (x + start &* count, y + start &* count)
    exponentials(x, y, rowCount: rows, count: count)
    for row in 0..<rows {
      let (x, y) = (x + row &* count, y + row &* count)
      let top = maximumByLanes(count) { x[$0] }
      let logarithm = Scalar.logarithm(sumByLanes(count) { y[$0] })
      for i in 0..<count { y[i] = x[i] - top - logarithm }
    }
  }
}

/// The scratch of softmax and its kin over rows, of which some are in 16 bits.
package func softmaxRowsScratchByteCount(_ views: [TensorView], _ sizes: LineSizes) -> Int {
  scratchByteCount(of: Float.self, count: views.count { $0.dtype.isNarrow } &* sizes.blockRows &* sizes.count)
}

extension LineSizes {
  /// Rows that are worked on at a time.
  fileprivate var blockRows: Int { max(1, rowBlock / max(count, 1)) }

  /// Calls `body` with blocks of rows of two operands and a result, or of one, given twice.
  @inline(__always)
  fileprivate func forEachRowBlock<Scalar>(
    _ a: TensorView, _ b: TensorView?, _ result: TensorView, _: Scalar.Type,
    _ body: (
      _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, _ result: UnsafeMutablePointer<Scalar>, _ rows: Int
    ) -> Void
  ) {
    let (first, writer) = (NarrowRows<Scalar>(a, count: count), NarrowRows<Scalar>(result, count: count))
    let second = b.map { NarrowRows<Scalar>($0, count: count) }
    let firstCount = first.scratchCount(rows: blockRows)
    let secondCount = second?.scratchCount(rows: blockRows) ?? 0
    inParallel(outer, cost: elementCost &* count) { from, to in
      withScratch(of: Scalar.self, count: firstCount &+ secondCount &+ writer.scratchCount(rows: blockRows)) { scratch in
        let written = scratch + firstCount + secondCount
        for start in stride(from: from, to: to, by: blockRows) {
          let rows = min(blockRows, to &- start)
          let x = first.read(start, rows: rows, in: scratch)
          let y = second?.read(start, rows: rows, in: scratch + firstCount) ?? x
          body(x, y, writer.place(start, in: written), rows)
          writer.finish(start, rows: rows, from: written)
        }
      }
    }
  }
}

private func softmaxRows<Scalar: KernelFloat>(_ x: TensorView, _ y: TensorView, _ sizes: LineSizes, _: Scalar.Type) {
  sizes.forEachRowBlock(x, nil, y, Scalar.self) { x, _, y, rows in
    softmaxRows(x, y, rowCount: rows, count: sizes.count)
  }
}

private func logSoftmaxRows<Scalar: KernelFloat>(_ x: TensorView, _ y: TensorView, _ sizes: LineSizes, _: Scalar.Type) {
  sizes.forEachRowBlock(x, nil, y, Scalar.self) { x, _, y, rows in
    logSoftmaxRows(x, y, rowCount: rows, count: sizes.count)
  }
}

private func softmaxGradientRows<Scalar: KernelFloat>(
  _ y: TensorView, _ dy: TensorView, _ dx: TensorView, _ sizes: LineSizes, _: Scalar.Type
) {
  sizes.forEachRowBlock(y, dy, dx, Scalar.self) { y, dy, dx, rows in
    for row in 0..<rows {
      let offset = row &* sizes.count
      let (y, dy, dx) = (y + offset, dy + offset, dx + offset)
      let dot = sumByLanes(sizes.count) { y[$0] * dy[$0] }
      for i in 0..<sizes.count { dx[i] = y[i] * (dy[i] - dot) }
    }
  }
}

private func logSoftmaxGradientRows<Scalar: KernelFloat>(
  _ y: TensorView, _ dy: TensorView, _ dx: TensorView, _ sizes: LineSizes, _: Scalar.Type
) {
  sizes.forEachRowBlock(y, dy, dx, Scalar.self) { y, dy, dx, rows in
    for row in 0..<rows {
      let offset = row &* sizes.count
      let (y, dy, dx) = (y + offset, dy + offset, dx + offset)
      let total = sumByLanes(sizes.count) { dy[$0] }
      for i in 0..<sizes.count { dx[i] = dy[i] - Scalar.exponential(y[i]) * total }
    }
  }
}

private func softmax<Scalar: KernelFloat>(
  _ x: UnsafeMutablePointer<Scalar>, _ y: UnsafeMutablePointer<Scalar>, _ sizes: LineSizes
) {
  sizes.inParallelColumns(cost: elementCost) { from, to in
    sizes.forEachColumnBlock(from, to) {
      (start, width, top: UnsafeMutablePointer<Scalar>, total) in
      columnMaxima(x + start, top, width, sizes)
      for j in 0..<width { total[j] = 0 }
      for i in 0..<sizes.count {
        let (x, y) = (x + (start &+ i &* sizes.inner), y + (start &+ i &* sizes.inner))
        for j in 0..<width { y[j] = Scalar.exponential(x[j] - top[j]) }
        for j in 0..<width { total[j] += Double(y[j]) }
      }
      for j in 0..<width { top[j] = Scalar(1 / total[j]) }
      for i in 0..<sizes.count {
        let y = y + (start &+ i &* sizes.inner)
        for j in 0..<width { y[j] *= top[j] }
      }
    }
  }
}

private func logSoftmax<Scalar: KernelFloat>(
  _ x: UnsafeMutablePointer<Scalar>, _ y: UnsafeMutablePointer<Scalar>, _ sizes: LineSizes
) {
  sizes.inParallelColumns(cost: elementCost) { from, to in
    sizes.forEachColumnBlock(from, to) {
      (start, width, top: UnsafeMutablePointer<Scalar>, total) in
      columnMaxima(x + start, top, width, sizes)
      for j in 0..<width { total[j] = 0 }
      for i in 0..<sizes.count {
        let x = x + (start &+ i &* sizes.inner)
        for j in 0..<width { total[j] += Double(Scalar.exponential(x[j] - top[j])) }
      }
      for j in 0..<width { total[j] = Double(Scalar.logarithm(Scalar(total[j]))) }
      for i in 0..<sizes.count {
        let (x, y) = (x + (start &+ i &* sizes.inner), y + (start &+ i &* sizes.inner))
        for j in 0..<width { y[j] = x[j] - top[j] - Scalar(total[j]) }
      }
    }
  }
}

private func softmaxGradient<Scalar: KernelFloat>(
  _ y: UnsafeMutablePointer<Scalar>, _ dy: UnsafeMutablePointer<Scalar>,
  _ dx: UnsafeMutablePointer<Scalar>, _ sizes: LineSizes
) {
  sizes.inParallelColumns(cost: elementCost) { from, to in
    sizes.forEachColumnBlock(from, to) {
      (start, width, _: UnsafeMutablePointer<Scalar>, total) in
      for j in 0..<width { total[j] = 0 }
      for i in 0..<sizes.count {
        let (y, dy) = (y + (start &+ i &* sizes.inner), dy + (start &+ i &* sizes.inner))
        for j in 0..<width { total[j] += Double(y[j]) * Double(dy[j]) }
      }
      for i in 0..<sizes.count {
        let offset = start &+ i &* sizes.inner
        let (y, dy, dx) = (y + offset, dy + offset, dx + offset)
        for j in 0..<width { dx[j] = y[j] * (dy[j] - Scalar(total[j])) }
      }
    }
  }
}

private func logSoftmaxGradient<Scalar: KernelFloat>(
  _ y: UnsafeMutablePointer<Scalar>, _ dy: UnsafeMutablePointer<Scalar>,
  _ dx: UnsafeMutablePointer<Scalar>, _ sizes: LineSizes
) {
  sizes.inParallelColumns(cost: elementCost) { from, to in
    sizes.forEachColumnBlock(from, to) {
      (start, width, _: UnsafeMutablePointer<Scalar>, total) in
      for j in 0..<width { total[j] = 0 }
      for i in 0..<sizes.count {
        let dy = dy + (start &+ i &* sizes.inner)
        for j in 0..<width { total[j] += Double(dy[j]) }
      }
      for i in 0..<sizes.count {
        let offset = start &+ i &* sizes.inner
        let (y, dy, dx) = (y + offset, dy + offset, dx + offset)
        for j in 0..<width { dx[j] = dy[j] - Scalar.exponential(y[j]) * Scalar(total[j]) }
      }
    }
  }
}

// MARK: - Columns

@inline(__always)
private func columnMaxima<Scalar: KernelFloat>(
  _ x: UnsafeMutablePointer<Scalar>, _ top: UnsafeMutablePointer<Scalar>, _ width: Int,
  _ sizes: LineSizes
) {
  for j in 0..<width { top[j] = -.infinity }
  for i in 0..<sizes.count {
    let x = x + i &* sizes.inner
    for j in 0..<width { top[j] = x[j] > top[j] ? x[j] : top[j] }
  }
}
