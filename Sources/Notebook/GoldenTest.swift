import Formats
import Glibc
import Interpreter
import Support

/// Runs a script and compares what it prints with what it says it prints.
///
/// The script's expectations are checked first, then the examples in its comments. A check is an entry with `#>` or `#!`
/// lines, or an example; a script without any counts as one check, that it runs to its end.
package struct GoldenTest {
  let path: String
  let blessing: Blessing
  let color: Bool

  package init(path: String, blessing: Blessing, color: Bool) {
    self.path = path
    self.blessing = blessing
    self.color = color
  }

  package struct Report {
    package var passed = 0
    package var failed = 0
    /// The diffs and errors.
    package var failures: [String] = []
    /// Why the script was not run.
    package var skipReason: String?
    /// Lines that blessing changed.
    package var blessedLineCount = 0
    package var isInterrupted = false

    package init() {}

    mutating func fail(_ text: String) {
      failed += 1
      failures.append(text)
    }
  }

  package func run() -> Report {
    var blessedLineCount = 0
    // Rendered errors hold line numbers, which move when lines above them are blessed.
    for _ in 0..<4 {
      var report = Report()
      guard let file = read(&report) else { return report }
      let edits = run(file, &report)
      if edits.isEmpty || report.isInterrupted {
        report.blessedLineCount = blessedLineCount
        return report
      }
      do {
        try writeAtomically(edits.applied(to: file), to: path)
      } catch {
        report.fail("FAIL \(path)\n  \(error)")
        return report
      }
      blessedLineCount += edits.count
    }
    var report = Report()
    report.fail("FAIL \(path)\n  its output changes from run to run: use `#~` for what varies")
    return report
  }

  private func read(_ report: inout Report) -> SourceFile? {
    do {
      return SourceFile(name: path, bytes: try readProgramFile(path))
    } catch {
      report.fail("FAIL \(path)\n  \(error)")
      return nil
    }
  }

  private func run(_ file: SourceFile, _ report: inout Report) -> LineEdits {
    let script = Script(file)
    if let missing = script.header.requirements.first(where: { !isPresent($0) }) {
      report.skipReason = "\(missing) is not here"
      return LineEdits()
    }
    let recorder = Recorder()
    let session = Session(output: recorder)
    let scratch = ScratchFolder()
    defer { scratch.remove() }
    // Data stands beside the script; what a script writes leaves no trace.
    let folder = String(path.dropLast(lastPathComponent(path).count))
    session.interpreter.resolveDataPath = { name, _ in
      if name.hasPrefix("/") { return name }
      return access(folder + name, F_OK) == 0 ? folder + name : access(name, F_OK) == 0 ? name : scratch.path + name
    }
    let mistakes = session.setInputs(script.header.inputs, for: script)
    let prepared = session.prepare(script)
    let unexpected = mistakes + prepared.unexpectedMistakes
    if !unexpected.isEmpty, blessing != .all {
      report.fail("FAIL \(path)\n" + unexpected.map { render($0, color: color) }.joined(separator: "\n"))
      return LineEdits()
    }

    var edits = LineEdits()
    var checkCount = 0
    var isStopped = false
    // Whether `--bless` would change anything: it never writes an error in the place of output.
    var canBless = false
    for (index, entry) in script.entries.enumerated() {
      let outcome = session.run(entry, of: prepared)
      var (printed, diagnostics) = recorder.take()
      var isLast = false
      switch outcome {
      case .finished: break
      case .failed(let errors): diagnostics += errors
      case .interrupted:
        report.isInterrupted = true
        return edits
      case .exited: isLast = true
      }
      let check = Check(
        lines: entry.lines, in: file, code: entry.lines.map { file.text(ofLine: $0) },
        expectation: entry.expectation, printed: printed, diagnostics: diagnostics,
        extent: blessing == .all ? .unexpected : .expected)
      checkCount += entry.expectation.isCompared ? 1 : 0
      canBless = judge(check, &report, &edits) || canBless
      if !check.unexpectedErrors.isEmpty, !check.canBless(blessing) {
        let rest = script.entries.count - index - 1
        if rest > 0 {
          let entries = rest == 1 ? "entry" : "entries"
          report.failures.append("  it stops here: \(rest) more \(entries) did not run")
        }
        if blessing != .all, let error = check.unexpectedErrors.first {
          report.failures.append(
            "  an error that is meant to be stands below its line: #! error[\(error.code)]")
        }
        isStopped = true
        break
      }
      if isLast { break }
    }
    if !isStopped {
      for example in DocumentationExample.examples(in: file) {
        guard let check = example.check(in: file, session, recorder) else {
          report.isInterrupted = true
          return edits
        }
        checkCount += 1
        canBless = judge(check, &report, &edits) || canBless
      }
    }
    if checkCount == 0, report.failed == 0 { report.passed += 1 }
    if canBless {
      report.failures.append("  accept with: gradus test \(path) --bless")
    }
    return edits
  }

  /// - Returns: whether it failed, and `--bless` would mend that.
  private func judge(_ check: Check, _ report: inout Report, _ edits: inout LineEdits) -> Bool {
    if check.passes {
      report.passed += check.expectation.isCompared ? 1 : 0
    } else if check.canBless(blessing) {
      report.passed += 1
      check.bless(&edits)
    } else {
      report.fail(check.diff(fileName: path, color: color))
      return check.canBless(.changed)
    }
    return false
  }

  /// Whether a file that a script requires is there: as it is, beside the script, or in the folder of test data, which
  /// is `GRADUS_DATA` or else `../shared/data`.
  private func isPresent(_ requirement: String) -> Bool {
    let folder = String(path.dropLast(lastPathComponent(path).count))
    let data = getenv("GRADUS_DATA").map { String(cString: $0) } ?? "../shared/data"
    let candidates = [requirement, folder + requirement, "\(data)/\(requirement)"]
    return candidates.contains { access($0, R_OK) == 0 }
  }
}

/// Returns the scripts at a path: itself, or all `.nn` files in a folder and its folders, in alphabetical order.
///
/// - Returns: nil where there is nothing at the path.
package func scriptPaths(at path: String) -> [String]? {
  var status = stat()
  guard stat(path, &status) == 0 else { return nil }
  guard status.st_mode & S_IFMT == S_IFDIR else { return [path] }
  guard let folder = opendir(path) else { return nil }
  defer { closedir(folder) }
  var names: [String] = []
  while let entry = readdir(folder) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if !name.hasPrefix(".") { names.append(name) }
  }
  let base = path.hasSuffix("/") ? path : path + "/"
  return names.sorted().flatMap { name -> [String] in
    var status = stat()
    guard stat(base + name, &status) == 0 else { return [] }
    if status.st_mode & S_IFMT == S_IFDIR { return scriptPaths(at: base + name) ?? [] }
    return name.hasSuffix(".nn") ? [base + name] : []
  }
}

/// A folder for what a script writes, made at first need.
private final class ScratchFolder {
  private(set) lazy var path: String = {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/gradus-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { return "" }
    isMade = true
    return String(cString: template) + "/"
  }()
  private var isMade = false

  func remove() {
    if !isMade { return }
    if let listing = opendir(path) {
      while let entry = readdir(listing) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        unlink(path + name)
      }
      closedir(listing)
    }
    rmdir(path)
  }
}
