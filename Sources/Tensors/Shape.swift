/// The sizes of a tensor's axes, outermost first. Empty for a single number.
package struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral {
  package var sizes: [Int]

  package init(_ sizes: [Int]) { self.sizes = sizes }
  package init(arrayLiteral elements: Int...) { sizes = elements }

  package static let scalar = Shape([])

  package var rank: Int { sizes.count }
  package subscript(axis: Int) -> Int {
    get { sizes[axis] }
    set { sizes[axis] = newValue }
  }

  /// The product of the sizes.
  /// - Requires: it does not overflow; `checkedElementCount` tells.
  package var elementCount: Int {
    var count = 1
    for size in sizes { count &*= size }
    return count
  }

  /// A tensor has no more axes than this, as in NumPy.
  package static let largestRank = 64

  /// The product of the sizes, or nil where its bytes at 16 an element overflow or there are too many axes.
  ///
  /// The sizes that are not 0 must have such a product even where the others make it 0: kernels multiply them.
  package var checkedElementCount: Int? {
    if rank > Shape.largestRank { return nil }
    var count = 1
    for size in sizes where size != 0 {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      if overflow || product > Int.max / 16 { return nil }
      count = product
    }
    return sizes.contains(0) ? 0 : count
  }

  /// Strides in elements of a contiguous (row-major) layout.
  package var contiguousStrides: [Int] {
    var strides = [Int](repeating: 1, count: rank)
    var stride = 1
    for axis in (0..<rank).reversed() {
      strides[axis] = stride
      stride &*= sizes[axis]
    }
    return strides
  }

  /// Returns the axis that `axis` names, negative ones counted from the end; nil where there is none.
  package func resolved(axis: Int) -> Int? {
    let resolved = axis < 0 ? axis + rank : axis
    return resolved >= 0 && resolved < rank ? resolved : nil
  }

  /// Returns the shape both broadcast to under NumPy's rule (trailing axes match or are 1), or nil.
  package func broadcast(with other: Shape) -> Shape? {
    if self == other { return self }
    let rank = max(self.rank, other.rank)
    var result = [Int](repeating: 1, count: rank)
    for offset in 1...max(rank, 1) where offset <= rank {
      let a = offset <= self.rank ? sizes[self.rank - offset] : 1
      let b = offset <= other.rank ? other.sizes[other.rank - offset] : 1
      if a == b || b == 1 {
        result[rank - offset] = a
      } else if a == 1 {
        result[rank - offset] = b
      } else {
        return nil
      }
    }
    return Shape(result)
  }

  /// Returns the shape without `axes`, or with size 1 in their place.
  package func reduced(over axes: [Int], keepingAxes: Bool) -> Shape {
    var result: [Int] = []
    for (axis, size) in sizes.enumerated() {
      if !axes.contains(axis) { result.append(size) } else if keepingAxes { result.append(1) }
    }
    return Shape(result)
  }
}

extension Shape: CustomStringConvertible {
  /// `[2, 3]`
  package var description: String {
    "[" + sizes.map(String.init).joined(separator: ", ") + "]"
  }
}

/// A dtype and a shape.
package struct TensorType: Hashable, Sendable, CustomStringConvertible {
  package var dtype: DType
  package var shape: Shape

  package init(_ dtype: DType, _ shape: Shape) {
    self.dtype = dtype
    self.shape = shape
  }

  package var rank: Int { shape.rank }
  package var elementCount: Int { shape.elementCount }
  package var byteCount: Int { dtype.byteCount(of: shape.elementCount) }

  /// `f32[2, 3]`
  package var description: String { dtype.name + shape.description }
}
