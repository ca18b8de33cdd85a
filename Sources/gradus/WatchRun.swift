import CProcess
import Glibc
import Interpreter
import Kernels
import Notebook
import Support
import Tensors

// Note [Copies of the process]
//
// What a cell changes is more than can be copied name by name: models and optimizers that hold each other, closures,
// plans, random counters. So `watch` copies the process. The process that runs a script leaves a copy of itself waiting
// before a cell; when the cell changes, a copy of that copy runs on with the new text, and what had run on before is
// ended. Pages are shared until one side writes, so that a copy costs a millisecond, and later the memory of what cells
// changed.
//
// A copy is left where at least a tenth of a second and a thirty-second part of the run went by since the last: what
// lies between a copy and a changed cell runs again, in silence, and takes no longer than that. There are 64 at most, and
// none where free memory would not hold the process twice.
//
// In a copied process there is the thread that asked for the copy, alone, and Swift's locks still know it by its number
// in the old process: a second thread would wait for it for ever. So that thread only waits for orders and makes copies,
// where it is alone; programs run on new threads.
//
// One process, the watcher, reads the file, starts and ends the others. Orders go through a pipe for each copy, by its
// place in the order of entries; their text lies in a file that all share. Reports come back through one pipe. When the
// watcher is gone, copies read the end of their pipe, and what runs is ended by its next report.

/// What a copy is to do: to run a text, and be heard from an entry on.
struct WatchOrder {
  let number: Int
  let start: Int
  /// The names that a fresh session would know.
  let names: [String]
  let text: [UInt8]
}

/// What a run tells the watcher.
struct WatchReport {
  enum Event: Int {
    /// The process begins to carry out the order.
    case began
    /// A copy waits before the entry.
    case copied
    /// The run is about to start the entry.
    case reached
    /// The run came to the end, and waits there.
    case finished
    /// The run stopped at the entry.
    case stopped
  }

  let event: Event
  let order: Int
  let process: pid_t
  let entry: Int
}

/// The pipes between the watcher and the runs.
final class WatchLine {
  static let copyLimit = 64

  /// For each copy: where it reads, and where the watcher writes.
  private var orders: [(read: Int32, write: Int32)] = []
  private var reportRead: Int32 = -1
  private var reportWrite: Int32 = -1
  /// The text of the last order.
  private var text: Int32 = -1
  private var isChild = false
  private var partial: [UInt8] = []

  init() {
    for _ in 0..<WatchLine.copyLimit { orders.append(WatchLine.makePipe()) }
    (reportRead, reportWrite) = WatchLine.makePipe()
    var template = Array("\(environment("TMPDIR") ?? "/tmp")/gradus-watch-XXXXXX".utf8CString)
    text = mkstemp(&template)
    if text >= 0 { unlink(template) }
  }

