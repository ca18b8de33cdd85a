/// Calls `body` with room for `count` values, aligned to a cache line and not initialised: on the stack up to
/// 1 KiB, else on the heap.
///
/// See Note [Scratch and tail calls].
@inline(__always)
func withScratch<Value>(
  of _: Value.Type, count: Int, _ body: (UnsafeMutablePointer<Value>) -> Void
) {
  // An alignment over 16 would always go to the heap, and there take five times as long; the rest is done by hand.
  _ = withUnsafeTemporaryAllocation(
    byteCount: max(count, 1) &* MemoryLayout<Value>.stride &+ 48, alignment: 16
  ) { bytes in
    let base = bytes.baseAddress.unsafelyUnwrapped.alignedUp(toMultipleOf: 64)
    body(base.assumingMemoryBound(to: Value.self))
    return true
  }
}

// Note [Scratch and tail calls]
//
// `withUnsafeTemporaryAllocation` takes a closure that may throw, so an error register (r12 on x86-64) is
// part of its calling convention. Swift 6.3 with -Ounchecked ends such a closure by a jump to memset or
// memcpy where its last act is to fill or copy memory, and then leaves garbage in that register: the
// caller takes it for an error and falls off its own end. Returning a value after `body` keeps the jump
// away. Found on `sum` over an axis of size 0; use `withScratch` rather than the function itself.
