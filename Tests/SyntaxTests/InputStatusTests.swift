import Syntax
import Testing

@Suite struct InputStatusTests {
  @Test(arguments: [
    "", "  ", "# a comment", "x = 1", "x;", "f(1,\n  2)", "fn f(x) {\n  x\n}", "if a { b }", "#> 3",
    "a +\nb", "x = [1,\n2]\n", "train with a: 1", "step",
  ])
  func complete(text: String) {
    #expect(inputStatus(of: text) == .complete)
  }

  @Test(arguments: [
    "f(", "f(1,", "x = [1, 2", "x = (a", "fn f(x) {", "fn f(x) {\n  y = x", "fn f(x) =", "fn f(x)",
    "x =", "x +", "a and", "not", "x |>", "train with", "train with a:", "for", "for x in",
    "for x in xs",
    "while a", "if a {", "if a { b } else", "model M(a) {\n  param w = 1", "a,", "x[1:",
    "fn f(x) ->",
    "f(fn(x) {", "x.", "fn f(x) { # open", "x += ", "-",
  ])
  func incomplete(text: String) {
    #expect(inputStatus(of: text) == .incomplete)
    #expect(inputStatus(of: text + "\n") == .invalid, "a blank line asks for no more")
    #expect(inputStatus(of: text + "\n \t") == .invalid)
  }

  @Test(arguments: [
    ")", "f(1]", "x = )", "\"open", "f(\"open", "let x = 3", "1 = x", "f(1 2", "x = 12abc", "}",
    "input x",
    "x = 2 ** ", "break", "fn f", "x = 99999999999999999999",
  ])
  func invalid(text: String) {
    #expect(inputStatus(of: text) == .invalid)
  }
}
