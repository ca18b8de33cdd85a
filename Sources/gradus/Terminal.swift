import Drawings
import Formats
import Glibc
import Interpreter
import Notebook
import Support

/// Standard output and error. What the program writes is gathered, and is out before anything is said on stderr and
/// before the process ends.
final class Terminal: DialogueOutput {
  /// Whether diagnostics have colours.
  let hasColor: Bool
  /// Whether drawings have.
  private let hasOutputColor: Bool
  private var buffer: [UInt8] = []

  /// Writes wait only while they come in floods: more than `flushesPerWindow` in one window.
  private static let windowNanoseconds = 50_000_000
  private static let flushesPerWindow = 64
  private static let largestBuffer = 1 << 16
  private var windowStart = 0
  private var flushesInWindow = 0

  init(color: ColorChoice) {
    func allows(_ descriptor: Int32) -> Bool {
      switch color {
      case .always: true
      case .never: false
      case .auto: !isSet("NO_COLOR") && (isSet("FORCE_COLOR") || isatty(descriptor) == 1 && !Terminal.isDumb)
      }
    }
    hasColor = allows(STDERR_FILENO)
    hasOutputColor = allows(STDOUT_FILENO)
  }

  // MARK: - Output

  func write(_ text: String) { write(Array(text.utf8)) }

  func write(_ bytes: [UInt8]) {
    eraseProgress()
    buffer.append(contentsOf: bytes)
    let now = monotonicNanoseconds()
    if now - windowStart > Self.windowNanoseconds {
      windowStart = now
      flushesInWindow = 0
    }
    flushesInWindow += 1
    if flushesInWindow <= Self.flushesPerWindow || buffer.count >= Self.largestBuffer { flush() }
  }

  func report(_ diagnostic: Diagnostic) {
    // `interrupted` needs no caret under the line that happened to run.
    writeError(
      diagnostic.code == "interrupted"
        ? diagnostic.message : render(diagnostic, color: hasColor))
  }

  /// Drawings are made for the terminal that shows them.
  func echo(_ value: Value, as text: String, isLast: Bool) {
    if case .object(let object) = value, surface != .plain { return write(object.text(on: surface) + "\n") }
    write(text + "\n")
  }

  /// What standard output shows; the same as in a file unless it is a terminal.
  private var surface: Surface {
    let isTerminal = isatty(STDOUT_FILENO) == 1
    let hasFullColors = ["truecolor", "24bit"].contains(environment("COLORTERM") ?? "")
    return Surface(
      width: isTerminal ? terminalWidth() ?? Surface.plain.width : Surface.plain.width,
      colors: !hasOutputColor ? .none : hasFullColors ? .full : .indexed)
  }

  private func terminalWidth() -> Int? {
    var size = winsize()
    return ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : nil
  }

  func page(_ text: String) { write(text + "\n") }

  func clear() { if isatty(STDOUT_FILENO) == 1, !Terminal.isDumb { write("\u{1B}[H\u{1B}[2J") } }

  // MARK: - Progress

  /// Whether the line of the cursor shows progress: what is written next takes its place.
  private var showsProgress = false
  /// When a log was told last, by the seconds of its loop.
  private var lastLogged: (loop: Int, seconds: Double) = (-1, 0)
  private static let logInterval = 60.0

  /// Progress is for people: a line that changes on a terminal. A log gets a line a minute.
  func show(_ progress: Progress) {
    if isatty(STDERR_FILENO) == 1, !Terminal.isDumb {
      flush()
      writeFully(Array(("\r" + progress.line + "\u{1B}[K" + (progress.isOver ? "\n" : "")).utf8), to: STDERR_FILENO)
      showsProgress = !progress.isOver
    } else if !progress.isOver {
      if lastLogged.loop != progress.loop { lastLogged = (progress.loop, 0) }
      if progress.seconds - lastLogged.seconds < Self.logInterval { return }
      lastLogged.seconds = progress.seconds
      writeError(progress.fields)
    }
  }

  /// Takes the line away that another process showed progress on.
  func endProgress() {
    if isatty(STDERR_FILENO) == 1 { writeFully(Array("\r\u{1B}[K".utf8), to: STDERR_FILENO) }
  }

  private func eraseProgress() {
    if !showsProgress { return }
    showsProgress = false
    writeFully(Array("\r\u{1B}[K".utf8), to: STDERR_FILENO)
  }

