import Glibc

/// What this machine has.
package enum Machine {
  /// Bytes that tensors may take in all: the physical memory, or less where a control group or GRADUS_MEMORY says so.
  package static let memoryLimit: Int = {
    if let text = getenv("GRADUS_MEMORY"), let limit = byteCount(of: String(cString: text)) {
      return min(limit, machineLimit)
    }
    return machineLimit
  }()

  /// Whether the first run of each plan is held against the plan, to the byte: GRADUS_CHECK_MEMORY, which the tests set.
  package static let checksMemory = getenv("GRADUS_CHECK_MEMORY") != nil

  /// Returns the number that `64MiB`, `1GiB` or plain digits stand for.
  package static func byteCount(of text: String) -> Int? {
    for (unit, size) in [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)] where text.hasSuffix(unit) {
      guard let count = Int(text.dropLast(3)) else { return nil }
      let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
      return overflow || count < 0 ? nil : bytes
    }
    return Int(text).flatMap { $0 < 0 ? nil : $0 }
  }

  private static let machineLimit: Int = {
    let physical = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    for path in ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"] {
      guard let file = fopen(path, "r") else { continue }
      defer { fclose(file) }
      var buffer = [CChar](repeating: 0, count: 64)
      guard fgets(&buffer, 64, file) != nil else { continue }
      let digits = buffer.prefix { $0 != 0 && $0 != 10 }.map { Character(UnicodeScalar(UInt8($0))) }
      if let limit = Int(String(digits)), limit > 0 { return min(limit, physical) }
    }
    return physical
  }()
}
