import Glibc
import Interpreter

/// Runs a command of the shell without a terminal, and hands over what it writes; an interrupt ends it.
///
/// - Returns: its exit code.
func runInShell(_ command: String, hear: (String) -> Void) -> Int32 {
  var ends: [Int32] = [-1, -1]
  guard pipe(&ends) == 0 else { return 127 }
  for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  defer { close(ends[0]) }
  var actions = posix_spawn_file_actions_t()
  var attributes = posix_spawnattr_t()
  posix_spawn_file_actions_init(&actions)
  posix_spawnattr_init(&attributes)
  defer {
    posix_spawn_file_actions_destroy(&actions)
    posix_spawnattr_destroy(&attributes)
  }
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
  // A group of its own, so that all that it starts can be ended.
  posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
  posix_spawnattr_setpgroup(&attributes, 0)

  var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/sh"), strdup("-c"), strdup(command), nil]
  defer { arguments.forEach { free($0) } }
  var process = pid_t()
  let problem = posix_spawn(&process, "/bin/sh", &actions, &attributes, &arguments, environ)
  close(ends[1])
  guard problem == 0 else { return 127 }

  var buffer = [UInt8](repeating: 0, count: 1 << 14)
  // A letter may come in two pieces.
  var rest: [UInt8] = []
  while true {
    if Interpreter.isInterrupted { kill(-process, SIGKILL) }
    var input = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
    if poll(&input, 1, 100) <= 0 { continue }
    let count = read(ends[0], &buffer, buffer.count)
    if count < 0, errno == EINTR { continue }
    if count <= 0 { break }
    rest += buffer[..<count]
    let whole = rest.count - incompleteLetter(at: rest)
    hear(String(decoding: rest[..<whole], as: UTF8.self))
    rest.removeFirst(whole)
  }
  if !rest.isEmpty { hear(String(decoding: rest, as: UTF8.self)) }
  var status: Int32 = 0
  while waitpid(process, &status, 0) < 0, errno == EINTR {}
  return exitCode(ofStatus: status)
}

/// The number of bytes at the end that begin a letter in UTF-8 and do not end it.
private func incompleteLetter(at bytes: [UInt8]) -> Int {
  for (back, byte) in bytes.suffix(4).reversed().enumerated() {
    if byte & 0xC0 == 0x80 { continue }
    let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
    return length > back + 1 ? back + 1 : 0
  }
  return 0
}

/// What a shell calls the end of a process: its code, or 128 and the signal that ended it.
package func exitCode(ofStatus status: Int32) -> Int32 {
  status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
}
