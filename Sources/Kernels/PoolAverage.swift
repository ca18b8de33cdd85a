import Tensors

/// y = the mean of each window's pixels, margins counted as zeros.
package func averagePool(_ x: TensorView, into y: TensorView, _ sizes: PoolSizes) {
  if y.dtype == .f64 {
    averagePool(x.pointer(Double.self), y.pointer(Double.self), sizes)
  } else {
    averagePool(x.pointer(Float.self), y.pointer(Float.self), sizes)
  }
}

/// dx = each element of dy spread in equal parts over its window.
package func averagePoolGradient(_ dy: TensorView, into dx: TensorView, _ sizes: PoolSizes) {
  if dx.dtype == .f64 {
    averagePoolGradient(dy.pointer(Double.self), dx.pointer(Double.self), sizes)
  } else {
    averagePoolGradient(dy.pointer(Float.self), dx.pointer(Float.self), sizes)
  }
}

@inline(__always)
private func averagePool<Scalar: BinaryFloatingPoint>(
  _ x: UnsafeMutablePointer<Scalar>, _ y: UnsafeMutablePointer<Scalar>, _ sizes: PoolSizes
) {
  let step = sizes.window.stride.width
  let share = 1 / Scalar(sizes.window.size.area)
  sizes.inParallelPlanes { planes in
    let first = y + planes.lowerBound &* sizes.output.area
    let count = planes.count &* sizes.output.area
    first.update(repeating: 0, count: count)
    forEachPooledLine(sizes, planes: planes) { target, source, inside in
      let line = y + target
      for i in inside { line[i] += x[source &+ i &* step] }
    }
    for i in 0..<count { first[i] *= share }
  }
}

@inline(__always)
private func averagePoolGradient<Scalar: BinaryFloatingPoint>(
  _ dy: UnsafeMutablePointer<Scalar>, _ dx: UnsafeMutablePointer<Scalar>, _ sizes: PoolSizes
) {
  let step = sizes.window.stride.width
  let share = 1 / Scalar(sizes.window.size.area)
  sizes.inParallelPlanes { planes in
    (dx + planes.lowerBound &* sizes.image.area).update(
      repeating: 0, count: planes.count &* sizes.image.area)
    forEachPooledLine(sizes, planes: planes) { target, source, inside in
      let line = dy + target
      for i in inside { dx[source &+ i &* step] += line[i] * share }
    }
  }
}
