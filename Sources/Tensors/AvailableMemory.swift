#if canImport(Glibc)
  import Glibc
#endif

/// Returns the bytes that can be allocated now without swapping or meeting the limit of a container.
///
/// That is `MemAvailable` of the kernel, or what the control group still allows where that is less; its file cache
/// counts as free. Without either file the answer is unlimited.
package func availableMemory() -> Int {
  var available = Int.max
  if let kilobytes = field("MemAvailable:", of: "/proc/meminfo") { available = kilobytes &* 1024 }
  let groups = [
    (folder: "/sys/fs/cgroup/", limit: "memory.max", use: "memory.current", cache: "inactive_file"),
    (
      folder: "/sys/fs/cgroup/memory/", limit: "memory.limit_in_bytes", use: "memory.usage_in_bytes",
      cache: "total_inactive_file"
    ),
  ]
  for group in groups {
    // `max`, version 2's word for no limit, is not a number.
    guard let limit = firstNumber(of: group.folder + group.limit),
      let use = firstNumber(of: group.folder + group.use)
    else { continue }
    let cache = field(group.cache, of: group.folder + "memory.stat") ?? 0
    available = min(available, max(0, limit - max(0, use - cache)))
  }
  return available
}

/// Returns the bytes of this process that are in memory; 0 where the system does not tell.
package func residentByteCount() -> Int {
  let fields = text(of: "/proc/self/statm").split(separator: " ")
  guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
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
