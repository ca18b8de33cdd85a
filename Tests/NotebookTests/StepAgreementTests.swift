import Notebook
import Testing

/// A step says what its function says: the same expressions as `fn f(n)` and as `step s(n)`, with answers and error
/// codes compared.
@Suite struct StepAgreementTests {
  static let expressions = [
    // Arithmetic.
    "n + 1", "1 - n", "n * n", "n / 2", "1 / n", "n // 2", "7 // n", "n % 3", "7 % n", "-n", "n ^ 2", "2 ^ n", "n ^ -1",
    "n ^ 0.5", "(n + 0.5) * 2", "n // 0.1", "n % 0.1", "1.0 // n", "n // 0", "n % 0", "n / 0", "abs(n)", "sqrt(abs(n))",
    "exp(n / 100)", "floor(n / 2)", "round(n / 4)", "minimum(n, 3)", "maximum(n, 3)", "sign(n)", "n * 1.0", "n + n / n",
    "9223372036854775807 + n", "9223372036854775807 * n", "n - 9007199254740993", "n * 3037000500",
    // Comparison and choice.
    "n == 3", "n != 3", "n < 3", "n <= 3", "n > 3", "n >= 3", "1 < n < 5", "n == 3.0", "n == 9007199254740993",
    "if n > 2 { 10 } else { 20 }", "if n == 9007199254740993 { 1 } else { 2 }", "n in [1, 2, 3]", "n in 1...3",
    "[n] == [3]", "[n, 1] == [3, 1]", "[n] != [3]", "(n, 2) == (3, 2)", "(a: n) == (a: 3)", "[[n]] == [[3]]",
    "[n] == [3.0]", "[n] == [true]", "[n, n] == [n, n]", "n > 0 and n < 5", "n < 0 or n > 5", "not (n == 3)",
    "[n > 2] == [true]", "if n in [1, 2] { \"few\" } else { \"many\" }", "n in [[1], [3]]", "n == none",
    // Lists, ranges, records.
    "[n, n + 1]", "[i for i in 1...n]", "[i for i in 0..<n % 4]", "[i * n for i in [1, 2]]", "len([n])", "[10, 20, 30, 40][n]",
    "[10, 20, 30, 40][-n]", "[1, 2, 3][:n]", "(a: n, b: 2).a", "(n, 2)[0]", "append([1], n)", "concat([1], [n])",
    "reversed([1, n])", "sorted([3, n, 1])", "pairs([1, n, 2])", "enumerate([n])", "zip([1, 2], [n, n])", "[n] + [1]",
    "[n, 2] * 2", "map(fn(a) = a + n, [1, 2])", "(0..<10)[n]", "[x for x in [1, 2, 3, 4] if x > n]", "len(0..<n)",
    // Sizes.
    "zeros([n])", "zeros([n // 2])", "zeros([n - 1, 2])", "zeros([2 ^ n]).shape", "zeros([7 // n])",
    "zeros([int(n)])", "zeros([n - 9007199254740990]).shape", "full([2], n)", "arange(n)", "0..<int(n)", "ones([3])[:n]",
    "reshape(ones([6]), [n, -1]).shape", "sum(ones([2, 3]), axis: n)", "eye(n)",
    // Texts.
    "\"{n}\"", "\"{n:.2}\"", "str(n)", "str([n, n])", "str((a: n))", "join([n, 1], \"-\")", "\"{[n, n + 1]}\"", "\"a\" + \"{n}\"",
    "str(n > 2)", "str(n / 2)", "\"{(n, 2)}\"", "\"{n} of {n + 1}\"",
    // Kinds.
    "int(n)", "float(n)", "int(n / 3)", "type(n > 1)", "n.shape", "n.dtype", "type([n])", "n + true", "if n { 1 } else { 2 }",
    "n + \"a\"", "[1, 2] @ [n, n]", "f32([n, 1])", "i64([n, 1])", "x = n; x", "n[0]", "n(1)", "n.weight",
  ]
  static let arguments = ["3", "2", "0", "-1", "3.0", "0.5", "70", "9007199254740993", "9223372036854775807", "nan", "1e30"]

  @Test(arguments: arguments) func sameAnswers(argument: String) {
    var compared = 0
    for expression in Self.expressions where !Self.isLong(expression, argument) {
      let body = expression.contains(";") ? "{ \(expression) }" : "= \(expression)"
      let function = ScriptRun("fn f(n) \(body)\nf(\(argument))")
      let step = ScriptRun("step f(n) \(body)\nf(\(argument))")
      compared += 1
      #expect(
        Self.answer(function) == Self.answer(step), "\(expression) at n = \(argument)")
    }
    #expect(compared >= 100)
  }

  /// Many numbers in one session: no call takes the plan of another.
  @Test func plansAreNotMixedUp() {
    var compared = 0
    for expression in Self.expressions where !expression.contains(";") {
      let calls = ["3", "2", "3.0", "0", "-1", "0.5", "3", "2"].map { "f(\($0))" }.filter {
        ScriptRun("fn f(n) = \(expression)\n\($0)").codes.isEmpty
      }.joined(separator: "\n")
      if calls.isEmpty { continue }
      compared += 1
      let function = ScriptRun("fn f(n) = \(expression)\n\(calls)")
      let step = ScriptRun("step f(n) = \(expression)\n\(calls)")
      #expect(function.lines == step.lines, "\(expression)")
    }
    #expect(compared >= 80)
  }

  private static func isLong(_ expression: String, _ argument: String) -> Bool {
    let isHuge = argument.count > 3 || argument == "nan"
    return isHuge && (expression.contains("for i in 1...n") || expression.contains("len(0..<n)"))
  }

  private static func answer(_ run: ScriptRun) -> String {
    run.codes.isEmpty ? run.lines.joined(separator: "\n") : run.codes.joined(separator: ", ")
  }
}
