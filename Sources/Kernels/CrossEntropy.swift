import Tensors

// Cross entropy of rows of logits [rows, classes] with a class for each row. With z = x - max:
//
//   loss = log(sum(exp(z))) - (1 - s) z[target] - s mean(z),  s the smoothing
//   gradient = softmax(x) - q,  q = (1 - s) onehot(target) + s / classes

/// How the losses of rows are joined.
package enum LossReduction: String, Hashable, Sendable, CaseIterable {
  /// Divided by the rows that are not ignored.
  case mean
  case sum
  /// A loss for each row.
  case none
}

package struct CrossEntropySizes: Sendable {
  package let rowCount: Int
  package let classCount: Int
  /// Rows with this target have no loss and no gradient.
  package let ignoredTarget: Int
  package let smoothing: Double
  package let reduction: LossReduction

  package init(
    rowCount: Int, classCount: Int, ignoredTarget: Int, smoothing: Double, reduction: LossReduction
  ) {
    self.rowCount = rowCount
    self.classCount = classCount
    self.ignoredTarget = ignoredTarget
    self.smoothing = smoothing
    self.reduction = reduction
  }
}

/// Returns the first row whose target is neither a class nor ignored, with its target.
package func firstStrayTarget(
  _ targets: TensorView, _ sizes: CrossEntropySizes
) -> (row: Int, target: Int)? {
  for row in 0..<sizes.rowCount {
    let target = targets.target(row)
    if target != sizes.ignoredTarget && (target < 0 || target >= sizes.classCount) {
      return (row, target)
    }
  }
  return nil
}

/// Writes the loss of each row, or of all.
/// - Requires: no stray targets.
package func crossEntropy(
  _ logits: TensorView, _ targets: TensorView, into loss: TensorView, _ sizes: CrossEntropySizes
) {
  if loss.dtype == .f64 {
    crossEntropy(NarrowRows(logits, count: sizes.classCount), targets, loss.pointer(Double.self), sizes)
  } else {
    crossEntropy(NarrowRows(logits, count: sizes.classCount), targets, loss.pointer(Float.self), sizes)
  }
}

/// Writes the gradient of the logits, where dy is that of the loss.
/// - Requires: no stray targets.
package func crossEntropyGradient(
  _ logits: TensorView, _ targets: TensorView, _ dy: TensorView, into dlogits: TensorView,
  _ sizes: CrossEntropySizes
) {
  if dlogits.dtype == .f64 {
    crossEntropyGradient(
      NarrowRows(logits, count: sizes.classCount), targets, dy.pointer(Double.self),
      NarrowRows(dlogits, count: sizes.classCount), sizes)
  } else {
    crossEntropyGradient(
      NarrowRows(logits, count: sizes.classCount), targets, dy.pointer(Float.self),
      NarrowRows(dlogits, count: sizes.classCount), sizes)
  }
}

/// How rows are cut; losses of a part are added up before they join the total.
private func lossCut(_ sizes: CrossEntropySizes) -> Cut {
  Cut(sizes.rowCount, cost: 2 &* sizes.classCount, most: 64)
}

private struct LossSum {
  var total = 0.0
  var countedRows = 0
}

/// The scratch that `crossEntropy` takes.
package func crossEntropyScratchByteCount(_ logits: TensorView, _ sizes: CrossEntropySizes) -> Int {
  scratchByteCount(of: LossSum.self, count: lossCut(sizes).parts)
    &+ scratchByteCount(
      of: Float.self, count: NarrowRows<Float>(logits, count: sizes.classCount).scratchCount(rows: 1))
}

/// The scratch that its gradient takes.
package func crossEntropyGradientScratchByteCount(
  _ logits: TensorView, _ dlogits: TensorView, _ sizes: CrossEntropySizes
) -> Int {
  let (count, rows) = (sizes.classCount, sizes.blockRows)
  return scratchByteCount(
    of: Float.self,
    count: NarrowRows<Float>(logits, count: count).scratchCount(rows: rows)
      &+ NarrowRows<Float>(dlogits, count: count).scratchCount(rows: rows))
}

extension CrossEntropySizes {
  /// Rows of which gradients are found at a time.
  fileprivate var blockRows: Int { max(1, tileCapacity / max(classCount, 1)) }
}

