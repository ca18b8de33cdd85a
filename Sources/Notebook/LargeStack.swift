import Glibc

/// Runs `body` on a thread whose stack holds calls of the language nested 10,000 deep, and returns its result.
///
/// The stack is mapped, not used: memory goes to what is touched.
package func runOnLargeStack<Result: Sendable>(_ body: @escaping @Sendable () -> Result) -> Result {
  for byteCount in [1 << 30, 1 << 28, 1 << 26] {
    let job = Job(body)
    if run(job, stackByteCount: byteCount), let result = job.result { return result }
  }
  return body()
}

/// What the thread runs, and what came of it.
private class AnyJob {
  func run() {}
}

private final class Job<Result>: AnyJob {
  let body: () -> Result
  private(set) var result: Result?
  init(_ body: @escaping () -> Result) { self.body = body }
  override func run() { result = body() }
}

/// - Returns: false where the system refuses such a thread.
private func run(_ job: AnyJob, stackByteCount: Int) -> Bool {
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  defer { pthread_attr_destroy(&attributes) }
  guard pthread_attr_setstacksize(&attributes, stackByteCount) == 0 else { return false }
  var thread = pthread_t()
  let status = pthread_create(
    &thread, &attributes,
    { argument in
      Unmanaged<AnyJob>.fromOpaque(argument!).takeUnretainedValue().run()
      return nil
    }, Unmanaged.passUnretained(job).toOpaque())
  guard status == 0 else { return false }
  pthread_join(thread, nil)
  return withExtendedLifetime(job) { true }
}
