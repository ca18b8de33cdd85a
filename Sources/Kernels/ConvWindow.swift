/// A height and a width.
package struct Extent: Hashable, Sendable {
  package var height: Int
  package var width: Int

  package init(_ height: Int, _ width: Int) {
    self.height = height
    self.width = width
  }

  package var area: Int { height * width }
}

/// Rows and columns of zeros around an image (of minus infinity for a maximum).
package struct Margins: Hashable, Sendable {
  package var top: Int
  package var bottom: Int
  package var left: Int
  package var right: Int

  package init(top: Int, bottom: Int, left: Int, right: Int) {
    self.top = top
    self.bottom = bottom
    self.left = left
    self.right = right
  }
}

/// How a window moves over an image: what convolutions and pools have in common.
///
/// Output row y looks, at row r of the window, at input row y * stride - top + r * dilation.
package struct SlidingWindow: Hashable, Sendable {
  package var size: Extent
  package var stride: Extent
  package var dilation: Extent
  package var margins: Margins

  package init(size: Extent, stride: Extent, dilation: Extent, margins: Margins) {
    self.size = size
    self.stride = stride
    self.dilation = dilation
    self.margins = margins
  }

  /// The rows and columns that one position spans, holes of a dilation counted.
  package var span: Extent {
    Extent((size.height - 1) * dilation.height + 1, (size.width - 1) * dilation.width + 1)
  }

  /// Returns how many positions fit on an image: none where the window is larger than image and margins.
  package func positions(on image: Extent) -> Extent {
    let free = Extent(
      image.height + margins.top + margins.bottom - span.height,
      image.width + margins.left + margins.right - span.width)
    return Extent(
      free.height < 0 ? 0 : free.height / stride.height + 1,
      free.width < 0 ? 0 : free.width / stride.width + 1)
  }

  /// The input row that output row `y` sees at row `r` of the window; outside the image in the margins.
  @inline(__always)
  func inputRow(_ y: Int, _ r: Int) -> Int {
    y &* stride.height &- margins.top &+ r &* dilation.height
  }

  /// Column 0 of the output sees this input column at column `c` of the window.
  @inline(__always)
  func firstColumn(_ c: Int) -> Int { c &* dilation.width &- margins.left }

  /// The output columns that see a column inside the image, at column `c` of the window.
  @inline(__always)
  func insideColumns(_ c: Int, imageWidth: Int, outputWidth: Int) -> Range<Int> {
    let first = firstColumn(c)
    // Smallest x with x * stride + first >= 0, smallest with x * stride + first >= width.
    let low = min(first >= 0 ? 0 : (-first + stride.width - 1) / stride.width, outputWidth)
    let room = imageWidth - first
    let high = min(room <= 0 ? 0 : (room + stride.width - 1) / stride.width, outputWidth)
    return low..<max(low, high)
  }
}
