#if canImport(Glibc)
  import Glibc
#endif

/// The files in which version 2 or 1 of the kernel's control groups tell of memory.
struct ControlGroup {
  let folder: String
  let limitName: String
  let useName: String
  let cacheName: String

  /// The bytes that the group may take; nil where there is no limit: `max`, version 2's word for it, is no number.
  var limit: Int? { firstNumber(of: folder + limitName) }
  var use: Int? { firstNumber(of: folder + useName) }
  /// File contents that the kernel gives up at need.
  var cache: Int { field(cacheName, of: folder + "memory.stat") ?? 0 }
}

let controlGroups = [
  ControlGroup(
    folder: "/sys/fs/cgroup/", limitName: "memory.max", useName: "memory.current", cacheName: "inactive_file"),
  ControlGroup(
    folder: "/sys/fs/cgroup/memory/", limitName: "memory.limit_in_bytes", useName: "memory.usage_in_bytes",
    cacheName: "total_inactive_file"),
]

/// Returns the bytes that can be allocated now without swapping or meeting the limit of a container or of `ulimit -v`.
///
/// That is `MemAvailable` of the kernel, or what a limit still allows where that is less; the file cache of a control
/// group counts as free. Without such files and limits the answer is unlimited.
package func availableMemory() -> Int {
  var available = Int.max
  if let kilobytes = field("MemAvailable:", of: "/proc/meminfo") { available = kilobytes &* 1024 }
  for group in controlGroups {
    guard let limit = group.limit, let use = group.use else { continue }
    available = min(available, max(0, limit - max(0, use - group.cache)))
  }
  var addresses = rlimit()
  if getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &addresses) == 0, addresses.rlim_cur < rlim_t(Int.max) {
    available = min(available, max(0, Int(addresses.rlim_cur) - pages(0)))
  }
  return available
}

/// Returns the bytes of this process that are in memory; 0 where the system does not tell.
package func residentByteCount() -> Int { pages(1) }

/// Returns one of the sizes that the kernel tells of this process, in bytes: 0 all addresses, 1 what is in memory.
private func pages(_ place: Int) -> Int {
  let fields = text(of: "/proc/self/statm").split(separator: " ")
  guard fields.count > place, let pages = Int(fields[place]) else { return 0 }
  return pages &* sysconf(Int32(_SC_PAGESIZE))
}

/// Returns the number after `name` on the line of a kernel file that begins with it.
private func field(_ name: String, of path: String) -> Int? {
  for line in text(of: path).split(separator: "\n") {
    let words = line.split(separator: " ", omittingEmptySubsequences: true)
    if words.count >= 2, words[0] == name { return Int(words[1]) }
  }
  return nil
}

private func firstNumber(of path: String) -> Int? {
  text(of: path).split(separator: "\n").first.flatMap { Int($0) }
}

/// Reads a small file that the kernel makes up as it is read; empty where there is none.
private func text(of path: String) -> String {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  if descriptor < 0 { return "" }
  defer { close(descriptor) }
  return withUnsafeTemporaryAllocation(byteCount: 1 << 14, alignment: 1) { buffer in
    var count = 0
    while count < buffer.count {
      let more = read(descriptor, buffer.baseAddress! + count, buffer.count - count)
      if more <= 0 { break }
      count += more
    }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }
}
