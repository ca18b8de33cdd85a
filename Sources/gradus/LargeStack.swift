import Glibc

/// Runs `body` on a thread whose stack holds calls nested 10,000 deep, and returns its result.
///
/// The stack is mapped, not used: memory goes to what is touched.
func runOnLargeStack(_ body: @escaping @Sendable () -> Int32) -> Int32 {
  for byteCount in [1 << 30, 1 << 28, 1 << 26] {
    if let result = run(body, stackByteCount: byteCount) { return result }
  }
  return body()
}

/// What the thread runs, and what came of it.
private final class Job {
  let body: @Sendable () -> Int32
  var result: Int32 = 0
  init(_ body: @escaping @Sendable () -> Int32) { self.body = body }
}

private func run(_ body: @escaping @Sendable () -> Int32, stackByteCount: Int) -> Int32? {
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  defer { pthread_attr_destroy(&attributes) }
  guard pthread_attr_setstacksize(&attributes, stackByteCount) == 0 else { return nil }
  let job = Job(body)
  var thread = pthread_t()
  let status = pthread_create(
    &thread, &attributes,
    { argument in
      let job = Unmanaged<Job>.fromOpaque(argument!).takeUnretainedValue()
      job.result = job.body()
      return nil
    }, Unmanaged.passUnretained(job).toOpaque())
  guard status == 0 else { return nil }
  pthread_join(thread, nil)
  return withExtendedLifetime(job) { job.result }
}
