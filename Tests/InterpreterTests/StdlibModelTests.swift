import Foundation
import Testing

/// The models in `scripts/models` learn what they promise.
@Suite struct StdlibModelTests {
  private func run(_ name: String, inputs: [String: String] = [:]) throws -> [Substring] {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let path = root.appendingPathComponent("scripts/models/\(name)").path
    let session = ProgramSession()
    session.interpreter.inputs = inputs
    let bytes = try #require(FileManager.default.contents(atPath: path))
    return try session.run(String(decoding: bytes, as: UTF8.self), name: name).split(separator: "\n")
  }

  @Test func digits() throws {
    let last = try #require(try run("digits.nn").last)
    #expect(last.hasPrefix("test accuracy 0.9"))
    #expect(try #require(Double(last.dropFirst("test accuracy ".count))) >= 0.97)
  }

  /// The loss on text that the net has not seen falls well below that of guessing by frequency, and it writes as many
  /// letters as were asked for.
  @Test func letters() throws {
    let output = try run(
      "char-gpt.nn",
      inputs: [
        "rounds": "150", "every": "50", "width": "32", "depth": "1", "context": "32", "letters": "30",
        "rate": "0.005",
      ])
    let reports = output.filter { $0.hasPrefix("step") }
    let losses = reports.compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
    #expect(losses.count == 3)
    #expect(losses[2] < 2.9)
    let written = output.drop { $0 != "---" }.dropFirst()
    #expect(written.joined(separator: "\n").count <= 30)
    #expect(!written.isEmpty)
  }
}
