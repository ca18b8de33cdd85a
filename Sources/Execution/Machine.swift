import Glibc

/// What this machine has.
package enum Machine {
  /// Bytes that tensors may take in all: the physical memory, or less where a control group says so.
  package static let memoryLimit: Int = {
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
