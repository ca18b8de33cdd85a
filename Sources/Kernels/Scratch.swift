/// Calls `body` with room for `count` values, on the stack up to 1 KiB; not initialised.
///
/// See Note [Scratch and tail calls].
@inline(__always)
func withScratch<Value>(
  of _: Value.Type, count: Int, _ body: (UnsafeMutablePointer<Value>) -> Void
) {
  _ = withUnsafeTemporaryAllocation(of: Value.self, capacity: max(count, 1)) { buffer in
    body(buffer.baseAddress.unsafelyUnwrapped)
    return true
  }
}

// Note [Scratch and tail calls]
//
// `withUnsafeTemporaryAllocation` takes a closure that may throw, so an error register (r12 on x86-64) is
// part of its calling convention. Swift 6.3 with -Ounchecked ends such a closure by a jump to memset or memcpy
// where its last act is to fill or copy memory, and then leaves garbage in that register: the caller takes
// it for an error and falls off its own end. Returning a value after `body` keeps the jump away.
// Found on `sum` over an axis of size 0; use `withScratch` rather than the function itself.
