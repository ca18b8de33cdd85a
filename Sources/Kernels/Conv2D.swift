import CBLAS
import Tensors

// A convolution is a matrix product once the image is unfolded: column p of the unfolded matrix holds
// what output position p sees, row k is one place (channel, row, column) of the window. The matrix is
// kh * kw times larger than the image, so only a tile of it exists at a time, in cache.
//
//   forward          y [o, p]  = weight [o, k] @ unfolded [k, p]
//   input gradient   unfolded gradient [k, p] = weight.T [k, o] @ dy [o, p], folded back by adding
//   weight gradient  dw [o, k] = dy [o, p] @ unfolded.T [p, k], summed over images

/// The sizes of a convolution x [n, g c, h, w], weight [g o, c, kh, kw] -> y [n, g o, oh, ow].
package struct ConvolutionSizes: Sendable {
  package let batch: Int
  package let groups: Int
  /// Channels of a group.
  package let inputChannels: Int
  package let outputChannels: Int
  package let image: Extent
  package let output: Extent
  package let window: SlidingWindow

  package init(
    batch: Int, groups: Int, inputChannels: Int, outputChannels: Int, image: Extent,
    window: SlidingWindow
  ) {
    self.batch = batch
    self.groups = groups
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.image = image
    self.window = window
    output = window.positions(on: image)
  }

  /// Rows of the unfolded matrix.
  var depth: Int { inputChannels * window.size.area }

  /// Whether the unfolded matrix is the image itself: 1x1, no stride, no margins.
  var isPointwise: Bool {
    window.size == Extent(1, 1) && window.stride == Extent(1, 1)
      && window.margins == Margins(top: 0, bottom: 0, left: 0, right: 0)
  }
}

/// y = conv(x, weight); all contiguous and of one dtype, f32 or f64.
package func convolve(
  _ x: TensorView, _ weight: TensorView, into y: TensorView, _ sizes: ConvolutionSizes
) {
  if y.dtype == .f64 {
    convolve(x.pointer(Double.self), weight.pointer(Double.self), y.pointer(Double.self), sizes)
  } else {
    convolve(x.pointer(Float.self), weight.pointer(Float.self), y.pointer(Float.self), sizes)
  }
}

/// dx, the cotangent of x where dy is that of conv(x, weight).
package func convolveInputGradient(
  _ dy: TensorView, _ weight: TensorView, into dx: TensorView, _ sizes: ConvolutionSizes
) {
  if dx.dtype == .f64 {
    inputGradient(dy.pointer(Double.self), weight.pointer(Double.self), dx.pointer(Double.self), sizes)
  } else {
    inputGradient(dy.pointer(Float.self), weight.pointer(Float.self), dx.pointer(Float.self), sizes)
  }
}

/// dw, the cotangent of weight where dy is that of conv(x, weight).
package func convolveWeightGradient(
  _ x: TensorView, _ dy: TensorView, into dw: TensorView, _ sizes: ConvolutionSizes
) {
  if dw.dtype == .f64 {
    weightGradient(x.pointer(Double.self), dy.pointer(Double.self), dw.pointer(Double.self), sizes)
  } else {
    weightGradient(x.pointer(Float.self), dy.pointer(Float.self), dw.pointer(Float.self), sizes)
  }
}

/// The scratch that `convolve` takes, and its gradients.
package func convolveScratchByteCount(_ dtype: DType, _ sizes: ConvolutionSizes) -> Int {
  let tiles = TileShape(sizes, rows: sizes.depth)
  return scratchByteCount(of: dtype, count: tiles.capacity)
}

package func convolveInputGradientScratchByteCount(_ dtype: DType, _ sizes: ConvolutionSizes) -> Int {
  let tiles = TileShape(sizes, rows: InputGradientCut(sizes).rows)
  return scratchByteCount(of: dtype, count: tiles.capacity)
}

package func convolveWeightGradientScratchByteCount(_ dtype: DType, _ sizes: ConvolutionSizes) -> Int {
  let cut = WeightGradientCut(sizes)
  return scratchByteCount(of: dtype, count: cut.partialCount)
    &+ scratchByteCount(of: dtype, count: TileShape(sizes, rows: cut.rows).capacity)
}

