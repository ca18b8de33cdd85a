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
    let (values, y) = (values.pointer(Double.self), y.pointer(Double.self))
    forEachMaximum(x.pointer(Double.self), sizes) { y[$0] = values[$1] }
  } else {
    let (values, y) = (values.pointer(Float.self), y.pointer(Float.self))
    forEachMaximum(x.pointer(Float.self), sizes) { y[$0] = values[$1] }
  }
}

/// dx = each element of dy added where its window of x has its largest pixel; zeros elsewhere.
package func maxPoolGradient(
  _ x: TensorView, _ dy: TensorView, into dx: TensorView, _ sizes: PoolSizes
) {
  let count = sizes.planeCount * sizes.image.area
  if dx.dtype == .f64 {
    let (dy, dx) = (dy.pointer(Double.self), dx.pointer(Double.self))
    dx.update(repeating: 0, count: count)
    forEachMaximum(x.pointer(Double.self), sizes) { dx[$1] += dy[$0] }
  } else {
    let (dy, dx) = (dy.pointer(Float.self), dx.pointer(Float.self))
    dx.update(repeating: 0, count: count)
    forEachMaximum(x.pointer(Float.self), sizes) { dx[$1] += dy[$0] }
  }
}

@inline(__always)
private func maxPool<Scalar: BinaryFloatingPoint>(
  _ x: UnsafeMutablePointer<Scalar>, _ y: UnsafeMutablePointer<Scalar>, _ sizes: PoolSizes
) {
  y.update(repeating: -.infinity, count: sizes.planeCount * sizes.output.area)
  let step = sizes.window.stride.width
  forEachPooledLine(sizes) { target, source, inside in
    let line = y + target
    for i in inside {
      let pixel = x[source &+ i &* step]
      let best = line[i]
      let larger = pixel <= best ? best : pixel
      line[i] = best == best ? larger : best
    }
  }
}

/// Calls `body` for each position with its place in y and the place in x of its window's largest pixel.
@inline(__always)
private func forEachMaximum<Scalar: BinaryFloatingPoint>(
  _ x: UnsafeMutablePointer<Scalar>, _ sizes: PoolSizes, _ body: (_ y: Int, _ x: Int) -> Void
) {
  let window = sizes.window
  let (height, width) = (sizes.image.height, sizes.image.width)
  var position = 0
  for plane in 0..<sizes.planeCount {
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
