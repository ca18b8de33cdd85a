import Glibc

extension Duration {
  /// The seconds as a number.
  package var inSeconds: Double {
    let (seconds, attoseconds) = components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }
}

/// Returns a time with a unit that fits it, in three digits: `1.24 ms`, `131 ms`.
package func durationText(_ seconds: Double) -> String {
  let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")]
  let (scale, name) = units.first { seconds >= $0.0 } ?? (1e-9, "ns")
  let value = seconds / scale
  let decimals = value < 10 ? 2 : value < 100 ? 1 : 0
  var digits = [CChar](repeating: 0, count: 32)
  withVaList([Int32(decimals), value]) { _ = vsnprintf(&digits, 32, "%.*f", $0) }
  return String(decoding: digits.prefix { $0 != 0 }.map { UInt8($0) }, as: UTF8.self) + " " + name
}

/// The nanoseconds of a clock that is never set.
package func monotonicNanoseconds() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return time.tv_sec * 1_000_000_000 + time.tv_nsec
}
