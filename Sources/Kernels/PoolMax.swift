import Tensors

// Each position's result depends on which pixel of its window is the largest: of equal ones the first in
// reading order, and NaN counts as larger than any number. Margins take no part.

/// y = the largest pixel of each window.
package func maxPool(_ x: TensorView, into y: TensorView, _ sizes: PoolSizes) {
  if y.dtype == .f64 {
    maxPool(x.pointer(Double.self), y.pointer(Double.self), sizes)
  } else {
    maxPool(x.pointer(Float.self), y.pointer(Float.self), sizes)
  }
}

/// y = the element of `values` that stands where each window of x has its largest pixel.
package func maxPoolSelect(
  _ x: TensorView, _ values: TensorView, into y: TensorView, _ sizes: PoolSizes
) {
  if y.dtype == .f64 {
    maxPoolSelect(x.pointer(Double.self), values.pointer(), y.pointer(), sizes)
  } else {
    maxPoolSelect(x.pointer(Float.self), values.pointer(), y.pointer(), sizes)
  }
}

/// dx = each element of dy added where its window of x has its largest pixel; zeros elsewhere.
package func maxPoolGradient(
  _ x: TensorView, _ dy: TensorView, into dx: TensorView, _ sizes: PoolSizes
) {
  if dx.dtype == .f64 {
    maxPoolGradient(x.pointer(Double.self), dy.pointer(), dx.pointer(), sizes)
  } else {
    maxPoolGradient(x.pointer(Float.self), dy.pointer(), dx.pointer(), sizes)
  }
}

@inline(__always)
private func maxPool<Scalar: BinaryFloatingPoint>(
  _ x: UnsafeMutablePointer<Scalar>, _ y: UnsafeMutablePointer<Scalar>, _ sizes: PoolSizes
) {
  let step = sizes.window.stride.width
  sizes.inParallelPlanes { planes in
    (y + planes.lowerBound &* sizes.output.area).update(
      repeating: -.infinity, count: planes.count &* sizes.output.area)
    forEachPooledLine(sizes, planes: planes) { target, source, inside in
      let line = y + target
      for i in inside {
        let pixel = x[source &+ i &* step]
        let best = line[i]
        let larger = pixel <= best ? best : pixel
        line[i] = best == best ? larger : best
      }
    }
  }
}

@inline(__always)
private func maxPoolGradient<Scalar: BinaryFloatingPoint>(
  _ x: UnsafeMutablePointer<Scalar>, _ dy: UnsafeMutablePointer<Scalar>,
  _ dx: UnsafeMutablePointer<Scalar>, _ sizes: PoolSizes
) {
  sizes.inParallelPlanes { planes in
    (dx + planes.lowerBound &* sizes.image.area).update(
      repeating: 0, count: planes.count &* sizes.image.area)
    forEachMaximum(x, sizes, planes: planes) { dx[$1] += dy[$0] }
  }
}

@inline(__always)
private func maxPoolSelect<Scalar: BinaryFloatingPoint>(
  _ x: UnsafeMutablePointer<Scalar>, _ values: UnsafeMutablePointer<Scalar>,
  _ y: UnsafeMutablePointer<Scalar>, _ sizes: PoolSizes
) {
  sizes.inParallelPlanes { planes in
    forEachMaximum(x, sizes, planes: planes) { y[$0] = values[$1] }
  }
}

/// Calls `body` for each position with its place in y and the place in x of its window's largest pixel.
@inline(__always)
private func forEachMaximum<Scalar: BinaryFloatingPoint>(
  _ x: UnsafeMutablePointer<Scalar>, _ sizes: PoolSizes, planes: Range<Int>,
  _ body: (_ y: Int, _ x: Int) -> Void
) {
  let window = sizes.window
  let (height, width) = (sizes.image.height, sizes.image.width)
  var position = planes.lowerBound &* sizes.output.area
  for plane in planes {
    let origin = plane &* height &* width
    for y in 0..<sizes.output.height {
      let top = window.inputRow(y, 0)
      let rows = max(top, 0)..<min(top &+ window.size.height, height)
      for column in 0..<sizes.output.width {
        let left = column &* window.stride.width &- window.margins.left
        let columns = max(left, 0)..<min(left &+ window.size.width, width)
        var place = origin &+ rows.lowerBound &* width &+ columns.lowerBound
        var best = x[place]
        for row in rows {
          for column in columns {
            let candidate = origin &+ row &* width &+ column
            let pixel = x[candidate]
            // Selections rather than a branch, which would be taken at random.
            let isLarger = !(pixel <= best) && best == best
            best = isLarger ? pixel : best
            place = isLarger ? candidate : place
          }
        }
        body(position, place)
        position &+= 1
      }
    }
  }
}
