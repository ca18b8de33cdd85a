import Tensors

// Layer normalisation and its relative without a mean. Rows are the last axis; all operands and results are
// contiguous and of one dtype, f32 or f64; beside f32 x, dy, y and dx may be in 16 bits.
//
//   xhat = (x - mean) r, r = 1 / sqrt(mean((x - mean)^2) + eps), y = xhat weight + bias
//
// The backward pass finds mean and r again rather than keeping them.

/// What is taken off a row before it is scaled to unit mean square.
package enum Centering: Hashable, Sendable {
  /// The row's mean: layer normalisation.
  case mean
  /// Nothing: root-mean-square normalisation.
  case none
}

/// y = xhat weight + bias; no bias is a bias of zero.
package func normalizeRows(
  _ x: TensorView, weight: TensorView, bias: TensorView?, into y: TensorView,
  centering: Centering, epsilon: Double
) {
  if y.dtype == .f64 {
    normalizeRows(
      x, weight.pointer(Double.self), bias?.pointer(Double.self), y, rowCount: rowCount(x), count: weight.shape[0],
      centering, epsilon)
  } else {
    normalizeRows(
      x, weight.pointer(Float.self), bias?.pointer(Float.self), y, rowCount: rowCount(x), count: weight.shape[0],
      centering, Float(epsilon))
  }
}

/// With g = dy weight:
///
///     dx = r (g - mean(g) - xhat mean(g xhat)), the first mean only where rows are centred
///     dweight = sum over rows of dy xhat,  dbias = sum over rows of dy
package func normalizeRowsGradient(
  _ x: TensorView, weight: TensorView, _ dy: TensorView, dx: TensorView, dweight: TensorView,
  dbias: TensorView?, centering: Centering, epsilon: Double
) {
  if dx.dtype == .f64 {
    normalizeRowsGradient(
      x, weight.pointer(Double.self), dy, dx, dweight: dweight.pointer(Double.self), dbias: dbias?.pointer(Double.self),
      rowCount: rowCount(x), count: weight.shape[0], centering, epsilon)
  } else {
    normalizeRowsGradient(
      x, weight.pointer(Float.self), dy, dx, dweight: dweight.pointer(Float.self), dbias: dbias?.pointer(Float.self),
      rowCount: rowCount(x), count: weight.shape[0], centering, Float(epsilon))
  }
}

private func rowCount(_ x: TensorView) -> Int { x.shape.dropLast().reduce(1, &*) }

/// The mean of a row, 0 where it is not centred, and one over the root of its mean square.
@inline(__always)
private func statistics<Scalar: KernelFloat>(
  _ x: UnsafePointer<Scalar>, count: Int, _ centering: Centering, _ epsilon: Scalar
) -> (mean: Scalar, scale: Scalar) {
  let share = 1 / Scalar(count)
  let mean = centering == .mean ? sumByLanes(count) { x[$0] } * share : 0
  let square = sumByLanes(count) {
    let distance = x[$0] - mean
    return distance * distance
  }
  return (mean, 1 / (square * share + epsilon).squareRoot())
}

/// The scratch that `normalizeRows` takes.
package func normalizeRowsScratchByteCount(_ x: TensorView, _ y: TensorView) -> Int {
  let count = x.shape[x.shape.count - 1]
  if y.dtype == .f64 { return 0 }
  return scratchByteCount(
    of: Float.self,
    count: NarrowRows<Float>(x, count: count).scratchCount(rows: 1) &+ NarrowRows<Float>(y, count: count).scratchCount(rows: 1))
}

private func normalizeRows<Scalar: KernelFloat>(
  _ x: TensorView, _ weight: UnsafeMutablePointer<Scalar>, _ bias: UnsafeMutablePointer<Scalar>?, _ y: TensorView,
  rowCount: Int, count: Int, _ centering: Centering, _ epsilon: Scalar
) {
  let (reader, writer) = (NarrowRows<Scalar>(x, count: count), NarrowRows<Scalar>(y, count: count))
  let readCount = reader.scratchCount(rows: 1)
  inParallel(rowCount, cost: 2 &* count) { from, to in
    withScratch(of: Scalar.self, count: readCount &+ writer.scratchCount(rows: 1)) { scratch in
      let written = scratch + readCount
      for row in from..<to {
        normalizeRow(
          reader.read(row, rows: 1, in: scratch), weight, bias, writer.place(row, in: written), count: count, centering,
          epsilon)
        writer.finish(row, rows: 1, from: written)
      }
    }
  }
}

