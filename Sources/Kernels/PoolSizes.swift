import Tensors

/// The sizes of a pool x [n, c, h, w] -> y [n, c, oh, ow]: `planeCount` is n c, pooled each by itself.
package struct PoolSizes: Sendable {
  package let planeCount: Int
  package let image: Extent
  package let output: Extent
  package let window: SlidingWindow

  package init(planeCount: Int, image: Extent, window: SlidingWindow) {
    self.planeCount = planeCount
    self.image = image
    self.window = window
    output = window.positions(on: image)
  }
}

extension PoolSizes {
  /// Calls `body` with ranges of planes, in parallel where the work is worth it.
  @inline(__always)
  func inParallelPlanes(_ body: (Range<Int>) -> Void) {
    let cost = image.area &+ output.area &* window.size.area
    inParallel(planeCount, cost: cost) { from, to in body(from..<to) }
  }
}

/// Calls `body` for each place in the window at each line of the output, in reading order of the window:
/// the offset of the line in y, the pixel that its column 0 sees (or would see), and which of its columns
/// see the image. Lines that lie in the margins are left out.
@inline(__always)
func forEachPooledLine(
  _ sizes: PoolSizes, planes: Range<Int>,
  _ body: (_ target: Int, _ source: Int, _ inside: Range<Int>) -> Void
) {
  let window = sizes.window
  for plane in planes {
    for y in 0..<sizes.output.height {
      let target = (plane &* sizes.output.height &+ y) &* sizes.output.width
      for r in 0..<window.size.height {
        let line = window.inputRow(y, r)
        if line < 0 || line >= sizes.image.height { continue }
        for c in 0..<window.size.width {
          let source =
            (plane &* sizes.image.height &+ line) &* sizes.image.width &+ window.firstColumn(c)
          body(
            target, source,
            window.insideColumns(
              c, imageWidth: sizes.image.width, outputWidth: sizes.output.width))
        }
      }
    }
  }
}