  static func makePipe() -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    _ = pipe(&ends)
    return (ends[0], ends[1])
  }

  /// Lets go of the watcher's ends, so that its end is noticed.
  func becomeChild() {
    isChild = true
    for pipe in orders { close(pipe.write) }
    close(reportRead)
    // Ctrl-C is for the watcher, which ends all others. Nobody waits for copies.
    signal(SIGINT, SIG_IGN)
    signal(SIGCHLD, SIG_IGN)
    signal(SIGPIPE, SIG_DFL)
  }

  /// Moves `count` bytes by calls that may move some of them: each takes the offset to go on from.
  private static func inPieces(_ count: Int, _ move: (Int) -> Int) {
    var offset = 0
    while offset < count {
      let moved = move(offset)
      if moved <= 0 { return }
      offset += moved
    }
  }

  // MARK: - The watcher's side

  /// Waits for a report or the time to look at files.
  func wait(milliseconds: Int32) {
    var input = pollfd(fd: reportRead, events: Int16(POLLIN), revents: 0)
    if poll(&input, 1, milliseconds) > 0 { readReports() }
  }

  private func readReports() {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    let count = read(reportRead, &chunk, chunk.count)
    if count > 0 { partial += chunk[..<count] }
  }

  /// Returns the reports that came since the last call.
  func reports() -> [WatchReport] {
    guard let end = partial.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
    let lines = String(decoding: partial[..<end], as: UTF8.self).split(separator: "\n")
    partial.removeSubrange(...end)
    return lines.compactMap { line in
      let numbers = line.split(separator: " ").compactMap { Int($0) }
      guard numbers.count == 4, let event = WatchReport.Event(rawValue: numbers[0]) else { return nil }
      return WatchReport(event: event, order: numbers[1], process: pid_t(numbers[2]), entry: numbers[3])
    }
  }

  func send(_ order: WatchOrder, to copy: Int) {
    let names = Array(order.names.joined(separator: "\n").utf8)
    let bytes = names + order.text
    bytes.withUnsafeBytes { bytes in
      WatchLine.inPieces(bytes.count) { pwrite(text, bytes.baseAddress! + $0, bytes.count - $0, $0) }
    }
    WatchLine.write("\(order.number) \(order.start) \(names.count) \(order.text.count)\n", to: orders[copy].write)
  }

  /// Forgets an order that nobody read.
  func takeBack(from copy: Int) {
    var input = pollfd(fd: orders[copy].read, events: Int16(POLLIN), revents: 0)
    var chunk = [UInt8](repeating: 0, count: 1 << 12)
    while poll(&input, 1, 0) > 0, read(orders[copy].read, &chunk, chunk.count) > 0 {}
  }

  // MARK: - The other side

  func report(_ event: WatchReport.Event, order: Int, process: pid_t = getpid(), entry: Int) {
    WatchLine.write("\(event.rawValue) \(order) \(process) \(entry)\n", to: reportWrite)
  }

  /// Waits for the order to a copy. Where the watcher is gone, so is this process.
  func receive(as copy: Int) -> WatchOrder {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while line.last != UInt8(ascii: "\n") {
      let count = read(orders[copy].read, &byte, 1)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { _exit(0) }
      line.append(byte)
    }
    let numbers = String(decoding: line.dropLast(), as: UTF8.self).split(separator: " ").compactMap { Int($0) }
    var bytes = [UInt8](repeating: 0, count: numbers[2] + numbers[3])
    bytes.withUnsafeMutableBytes { bytes in
      WatchLine.inPieces(bytes.count) { pread(text, bytes.baseAddress! + $0, bytes.count - $0, $0) }
    }
    let names = String(decoding: bytes[..<numbers[2]], as: UTF8.self).split(separator: "\n").map(String.init)
    return WatchOrder(number: numbers[0], start: numbers[1], names: names, text: Array(bytes[numbers[2]...]))
  }

  /// Writes a line, which is too short to be cut in two.
  private static func write(_ line: String, to descriptor: Int32) {
    let bytes = Array(line.utf8)
    while Glibc.write(descriptor, bytes, bytes.count) < 0, errno == EINTR {}
  }
}

/// The run of a script under `watch`, in a process of its own. One thread at a time is busy with it.
final class WatchRun: @unchecked Sendable {
  private let path: String
  private let inputs: [(key: String, value: String)]
  private let terminal: Terminal
  private let line: WatchLine
  private let output: MutableOutput
  private let session: Session
  /// The copies that wait before the entries that have run.
  private var copyCount = 0
  private var start = monotonicNanoseconds()
  private var lastCopy = monotonicNanoseconds()

  init(path: String, inputs: [(key: String, value: String)], terminal: Terminal, line: WatchLine) {
    self.path = path
    self.inputs = inputs
    self.terminal = terminal
    self.line = line
    output = MutableOutput(terminal)
    session = Session(output: output)
  }