/// A function of its own: in a closure, whose variables might lie where it writes, its loops take twice as long.
@inline(never)
private func normalizeRow<Scalar: KernelFloat>(
  _ x: UnsafePointer<Scalar>, _ weight: UnsafePointer<Scalar>, _ bias: UnsafePointer<Scalar>?,
  _ y: UnsafeMutablePointer<Scalar>, count: Int, _ centering: Centering, _ epsilon: Scalar
) {
  let (mean, scale) = statistics(x, count: count, centering, epsilon)
  if let bias {
    for i in 0..<count { y[i] = (x[i] - mean) * scale * weight[i] + bias[i] }
  } else {
    for i in 0..<count { y[i] = (x[i] - mean) * scale * weight[i] }
  }
}

/// Rows whose contributions to the gradients of weight and bias are added up before they join the total, so
/// that rounding grows more slowly than with the number of rows.
private let rowGroup = 32
private let columnGroup = 128

/// How rows are cut: each part but the first leaves its gradients of weight and bias in scratch.
private func gradientCut(rowCount: Int, count: Int) -> Cut {
  Cut(rowCount, cost: 4 &* count, unit: rowGroup, most: 16)
}

/// The scratch that the gradient of `x` takes.
package func normalizeRowsGradientScratchByteCount(_ x: TensorView, _ dy: TensorView, _ dx: TensorView) -> Int {
  dx.dtype == .f64 ? gradientScratchByteCount(x, dy, dx, Double.self) : gradientScratchByteCount(x, dy, dx, Float.self)
}

private func gradientScratchByteCount<Scalar>(
  _ x: TensorView, _ dy: TensorView, _ dx: TensorView, _: Scalar.Type
) -> Int {
  let count = x.shape[x.shape.count - 1]
  let cut = gradientCut(rowCount: rowCount(x), count: count)
  return 2 &* scratchByteCount(of: Scalar.self, count: (cut.parts &- 1) &* count)
    &+ scratchByteCount(
      of: Scalar.self,
      count: groupCount &+ NarrowRows<Scalar>(x, count: count).scratchCount(rows: rowGroup)
        &+ NarrowRows<Scalar>(dy, count: count).scratchCount(rows: rowGroup)
        &+ NarrowRows<Scalar>(dx, count: count).scratchCount(rows: 1))
}

/// Means and scales of the rows of a group, sums of weight and bias of a group of columns.
private let groupCount = 2 * rowGroup + 2 * columnGroup

private func normalizeRowsGradient<Scalar: KernelFloat>(
  _ x: TensorView, _ weight: UnsafeMutablePointer<Scalar>, _ dy: TensorView, _ dx: TensorView,
  dweight: UnsafeMutablePointer<Scalar>, dbias: UnsafeMutablePointer<Scalar>?, rowCount: Int, count: Int,
  _ centering: Centering, _ epsilon: Scalar
) {
  let cut = gradientCut(rowCount: rowCount, count: count)
  let partialCount = (cut.parts &- 1) &* count
  withScratch(of: Scalar.self, count: partialCount) { weights in
    withScratch(of: Scalar.self, count: partialCount) { biases in
      inParallel(parts: cut.parts) { part in
        let partial = (part &- 1) &* count
        normalizeRowsGradient(
          NarrowRows(x, count: count), weight, NarrowRows(dy, count: count), NarrowRows(dx, count: count),
          dweight: part == 0 ? dweight : weights + partial,
          dbias: dbias.map { part == 0 ? $0 : biases + partial },
          rows: cut.start(part)..<cut.end(part), count: count, centering, epsilon)
      }
      addHalves(weights, blocks: cut.parts, count: count, onto: dweight)
      if let dbias { addHalves(biases, blocks: cut.parts, count: count, onto: dbias) }
    }
  }
}

