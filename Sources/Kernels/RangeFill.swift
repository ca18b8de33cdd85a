import Tensors

/// `result[i] = start + i * step`, in i64 and exact.
package func fillProgression(_ result: TensorView, start: Int, step: Int) {
  for index in 0..<result.elementCount {
    result.dtype.store(integer: start &+ index &* step, at: result.base, index: index)
  }
}

/// `result[i] = start + i * step`, computed in f64.
package func fillProgression(_ result: TensorView, start: Double, step: Double) {
  for index in 0..<result.elementCount {
    result.dtype.store(start + Double(index) * step, at: result.base, index: index)
  }
}

/// Evenly spaced numbers from `start` to `stop`, both ends exact and the halves symmetric; computed in f64.
package func fillSpaced(_ result: TensorView, from start: Double, to stop: Double) {
  let count = result.elementCount
  let step = (stop - start) / Double(max(count - 1, 1))
  for index in 0..<count {
    let value =
      index < (count + 1) / 2
      ? start + Double(index) * step : stop - Double(count - 1 - index) * step
    result.dtype.store(value, at: result.base, index: index)
  }
}

/// Ones on the main diagonal of `result [m, n]`, zeros elsewhere.
package func fillIdentity(_ result: TensorView) {
  fill(result, with: 0)
  let (m, n) = (result.shape[0], result.shape[1])
  for index in 0..<min(m, n) { result.dtype.store(1, at: result.base, index: index &* (n + 1)) }
}