private func scratchByteCount(of dtype: DType, count: Int) -> Int {
  dtype == .f64
    ? scratchByteCount(of: Double.self, count: count) : scratchByteCount(of: Float.self, count: count)
}

// MARK: - The three products

/// Cut between images, and between tiles of lines.
private func convolve<Scalar: BLASScalar>(
  _ x: UnsafeMutablePointer<Scalar>, _ weight: UnsafeMutablePointer<Scalar>,
  _ y: UnsafeMutablePointer<Scalar>, _ sizes: ConvolutionSizes
) {
  let area = sizes.output.area
  let tiles = TileShape(sizes, rows: sizes.depth)
  let cost = sizes.cost(rows: sizes.depth, lines: tiles.lines)
  inParallel(sizes.imageCount &* tiles.lineBlocks, cost: cost) { from, to in
    withScratch(of: Scalar.self, count: tiles.capacity) { scratch in
      for piece in from..<to {
        let (index, block) = piece.quotientAndRemainder(dividingBy: tiles.lineBlocks)
        tiles.forEachTile(index, rows: 0..<sizes.depth, lines: tiles.lines(block)) { tile in
          let unfolded = unfold(x + tile.imageOffset, tile, sizes, into: scratch)
          Scalar.multiply(
            rows: sizes.outputChannels, columns: tile.columnCount, depth: tile.rows.count,
            weight + tile.group * sizes.outputChannels * sizes.depth + tile.rows.lowerBound,
            .asIs, stride: sizes.depth,
            unfolded.base, .asIs, stride: unfolded.stride,
            scale: 1, accumulating: tile.rows.lowerBound > 0,
            into: y + tile.outputOffset + tile.firstColumn, stride: area)
        }
      }
    }
  }
}

/// Images and channels of the input that one part does.
private struct InputGradientCut {
  /// Blocks of channels; many images need but one.
  let blocks: Int
  let channels: Int
  /// Rows of the unfolded matrix that belong to a block.
  let rows: Int

  init(_ sizes: ConvolutionSizes) {
    let wanted = max(1, min(sizes.inputChannels, fewImages / max(sizes.imageCount, 1)))
    channels = (sizes.inputChannels &+ wanted &- 1) / wanted
    blocks = channels == 0 ? 1 : (sizes.inputChannels &+ channels &- 1) / channels
    rows = channels &* sizes.window.size.area
  }
}

private func inputGradient<Scalar: BLASScalar>(
  _ dy: UnsafeMutablePointer<Scalar>, _ weight: UnsafeMutablePointer<Scalar>,
  _ dx: UnsafeMutablePointer<Scalar>, _ sizes: ConvolutionSizes
) {
  let area = sizes.output.area
  let cut = InputGradientCut(sizes)
  let tiles = TileShape(sizes, rows: cut.rows)
  let cost = sizes.cost(rows: cut.rows, lines: sizes.output.height)
  inParallel(sizes.imageCount &* cut.blocks, cost: cost) { from, to in
    withScratch(of: Scalar.self, count: tiles.capacity) { scratch in
      for piece in from..<to {
        let (index, block) = piece.quotientAndRemainder(dividingBy: cut.blocks)
        let first = block &* cut.channels
        let channels = min(cut.channels, sizes.inputChannels &- first)
        // A pointwise product writes each element but where there is none to write.
        (dx + (index &* sizes.inputChannels &+ first) &* sizes.image.area).update(
          repeating: 0, count: sizes.isPointwise ? 0 : channels &* sizes.image.area)
        let row = block &* cut.rows
        tiles.forEachTile(
          index, rows: row..<min(row &+ cut.rows, sizes.depth), lines: 0..<sizes.output.height
        ) { tile in
          let target =
            sizes.isPointwise
            ? (base: dx + tile.imageOffset + tile.rows.lowerBound * area + tile.firstColumn,
              stride: area)
            : (base: scratch, stride: tile.columnCount)
          Scalar.multiply(
            rows: tile.rows.count, columns: tile.columnCount, depth: sizes.outputChannels,
            weight + tile.group * sizes.outputChannels * sizes.depth + tile.rows.lowerBound,
            .transposed, stride: sizes.depth,
            dy + tile.outputOffset + tile.firstColumn, .asIs, stride: area,
            scale: 1, accumulating: false, into: target.base, stride: target.stride)
          if !sizes.isPointwise { fold(scratch, tile, sizes, onto: dx + tile.imageOffset) }
        }
      }
    }
  }
}

