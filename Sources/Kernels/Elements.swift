import Tensors

extension TensorView {
  /// The elements, known to be of this type.
  @inline(__always)
  func pointer<Element>(_: Element.Type = Element.self) -> UnsafeMutablePointer<Element> {
    base.assumingMemoryBound(to: Element.self)
  }
}
