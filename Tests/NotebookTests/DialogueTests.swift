import Foundation
import Interpreter
import Notebook
import Support
import Testing

/// What a dialogue shows.
private final class Front: DialogueOutput {
  var text = ""
  var pages: [String] = []
  var edited = ""
  func write(_ text: String) { self.text += text }
  func report(_ diagnostic: Diagnostic) { text += render(diagnostic, color: false) + "\n" }
  func page(_ text: String) { pages.append(text) }
  func clear() { text = "" }
  func edit(_ text: String) -> Result<String, Diagnostic> { .success(text.replacing("1", with: "100")) }
}

/// A conversation, and what came of its last input.
private struct Talk {
  let front = Front()
  let dialogue: Dialogue
  init() { dialogue = Dialogue(Session(output: Recorder()), front) }

  /// Returns what an input printed, or the codes of its errors.
  func callAsFunction(_ input: String) -> String {
    front.text = ""
    switch dialogue.run(input) {
    case .finished: return front.text
    case .failed(let errors): return front.text + errors.map { "error[\($0.code)]" }.joined(separator: " ")
    case .interrupted: return "interrupted"
    case .exited(let code): return "exit \(code)"
    }
  }

  /// The session as `:save` writes it.
  func saved() throws -> String {
    let path = NSTemporaryDirectory() + "gradus-\(UUID().uuidString).nn"
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(self(":save \(path)") == "")
    return try String(contentsOfFile: path, encoding: .utf8)
  }

  /// The same, and that it passes when it is tested.
  func savedAndTested(_ location: SourceLocation = #_sourceLocation) throws -> String {
    let text = try saved()
    let path = NSTemporaryDirectory() + "gradus-\(UUID().uuidString).nn"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    let report = GoldenTest(path: path, blessing: .never, color: false).run()
    #expect(report.failed == 0, "\(text)\n\(report.failures.joined(separator: "\n"))", sourceLocation: location)
    return text
  }
}

@Suite struct DialogueTests {
  @Test func typesComeFromTraces() {
    let talk = Talk()
    _ = talk("x = ones([2, 3])")
    #expect(talk(":type x @ x.T") == "f32[2, 2]   16 B\n")
    #expect(talk(":type ones([100000, 1]) @ ones([1, 100000])") == "f32[100000, 100000]   40,000,000,000 B\n")
    #expect(talk(":type [x, x]") == "list of 2   48 B\n")
    #expect(talk(":type (1, 2.5)") == "tuple of 2\n")
    #expect(talk(":type 1 + 1") == "int\n")
    #expect(talk(":type 1 / 2") == "number\n")
    #expect(talk(":type print(\"not now\")") == "none\n")
    #expect(talk(":type Linear(2, 3)") == "Linear, 9 parameters   36 B   (evaluated)\n")
    #expect(talk(":type x @ x") == "error[shape-mismatch]")
    #expect(talk(":type (1") == "error[unclosed-bracket]")
    #expect(talk(":type y = 1") == "error[bad-command]")
    #expect(talk(":type exit(3)") == "none   (evaluated)\n")
    #expect(talk(":type x;") == "f32[2, 3]   24 B\n")
  }

  @Test func lookingDrawsNoRandomNumbers() {
    let (talk, other) = (Talk(), Talk())
    _ = talk(":type normal([3])")
    _ = talk(":type Linear(2, 3)")
    _ = talk(":bench normal([3])")
    #expect(talk("normal([3])") == other("normal([3])"))
  }

  @Test func measuringSaysMeanAndDeviation() throws {
    let text = Talk()(":bench 1 + 1")
    let pattern = try Regex(
      "[0-9.]+ ns ± [0-9.]+ ns per loop \\(mean ± standard deviation of 7 runs of [0-9,]+ loops each\\)\n")
    #expect(text.wholeMatch(of: pattern) != nil, "\(text)")
    #expect(Talk()(":bench print(\"often\")").contains("often") == false)
    #expect(Talk()(":bench [1][1]") == "error[index-out-of-range]")
    #expect(Talk()(":bench nonsense") == "error[unknown-name]")
    #expect(Talk()(":bench 1;\n2").contains("per loop"))
  }

