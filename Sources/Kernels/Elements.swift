import Tensors

extension TensorView {
  /// The elements, known to be of this type.
  @inline(__always)
  func pointer<Element>(_: Element.Type = Element.self) -> UnsafeMutablePointer<Element> {
    base.assumingMemoryBound(to: Element.self)
  }
}

/// A tensor seen as `outer` x `count` x `inner`: lines of `count` elements, `inner` apart.
package struct LineSizes: Sendable {
  package let outer: Int
  package let count: Int
  package let inner: Int

  /// The lines of a shape along an axis.
  package init(_ shape: [Int], axis: Int) {
    outer = shape[..<axis].reduce(1, &*)
    count = shape[axis]
    inner = shape[(axis + 1)...].reduce(1, &*)
  }
}
