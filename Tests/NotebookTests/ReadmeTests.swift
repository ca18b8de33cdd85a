import Foundation
import Notebook
import Testing

@Suite struct ReadmeTests {
  /// What the README shows is what happens.
  @Test func programsInTheReadmeSayWhatItShows() throws {
    let readme = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("README.md")
    let programs = try String(contentsOf: readme, encoding: .utf8).matches(of: /```nn\n([\s\S]*?)```/)
    #expect(programs.count >= 2)
    for program in programs {
      let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).nn").path
      try Data(program.1.utf8).write(to: URL(fileURLWithPath: path))
      defer { try? FileManager.default.removeItem(atPath: path) }
      let report = runOnLargeStack { GoldenTest(path: path, blessing: .never, color: false).run() }
      #expect(report.failed == 0, "\(report.failures.joined(separator: "\n"))")
    }
  }
}