/// A part does some rows of the unfolded matrix, which are columns of dw, for some of the images. Only where
/// rows are few are images cut into blocks, whose sums are then added up in halves.
private struct WeightGradientCut {
  let rowBlocks: Int
  let rows: Int
  let imageBlocks: Int
  let images: Int
  /// Elements of dw, and of the sums of all blocks of images but the first.
  let count: Int
  let partialCount: Int

  init(_ sizes: ConvolutionSizes) {
    let (depth, groups) = (sizes.depth, max(sizes.groups, 1))
    let cost = sizes.imageCount &* sizes.cost(rows: depth, lines: sizes.output.height)
    let wanted = max(1, min(16, cost / partGrain)) / groups
    let rowLength = (depth &+ max(1, min(wanted, depth / 128)) &- 1) / max(1, min(wanted, depth / 128))
    rows = rowLength
    rowBlocks = rowLength == 0 ? 1 : (depth &+ rowLength &- 1) / rowLength
    count = sizes.groups &* sizes.outputChannels &* depth
    let blocks = count > 1 &<< 16 ? 1 : max(1, min(sizes.batch, min(8, wanted) / rowBlocks))
    images = (sizes.batch &+ blocks &- 1) / blocks
    imageBlocks = images == 0 ? 1 : (sizes.batch &+ images &- 1) / images
    partialCount = (imageBlocks &- 1) &* count
  }
}

private func weightGradient<Scalar: BLASScalar>(
  _ x: UnsafeMutablePointer<Scalar>, _ dy: UnsafeMutablePointer<Scalar>,
  _ dw: UnsafeMutablePointer<Scalar>, _ sizes: ConvolutionSizes
) {
  let cut = WeightGradientCut(sizes)
  let tiles = TileShape(sizes, rows: cut.rows)
  withScratch(of: Scalar.self, count: cut.partialCount) { partials in
    inParallel(parts: sizes.groups &* cut.rowBlocks &* cut.imageBlocks) { part in
      let (place, block) = part.quotientAndRemainder(dividingBy: cut.imageBlocks)
      let (group, piece) = place.quotientAndRemainder(dividingBy: cut.rowBlocks)
      let rows = piece &* cut.rows..<min((piece &+ 1) &* cut.rows, sizes.depth)
      let images = block &* cut.images..<min((block &+ 1) &* cut.images, sizes.batch)
      let dw = (block == 0 ? dw : partials + (block &- 1) &* cut.count)
        + group &* sizes.outputChannels &* sizes.depth
      for channel in 0..<sizes.outputChannels {
        (dw + channel &* sizes.depth + rows.lowerBound).update(repeating: 0, count: rows.count)
      }
      withScratch(of: Scalar.self, count: tiles.capacity) { scratch in
        for image in images {
          tiles.forEachTile(
            image &* sizes.groups &+ group, rows: rows, lines: 0..<sizes.output.height
          ) { tile in
            let unfolded = unfold(x + tile.imageOffset, tile, sizes, into: scratch)
            Scalar.multiply(
              rows: sizes.outputChannels, columns: tile.rows.count, depth: tile.columnCount,
              dy + tile.outputOffset + tile.firstColumn, .asIs, stride: sizes.output.area,
              unfolded.base, .transposed, stride: unfolded.stride,
              scale: 1, accumulating: true, into: dw + tile.rows.lowerBound, stride: sizes.depth)
          }
        }
      }
    }
    addHalves(partials, blocks: cut.imageBlocks, count: cut.count, onto: dw)
  }
}

