/// Where a tensor's elements lie in its storage.
package struct Layout: Hashable, Sendable {
  package var shape: Shape
  /// Distance between neighbours along each axis, in elements; 0 along a broadcast axis; may be negative.
  package var strides: [Int]
  /// The first element, in elements from the start of the storage.
  package var offset: Int

  package init(shape: Shape, strides: [Int], offset: Int = 0) {
    self.shape = shape
    self.strides = strides
    self.offset = offset
  }

  package init(contiguous shape: Shape) {
    self.init(shape: shape, strides: shape.contiguousStrides)
  }

  /// Whether elements follow each other in row-major order without gaps (the offset may be anything).
  package var isContiguous: Bool {
    var expected = 1
    for axis in (0..<shape.rank).reversed() {
      if shape[axis] != 1 {
        if shape[axis] == 0 { return true }
        if strides[axis] != expected { return false }
        expected &*= shape[axis]
      }
    }
    return true
  }
}
