import Graphs
import Kernels
import Tensors

/// What pools share: the window and where it goes.
package struct PoolAttributes: Hashable, Sendable {
  package let size: Extent
  package let stride: Extent
  package let margins: Margins

  package init(
    size: Extent, stride: Extent, margins: Margins = Margins(top: 0, bottom: 0, left: 0, right: 0)
  ) {
    self.size = size
    self.stride = stride
    self.margins = margins
  }

  /// Reads the attributes; the size of the image decides what `padding: "same"` means.
  init(_ attributes: Attributes, image: Extent) throws(OpRejection) {
    size = try attributes.extent("size")
    stride = attributes["stride"] == .none ? size : try attributes.extent("stride")
    margins = try attributes.margins(
      "padding", image: image, size: size, stride: stride, dilation: Extent(1, 1))
    // So every window holds a pixel.
    guard max(margins.top, margins.bottom) <= size.height / 2,
      max(margins.left, margins.right) <= size.width / 2
    else {
      throw OpRejection(
        "padding may be half of the window at most, \(size.height / 2) and \(size.width / 2)",
        code: "bad-argument")
    }
  }

  static let parameters: [Signature.Parameter] = [
    .attribute("size", .ints),
    .attribute("stride", .ints, default: AttributeValue.none),
    .attribute("padding", .intsOrString, default: .int(0)),
  ]

  var window: SlidingWindow {
    SlidingWindow(size: size, stride: stride, dilation: Extent(1, 1), margins: margins)
  }

  /// Returns the sizes for images `x`, or says why they do not fit.
  func sizes(_ x: TensorType) throws(OpRejection) -> PoolSizes {
    let image = try x.extent("the image")
    guard image.area > 0 else { throw OpRejection("\(x) has no pixels") }
    _ = try window.requiredPositions(on: image, x)
    let sizes = sizes(x.shape)
    guard x.shape.checkedElementCount != nil, sizes.outputShape(of: x.shape).checkedElementCount != nil
    else { throw OpRejection("\(x) has too many elements", code: "out-of-memory") }
    return sizes
  }

  /// The sizes for images known to fit.
  func sizes(_ x: Shape) -> PoolSizes {
    PoolSizes(planeCount: x[0] * x[1], image: Extent(x[2], x[3]), window: window)
  }
}

extension PoolSizes {
  func outputShape(of x: Shape) -> Shape { [x[0], x[1], output.height, output.width] }

  /// Refuses a cotangent that is not shaped as the pool of `x`.
  func require(_ dy: TensorType, matches x: TensorType) throws(OpRejection) {
    let expected = outputShape(of: x.shape)
    guard dy.shape == expected else {
      throw OpRejection("the cotangent must be \(expected) for images \(x.shape), got \(dy.shape)")
    }
  }

  /// The pixels of a plane that the window sees at a position, in reading order.
  func pixels(plane: Int, row: Int, column: Int) -> [Int] {
    let top = row * window.stride.height - window.margins.top
    let left = column * window.stride.width - window.margins.left
    var result: [Int] = []
    for y in top..<top + window.size.height where (0..<image.height).contains(y) {
      for x in left..<left + window.size.width where (0..<image.width).contains(x) {
        result.append((plane * image.height + y) * image.width + x)
      }
    }
    return result
  }

  /// Calls `body` for each position: its place in y and the pixels it sees.
  func forEachWindow(_ body: (_ y: Int, _ pixels: [Int]) -> Void) {
    var position = 0
    for plane in 0..<planeCount {
      for row in 0..<output.height {
        for column in 0..<output.width {
          body(position, pixels(plane: plane, row: row, column: column))
          position += 1
        }
      }
    }
  }
}

/// The first of the pixels with the largest value, NaN the largest of all.
func firstMaximum(_ values: [Double], _ pixels: [Int]) -> Int {
  var best = pixels[0]
  for pixel in pixels {
    if values[pixel] > values[best] || (values[pixel].isNaN && !values[best].isNaN) { best = pixel }
  }
  return best
}

extension OpSample.Operand {
  /// Images of which no two pixels are closer than 0.1, so that a small step changes no maximum.
  static func distinctPixels(_ shape: Shape) -> Self {
    let count = shape.elementCount
    return .values((0..<count).map { Double($0 * 37 % max(count, 1)) / 10 - 3 }, shape)
  }
}

extension OpTraits {
  /// Traits of pools and their gradients.
  static let pool = OpTraits(
    precision: .asIs, cost: .memoryBound, fusion: .alone, effect: .pure, promotion: .unifyFloating,
    operands: .contiguous, broadcasts: false, inPlace: false)
}
