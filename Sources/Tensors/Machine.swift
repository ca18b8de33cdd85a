import Glibc
import Synchronization

/// What this machine has.
package enum Machine {
  /// Bytes that tensors may take in all: the physical memory, or less where a control group or GRADUS_MEMORY says so.
  package static let memoryLimit: Int = {
    let physical = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    let machineLimit = controlGroups.compactMap(\.limit).filter { $0 > 0 }.reduce(physical, min)
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

  /// What the process takes without tensors: what it took when the first were asked for.
  private static let restingByteCount = residentByteCount()

  /// Bytes that may still be given out before the system is asked again what is free.
  private static let allowance = Atomic<Int>(0)

  /// Returns nil where `byteCount` more bytes can be allocated, else how many can.
  ///
  /// Asking the system takes longer than a small op, so that is done once for every 64 MiB.
  package static func shortage(of byteCount: Int) -> Int? {
    let left = allowance.wrappingSubtract(byteCount, ordering: .relaxed).newValue
    if left >= 0 { return nil }
    let free = max(0, min(availableMemory(), memoryLimit - (residentByteCount() - restingByteCount)))
    // Kernels, threads and the interpreter need some, too.
    let usable = free - free / 16
    allowance.store(min(1 << 26, usable / 4), ordering: .relaxed)
    return byteCount <= usable ? nil : free
  }
}