  @Test func memoryIsCountedOnce() {
    let talk = Talk()
    _ = talk("x = zeros([100])")
    _ = talk("y = x")
    _ = talk("part = x[2:4]")
    _ = talk("net = Linear(10, 10)")
    let table = talk(":mem")
    #expect(table.contains("  440 B  net   Linear, 110 parameters"))
    #expect(table.contains("  400 B  "))
    #expect(table.contains("0 B  y     f32[100]                shares 400 B with names above"), "\(table)")
    #expect(talk(":vars").contains("y     f32[100]                400 B\n"), "\(talk(":vars"))")
    // What is looked at once stays for a while, within bounds.
    for _ in 0..<40 { _ = talk("zeros([100])") }
    #expect(talk("Out").split(separator: "\n").count == KeptOutputs.countLimit)
    _ = talk("zeros([\(KeptOutputs.byteLimit / 4 + 1)])")
    #expect(talk("Out") == "no outputs yet\n")
  }

  @Test func outputsAreThereByNumber() {
    let talk = Talk()
    _ = talk("6 * 7")
    #expect(talk("8;") == "")
    #expect(talk("Out[1] + 1") == "43\n")
    #expect(talk("_") == "43\n")
    #expect(talk("Out[2]") == "error[not-kept]")
    #expect(talk("Out[-1]") == "error[not-kept]")
    #expect(talk("Out[1.5]") == "error[bad-argument]")
    #expect(talk("Out[1:2]") == "error[not-indexable]")
    #expect(talk("Out") == "Out[1]  int 42\nOut[3]  int 43\nOut[4]  int 43\n")
    _ = talk(":reset")
    #expect(talk("Out") == "no outputs yet\n")
    #expect(ScriptRun("1\nOut[1]").codes == ["unknown-name"])
  }

  @Test func originsAreFollowed() {
    let talk = Talk()
    _ = talk("x = ones([2])")
    _ = talk("x = x * 2")
    _ = talk("fn f(a) = a + x")
    _ = talk("y = f(x)")
    #expect(
      talk(":why y") == """
        y : f32[2]
          <repl 4>:1   y = f(x)
          <repl 3>:1   a + x
          f : function f(a)
            <repl 3>:1   fn f(a) = a + x
            x : f32[2]
              <repl 2>:1   x = x * 2
              x, earlier
                <repl 1>:1   x = ones([2])
          x : f32[2]   (above)

        """)
    #expect(talk(":why nowhere") == "error[unknown-name]")
    #expect(talk(":why relu").contains("comes with the language"))
  }

  @Test func sourcesAreShown() {
    let talk = Talk()
    _ = talk("# Adds one.\nfn successor(x) =\n  x + 1")
    _ = talk("??successor")
    #expect(talk.front.pages.last == "# <repl 1>:2\n# Adds one.\nfn successor(x) =\n  x + 1")
    _ = talk("net = Linear(1, 2)")
    _ = talk("??net")
    #expect(talk.front.pages.last?.contains("model Linear(") == true)
    _ = talk("??softmax")
    #expect(talk.front.pages.last?.contains("no source in the language") == true)
    #expect(talk("??nothing_here") == "error[unknown-name]")
  }

  @Test func inputsAreEdited() {
    let talk = Talk()
    _ = talk("1 + 1")
    #expect(talk(":edit") == "200\n")
    #expect(talk(":edit 1") == "200\n")
    #expect(talk(":edit 77") == "error[bad-command]")
    #expect(Talk()(":edit") == "error[bad-command]")
  }

  @Test func theShellIsHeard() {
    #expect(Talk()(":! echo out; echo err >&2") == "out\nerr\n")
    #expect(Talk()(":! exit 3") == "exit code 3\n")
    #expect(Talk()(":! printf 'gr\\303'; sleep 0.1; printf '\\266\\303\\237e'") == "größe")
    #expect(Talk()(":! cat") == "")
  }

  @Test func plansAreShownByAnyForm() {
    let talk = Talk()
    _ = talk("step double(x, y) = x * y")
    _ = talk("x = ones([3, 2])")
    let plan = talk(":plan double(x, x[:1])")
    #expect(plan.contains("memory of double(x: f32[3, 2], y: f32[1, 2])") && plan.contains("live bytes"))
    #expect(talk(":plan double x x[:1]") == plan)
    #expect(talk(":plan double x, x[:1]") == plan)
    #expect(talk(":plan x") == "error[bad-argument]")
  }
}

