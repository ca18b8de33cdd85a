import Synchronization

/// A way out of a matrix product that takes seconds: whoever can throw a product away says so before it starts, and asks
/// afterwards whether it was broken off.
///
/// Without it Ctrl-C would wait for the product.
package enum ProductBreak {
  private static let isWanted = Atomic<Bool>(false)
  private static let isAllowed = Atomic<Bool>(false)
  private static let hasHappened = Atomic<Bool>(false)

  /// Whether products that may be broken off are to be. Safe in a signal handler once this was called before.
  package static func want(_ isWanted: Bool) {
    Self.isWanted.store(isWanted, ordering: .relaxed)
    if !isWanted { hasHappened.store(false, ordering: .relaxed) }
  }

  /// Says whether what products make from now on may be thrown away.
  package static func allow(_ isAllowed: Bool) { Self.isAllowed.store(isAllowed, ordering: .relaxed) }

  /// Returns whether a product was broken off since this was last asked: what it made is nothing.
  package static func takeHappened() -> Bool {
    guard hasHappened.load(ordering: .relaxed) else { return false }
    hasHappened.store(false, ordering: .relaxed)
    return true
  }

  /// Whether to break off now.
  @inline(__always)
  static var isDue: Bool {
    guard isWanted.load(ordering: .relaxed), isAllowed.load(ordering: .relaxed) else { return false }
    hasHappened.store(true, ordering: .relaxed)
    return true
  }
}
