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
    crossEntropy(logits.pointer(Double.self), targets, loss.pointer(Double.self), sizes)
  } else {
    crossEntropy(logits.pointer(Float.self), targets, loss.pointer(Float.self), sizes)
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
      logits.pointer(Double.self), targets, dy.pointer(Double.self), dlogits.pointer(Double.self), sizes)
  } else {
    crossEntropyGradient(
      logits.pointer(Float.self), targets, dy.pointer(Float.self), dlogits.pointer(Float.self), sizes)
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

/// The scratch that `crossEntropy` takes. Its gradient takes none.
package func crossEntropyScratchByteCount(_ sizes: CrossEntropySizes) -> Int {
  scratchByteCount(of: LossSum.self, count: lossCut(sizes).parts)
}

private func crossEntropy<Scalar: KernelFloat>(
  _ logits: UnsafeMutablePointer<Scalar>, _ targets: TensorView,
  _ loss: UnsafeMutablePointer<Scalar>, _ sizes: CrossEntropySizes
) {
  let cut = lossCut(sizes)
  withScratch(of: LossSum.self, count: cut.parts) { sums in
    inParallel(parts: cut.parts) { part in
      sums[part] = crossEntropy(
        logits, targets, loss, sizes, rows: cut.start(part)..<cut.end(part))
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
  _ logits: UnsafeMutablePointer<Scalar>, _ targets: TensorView,
  _ loss: UnsafeMutablePointer<Scalar>, _ sizes: CrossEntropySizes, rows: Range<Int>
) -> LossSum {
  let count = sizes.classCount
  let smoothing = Scalar(sizes.smoothing)
  var sum = LossSum()
  for row in rows {
    let target = targets.target(row)
    var rowLoss: Scalar = 0
    if target != sizes.ignoredTarget {
      let x = logits + row &* count
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
  _ logits: UnsafeMutablePointer<Scalar>, _ targets: TensorView, _ dy: UnsafeMutablePointer<Scalar>,
  _ dlogits: UnsafeMutablePointer<Scalar>, _ sizes: CrossEntropySizes
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
    softmaxRows(logits + from &* count, dlogits + from &* count, rowCount: to &- from, count: count)
    for row in from..<to {
      let dx = dlogits + row &* count
      let target = targets.target(row)
      if target == sizes.ignoredTarget {
        dx.update(repeating: 0, count: count)
        continue
      }
      let scale = sizes.reduction == .none ? dy[row] : common
      let rest = smoothing / Scalar(count)
      let hit = dx[target] - (1 - smoothing)
      for i in 0..<count { dx[i] = scale * (dx[i] - rest) }
      dx[target] = scale * (hit - rest)
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
