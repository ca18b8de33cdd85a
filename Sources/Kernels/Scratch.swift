import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Memory that kernels use while they run, a region for each thread, asked for before.
package enum Scratch {
  /// Makes sure that kernels find `bytesPerThread` on the calling thread and on those of the pool.
  /// To be called between kernels.
  package static func reserve(bytesPerThread: Int) {
    reserved.max(wholeLines(bytesPerThread), ordering: .relaxed)
    let byteCount = Scratch.bytesPerThread
    region().pointee.grow(to: byteCount)
    ThreadPool.withIdleRegions { $0.pointee.grow(to: byteCount) }
  }

  /// What each thread has.
  package static var bytesPerThread: Int { reserved.load(ordering: .relaxed) }

  /// The most bytes that one thread used at a time since the last reset: in kernels that the calling thread
  /// ran, parts that the pool ran for it included. What was not reserved came from the heap, and counts too.
  package static var highWater: Int { region().pointee.peak }

  package static func resetHighWater() {
    let region = region()
    region.pointee.peak = region.pointee.used
  }

  /// At first there is room for most kernels; pages that are not touched cost nothing.
  private static let reserved = Atomic<Int>(1 &<< 18)

  // MARK: Regions of threads

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { region in
      let region = region!.assumingMemoryBound(to: ScratchRegion.self)
      region.pointee.deallocate()
      region.deallocate()
    }
    return key
  }()

  /// The calling thread's region.
  @inline(__always)
  static func region() -> UnsafeMutablePointer<ScratchRegion> {
    if let region = pthread_getspecific(key) {
      return region.assumingMemoryBound(to: ScratchRegion.self)
    }
    return makeRegion()
  }

  @inline(never)
  private static func makeRegion() -> UnsafeMutablePointer<ScratchRegion> {
    let region = UnsafeMutablePointer<ScratchRegion>.allocate(capacity: 1)
    region.initialize(to: ScratchRegion(byteCount: bytesPerThread))
    adopt(region)
    return region
  }

  /// Makes `region` the calling thread's.
  static func adopt(_ region: UnsafeMutablePointer<ScratchRegion>) { pthread_setspecific(key, region) }

  @inline(never)
  fileprivate static func take(_ byteCount: Int) -> ScratchLoan {
    let region = region()
    let start = region.pointee.used
    let end = start &+ byteCount
    // Another thread may have reserved more since.
    if start == 0 { region.pointee.grow(to: bytesPerThread) }
    region.pointee.used = end
    region.pointee.peak = max(region.pointee.peak, end)
    if end <= region.pointee.byteCount {
      return ScratchLoan(base: region.pointee.base + start, region: region, start: start, isOnHeap: false)
    }
    let base = UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 64), alignment: 64)
    return ScratchLoan(base: base, region: region, start: start, isOnHeap: true)
  }
}

/// What one thread has for scratch: the lowest `used` bytes are taken.
struct ScratchRegion {
  private(set) var base: UnsafeMutableRawPointer
  private(set) var byteCount: Int
  var used = 0
  var peak = 0

  init(byteCount: Int) {
    base = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
    self.byteCount = byteCount
  }

  /// - Requires: nothing of it is taken.
  mutating func grow(to byteCount: Int) {
    if byteCount <= self.byteCount { return }
    base.deallocate()
    base = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
    self.byteCount = byteCount
  }

  func deallocate() { base.deallocate() }
}

private struct ScratchLoan {
  let base: UnsafeMutableRawPointer
  let region: UnsafeMutablePointer<ScratchRegion>
  let start: Int
  let isOnHeap: Bool

  @inline(__always)
  func giveBack() {
    region.pointee.used = start
    if isOnHeap { base.deallocate() }
  }
}

/// Calls `body` with room for `count` values, aligned to a cache line and not initialised, from the scratch
/// of the calling thread: `scratchByteCount(of:count:)` bytes of it.
@inline(__always)
func withScratch<Value>(
  of _: Value.Type, count: Int, _ body: (UnsafeMutablePointer<Value>) -> Void
) {
  let loan = Scratch.take(scratchByteCount(of: Value.self, count: count))
  body(loan.base.assumingMemoryBound(to: Value.self))
  loan.giveBack()
}

/// What `withScratch` takes; nested calls add up.
@inline(__always)
func scratchByteCount<Value>(of _: Value.Type, count: Int) -> Int {
  wholeLines(count &* MemoryLayout<Value>.stride)
}