// MARK: - Tiles of the unfolded matrix

/// Elements of a tile: 512 KiB of f32, which a second-level cache holds. A single line may be longer.
private let unfoldedCapacity = 1 << 17
/// With fewer images than this, their channels are cut too.
private let fewImages = 8

extension ConvolutionSizes {
  /// Images, each group by itself.
  fileprivate var imageCount: Int { batch &* groups }

  /// What a piece of one image costs, in elements of a simple loop.
  fileprivate func cost(rows: Int, lines: Int) -> Int {
    rows &* lines &* output.width &* (1 &+ outputChannels / 32)
  }
}

/// A piece of the unfolded matrix of one image and group: whole lines of the output.
private struct Tile {
  let group: Int
  /// Where the group's channels begin in x and in y.
  let imageOffset: Int
  let outputOffset: Int
  let rows: Range<Int>
  let lines: Range<Int>
  let width: Int

  var firstColumn: Int { lines.lowerBound * width }
  var columnCount: Int { lines.count * width }
}

/// How large tiles are, where a part has at most `rows` rows of the unfolded matrix.
private struct TileShape {
  private let sizes: ConvolutionSizes
  private let height: Int
  let lines: Int

  init(_ sizes: ConvolutionSizes, rows: Int) {
    self.sizes = sizes
    let width = max(sizes.output.width, 1)
    height = max(1, min(rows, unfoldedCapacity / width))
    lines = max(1, min(sizes.output.height, unfoldedCapacity / (height * width)))
  }

  /// Elements of the largest tile.
  var capacity: Int { sizes.isPointwise ? 0 : height * lines * sizes.output.width }

  var lineBlocks: Int { (sizes.output.height + lines - 1) / lines }
  func lines(_ block: Int) -> Range<Int> {
    block * lines..<min((block + 1) * lines, sizes.output.height)
  }

  /// Calls `body` with each tile of an image. For any line, tiles come in rising rows.
  @inline(__always)
  func forEachTile(_ index: Int, rows: Range<Int>, lines: Range<Int>, _ body: (Tile) -> Void) {
    if sizes.output.area == 0 { return }
    for line in stride(from: lines.lowerBound, to: lines.upperBound, by: self.lines) {
      // Of no channels there is one tile without rows: it stands for zeros.
      for row in stride(from: rows.lowerBound, to: max(rows.upperBound, 1), by: height) {
        body(
          Tile(
            group: index % sizes.groups,
            imageOffset: index * sizes.inputChannels * sizes.image.area,
            outputOffset: index * sizes.outputChannels * sizes.output.area,
            rows: row..<min(row + height, rows.upperBound),
            lines: line..<min(line + self.lines, lines.upperBound), width: sizes.output.width))
      }
    }
  }
}

/// Calls `body` for each line of each row of a tile: the line's place in the tile, the pixel that its
/// column 0 sees (or would see, left of the image), and which of its columns see the image at all.
@inline(__always)
private func forEachLine(
  _ tile: Tile, _ sizes: ConvolutionSizes,
  _ body: (_ target: Int, _ source: Int, _ inside: Range<Int>) -> Void
) {
  let window = sizes.window
  let (height, width) = (sizes.image.height, sizes.image.width)
  var target = 0
  for row in tile.rows {
    let (channel, place) = row.quotientAndRemainder(dividingBy: window.size.area)
    let (r, c) = place.quotientAndRemainder(dividingBy: window.size.width)
    let inside = window.insideColumns(c, imageWidth: width, outputWidth: tile.width)
    for y in tile.lines {
      let line = window.inputRow(y, r)
      let source = (channel &* height &+ line) &* width &+ window.firstColumn(c)
      body(target, source, line >= 0 && line < height ? inside : 0..<0)
      target &+= tile.width
    }
  }
}

