import ArgumentParser
import CProcess
import Glibc
import Interpreter
import Notebook
import Support

/// `gradus watch FILE [-- key=value …]`
struct WatchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch",
    abstract: "Run a script, and again from the first changed cell whenever it is saved.",
    discussion: """
      What was before that cell is there again exactly: names, models, optimizers and random numbers. Statements \
      are compared, so a changed comment runs nothing. Files that cells wrote stay as they are. Ctrl-C leaves.
      """)

  @OptionGroup var common: CommonOptions
  @Argument(help: ArgumentHelp("The script.", valueName: "file"), completion: .scripts)
  var path: String

  @Argument(help: ArgumentHelp("Values for its inputs.", valueName: "key=value"), completion: .inputs)
  var inputTexts: [String] = []

  func run() throws {
    let terminal = Terminal(color: common.color)
    let inputs = try keysAndValues(inputTexts[...])
    _ = try readProgram(path)
    Interrupts.install(.session)
    Watcher(path, inputs, terminal).run()
    terminal.writeError("interrupted")
    throw ExitCode(130)
  }
}

/// Looks at a script five times a second, and has it run by other processes.
///
/// See Note [Copies of the process].
private final class Watcher {
  private let path: String
  private let inputs: [(key: String, value: String)]
  private let terminal: Terminal
  private let line = WatchLine()

  /// The script as it was run last.
  private var script: Script?
  /// The state of the files that were read, by path.
  private var seen: [String: FileState] = [:]
  private var copies: [Copy] = []
  private var runner: Runner?
  /// Where the last run stopped before the script's end.
  private var stopped: Int?
  private var order = 0
  /// The entry from which on the last order is heard.
  private var lastStart = 0

  private struct Copy {
    let process: pid_t
    /// The entry before which it waits.
    let entry: Int
  }

  private struct Runner {
    let process: pid_t
    /// How far it has come; at first, the entry from which on it is heard.
    var entry: Int
  }

  init(_ path: String, _ inputs: [(key: String, value: String)], _ terminal: Terminal) {
    self.path = path
    self.inputs = inputs
    self.terminal = terminal
  }

  func run() {
    gradus_adopt_orphans()
    defer { endAll(from: 0) }
    while !Interpreter.isInterrupted {
      look()
      line.wait(milliseconds: 200)
      hearReports()
      reap()
    }
  }

  // MARK: - Files

  /// Runs what there is to run since the last look.
  private func look() {
    let paths = Set(seen.keys).union([path]).sorted()
    func states() -> [FileState] { paths.map { FileState($0) } }
    var now = states()
    if zip(paths, now).allSatisfy({ seen[$0] == $1 }) { return }
    // An editor may be in the middle of writing.
    for _ in 0..<20 {
      let before = now
      usleep(20_000)
      now = states()
      if now == before { break }
    }
    let changed = zip(paths, now).filter { seen[$0] != $1 }.map(\.0)
    for (path, state) in zip(paths, now) { seen[path] = state }
    if seen[path] == .gone { return header("it is gone; waiting for it") }
    guard let file = try? readProgram(path) else { return header("it cannot be read; waiting") }
    if !changed.isEmpty { update(Script(file), usedFilesChanged: changed.contains { $0 != path }) }
  }

  private func update(_ new: Script, usedFilesChanged: Bool) {
    let check = Session(output: SilentOutput())
    let unknown = check.setInputs(inputs, for: new)
    let prepared = check.prepare(new)
    // What a program uses is part of it.
    for path in check.interpreter.usedPaths where seen[path] == nil { seen[path] = FileState(path) }
    let mistakes = unknown + prepared.unexpectedMistakes
    if !mistakes.isEmpty {
      header("")
      mistakes.forEach(terminal.report)
      return
    }
    var change = script.map { new.firstChange(from: $0) } ?? 0
    if usedFilesChanged, let use = new.firstUse { change = min(change ?? use, use) }
    if runner == nil, let stopped { change = min(change ?? stopped, stopped) }
    guard var start = change else {
      header("no statement has changed")
      script = new
      return
    }
    // What runs now runs on only if nothing before it has changed; else it has to begin there again.
    if let runner { start = min(start, runner.entry) }
    start = new.borders.last { $0 <= start } ?? 0
    let place = start > 0 && start < new.entries.count ? ", from line \(new.entries[start].lines.lowerBound)" : ""
    endAll(from: start)
    header(place, joinedToTime: true)
    script = new
    stopped = nil
    begin(new, at: start, names: check.interpreter.main.names)
  }