private func crossEntropy<Scalar: KernelFloat>(
  _ logits: NarrowRows<Scalar>, _ targets: TensorView, _ loss: UnsafeMutablePointer<Scalar>, _ sizes: CrossEntropySizes
) {
  let cut = lossCut(sizes)
  withScratch(of: LossSum.self, count: cut.parts) { sums in
    inParallel(parts: cut.parts) { part in
      withScratch(of: Scalar.self, count: logits.scratchCount(rows: 1)) { scratch in
        sums[part] = crossEntropy(
          logits, targets, loss, sizes, rows: cut.start(part)..<cut.end(part), in: scratch)
      }
    }
    var all = LossSum()
    for part in 0..<cut.parts {
      all.total += sums[part].total
      all.countedRows &+= sums[part].countedRows
    }
    switch sizes.reduction {
    case .none: break
    case .sum: loss[0] = Scalar(all.total)
    case .mean: loss[0] = Scalar(all.total / Double(all.countedRows))
    }
  }
}

private func crossEntropy<Scalar: KernelFloat>(
  _ logits: NarrowRows<Scalar>, _ targets: TensorView, _ loss: UnsafeMutablePointer<Scalar>, _ sizes: CrossEntropySizes,
  rows: Range<Int>, in scratch: UnsafeMutablePointer<Scalar>
) -> LossSum {
  let count = sizes.classCount
  let smoothing = Scalar(sizes.smoothing)
  var sum = LossSum()
  for row in rows {
    let target = targets.target(row)
    var rowLoss: Scalar = 0
    if target != sizes.ignoredTarget {
      let x = logits.read(row, rows: 1, in: scratch)
      let top = maximumByLanes(count) { x[$0] }
      let total = sumByLanes(count) { Scalar.exponential(x[$0] - top) }
      rowLoss = Scalar.logarithm(total) - (1 - smoothing) * (x[target] - top)
      if smoothing > 0 {
        rowLoss -= smoothing / Scalar(count) * sumByLanes(count) { x[$0] - top }
      }
      sum.countedRows &+= 1
    }
    if sizes.reduction == .none { loss[row] = rowLoss }
    sum.total += Double(rowLoss)
  }
  return sum
}

private func crossEntropyGradient<Scalar: KernelFloat>(
  _ logits: NarrowRows<Scalar>, _ targets: TensorView, _ dy: UnsafeMutablePointer<Scalar>,
  _ dlogits: NarrowRows<Scalar>, _ sizes: CrossEntropySizes
) {
  let count = sizes.classCount
  let smoothing = Scalar(sizes.smoothing)
  var common: Scalar = 0
  switch sizes.reduction {
  case .none: break
  case .sum: common = dy[0]
  case .mean:
    var countedRows = 0
    for row in 0..<sizes.rowCount where targets.target(row) != sizes.ignoredTarget {
      countedRows &+= 1
    }
    common = dy[0] / Scalar(countedRows)
  }
  inParallel(sizes.rowCount, cost: 3 &* count) { from, to in
    let readCount = logits.scratchCount(rows: sizes.blockRows)
    withScratch(of: Scalar.self, count: readCount &+ dlogits.scratchCount(rows: sizes.blockRows)) { scratch in
      let written = scratch + readCount
      for start in stride(from: from, to: to, by: sizes.blockRows) {
        let rows = min(sizes.blockRows, to &- start)
        let (x, all) = (logits.read(start, rows: rows, in: scratch), dlogits.place(start, in: written))
        softmaxRows(x, all, rowCount: rows, count: count)
        for row in 0..<rows {
          let dx = all + row &* count
          let target = targets.target(start &+ row)
          if target == sizes.ignoredTarget {
            dx.update(repeating: 0, count: count)
            continue
          }
          let scale = sizes.reduction == .none ? dy[start &+ row] : common
          let rest = smoothing / Scalar(count)
          let hit = dx[target] - (1 - smoothing)
          for i in 0..<count { dx[i] = scale * (dx[i] - rest) }
          dx[target] = scale * (hit - rest)
        }
        dlogits.finish(start, rows: rows, from: written)
      }
    }
  }
}

extension TensorView {
  /// An element of contiguous i64, i32 or u8.
  @inline(__always)
  fileprivate func target(_ row: Int) -> Int {
    switch dtype {
    case .i32: Int(pointer(Int32.self)[row])
    case .u8: Int(pointer(UInt8.self)[row])
    default: pointer(Int.self)[row]
    }
  }
}
