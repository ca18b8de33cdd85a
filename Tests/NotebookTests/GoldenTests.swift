import Foundation
import Notebook
import Testing

@Suite struct GoldenTests {
  /// Writes a script, tests it, and returns the report and the file afterwards.
  private func test(_ text: String, _ blessing: Blessing = .never) throws -> (GoldenTest.Report, String) {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("script.nn").path
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    let report = runOnLargeStack { GoldenTest(path: path, blessing: blessing, color: false).run() }
    return (report, String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self))
  }

  @Test func statementsWithExpectationsAreCounted() throws {
    let (report, _) = try test("1 + 1\n#> 2\n5\n[1][4]\n#! error[index-out-of-range]\n2 * 2\n#> 5\n")
    #expect(report.passed == 2)
    #expect(report.failed == 1)
    let diff = report.failures.joined(separator: "\n")
    #expect(diff.contains("script.nn:6"))
    #expect(diff.contains("- | #> 5") && diff.contains("+ | #> 4"))
    #expect(diff.contains("--bless"))
  }

  @Test func aScriptWithoutExpectationsCountsOnce() throws {
    let (report, _) = try test("x = 1\nx\n")
    #expect(report.passed == 1 && report.failed == 0)
  }

  @Test func anErrorThatIsNotExpectedFailsAndStops() throws {
    let (report, _) = try test("1\n#> 1\n[1][4]\n2\n#> 2\n", .changed)
    #expect(report.passed == 1 && report.failed == 1)
    #expect(report.failures.joined().contains("index-out-of-range"))
  }

  @Test func onlyWhatBlessingMendsIsToldToBeBlessed() throws {
    let (report, _) = try test("1\n#> 1\n[1][4]\n2\n")
    let text = report.failures.joined(separator: "\n")
    #expect(text.contains("#! error[index-out-of-range]"))
    #expect(text.contains("1 more entry did not run"))
    #expect(!text.contains("--bless"))
  }

  @Test func anErrorThatDoesNotHappenFails() throws {
    let (report, _) = try test("1\n#! error[index-out-of-range]\n")
    #expect(report.failed == 1)
  }

  @Test func mistakesThatAreNotExpectedFail() throws {
    let (report, _) = try test("1\n#> 1\nnowhere_to_be_found\n")
    #expect(report.passed == 0 && report.failed == 1)
    #expect(report.failures.joined().contains("unknown-name"))
  }

  @Test func textOfErrorsIsCompared() throws {
    let wrong = try test("nowhere_here\n#! error[unknown-name]: no `anything` here\n").0
    #expect(wrong.failed == 1)
    let right = try test(
      "nowhere_here\n#! error[unknown-name]: no `nowhere_here` here\n#!   --> script.nn:1:1\n#! ...\n").0
    #expect(right.passed == 1 && right.failed == 0)
  }

  @Test func blessingChangesOnlyWhatChanged() throws {
    let text = "# Prose stays.   \n1 + 1\n#> 3\n\n0.97222\n#>   0.97222\nprint(\"2 ms\")\n#~ 1 ms\n5\n\"end\"   # kept"
    let (report, blessed) = try test(text, .changed)
    #expect(report.failed == 0)
    #expect(
      blessed == "# Prose stays.   \n1 + 1\n#> 2\n\n0.97222\n#> 0.97222\nprint(\"2 ms\")\n#~ 1 ms\n5\n\"end\"   # kept")
    let again = try test(blessed, .changed)
    #expect(again.1 == blessed && again.0.blessedLineCount == 0)
  }

  @Test func blessingKeepsNumbersThatStillHold() throws {
    let (_, blessed) = try test("print(\"a 0.9722\")\nprint(\"b\")\n0.123456\n#> 0.12\n", .changed)
    #expect(blessed.hasSuffix("#> 0.12\n"))
  }

  @Test func blessingKeepsLineEnds() throws {
    let (_, blessed) = try test("1 + 1\r\n#> 3\r\n5\r\n", .changed)
    #expect(blessed == "1 + 1\r\n#> 2\r\n5\r\n")
  }

  @Test func blessingRenumbersErrorsBelow() throws {
    let text = "print(\"a\\nb\\nc\")\n#> a\n[1][4]\n#! error[index-out-of-range]: x\n#!   --> script.nn:3:1\n"
    let (report, blessed) = try test(text, .changed)
    #expect(report.failed == 0)
    #expect(blessed.contains("#> a\n#> b\n#> c\n"))
    #expect(blessed.contains("--> script.nn:5:"))
  }

  @Test func blessingAllAddsOutputs() throws {
    let (report, blessed) = try test("1 + 1\nx = 5\nx\n[1][4]\n6\n#~ shown", .all)
    #expect(report.failed == 0)
    #expect(blessed.hasPrefix("1 + 1\n#> 2\nx = 5\nx\n#> 5\n[1][4]\n#! error[index-out-of-range]: "))
    #expect(blessed.hasSuffix("6\n#~ shown"))
  }

  @Test func examplesInCommentsAreChecks() throws {
    let text = "# Doubles.\n#\n# >>> double(4)\n# 8\n#\n# >>> double(\n# ...   1.5)\n# 3.1\nfn double(x) = 2 * x\n"
    let (report, _) = try test(text)
    #expect(report.passed == 1 && report.failed == 1)
    let (_, blessed) = try test(text, .changed)
    #expect(blessed == text.replacingOccurrences(of: "# 3.1", with: "# 3.0"))
  }

  @Test func headersSetInputsAndSkip() throws {
    let (report, _) = try test("# inputs: n=3\ninput n = 100\nn\n#> 3\n")
    #expect(report.passed == 1 && report.failed == 0)
    let (skipped, _) = try test("# requires: no/such/file\n1\n#> 2\n")
    #expect(skipped.skipReason == "no/such/file is not here")
    #expect(skipped.passed == 0 && skipped.failed == 0)
  }

  @Test func warningsAreComparedWhereExpected() throws {
    let (report, _) = try test("1\n#! warning[retraced]\n")
    #expect(report.failed == 1)
  }
}