  // MARK: - Questions

  func ask(_ prompt: String) -> Answer {
    write(prompt)
    flush()
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while true {
      // The signal of Ctrl-C may go to another thread, so it does not end a wait.
      if Interpreter.isInterrupted {
        write("\n")
        return .interrupted
      }
      var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
      if poll(&input, 1, 100) <= 0 { continue }
      // Byte by byte: what follows the line is not ours.
      let count = read(STDIN_FILENO, &byte, 1)
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      if count <= 0 { return line.isEmpty ? .nobody : .line(String(decoding: line, as: UTF8.self)) }
      if byte == UInt8(ascii: "\n") { return .line(String(decoding: line, as: UTF8.self)) }
      line.append(byte)
    }
  }

  // MARK: - Other programs

  func runShell(_ command: String) -> Int32 {
    flush()
    return run(["/bin/sh", "-c", command])
  }

  func editFile(_ path: String) -> Diagnostic? {
    let editor = ["VISUAL", "EDITOR"].compactMap(environment).first { !$0.isEmpty } ?? "vi"
    flush()
    // The variable may hold options.
    if run(["/bin/sh", "-c", "exec \(editor) \"$1\"", "sh", path]) == 0 { return nil }
    return Diagnostic(
      .error, "no-editor", "the editor `\(editor)` did not end well", at: nil,
      help: "$VISUAL or $EDITOR names the one to use")
  }

  /// What came out of the editor last, for the history.
  private var editedText: String?

  func takeEditedText() -> String? {
    defer { editedText = nil }
    return editedText
  }

  func edit(_ text: String) -> Result<String, Diagnostic> {
    var template = Array(((environment("TMPDIR") ?? "/tmp") + "/gradus-XXXXXX.nn").utf8CString)
    let descriptor = mkstemps(&template, 3)
    guard descriptor >= 0 else {
      return .failure(Diagnostic(.error, "file-unwritable", "no file can be made to edit", at: nil))
    }
    let path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(path) }
    close(descriptor)
    do {
      try writeAtomically(Array((text + "\n").utf8), to: path)
      if let problem = editFile(path) { return .failure(problem) }
      let text = String(decoding: try readProgramFile(path), as: UTF8.self)
      editedText = text
      return .success(text)
    } catch {
      return .failure(Diagnostic(.error, fileErrorCode(error), "\(error)", at: nil))
    }
  }

  /// Runs a program on this terminal, and returns its exit code.
  private func run(_ arguments: [String]) -> Int32 {
    var pointers = arguments.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    var process = pid_t()
    guard posix_spawn(&process, arguments[0], nil, nil, &pointers, environ) == 0 else { return 127 }
    var status: Int32 = 0
    // Ctrl-C goes to the program, and ends no wait here.
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    return exitCode(ofStatus: status)
  }

  // MARK: - Streams

  /// Writes a line to standard error.
  func writeError(_ text: String) {
    eraseProgress()
    flush()
    writeFully(Array((text + "\n").utf8), to: STDERR_FILENO)
  }

  func flush() {
    if buffer.isEmpty { return }
    writeFully(buffer, to: STDOUT_FILENO)
    buffer.removeAll(keepingCapacity: true)
  }

  private func writeFully(_ bytes: [UInt8], to descriptor: Int32) {
    bytes.withUnsafeBytes { bytes in
      var offset = 0
      while offset < bytes.count {
        let count = Glibc.write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
        if count < 0 {
          if errno == EINTR || errno == EAGAIN { continue }
          // Nobody reads any more, as after `| head`: end as quietly as the signal would.
          if errno == EPIPE { _exit(128 + SIGPIPE) }
          if descriptor == STDOUT_FILENO {
            let reason = String(cString: strerror(errno)).lowercased()
            writeFully(Array("error: cannot write the output: \(reason)\n".utf8), to: STDERR_FILENO)
          }
          _exit(1)
        }
        offset += count
      }
    }
  }

  /// Whether the terminal prints what it is sent and obeys nothing.
  static let isDumb = environment("TERM") == "dumb"

  /// Whether people sit at both ends.
  static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 }
}

/// Returns the value of an environment variable, nil where it is unset.
func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// Whether an environment variable is set to anything but nothing.
func isSet(_ name: String) -> Bool { environment(name)?.isEmpty == false }