  /// Carries out an order from an entry on, in a process that was just copied. It ends there.
  func begin(_ order: WatchOrder, at entry: Int) -> Never {
    ThreadPool.forgetThreads()
    runOnLargeStack { self.run(order, from: entry) }
    _exit(1)
  }

  private func run(_ order: WatchOrder, from first: Int) {
    session.interpreter.forgetUnreached(except: Set(order.names))
    let script = Script(SourceFile(name: path, bytes: order.text))
    let prepared = session.prepare(script)
    _ = session.setInputs(inputs, for: script)
    let borders = Set(script.borders)
    for index in first..<max(first, script.entries.count) {
      if borders.contains(index) {
        if index > first { leaveCopy(before: index, order.number) }
        line.report(.reached, order: order.number, entry: index)
      }
      output.isMuted = index < order.start
      if !run(index, of: prepared) {
        terminal.flush()
        line.report(.stopped, order: order.number, entry: index)
        _exit(0)
      }
    }
    // What may be added at the end begins here.
    terminal.flush()
    line.report(.finished, order: order.number, entry: script.entries.count)
    serve(as: copyCount, before: script.entries.count)
  }

  /// - Returns: whether the script goes on.
  private func run(_ index: Int, of prepared: Session.PreparedScript) -> Bool {
    let entry = prepared.script.entries[index]
    switch session.run(entry, of: prepared) {
    case .finished: return true
    case .failed(let errors):
      errors.forEach(output.report)
      return entry.expectation.allows(errors)
    case .interrupted(let diagnostic):
      output.report(diagnostic)
      return false
    case .exited: return false
    }
  }

  // MARK: - Copies

  /// Leaves a copy of the process that waits, where it is worth one.
  private func leaveCopy(before entry: Int, _ number: Int) {
    let now = monotonicNanoseconds()
    // The last pipe is for the end of the script.
    guard now - lastCopy >= max(100_000_000, (now - start) / 32), copyCount < WatchLine.copyLimit - 1,
      Machine.shortage(of: residentByteCount()) == nil
    else { return }
    terminal.flush()
    // A copy that the watcher never heard of, since this process was ended before it could report, must not wait.
    let known = WatchLine.makePipe()
    let process = gradus_fork()
    if process == 0 {
      close(known.write)
      var byte: UInt8 = 0
      if read(known.read, &byte, 1) != 1 { _exit(0) }
      close(known.read)
      serve(as: copyCount, before: entry)
    }
    close(known.read)
    // Where there is no copy to be had, the run goes on without.
    if process > 0 {
      line.report(.copied, order: number, process: process, entry: entry)
      var byte: UInt8 = 1
      write(known.write, &byte, 1)
      copyCount += 1
    }
    close(known.write)
    lastCopy = monotonicNanoseconds()
  }

  /// Waits for orders, and has copies of this process carry them out.
  private func serve(as index: Int, before entry: Int) -> Never {
    let spent = monotonicNanoseconds() - start
    copyCount = index + 1
    while true {
      let order = line.receive(as: index)
      let process = gradus_fork()
      if process == 0 {
        lastCopy = monotonicNanoseconds()
        start = lastCopy - spent
        begin(order, at: entry)
      }
      if process > 0 { line.report(.began, order: order.number, process: process, entry: entry) }
    }
  }
}

/// Passes a program's words on, unless they were said before.
private final class MutableOutput: Output {
  private let target: any Output
  var isMuted = false

  init(_ target: any Output) { self.target = target }

  func write(_ text: String) { if !isMuted { target.write(text) } }
  func report(_ diagnostic: Diagnostic) { if !isMuted { target.report(diagnostic) } }
  func echo(_ value: Value, as text: String, isLast: Bool) { if !isMuted { target.echo(value, as: text, isLast: isLast) } }
  func show(_ progress: Progress) { if !isMuted { target.show(progress) } }
  func ask(_ prompt: String) -> Answer { target.ask(prompt) }
}
