import Foundation
import Notebook
import Support
import Testing

@Suite struct ExplanationTests {
  @Test func listIsInAlphabeticalOrder() {
    let codes = Explanation.all.map(\.code)
    #expect(codes == Set(codes).sorted())
  }

  /// Codes stand in the sources as the first string of a `Failure` or `Diagnostic`, behind `code:`, or as raw values.
  @Test func everyCodeInTheSourcesIsExplained() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let sources = try #require(
      FileManager.default.enumerator(
        at: root.appendingPathComponent("Sources"), includingPropertiesForKeys: nil))
    let code = /(?:\b(?:Failure|Diagnostic|fail)\(\s*(?:\.(?:error|warning|note),\s*)?|\bcode: (?:String = )?|case \w+ = (?="file-))"([a-z]+(?:-[a-z]+)*)"/
    var codes: [String: String] = [:]
    for case let file as URL in sources where file.pathExtension == "swift" {
      for match in try String(contentsOf: file, encoding: .utf8).matches(of: code) {
        codes[String(match.1)] = file.lastPathComponent
      }
    }
    #expect(codes.count > 60, "the search finds too little to be true")
    for (code, file) in codes.sorted(by: { $0.key < $1.key }) {
      #expect(Explanation.named(code) != nil, "\(code) in \(file)")
    }
  }

  @Test(arguments: Explanation.all.filter { !$0.wrong.isEmpty })
  func wrongExampleHasTheError(_ explanation: Explanation) {
    let run = ScriptRun(explanation.wrong)
    #expect(run.outcome == .failed)
    #expect(run.diagnostics.map(\.code).contains(explanation.code), "\(run.messages)")
  }

  @Test(arguments: Explanation.all.filter { !$0.right.isEmpty })
  func rightExampleRuns(_ explanation: Explanation) {
    let run = ScriptRun(explanation.right)
    #expect(run.outcome == .finished, "\(run.messages)")
  }
}

extension Explanation: CustomTestStringConvertible {
  package var testDescription: String { code }
}
