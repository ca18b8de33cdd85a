import Graphs
import Kernels
import Tensors

// How programs say where windows go, shared by convolutions and pools.

/// The longest side of an image, window, stride or padding: no product of two overflows.
let longestSide = 1 << 30

extension Attributes {
  /// Returns a height and a width from one number for both or a list of two, each in `range` and above.
  func extent(_ name: String, atLeast least: Int = 1) throws(OpRejection) -> Extent {
    let values = try ints(name)
    guard values.count == 1 || values.count == 2,
      values.allSatisfy({ $0 >= least && $0 <= longestSide })
    else {
      throw OpRejection(
        "`\(name)` must be one or two whole numbers of at least \(least), got \(values)",
        code: "bad-argument")
    }
    return Extent(values[0], values.last!)
  }

  /// Returns margins from one number for all sides, `[vertical, horizontal]`,
  /// `[top, bottom, left, right]`, or `"same"`: as many positions as pixels, divided by the stride.
  func margins(
    _ name: String, image: Extent, size: Extent, stride: Extent, dilation: Extent
  ) throws(OpRejection) -> Margins {
    if case .string(let word) = self[name] {
      guard word == "same" else {
        throw OpRejection(
          "`\(name)` must be whole numbers or \"same\", got \"\(word)\"", code: "bad-argument")
      }
      // Where the sum is odd, the bottom and the right get one more, as in PyTorch.
      let vertical = sameMargins(image.height, size.height, stride.height, dilation.height)
      let horizontal = sameMargins(image.width, size.width, stride.width, dilation.width)
      return Margins(
        top: vertical / 2, bottom: vertical - vertical / 2, left: horizontal / 2,
        right: horizontal - horizontal / 2)
    }
    let values = try ints(name)
    guard [1, 2, 4].contains(values.count), values.allSatisfy({ $0 >= 0 && $0 <= longestSide })
    else {
      throw OpRejection(
        "`\(name)` must be one, two or four whole numbers, none negative, got \(values)",
        code: "bad-argument")
    }
    if values.count == 4 {
      return Margins(top: values[0], bottom: values[1], left: values[2], right: values[3])
    }
    let (vertical, horizontal) = (values[0], values.last!)
    return Margins(top: vertical, bottom: vertical, left: horizontal, right: horizontal)
  }

  private func sameMargins(_ image: Int, _ size: Int, _ stride: Int, _ dilation: Int) -> Int {
    let positions = (image + stride - 1) / stride
    return max(0, (positions - 1) * stride + (size - 1) * dilation + 1 - image)
  }
}

extension TensorType {
  /// The last two sizes of an image or of a window, checked to be of a size that can be calculated with.
  func extent(_ what: String) throws(OpRejection) -> Extent {
    guard rank == 4 else {
      throw OpRejection(
        "\(what) must have four axes, got \(self)",
        help: rank == 3 ? "put an axis in front: `reshape(x, [1, ..])`" : nil)
    }
    guard shape.sizes.allSatisfy({ $0 <= longestSide }), shape[2] * shape[3] <= Int(Int32.max) else {
      throw OpRejection("\(what) \(self) is too large for windows", code: "out-of-memory")
    }
    return Extent(shape[2], shape[3])
  }
}

extension SlidingWindow {
  /// Returns the positions on an image, of which there must be one at least.
  func requiredPositions(on image: Extent, _ operand: TensorType) throws(OpRejection) -> Extent {
    let positions = positions(on: image)
    if positions.area == 0 {
      let height = image.height + margins.top + margins.bottom
      let width = image.width + margins.left + margins.right
      throw OpRejection(
        "a window of \(span.height)x\(span.width) does not fit on \(operand), \(height)x\(width) with padding"
      )
    }
    guard positions.area <= Int(Int32.max) else {
      throw OpRejection("\(operand) has too many window positions", code: "out-of-memory")
    }
    return positions
  }
}

extension Extent {
  /// The attribute that spells this extent.
  var attribute: AttributeValue { .ints([height, width]) }
}

extension Margins {
  /// The attribute that spells these margins.
  var attribute: AttributeValue { .ints([top, bottom, left, right]) }
}
