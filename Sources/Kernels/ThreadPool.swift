import CThreads
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

// Note [Threads and bits]
//
// A kernel cuts its work into parts whose bounds depend on shapes alone, and whichever thread is free takes
// the next part. Parts write apart from each other, or leave partial results that are joined in the order of
// parts. So results have the same bits for any number of threads, and also where the pool is busy and the
// caller does all parts itself.
//
// BLAS is called from parts as a serial leaf: nothing but this pool starts threads.

/// Calls `body` once with each of 0 ..< parts, on the threads of the pool, and returns when all are done.
///
/// From inside a part, or while another thread uses the pool, the parts run in order in the caller.
/// See Note [Threads and bits].
package func inParallel(parts: Int, _ body: (Int) -> Void) {
  lend(body, parts) { ThreadPool.pool.run($0, parts: $1) }
}

/// Calls `use` with the words of `body`: an escaping copy of it would lie on the heap. Serial calls take the
/// same way, so that a body is compiled once, and as fast for many threads as for one.
@_silgen_name("cthreads_lend")
private func lend(
  _ body: (Int) -> Void, _ parts: Int, to use: @convention(c) (cthreads_body, Int) -> Void)

/// The threads that share the work of kernels, the calling one among them.
package enum ThreadPool {
  /// How many threads work at a time: GRADUS_THREADS, or the processors that this process may run on.
  package static var threadCount: Int {
    get { pool.activeCount }
    set { pool.setActiveCount(newValue) }
  }

  /// What GRADUS_THREADS may be.
  package static let threadCounts = 1...256

  /// Returns the number that a value of GRADUS_THREADS stands for, or nil where it is not allowed.
  package static func threadCount(in text: String) -> Int? {
    guard let count = Int(text), threadCounts.contains(count) else { return nil }
    return count
  }

  fileprivate static let pool = Pool()

  /// Makes the pool usable in a copy of the process, where its threads are not: they are started again at need.
  ///
  /// - Requires: the pool was idle when the process was copied.
  package static func forgetThreads() { pool.forgetThreads() }

  /// Calls `body` with the scratch regions of the pool's threads while none of them works.
  static func withIdleRegions(_ body: (UnsafeMutablePointer<ScratchRegion>) -> Void) {
    pool.withIdleRegions(body)
  }

  fileprivate static func initialCount() -> Int {
    if let text = getenv("GRADUS_THREADS"), let count = threadCount(in: String(cString: text)) {
      return count
    }
    return min(Int(cthreads_processor_count()), threadCounts.upperBound)
  }
}

private final class Pool: @unchecked Sendable {
  /// Whether a thread uses the pool. Only that one posts work.
  private let isBusy = Atomic<Bool>(false)
  /// The number of parts in the upper half, the next to be taken in the lower. A part belongs to the thread
  /// that counts it up; what else is known of the work is read after that.
  private let ticket = Atomic<UInt64>(0)
  /// Parts that are not done.
  private let remaining = Atomic<Int>(0)
  private var body = cthreads_body()
  /// Scratch of the caller in use, and the most that a part used, the caller's included.
  private var scratchInUse = 0
  private let scratchPeak = Atomic<Int>(0)

  private let active: Atomic<Int>
  /// Threads that exist, apart from callers. Changed only by the thread that uses the pool.
  private var created = 0
  private let regions = UnsafeMutablePointer<ScratchRegion>.allocate(
    capacity: ThreadPool.threadCounts.upperBound)

