import Foundation
import Notebook
import Support
import Testing

/// What `gradus check` finds in programs, and that it finds nothing in correct ones.
@Suite(.serialized) struct ScriptCheckTests {
  /// What came of a check, as far as tests look at it.
  struct Findings: Sendable {
    var mistakes: [String] = []
    /// `code at line`
    var places: [String] = []
    var refusals: [String] = []
    var unfulfilled: [String] = []
    var unchecked: [String] = []
    var expected: [(line: Int, codes: [String], found: String?)] = []
    var steps: [(name: String, peak: Int)] = []
    var isIncomplete = false

    init(_ report: ScriptCheck.Report) {
      mistakes = report.mistakes.map { "\($0.site?.line ?? 0): \($0.code): \($0.message)" }
      places = report.mistakes.map { "\($0.code) at \($0.site?.line ?? 0)" }
      refusals = report.refusals.map { "\($0.code) at \($0.site?.line ?? 0)" }
      unfulfilled = report.unfulfilled.map { "\($0.site?.line ?? 0): \($0.message)" }
      unchecked = report.unchecked.map { "\($0.site?.line ?? 0): \($0.message)" }
      expected = report.expectedErrors
      steps = report.steps.map { ($0.name, $0.peak) }
      isIncomplete = report.isIncomplete
    }
  }

  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func scripts() -> [String] {
    ["Tests/Golden", "stdlib", "scripts/lessons", "scripts/models"].flatMap {
      scriptPaths(at: root.appendingPathComponent($0).path) ?? []
    }
  }

  private static func check(_ text: String, _ purpose: ScriptCheck.Purpose = .report, inputs: [(key: String, value: String)] = []) -> Findings {
    runOnLargeStack {
      Findings(ScriptCheck(Script(SourceFile(name: "test.nn", text: text)), inputs: inputs, purpose: purpose, isTimed: false).report())
    }
  }

