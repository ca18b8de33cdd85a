import ArgumentParser
import Interpreter
import Notebook

/// `gradus test PATH… [--bless]`
struct TestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test",
    abstract: "Run scripts and compare what they print with the #> and #! lines in them.",
    discussion: """
      The last line, `N passed, N failed`, counts checks: statements with #> or #! lines, and examples in \
      comments. A script without any counts as one, that it runs to its end. `gradus help scripts` shows what \
      expectations look like.
      """)

  @OptionGroup var common: CommonOptions

  @Flag(help: "Rewrite the expected lines that changed. Never with CI set.")
  var bless = false

  @Flag(help: "Also write the output of statements that have no expectation.")
  var blessAll = false

  @Flag(help: "Run the examples of every built-in help page.")
  var documentation = false

  @Option(help: "Only scripts whose path contains this.")
  var filter: String?

  @Argument(help: "Scripts, and folders of scripts.", completion: .scripts)
  var paths: [String] = []

  func validate() throws {
    if paths.isEmpty, !documentation { throw ValidationError("name a script or a folder") }
  }

  func run() throws {
    let terminal = Terminal(color: common.color)
    Interrupts.install(.script)
    var blessing: Blessing = blessAll ? .all : bless ? .changed : .never
    if blessing != .never, isSet("CI") {
      terminal.writeError("CI is set: nothing is written")
      blessing = .never
    }
    var total = GoldenTest.Report()
    for path in paths {
      guard let scripts = scriptPaths(at: path) else {
        throw ValidationError("there is nothing at \(path)")
      }
      for script in scripts where filter.map(script.contains) ?? true {
        let report = GoldenTest(path: script, blessing: blessing, color: terminal.hasColor).run()
        try add(report, of: script, to: &total, terminal)
      }
    }
    if documentation {
      try add(DocumentationTest(color: terminal.hasColor).run(), of: "help pages", to: &total, terminal)
    }
    terminal.write("\(total.passed) passed, \(total.failed) failed\n")
    terminal.flush()
    if total.failed > 0 { throw ExitCode(1) }
  }

  private func add(
    _ report: GoldenTest.Report, of name: String, to total: inout GoldenTest.Report, _ terminal: Terminal
  ) throws {
    for failure in report.failures { terminal.write(failure + "\n") }
    if report.isInterrupted {
      terminal.writeError("interrupted")
      throw ExitCode(130)
    }
    if let reason = report.skipReason {
      terminal.write("skip \(name): \(reason)\n")
    } else if report.failed == 0 {
      let blessed = report.blessedLineCount > 0 ? ", \(report.blessedLineCount) lines blessed" : ""
      terminal.write("ok   \(name) (\(report.passed)\(blessed))\n")
    }
    total.passed += report.passed
    total.failed += report.failed
  }
}
