import Notebook
import Testing

@Suite struct ComparisonTests {
  private func matches(_ expected: String, _ printed: String, padding: ComparableLine.PaddingRule = .exact) -> Bool {
    ComparableLine(expected).matches(ComparableLine(printed), padding: padding)
  }

  @Test(arguments: [
    ("0.97", "0.9722"), ("0.97", "0.97"), ("0.9722", "0.97220"), ("loss 0.5, 3 steps", "loss 0.4999, 3 steps"),
    ("1.2e-05", "1.2345e-05"), ("-0.5", "-0.46"), ("[ 1.00, -2.00]", "[ 0.999, -2.001]"), ("1e3", "1234.0"),
    ("-0.0000", "0.0000"), ("nan inf", "nan inf"), ("3.", "3."), ("a-1", "a-1"), ("x2 0.5", "x2 0.51"),
  ])
  func agreesToTheDecimalsWritten(_ expected: String, _ printed: String) {
    #expect(matches(expected, printed))
  }

  @Test(arguments: [
    ("0.97", "0.9649"), ("0.97", "0.9751"), ("0.9722", "0.97"), ("3", "3.0"), ("3.0", "3"), ("3", "4"), ("3.", "3.2"),
    ("f32[2]", "f32[3]"), ("loss 0.5", "lost 0.5"), ("a  b", "a b"), ("w2", "w3"), ("layers.0.w", "layers.1.w"),
    ("1.2e-05", "1.3e-05"), ("0.5", "nan"), ("0.5", "-0.5"), ("1...5", "1...6"), ("", "0.0"),
  ])
  func seesDifferences(_ expected: String, _ printed: String) {
    #expect(!matches(expected, printed))
  }

  @Test func numbersAreCutOutOfText() {
    let numbers = ComparableLine("w2 = -1.5e-3 (10%, 3.) layers.0.b 1...5 x-7 [-2]").tokens.compactMap { token in
      if case .number(let number) = token { number.text } else { nil }
    }
    #expect(numbers == ["-1.5e-3", "10", "3.", "1", "7", "-2"])
  }

  @Test func aNegativeZeroMayShiftColumns() {
    let expected = [ExpectedLine(.output, "[-0.0000,  1.0000]", line: 1)]
    let printed = [Alignment.PrintedLine(kind: .output, text: "[0.0000, 1.0000]")]
    #expect(Alignment(expected, printed).isExact)
    let other = [Alignment.PrintedLine(kind: .output, text: "[0.5000, 1.0000]")]
    #expect(!Alignment(expected, other).isExact)
  }
}

@Suite struct AlignmentTests {
  private func alignment(_ expected: [String], _ printed: [String]) -> Alignment {
    Alignment(
      expected.enumerated().map { index, text in
        text.hasPrefix("~")
          ? ExpectedLine(.shown, String(text.dropFirst()), line: index + 1)
          : ExpectedLine(.output, text, line: index + 1)
      }, printed.map { .init(kind: .output, text: $0) })
  }

  private func changes(_ alignment: Alignment) -> String {
    alignment.steps.map { step in
      switch step {
      case .kept: "="
      case .covered: "."
      case .missing: "-"
      case .extra: "+"
      }
    }.joined()
  }

  @Test func equalLinesAreKept() {
    #expect(changes(alignment(["a", "b"], ["a", "b"])) == "==")
    #expect(changes(alignment([], [])) == "")
  }

  @Test func fewestChangesAreFound() {
    #expect(changes(alignment(["a", "b", "c"], ["a", "x", "c"])) == "=-+=")
    #expect(changes(alignment(["a", "c"], ["a", "b", "c"])) == "=+=")
    #expect(changes(alignment(["a", "b", "c"], ["c"])) == "--=")
    #expect(changes(alignment(["a"], [])) == "-")
  }

  @Test func ellipsisCoversAnyLines() {
    #expect(changes(alignment(["a", "...", "z"], ["a", "b", "c", "z"])) == "=..==")
    #expect(alignment(["...", "z"], ["z"]).isExact)
    #expect(alignment(["..."], []).isExact)
    #expect(!alignment(["a", "...", "z"], ["a", "b"]).isExact)
    #expect(alignment(["...", "b", "..."], ["a", "b", "b", "c"]).isExact)
  }

  @Test func shownLinesStandForOneLine() {
    #expect(alignment(["a", "~1.2 ms", "b"], ["a", "9.9 ms", "b"]).isExact)
    #expect(!alignment(["a", "~1.2 ms", "b"], ["a", "b"]).isExact)
  }

  @Test func hugeTextsAreReplacedWhole() {
    let alignment = alignment((0..<3000).map { "a\($0)" }, (0..<3000).map { "b\($0)" })
    #expect(alignment.steps.count == 6000)
  }
}
