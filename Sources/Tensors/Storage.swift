#if canImport(Glibc)
  import Glibc
#endif

/// Owned bytes, aligned to a cache line, that tensors share.
///
/// Tensors are values: who writes must hold the only reference (`isKnownUniquelyReferenced`) or bytes of its own.
package final class Storage: @unchecked Sendable {
  package static let alignment = 64

  package let base: UnsafeMutableRawPointer
  package let byteCount: Int
  private let owner: AnyObject?
  /// Whether the bytes are somebody else's, who may share them with others.
  package var isBorrowed: Bool { owner != nil }

  /// Allocates `byteCount` bytes, not initialised.
  ///
  /// - Requires: they are there; who allocates what a program asks for looks at `Machine.shortage(of:)` first.
  package init(byteCount: Int) {
    self.byteCount = byteCount
    base = UnsafeMutableRawPointer.allocate(
      byteCount: max(byteCount, Storage.alignment), alignment: Storage.alignment)
    owner = nil
  }

  /// Borrows bytes that `owner` keeps alive.
  package init(borrowing base: UnsafeMutableRawPointer, byteCount: Int, from owner: AnyObject) {
    self.base = base
    self.byteCount = byteCount
    self.owner = owner
  }

  deinit {
    if owner == nil { base.deallocate() }
  }
}