  private let sleeperCount = Atomic<Int>(0)
  private let isCallerAsleep = Atomic<Bool>(false)
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let posted = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let done = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    active = Atomic(ThreadPool.initialCount())
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(posted, nil)
    pthread_cond_init(done, nil)
  }

  var activeCount: Int { active.load(ordering: .relaxed) }

  func setActiveCount(_ count: Int) {
    let range = ThreadPool.threadCounts
    active.store(max(range.lowerBound, min(range.upperBound, count)), ordering: .relaxed)
  }

  // MARK: The caller

  func run(_ body: cthreads_body, parts: Int) {
    if parts > 1 && activeCount > 1 && take() {
      share(body, parts: parts)
      isBusy.store(false, ordering: .releasing)
      return
    }
    var part = 0
    while part < parts {
      cthreads_call(body, part)
      part &+= 1
    }
  }

  private func take() -> Bool {
    isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
  }

  private func share(_ body: cthreads_body, parts: Int) {
    while created < activeCount &- 1 && createThread() {}
    let region = Scratch.region()
    self.body = body
    scratchInUse = region.pointee.used
    scratchPeak.store(0, ordering: .relaxed)
    remaining.store(parts, ordering: .relaxed)
    ticket.store(UInt64(parts) &<< 32, ordering: .sequentiallyConsistent)
    if sleeperCount.load(ordering: .sequentiallyConsistent) > 0 {
      pthread_mutex_lock(mutex)
      pthread_cond_broadcast(posted)
      pthread_mutex_unlock(mutex)
    }
    while let part = claim() {
      cthreads_call(body, part)
      remaining.subtract(1, ordering: .releasing)
    }
    if !spin(until: { remaining.load(ordering: .acquiring) == 0 }) { sleepUntilDone() }
    region.pointee.peak = max(region.pointee.peak, scratchPeak.load(ordering: .relaxed))
  }

  private func sleepUntilDone() {
    pthread_mutex_lock(mutex)
    isCallerAsleep.store(true, ordering: .sequentiallyConsistent)
    while remaining.load(ordering: .sequentiallyConsistent) > 0 { pthread_cond_wait(done, mutex) }
    isCallerAsleep.store(false, ordering: .relaxed)
    pthread_mutex_unlock(mutex)
  }

  /// Returns the next part that nobody has.
  private func claim() -> Int? {
    var seen = ticket.load(ordering: .acquiring)
    while Pool.hasPart(seen) {
      let (exchanged, original) = ticket.weakCompareExchange(
        expected: seen, desired: seen &+ 1, ordering: .acquiringAndReleasing)
      if exchanged { return Int(seen & 0xFFFF_FFFF) }
      seen = original
    }
    return nil
  }

  private static func hasPart(_ ticket: UInt64) -> Bool { ticket & 0xFFFF_FFFF < ticket &>> 32 }

  func withIdleRegions(_ body: (UnsafeMutablePointer<ScratchRegion>) -> Void) {
    while !take() { sched_yield() }
    for index in 0..<created { body(regions + index) }
    isBusy.store(false, ordering: .releasing)
  }

  // MARK: Its threads

  /// - Returns: false where the system has no more threads: then fewer share the work.
  private func createThread() -> Bool {
    let region = regions + created
    region.initialize(to: ScratchRegion(byteCount: Scratch.bytesPerThread))
    // Signals are for the threads that the program knows.
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    var thread = pthread_t()
    let failed = pthread_create(
      &thread, nil,
      { ThreadPool.pool.work(as: Int(bitPattern: $0)) }, UnsafeMutableRawPointer(bitPattern: created))
    pthread_sigmask(SIG_SETMASK, &before, nil)
    if failed != 0 {
      region.pointee.deallocate()
      return false
    }
    pthread_detach(thread)
    created &+= 1
    return true
  }

  func forgetThreads() {
    created = 0
    sleeperCount.store(0, ordering: .relaxed)
    isCallerAsleep.store(false, ordering: .relaxed)
    // As threads left them that are gone.
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(posted, nil)
    pthread_cond_init(done, nil)
  }

  private func work(as index: Int) -> Never {
    let region = regions + index
    Scratch.adopt(region)
    while true {
      if !spin(until: { hasPart(for: index) }) { sleepUntilPosted(index) }
      while hasPart(for: index), let part = claim() {
        region.pointee.used = scratchInUse
        region.pointee.peak = scratchInUse
        cthreads_call(body, part)
        scratchPeak.max(region.pointee.peak, ordering: .relaxed)
        let left = remaining.subtract(1, ordering: .sequentiallyConsistent).newValue
        if left == 0 && isCallerAsleep.load(ordering: .sequentiallyConsistent) {
          pthread_mutex_lock(mutex)
          pthread_cond_signal(done)
          pthread_mutex_unlock(mutex)
        }
      }
    }
  }

  private func hasPart(for index: Int) -> Bool {
    Pool.hasPart(ticket.load(ordering: .sequentiallyConsistent)) && index < activeCount &- 1
  }

  private func sleepUntilPosted(_ index: Int) {
    pthread_mutex_lock(mutex)
    sleeperCount.add(1, ordering: .sequentiallyConsistent)
    while !hasPart(for: index) { pthread_cond_wait(posted, mutex) }
    sleeperCount.subtract(1, ordering: .relaxed)
    pthread_mutex_unlock(mutex)
  }

  /// Waits for about 0.2 ms at most: less than that lies between the kernels of a step, and to sleep and be
  /// woken costs tens of microseconds.
  /// - Returns: whether it came true.
  @inline(__always)
  private func spin(until isTrue: () -> Bool) -> Bool {
    var start = timespec()
    clock_gettime(CLOCK_MONOTONIC, &start)
    while true {
      for _ in 0..<64 {
        if isTrue() { return true }
        cthreads_pause()
      }
      // Others may want the core, and with more threads than cores it is another thread of the pool.
      sched_yield()
      var now = timespec()
      clock_gettime(CLOCK_MONOTONIC, &now)
      let waited = (now.tv_sec &- start.tv_sec) &* 1_000_000_000 &+ (now.tv_nsec &- start.tv_nsec)
      if waited > 200_000 { return isTrue() }
    }
  }
}

// MARK: - Cuts

/// Work worth a part, in elements that a simple loop streams through: some 20 microseconds.
let partGrain = 1 &<< 15

/// Calls `body` with ranges that together are `0 ..< count`, in parallel where the work is worth it.
///
/// - Parameter cost: what one item costs, in elements of a simple loop.
/// - Parameter unit: bounds of ranges are multiples of it.
/// - Parameter most: the most ranges there may be.
@inline(__always)
func inParallel(
  _ count: Int, cost: Int, unit: Int = 1, most: Int = .max, _ body: (_ from: Int, _ to: Int) -> Void
) {
  let cut = Cut(count, cost: cost, unit: unit, most: most)
  inParallel(parts: cut.parts) { part in body(cut.start(part), cut.end(part)) }
}

/// How a count is cut into ranges: by count and costs alone.
struct Cut {
  let count: Int
  let length: Int
  let parts: Int

  /// - Parameter most: the most parts there may be.
  init(_ count: Int, cost: Int, unit: Int = 1, most: Int = .max) {
    self.count = count
    let wanted = max(1, min(most, count &* max(cost, 1) / partGrain))
    let units = (count &+ unit &- 1) / unit
    length = max(1, (units &+ wanted &- 1) / wanted) &* unit
    parts = max(1, (count &+ length &- 1) / length)
  }

  func start(_ part: Int) -> Int { part &* length }
  func end(_ part: Int) -> Int { min(count, (part &+ 1) &* length) }
}