@Suite struct SavedSessionTests {
  @Test func outputsStandUnderTheirStatements() throws {
    let talk = Talk()
    _ = talk("# A cell\n1\n\n2; print(\"two\")\n#> three\n# The end")
    _ = talk("fn f(x) {\n  # inside\n  x\n}\nf(3)")
    #expect(
      try talk.savedAndTested() == """
        # A cell
        1
        #> 1

        2; print("two")
        #> two
        # The end
        fn f(x) {
          # inside
          x
        }
        f(3)
        #> 3

        """)
  }

  @Test func errorsAreExpected() throws {
    let talk = Talk()
    for input in ["[1, 2][5]", "1 +* 2", "3", "fn g(x) = x", "g(1, 2)", "fn g(x, y) = x + y", "g(1, 2)"] { _ = talk(input) }
    let text = try talk.savedAndTested()
    #expect(text.contains("[1, 2][5]\n#! error[index-out-of-range]"))
    #expect(text.contains("1 +* 2\n#! error[syntax]"))
    #expect(text.contains("g(1, 2)\n#! error[too-many-arguments]"))
    #expect(text.contains("g(1, 2)\n#> 3"))
  }

  @Test func namesThatCameLaterAreNoErrorsThen() throws {
    let talk = Talk()
    for input in ["later + 1", "fn f(x) = later", "later = 2", "later", "never_here"] { _ = talk(input) }
    let text = try talk.savedAndTested()
    #expect(text.contains("# an error when it was typed:\n#   later + 1\n"))
    #expect(text.contains("later\n#> 2\nnever_here\n#! error[unknown-name]"))
  }

  @Test func outputsByNumberGetNames() throws {
    let talk = Talk()
    for input in ["6 * 7", "out_1 = 0", "\"{Out[1]} Out[9]\"", "Out[1] + 1", "Out[2]", "Out"] { _ = talk(input) }
    let text = try talk.savedAndTested()
    #expect(text.contains("6 * 7\n#> 42\nout_1_ = _\n"), "\(text)")
    #expect(text.contains("out_1_ + 1\n#> 43\n"))
    #expect(text.contains("#   Out[2]\n"))
  }

  @Test func whatVariesIsShownOnly() throws {
    let talk = Talk()
    for input in ["t = clock()", "t", "t = 1", "t", "clock() > 0", "step s(x) = x", "s([1.0]);", "memory(s, [1.0])", ":time 5"] {
      _ = talk(input)
    }
    let text = try talk.savedAndTested()
    #expect(text.contains("\nt\n#~ ") && text.contains("t = 1\nt\n#> 1\n") && text.hasSuffix("5\n#> 5\n"), "\(text)")
  }

  @Test func floodsAreCut() throws {
    let talk = Talk()
    _ = talk("for i in 1...20000 { print(\"" + String(repeating: "flood ", count: 20) + "\") }")
    _ = talk("3")
    let text = try talk.savedAndTested()
    #expect(text.utf8.count < 4_000 && text.hasSuffix("\n#~ ...\n3\n#> 3\n"))
  }

  @Test func resetForgetsTheRecord() throws {
    let talk = Talk()
    _ = talk("1")
    _ = talk(":reset")
    _ = talk("2")
    #expect(try talk.savedAndTested() == "2\n#> 2\n")
  }
}