/// dx of a row, in a function of its own as `normalizeRow` is.
@inline(never)
private func inputGradient<Scalar: KernelFloat>(
  _ x: UnsafePointer<Scalar>, _ weight: UnsafePointer<Scalar>, _ dy: UnsafePointer<Scalar>,
  _ dx: UnsafeMutablePointer<Scalar>, count: Int, _ centering: Centering, mean: Scalar, scale: Scalar, share: Scalar
) {
  let sum = centering == .mean ? sumByLanes(count) { dy[$0] * weight[$0] } : 0
  let dot = sumByLanes(count) { dy[$0] * weight[$0] * (x[$0] - mean) }
  // xhat mean(g xhat) = (x - mean) r^2 mean(g (x - mean))
  let (along, offset) = (dot * share * scale * scale, sum * share)
  for i in 0..<count { dx[i] = scale * (dy[i] * weight[i] - offset - (x[i] - mean) * along) }
}

/// The gradients of some rows; those of weight and bias are these rows' share.
private func normalizeRowsGradient<Scalar: KernelFloat>(
  _ xReader: NarrowRows<Scalar>, _ weight: UnsafeMutablePointer<Scalar>, _ dyReader: NarrowRows<Scalar>,
  _ dxWriter: NarrowRows<Scalar>, dweight: UnsafeMutablePointer<Scalar>, dbias: UnsafeMutablePointer<Scalar>?,
  rows all: Range<Int>, count: Int, _ centering: Centering, _ epsilon: Scalar
) {
  dweight.update(repeating: 0, count: count)
  dbias?.update(repeating: 0, count: count)
  let share = 1 / Scalar(count)
  let (xCount, dyCount) = (xReader.scratchCount(rows: rowGroup), dyReader.scratchCount(rows: rowGroup))
  withScratch(of: Scalar.self, count: groupCount &+ xCount &+ dyCount &+ dxWriter.scratchCount(rows: 1)) { means in
    let scales = means + rowGroup
    let weightSums = scales + rowGroup
    let xScratch = weightSums + 2 &* columnGroup
    let (dyScratch, dxScratch) = (xScratch + xCount, xScratch + xCount + dyCount)
    for start in stride(from: all.lowerBound, to: all.upperBound, by: rowGroup) {
      let rows = min(rowGroup, all.upperBound &- start)
      let x = xReader.read(start, rows: rows, in: xScratch)
      let dy = dyReader.read(start, rows: rows, in: dyScratch)
      for row in 0..<rows {
        let (x, dy) = (x + row &* count, dy + row &* count)
        let dx = dxWriter.place(start &+ row, in: dxScratch)
        let (mean, scale) = statistics(x, count: count, centering, epsilon)
        means[row] = mean
        scales[row] = scale
        inputGradient(x, weight, dy, dx, count: count, centering, mean: mean, scale: scale, share: share)
        dxWriter.finish(start &+ row, rows: 1, from: dxScratch)
      }
      addColumnSums(
        x, dy, means: means, scales: scales, rows: rows, count: count, sums: weightSums, dweight: dweight, dbias: dbias)
    }
  }
}

/// Adds what some rows, whose means and scales are known, contribute to the gradients of weight and bias.
@inline(never)
private func addColumnSums<Scalar: KernelFloat>(
  _ x: UnsafePointer<Scalar>, _ dy: UnsafePointer<Scalar>, means: UnsafePointer<Scalar>, scales: UnsafePointer<Scalar>,
  rows: Int, count: Int, sums weightSums: UnsafeMutablePointer<Scalar>, dweight: UnsafeMutablePointer<Scalar>,
  dbias: UnsafeMutablePointer<Scalar>?
) {
  let biasSums = weightSums + columnGroup
  for first in stride(from: 0, to: count, by: columnGroup) {
    let width = min(columnGroup, count &- first)
    for j in 0..<width {
      weightSums[j] = 0
      biasSums[j] = 0
    }
    for row in 0..<rows {
      let (x, dy) = (x + (row &* count &+ first), dy + (row &* count &+ first))
      let (mean, scale) = (means[row], scales[row])
      for j in 0..<width {
        weightSums[j] += dy[j] * ((x[j] - mean) * scale)
        biasSums[j] += dy[j]
      }
    }
    for j in 0..<width { dweight[first &+ j] += weightSums[j] }
    if let dbias {
      for j in 0..<width { dbias[first &+ j] += biasSums[j] }
    }
  }
}
