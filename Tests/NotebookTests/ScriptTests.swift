import Notebook
import Support
import Testing

@Suite struct ScriptTests {
  private func entries(_ text: String) -> [Script.Entry] {
    Script(SourceFile(name: "test.nn", text: text)).entries
  }

  @Test func expectationsBelongToTheStatementAbove() {
    let entries = entries("x = 1\ny = [\n  2,\n]\n#> a\n\n#~ b\nz = 3\n#! error[c]: d\n#!  --> e")
    #expect(entries.map(\.lines) == [1...1, 2...4, 8...8])
    #expect(entries[0].expectation.isEmpty)
    #expect(entries[1].expectation.lines.map(\.text) == ["a", "b"])
    #expect(entries[1].expectation.lines.map(\.kind) == [.output, .shown])
    #expect(entries[1].expectation.lines.map(\.line) == [5, 7])
    #expect(entries[2].expectation.lines.map(\.text) == ["error[c]: d", " --> e"])
  }

  @Test func statementsOnOneLineAreOneEntry() {
    let entries = entries("a = 1; b = 2; c = [\n3]\nd = 4")
    #expect(entries.map(\.statements) == [0..<3, 3..<4])
  }

  @Test func commentsInsideABlockAreNoExpectations() {
    let entries = entries("fn f() {\n  #> inside\n  1\n}\nf()\n#> 1")
    #expect(entries[0].expectation.isEmpty)
    #expect(entries[1].expectation.lines.map(\.text) == ["1"])
  }

  @Test func marksInsideStringsAreNoExpectations() {
    #expect(entries("\"#> a\"").first?.expectation.isEmpty == true)
  }

  @Test func textThatDoesNotParseIsAnEntry() {
    let entries = entries("a = 1\nb = = 2\n#! error[syntax]\nc = 3\nd = )\ne = 5")
    #expect(entries.map(\.mistakes.count) == [0, 1, 0, 1, 0])
    #expect(entries[1].expectation.lines.map(\.text) == ["error[syntax]"])
    #expect(entries[1].statements.isEmpty)
  }

  @Test func severalDiagnosticsCanBeExpected() {
    let lines = ["error[a]: one", "   more", "warning[b]", "error[c]: d: e"].enumerated().map {
      ExpectedLine(.error, $0.element, line: $0.offset)
    }
    let diagnostics = Expectation(lines: lines).diagnostics
    #expect(diagnostics.map(\.heading.code) == ["a", "b", "c"])
    #expect(diagnostics.map(\.heading.message) == ["one", nil, "d: e"])
    #expect(diagnostics.map(\.heading.severity) == [.error, .warning, .error])
  }

  @Test func headersHoldInputsAndRequirements() {
    let text = "# A title\n# inputs: epochs=1 name=a=b\n\n# requires: mnist/x.gz y.csv\nx = 1\n# inputs: late=1"
    let header = Script(SourceFile(name: "test.nn", text: text)).header
    #expect(header.inputs.map(\.key) == ["epochs", "name"])
    #expect(header.inputs.map(\.value) == ["1", "a=b"])
    #expect(header.requirements == ["mnist/x.gz", "y.csv"])
  }

  @Test func emptyFilesHaveNoEntries() {
    #expect(entries("").isEmpty)
    #expect(entries("# only a comment\n#> x").isEmpty)
  }
}
