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
    isPhantom = false
    isMapped = false
  }

  /// Borrows bytes that `owner` keeps alive.
  package init(borrowing base: UnsafeMutableRawPointer, byteCount: Int, from owner: AnyObject) {
    self.base = base
    self.byteCount = byteCount
    self.owner = owner
    isPhantom = false
    isMapped = false
  }

  /// Stands for bytes that nobody computes: `gradus check` knows only how many there are. Reading them gives zeros.
  package init(phantom byteCount: Int) {
    self.byteCount = byteCount
    owner = nil
    isPhantom = true
    let count = max(byteCount, Storage.alignment)
    // Address space, no memory: should somebody read them all the same, nothing is harmed.
    let mapped = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    isMapped = mapped != MAP_FAILED
    // Where there is no address space left either, memory has to stand for it.
    base = isMapped ? mapped! : .allocate(byteCount: count, alignment: Storage.alignment)
  }

  /// Whether there are no elements, only room for them.
  package let isPhantom: Bool
  private let isMapped: Bool

  deinit {
    if isMapped {
      munmap(base, max(byteCount, Storage.alignment))
    } else if owner == nil {
      base.deallocate()
    }
  }
}
