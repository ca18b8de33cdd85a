import Graphs
import Kernels
import Tensors

/// What the three ops of a convolution share: where the window goes, and which channels meet.
package struct ConvolutionAttributes: Hashable, Sendable {
  package let stride: Extent
  package let margins: Margins
  package let dilation: Extent
  /// Channels fall in this many groups, each convolved with filters of its own.
  package let groups: Int

  package init(
    stride: Extent = Extent(1, 1), margins: Margins = Margins(top: 0, bottom: 0, left: 0, right: 0),
    dilation: Extent = Extent(1, 1), groups: Int = 1
  ) {
    self.stride = stride
    self.margins = margins
    self.dilation = dilation
    self.groups = groups
  }

  /// Reads the attributes; the sizes of image and filter decide what `padding: "same"` means.
  init(_ attributes: Attributes, image: Extent, filter: Extent) throws(OpRejection) {
    stride = try attributes.extent("stride")
    dilation = try attributes.extent("dilation")
    margins = try attributes.margins(
      "padding", image: image, size: filter, stride: stride, dilation: dilation)
    groups = try attributes.int("groups")
    guard (1...longestSide).contains(groups) else {
      throw OpRejection("`groups` must be at least 1, got \(groups)", code: "bad-argument")
    }
  }

  static let parameters: [Signature.Parameter] = [
    .attribute("stride", .ints, default: .int(1)),
    .attribute("padding", .intsOrString, default: .int(0)),
    .attribute("dilation", .ints, default: .int(1)),
    .attribute("groups", .int, default: .int(1)),
  ]

  func window(_ filter: Extent) -> SlidingWindow {
    SlidingWindow(size: filter, stride: stride, dilation: dilation, margins: margins)
  }

  /// Returns the sizes of x [n, c, h, w] convolved with weight [o, c / groups, kh, kw], or says why they do not fit.
  func sizes(_ x: TensorType, _ weight: TensorType) throws(OpRejection) -> ConvolutionSizes {
    let image = try x.extent("the image")
    let filter = try weight.extent("the weight")
    let (channels, filters) = (x.shape[1], weight.shape[0])
    guard channels > 0, weight.shape[1] > 0, filter.area > 0 else {
      throw OpRejection("\(x) and \(weight) leave nothing to add up: no channels or no window")
    }
    guard channels % groups == 0, filters % groups == 0 else {
      throw OpRejection(
        "\(groups) groups do not divide \(channels) channels of \(x) and \(filters) filters of \(weight)"
      )
    }
    guard weight.shape[1] == channels / groups else {
      let each = groups == 1 ? "" : " in each of \(groups) groups"
      throw OpRejection(
        "channels differ, \(channels / groups)\(each) and \(weight.shape[1])",
        notes: [
          "the image is \(x), [n, c, h, w], the weight \(weight), [o, c / groups, kh, kw]"
        ])
    }
    let window = window(filter)
    let output = try window.requiredPositions(on: image, x)
    guard let weightCount = weight.shape.checkedElementCount, weightCount <= Int(Int32.max),
      x.shape.checkedElementCount != nil,
      Shape([x.shape[0], filters, output.height, output.width]).checkedElementCount != nil
    else {
      throw OpRejection("convolving \(x) with \(weight) gives too much", code: "out-of-memory")
    }
    return ConvolutionSizes(
      batch: x.shape[0], groups: groups, inputChannels: channels / groups,
      outputChannels: filters / groups, image: image, window: window)
  }
}

extension ConvolutionSizes {
  var inputShape: Shape { [batch, groups * inputChannels, image.height, image.width] }
  var weightShape: Shape {
    [groups * outputChannels, inputChannels, window.size.height, window.size.width]
  }
  var outputShape: Shape { [batch, groups * outputChannels, output.height, output.width] }

  /// Calls `body` for each product that a convolution adds up: the places in x, weight and y.
  ///
  /// y[n, o, i, j] = sum over c, r, s of x[n, c, i * stride - top + r * dilation, ...] * weight[o, c, r, s]
  func forEachProduct(_ body: (_ x: Int, _ weight: Int, _ y: Int) -> Void) {
    ReferenceTensor.forEachIndex(in: outputShape) { at in
      let group = at[1] / outputChannels
      let y = ((at[0] * outputShape[1] + at[1]) * output.height + at[2]) * output.width + at[3]
      for channel in 0..<inputChannels {
        for r in 0..<window.size.height {
          for s in 0..<window.size.width {
            let row = at[2] * window.stride.height - window.margins.top + r * window.dilation.height
            let column = at[3] * window.stride.width - window.margins.left + s * window.dilation.width
            guard (0..<image.height).contains(row), (0..<image.width).contains(column) else { continue }
            let plane = at[0] * inputShape[1] + group * inputChannels + channel
            body(
              (plane * image.height + row) * image.width + column,
              ((at[1] * inputChannels + channel) * window.size.height + r) * window.size.width + s, y)
          }
        }
      }
    }
  }
}

extension OpTraits {
  /// Traits of convolutions and their gradients.
  static let convolution = OpTraits(
    precision: .low, cost: .computeBound, fusion: .alone, effect: .pure, promotion: .unifyFloating,
    operands: .contiguous, broadcasts: false, inPlace: false)
}