/// Writes a tile of the unfolded matrix, or points into the image where that is the same.
@inline(__always)
private func unfold<Scalar: BLASScalar>(
  _ x: UnsafeMutablePointer<Scalar>, _ tile: Tile, _ sizes: ConvolutionSizes,
  into scratch: UnsafeMutablePointer<Scalar>
) -> (base: UnsafeMutablePointer<Scalar>, stride: Int) {
  if sizes.isPointwise {
    let area = sizes.image.area
    return (x + tile.rows.lowerBound * area + tile.firstColumn, area)
  }
  let step = sizes.window.stride.width
  forEachLine(tile, sizes) { target, source, inside in
    let line = scratch + target
    var i = 0
    while i < inside.lowerBound {
      line[i] = 0
      i &+= 1
    }
    if step == 1 {
      copyShort(x + source + i, to: line + i, count: inside.count)
    } else {
      for i in inside { line[i] = x[source &+ i &* step] }
    }
    i = inside.upperBound
    while i < tile.width {
      line[i] = 0
      i &+= 1
    }
  }
  return (scratch, tile.columnCount)
}

/// Adds a tile of the unfolded gradient to the image, each element to the pixel it was read from.
@inline(__always)
private func fold<Scalar: BLASScalar>(
  _ scratch: UnsafeMutablePointer<Scalar>, _ tile: Tile, _ sizes: ConvolutionSizes,
  onto dx: UnsafeMutablePointer<Scalar>
) {
  let step = sizes.window.stride.width
  forEachLine(tile, sizes) { target, source, inside in
    let line = scratch + target
    if step == 1 {
      addShort(line + inside.lowerBound, to: dx + source + inside.lowerBound, count: inside.count)
    } else {
      for i in inside { dx[source &+ i &* step] += line[i] }
    }
  }
}

// Lines are short, often less than one round of a vectorised loop, which would leave them to its scalar
// remainder. These take what is left in halves.

@inline(__always)
private func copyShort<Scalar: BLASScalar>(
  _ source: UnsafeMutablePointer<Scalar>, to target: UnsafeMutablePointer<Scalar>, count: Int
) {
  var i = 0
  while i &+ 16 <= count { i = copy(SIMD16<Scalar>.self, source, target, i) }
  if i &+ 8 <= count { i = copy(SIMD8<Scalar>.self, source, target, i) }
  if i &+ 4 <= count { i = copy(SIMD4<Scalar>.self, source, target, i) }
  while i < count {
    target[i] = source[i]
    i &+= 1
  }
}

@inline(__always)
private func copy<Scalar: BLASScalar, Vector: SIMD>(
  _ type: Vector.Type, _ source: UnsafeMutablePointer<Scalar>,
  _ target: UnsafeMutablePointer<Scalar>, _ i: Int
) -> Int where Vector.Scalar == Scalar {
  let value = UnsafeRawPointer(source + i).loadUnaligned(as: type)
  UnsafeMutableRawPointer(target + i).storeBytes(of: value, as: type)
  return i &+ Vector.scalarCount
}

@inline(__always)
private func addShort<Scalar: BLASScalar>(
  _ source: UnsafeMutablePointer<Scalar>, to target: UnsafeMutablePointer<Scalar>, count: Int
) {
  var i = 0
  while i &+ 16 <= count { i = add(SIMD16<Scalar>.self, source, target, i) }
  if i &+ 8 <= count { i = add(SIMD8<Scalar>.self, source, target, i) }
  if i &+ 4 <= count { i = add(SIMD4<Scalar>.self, source, target, i) }
  while i < count {
    target[i] += source[i]
    i &+= 1
  }
}

@inline(__always)
private func add<Scalar: BLASScalar, Vector: SIMD>(
  _ type: Vector.Type, _ source: UnsafeMutablePointer<Scalar>,
  _ target: UnsafeMutablePointer<Scalar>, _ i: Int
) -> Int where Vector.Scalar == Scalar {
  let value = UnsafeRawPointer(source + i).loadUnaligned(as: type)
  var sum = UnsafeRawPointer(target + i).loadUnaligned(as: type)
  for lane in 0..<Vector.scalarCount { sum[lane] += value[lane] }
  UnsafeMutableRawPointer(target + i).storeBytes(of: sum, as: type)
  return i &+ Vector.scalarCount
}