  /// nil where files that the script requires are not here.
  private static func check(file path: String, _ purpose: ScriptCheck.Purpose) throws -> Findings? {
    let file = SourceFile(name: path, bytes: [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))))
    let root = root.path + "/"
    return runOnLargeStack {
      let script = Script(file)
      let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path + "/"
      func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: name) }
      if script.header.requirements.contains(where: { !exists(root + $0) && !exists(folder + $0) }) { return nil }
      let check = ScriptCheck(script, inputs: script.header.inputs, purpose: purpose, isTimed: false)
      check.session.interpreter.resolveDataPath = { name, _ in
        name.hasPrefix("/") ? name : exists(folder + name) ? folder + name : root + name
      }
      return Findings(check.report())
    }
  }

  @Test(arguments: scripts()) func correctScriptsHaveNoMistakes(_ path: String) throws {
    guard let findings = try Self.check(file: path, .report) else { return }
    #expect(findings.mistakes == [])
    #expect(findings.unfulfilled == [])
    #expect(!findings.isIncomplete)
  }

  @Test(arguments: scripts()) func correctScriptsRun(_ path: String) throws {
    #expect(try Self.check(file: path, .run)?.refusals ?? [] == [])
  }

  /// Of the errors that goldens expect, those that depend on no element are found.
  @Test func errorsOfGoldensAreFound() throws {
    let decided: Set<String> = [
      "shape-mismatch", "unknown-name", "unknown-argument", "too-many-arguments", "missing-argument", "duplicate-argument",
      "unknown-member", "unknown-policy", "bad-axis", "bad-unpack", "not-callable", "traced-condition", "bad-loss",
      "assignment-in-step", "bad-param", "bad-target", "no-history", "ragged-list", "bad-einsum",
    ]
    var found = 0
    var missed: [String] = []
    for path in Self.scripts() {
      guard let findings = try Self.check(file: path, .report) else { continue }
      for entry in findings.expected where decided.contains(entry.codes[0]) {
        if entry.found == entry.codes[0] {
          found += 1
        } else {
          missed.append("\(path):\(entry.line) \(entry.codes[0]), got \(entry.found ?? "nothing")")
        }
      }
    }
    #expect(found > 150)
    #expect(missed == [])
  }

  private static let programs = wrongPrograms.components(separatedBy: "\n---\n")

  @Test(arguments: programs) func mistakesOfProgramsAreFound(_ program: String) {
    var marked: [String] = []
    for (index, line) in program.components(separatedBy: "\n").enumerated() {
      guard let mark = line.range(of: "# error["), let end = line.range(of: "]", range: mark.upperBound..<line.endIndex)
      else { continue }
      marked.append("\(line[mark.upperBound..<end.lowerBound]) at \(index + 1)")
    }
    #expect(Self.check(program).places.sorted() == marked.sorted())
  }

  @Test func thereAreManyPrograms() { #expect(Self.programs.count >= 60) }

  // MARK: What stops a run

  @Test func whatEveryRunComesToStopsIt() {
    #expect(Self.check("zeros([2]) + zeros([3])", .run).refusals == ["shape-mismatch at 1"])
    #expect(Self.check("for i in 0..<9000 {\n  if i == 8000 { zeros([2]) + zeros([3]) }\n}", .run).refusals == ["shape-mismatch at 2"])
  }

  @Test func whatARunMayPassByDoesNotStopIt() {
    // One side of an unknown condition.
    #expect(Self.check("if sum(normal([2])) > 0 { zeros([2]) + zeros([3]) }", .run).refusals == [])
    // Behind a way out.
    #expect(Self.check("if sum(normal([2])) > 0 { exit(0) }\nzeros([2]) + zeros([3])", .run).refusals == [])
    #expect(Self.check("fn f(x) {\n  if sum(x) > 0 { return 1 }\n  zeros([2]) + zeros([3])\n}\nf(normal([2]))", .run).refusals == [])
    #expect(
      Self.check("for i in 0..<3 {\n  if sum(normal([2])) > 0 { break }\n  zeros([2]) + zeros([3])\n}", .run).refusals == [])
    // A loop that may go round no time.
    #expect(Self.check("while sum(normal([2])) > 0 { zeros([2]) + zeros([3]) }", .run).refusals == [])
    // Behind a shape that nobody knows.
    #expect(Self.check("x = normal([5])\ny = x[x > 0]\ny + zeros([3])", .run).refusals == [])
  }

  @Test func expectedErrorsStopNothing() {
    let findings = Self.check("x = 1\nx = zeros([2]) + zeros([3])\n#! error[shape-mismatch]\nzeros([x]) + zeros([3])\n")
    #expect(findings.mistakes == [])
    #expect(findings.expected.map(\.found) == ["shape-mismatch"])
  }

  @Test func anExpectedErrorThatCannotComeIsTold() {
    #expect(Self.check("zeros([3]) + zeros([3])\n#! error[shape-mismatch]\n").unfulfilled.count == 1)
    // Those of elements are left to a run.
    #expect(Self.check("zeros([3])[i64([5])]\n#! error[index-out-of-range]\n").unfulfilled == [])
  }

  @Test func inputsDecideShapes() {
    let program = "input size = 10\nzeros([4, size]) @ zeros([10, 2])"
    #expect(Self.check(program).places == [])
    #expect(Self.check(program, inputs: [("size", "11")]).places == ["shape-mismatch at 2"])
  }

  @Test func whereBranchesMeetOnlyWhatBothSayIsKnown() {
    let findings = Self.check(
      """
      c = sum(normal([2])) > 0
      if c { x = zeros([2]) } else { x = zeros([3]) }
      x + zeros([7])
      if c { y = zeros([2]) } else { y = ones([2]) }
      y + zeros([7])
      """)
    #expect(findings.places == ["shape-mismatch at 5"])
    #expect(findings.unchecked.contains { $0.hasPrefix("3: ") })
  }

  @Test(arguments: [
    "s = \"x\"\nwhile true { s = s + s }", "s = \"x\"\nwhile true { s = \"{s}{s}\" }", "x = [1]\nwhile true { x = [x, x] }",
    "fn f(n) = f(n + 1)\nf(0)", "fn fib(n) = if n < 2 { n } else { fib(n - 1) + fib(n - 2) }\nfib(40)",
    "for i in 0..<1000000000 { for j in 0..<1000000000 { x = [i, j] } }", "x = [i for i in 0..<1000000000]",
  ])
  func whatDoesNotEndIsLeftUnchecked(_ program: String) {
    #expect(Self.check(program, .run).refusals == [])
  }

  @Test func stepsAreMeasuredForEachShape() {
    let findings = Self.check(
      """
      net = Linear(8, 4)
      opt = sgd(lr: 0.1)
      step train(x, y) { loss = mean((net(x) - y)^2); minimize(loss, net, opt); loss }
      for (x, y) in batches((zeros([70, 8]), zeros([70, 4])), 32) { train(x, y) }
      """)
    #expect(findings.steps.map(\.name) == ["train", "train"])
    #expect(findings.steps[0].peak > findings.steps[1].peak)
  }
}