  /// A line on standard error: what ran, and when.
  private func header(_ words: String, joinedToTime: Bool = false) {
    var now = time(nil)
    var parts = tm()
    localtime_r(&now, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map(two).joined(separator: ":")
    let tail = joinedToTime || words.isEmpty ? words : ": " + words
    let text = "── \(path) \(clock)\(tail) ──"
    terminal.writeError(terminal.hasColor ? "\u{1B}[2m\(text)\u{1B}[0m" : text)
  }

  // MARK: - Processes

  private func begin(_ script: Script, at start: Int, names: [String]) {
    self.order += 1
    lastStart = start
    let order = WatchOrder(number: self.order, start: start, names: names, text: script.file.bytes)
    runner = nil
    while let copy = copies.last {
      line.send(order, to: copies.count - 1)
      // Its memory may have to come back from a disk first.
      let end = monotonicNanoseconds() + 60_000_000_000
      while runner == nil, kill(copy.process, 0) == 0, monotonicNanoseconds() < end, !Interpreter.isInterrupted {
        line.wait(milliseconds: 100)
        hearReports()
      }
      if runner != nil || Interpreter.isInterrupted { return }
      // The system may have ended it to have its memory. If it only sleeps, it must not wake up to the same order.
      kill(copy.process, SIGKILL)
      line.takeBack(from: copies.count - 1)
      copies.removeLast()
    }
    terminal.flush()
    let process = gradus_fork()
    if process == 0 {
      line.becomeChild()
      WatchRun(path: path, inputs: inputs, terminal: terminal, line: line).begin(order, at: 0)
    }
    if process < 0 {
      terminal.writeError("error: cannot start a process: \(String(cString: strerror(errno)).lowercased())")
      return
    }
    runner = Runner(process: process, entry: start)
  }

  private func hearReports() {
    for report in line.reports() {
      if report.order == order {
        hear(report)
      } else if report.event == .copied || report.event == .finished {
        // What an earlier run left after it was no longer wanted.
        kill(report.process, SIGKILL)
      }
    }
  }

  private func hear(_ report: WatchReport) {
    switch report.event {
    case .began: runner = Runner(process: report.process, entry: lastStart)
    case .copied: copies.append(Copy(process: report.process, entry: report.entry))
    case .reached: if let runner, report.entry > runner.entry { self.runner?.entry = report.entry }
    case .finished:
      runner = nil
      // It waits for what may be added at the end.
      copies.append(Copy(process: report.process, entry: report.entry))
    case .stopped:
      runner = nil
      stopped = report.entry
    }
  }

  /// Ends what runs, and the copies of what comes after an entry.
  private func endAll(from entry: Int) {
    if let runner {
      kill(runner.process, SIGKILL)
      terminal.endProgress()
    }
    runner = nil
    while let copy = copies.last, copy.entry > entry || entry == 0 {
      kill(copy.process, SIGKILL)
      copies.removeLast()
    }
    reap()
  }

  private func reap() {
    var status: Int32 = 0
    while waitpid(-1, &status, WNOHANG) > 0 {}
    if let runner, kill(runner.process, 0) != 0 {
      // It may have reported and gone since the last look.
      line.wait(milliseconds: 0)
      hearReports()
      if self.runner == nil { return }
      self.runner = nil
      stopped = runner.entry
      terminal.writeError("error: the system ended the run")
    }
  }
}

/// What tells one version of a file from another: editors write in place or put another file there.
private struct FileState: Equatable {
  private var device = 0
  private var number = 0
  private var size = 0
  private var seconds = 0
  private var nanoseconds = 0

  /// Where there is no file.
  static let gone = FileState()

  private init() {}

  init(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    device = Int(bitPattern: UInt(status.st_dev))
    number = Int(bitPattern: UInt(status.st_ino))
    size = status.st_size
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
  }
}
