import Support
import Syntax
import Testing

@Suite struct MistakeTests {
  /// What people write, and the one thing that they are told.
  @Test(arguments: [
    (#"x = 2 ** 3"#, #"syntax 1:7 there is no operator `**`"#),
    (#"a && b"#, #"syntax 1:3 there is no operator `&&`"#),
    (#"a || b"#, #"syntax 1:3 there is no operator `||`"#),
    (#"!x"#, #"syntax 1:1 there is no operator `!`"#),
    (#"def f(x) { x }"#, #"syntax 1:1 `def` begins no statement"#),
    (#"func f(x) = x"#, #"syntax 1:1 `func` begins no statement"#),
    (
      #"""
      if a { 1 }
      elif b { 2 }
      """#,
      #"syntax 2:1 `elif` begins no statement"#
    ),
    (#"let x = 3"#, #"syntax 1:1 `let` begins no statement"#),
    (#"var x = 3"#, #"syntax 1:1 `var` begins no statement"#),
    (#"import "a.nn""#, #"syntax 1:1 `import` begins no statement"#),
    (#"import a"#, #"syntax 1:1 `import` begins no statement"#),
    (#"from a import b"#, #"syntax 1:1 `from` begins no statement"#),
    (#"use helpers"#, #"syntax 1:5 expected a path in quotes, found `helpers`"#),
    (#"True"#, #"syntax 1:1 `True` is written `true`"#),
    (#"x = None"#, #"syntax 1:5 `None` is written `none`"#),
    (#"lambda x: x"#, #"syntax 1:1 `lambda` begins no statement"#),
    (#"if x = 3 { }"#, #"syntax 1:6 `=` assigns; a condition compares"#),
    (#"while x = 3 { }"#, #"syntax 1:9 `=` assigns; a condition compares"#),
    (
      #"""
      if x: 
        y
      """#,
      #"syntax 1:5 expected `{` and the block of `if`, found `:`"#
    ),
    (
      #"""
      for x in xs:
        y
      """#,
      #"syntax 1:12 expected `{` and the loop's body, found `:`"#
    ),
    (#"if x then { y }"#, #"syntax 1:6 expected `{` and the block of `if`, found `then`"#),
    (#"f(a = 1)"#, #"syntax 1:5 a named argument is written with `:`"#),
    (#"(a = 1)"#, #"syntax 1:4 a named field is written with `:`"#),
    (#"fn f(x) -> x * 2"#, #"syntax 1:14 expected `=` or `{` and the function's body, found `*`"#),
    (#"fn f(x) => x"#, #"syntax 1:9 expected `=` or `{` and the function's body, found `=>`"#),
    (#"fn f(x): x"#, #"syntax 1:8 expected `=` or `{` and the function's body, found `:`"#),
    (
      #"fn f(x)"#,
      #"syntax 1:8 expected `=` or `{` and the function's body, found the end of the text"#
    ),
    (
      #"fn(x)"#,
      #"syntax 1:6 expected `=` or `{` and the function's body, found the end of the text"#
    ),
    (#"fn f { }"#, #"syntax 1:6 expected `(` and the parameters of `f`, found `{`"#),
    (#"fn 3(x) = x"#, #"syntax 1:4 expected `(` and the parameters of the function, found `3`"#),
    (#"g = fn h(x) = x"#, #"syntax 1:8 a function inside an expression has no name"#),
    (#"x = 'abc'"#, #"syntax 1:5 strings are written in plain double quotes"#),
    (#"x = “abc”"#, #"syntax 1:5 strings are written in plain double quotes"#),
    (
      #"""
      x = "abc
      y = 1
      """#,
      #"unclosed-string 1:9 a string must end on the line it starts on"#
    ),
    (
      #"""
      x = "abc {y
      z
      """#,
      #"unclosed-string 1:12 a string must end on the line it starts on"#
    ),
    (#"x = "abc {y""#, #"unclosed-string 1:13 a string must end on the line it starts on"#),
    (#"x = "{}""#, #"syntax 1:6 nothing to interpolate between the braces"#),
    (#"x = "a } b""#, #"bad-escape 1:8 `}` closes nothing in this string"#),
    (#"x = "\q""#, #"bad-escape 1:6 `\q` is no escape"#),
    (#"x = "\u{110000}""#, #"bad-escape 1:6 `\u{110000}` names no Unicode scalar"#),
    (#"x = "\u41""#, #"bad-escape 1:6 `\u41` names no Unicode scalar"#),
    (#"x = "{a b}""#, #"syntax 1:9 expected `}` after the interpolated value, found `b`"#),
    (#"x = "{a:.3""#, #"unclosed-string 1:12 a string must end on the line it starts on"#),
    (#"x = .5"#, #"bad-number 1:5 a number begins with a digit"#),
    (#"x = 1."#, #"bad-number 1:5 a digit must follow the point of `1.`"#),
    (
      #"x = 1..2"#,
      #"syntax 1:6 expected a new line or `;` before the next statement, found `..`"#
    ),
    (#"x = 12abc"#, #"bad-number 1:5 `12abc` is not a number"#),
    (#"x = 2x"#, #"bad-number 1:5 `2x` is not a number"#),
    (#"x = 64MB"#, #"bad-number 1:5 `64MB` is not a number"#),
    (#"x = 0.3KiB"#, #"bad-number 1:5 `0.3KiB` is not a whole number of bytes"#),
    (
      #"x = 9GiB + 9999999999999GiB"#,
      #"bad-number 1:12 `9999999999999GiB` does not fit in a 64-bit integer"#
    ),
    (#"x = 0x"#, #"bad-number 1:5 `0x` is not a hexadecimal number"#),
    (#"x = 0b12"#, #"bad-number 1:5 `0b12` is not a binary number"#),
    (#"x = 1__000"#, #"bad-number 1:5 a digit must follow each `_` in `1__000`"#),
    (#"x = 1_"#, #"bad-number 1:5 a digit must follow each `_` in `1_`"#),
    (#"x = 1e"#, #"bad-number 1:5 `1e` is not a number"#),
    (#"x = 1e999"#, #"bad-number 1:5 `1e999` is beyond the largest number, 1.8e308"#),
    (
      #"x = 9223372036854775808"#,
      #"bad-number 1:5 `9223372036854775808` does not fit in a 64-bit integer"#
    ),
    (
      #"x = 0xFFFFFFFFFFFFFFFFF"#,
      #"bad-number 1:5 `0xFFFFFFFFFFFFFFFFF` does not fit in a 64-bit integer"#
    ),
    (
      #"""
      f(1, 2
      y = 3
      """#,
      #"unclosed-bracket 1:7 `(` is not closed before the next statement"#
    ),
    (#"f(1 2)"#, #"syntax 1:5 expected `,` or `)` after the argument, found `2`"#),
    (#"f(1]"#, #"unmatched-bracket 1:4 `]` does not close `(`"#),
    (#")"#, #"unmatched-bracket 1:1 `)` closes nothing"#),
    (#"}"#, #"unmatched-bracket 1:1 `}` closes nothing"#),
    (
      #"""
      x = [1, 2


      """#,
      #"unclosed-bracket 1:10 `[` is not closed before the text ends"#
    ),
    (
      #"""
      fn f() {
        x
      """#,
      #"unclosed-bracket 2:4 `{` is not closed before the text ends"#
    ),
    (
      #"""
      fn f() {
        if a {
          b
      }
      y = 1
      """#,
      #"unclosed-bracket 4:2 `{` is not closed before the next statement"#
    ),
    (
      #"""
      if a {
        x = (1
      }
      y
      """#,
      #"unclosed-bracket 2:9 `(` is not closed before the block ends"#
    ),
    (#"f(x) = 2"#, #"bad-target 1:1 cannot assign to a call"#),
    (#"1 = x"#, #"bad-target 1:1 cannot assign to a constant"#),
    (#"[a, b] = c"#, #"bad-target 1:1 cannot assign to a list"#),
    (#"a + b = c"#, #"bad-target 1:1 cannot assign to an expression"#),
    (#"a == b = c"#, #"bad-target 1:1 cannot assign to a comparison"#),
    (#"(a, 1) = c"#, #"bad-target 1:5 cannot assign to a constant"#),
    (#"(a, b) += 1"#, #"syntax 1:1 `+=` changes one target, not a tuple"#),
    (#"x = y = 3"#, #"syntax 1:7 an assignment has no value, so `=` does not chain"#),
    (#"x +="#, #"syntax 1:5 expected an expression, found the end of the text"#),
    (#"x ="#, #"syntax 1:4 expected an expression, found the end of the text"#),
    (#"a +"#, #"syntax 1:4 expected an expression, found the end of the text"#),
    (#"a b"#, #"syntax 1:3 expected a new line or `;` before the next statement, found `b`"#),
    (#"a, b c"#, #"syntax 1:6 expected a new line or `;` before the next statement, found `c`"#),
    (#"a < b not in c"#, #"syntax 1:7 `not in` stands alone, not in a chain of comparisons"#),
    (
      #"a not b"#,
      #"syntax 1:3 expected a new line or `;` before the next statement, found `not`"#
    ),
    (#"1...2...3"#, #"syntax 1:6 a range has two ends"#),
    (#"for (i in xs) { }"#, #"syntax 1:8 expected `)`, found `in`"#),
    (#"for 1 in xs { }"#, #"syntax 1:5 expected a name to bind, found `1`"#),
    (#"for x of xs { }"#, #"syntax 1:7 expected `in` and what to loop over, found `of`"#),
    (#"for x in xs"#, #"syntax 1:12 expected `{` and the loop's body, found the end of the text"#),
    (#"while { }"#, #"syntax 1:7 expected an expression, found `{`"#),
    (#"for () in xs { }"#, #"syntax 1:5 `()` names nothing to bind"#),
    (#"return 1"#, #"outside-function 1:1 `return` stands outside a function"#),
    (#"break"#, #"outside-loop 1:1 `break` stands outside a loop"#),
    (#"fn f() { break }"#, #"outside-loop 1:10 `break` stands outside a loop"#),
    (#"while a { fn f() { continue } }"#, #"outside-loop 1:20 `continue` stands outside a loop"#),
    (#"model M(a) { foo(1) }"#, #"syntax 1:14 `foo` begins no member"#),
    (#"model M { }"#, #"syntax 1:9 expected `(` and the parameters of `M`, found `{`"#),
    (#"model M(a) { param w }"#, #"syntax 1:22 expected `=` and a value, found `}`"#),
    (#"optimizer o(a) { m = 1 }"#, #"syntax 1:18 `m` begins no member"#),
    (#"optimizer o(a) { state m }"#, #"syntax 1:26 expected `=` and a value, found `}`"#),
    (#"fn f(a, a) = a"#, #"duplicate-name 1:9 `a` is a parameter already"#),
    (#"fn f(a: ) = a"#, #"syntax 1:9 expected a shape, found `)`"#),
    (#"fn f(a: [.., ..]) = a"#, #"syntax 1:14 a shape has one `..` at most"#),
    (#"fn f(a: [...]) = a"#, #"syntax 1:10 the rest of a shape is `..`"#),
    (#"input x"#, #"syntax 1:8 expected `=` and a default value, found the end of the text"#),
    (#"use "a{b}""#, #"syntax 1:5 the path of `use` is plain text"#),
    (#"x[]"#, #"syntax 1:2 an index is missing between `[` and `]`"#),
    (#"x[1:2:3:4]"#, #"syntax 1:8 expected `,` or `]` after the index, found `:`"#),
    (#"x[...]"#, #"syntax 1:3 the rest of the axes is `..`"#),
    (#"x.0"#, #"syntax 1:3 expected a name after `.`, found `0`"#),
    (#"x."#, #"syntax 1:3 expected a name after `.`, found the end of the text"#),
    (#"x with 3"#, #"syntax 1:8 expected what to change after `with`, found `3`"#),
    (#"x with"#, #"syntax 1:7 expected what to change after `with`, found the end of the text"#),
    (#"|> f"#, #"syntax 1:1 expected an expression, found `|>`"#),
    (#"else { }"#, #"syntax 1:1 expected an expression, found `else`"#),
    (#"// comment"#, #"syntax 1:1 expected an expression, found `//`"#),
    (#"/* c */"#, #"syntax 1:1 expected an expression, found `/`"#),
    (#"x = {a: 1}"#, #"syntax 1:5 expected an expression, found `{`"#),
    (#"x ? 1 : 2"#, #"bad-character 1:3 `?` means nothing here"#),
    (#"x = a; b }"#, #"unmatched-bracket 1:10 `}` closes nothing"#),
    (#"[x, y for x in xs]"#, #"syntax 1:1 a comprehension has one value before `for`"#),
    (#"f(x for x in xs)"#, #"syntax 1:5 expected `,` or `)` after the argument, found `for`"#),
    (#"f(*xs)"#, #"syntax 1:3 expected an expression, found `*`"#),
    (#"x = 1 −2"#, #"bad-character 1:7 `−` means nothing here"#),
    (#"print "a""#, #"syntax 1:1 `print` begins no statement"#),
    (
      #"model = fn"#,
      #"syntax 1:11 expected `(` and the parameters of the function, found the end of the text"#
    ),
    (#"fn if(x) = x"#, #"syntax 1:4 `if` is a keyword and cannot be a name"#),
    (#"x = in"#, #"syntax 1:5 expected an expression, found `in`"#),
    (#"a = $b"#, #"bad-character 1:5 `$` means nothing here"#),
    (#"x++"#, #"syntax 1:2 there is no operator `++`"#),
    (#"a => b"#, #"syntax 1:3 expected a new line or `;` before the next statement, found `=>`"#),
    (#"f(a; b)"#, #"syntax 1:4 expected `,` or `)` after the argument, found `;`"#),
    (#"x = [1, 2, 3"#, #"unclosed-bracket 1:13 `[` is not closed before the text ends"#),
    (#"not"#, #"syntax 1:4 expected an expression, found the end of the text"#),
    (#"x = @"#, #"syntax 1:5 expected an expression, found `@`"#),
  ])
  func isReportedOnce(source: String, expected: String) {
    #expect(parse(source).diagnostics.map(summary) == [expected])
  }

  /// Mistakes that come from another language get the right spelling as help.
  @Test(arguments: [
    ("x = 2 ** 3", "power is `^`"), ("a && b", "`and`"), ("!x", "`not x`"),
    ("def f(x) { x }", "`fn f(x) = x`"), ("let x = 3", "`x = 1`"), ("import a", "`use "),
    ("if x = 3 { }", "`==`"), ("if x: y", "braces"), ("f(a = 1)", "`a: …`"),
    ("fn f(x) -> x * 2", "`->` gives the result's shape"), ("x = 'a'", "`\"a\"`"),
    ("x = .5", "`0.5`"), ("x = 1.", "`1.0`"), ("x = 2x", "`2 * x`"), ("x = 64MB", "`64MiB`"),
    ("f(x) = 2", "`fn f(…) = …`"), ("// a", "`#`"), ("x ? 1 : 2", "`if c { a } else { b }`"),
    ("for (i in xs) { }", "`for x in xs { … }`"), ("x++", "`x += 1`"), ("x.0", "`[0]`"),
    ("f(x for x in xs)", "`[x for x in xs]`"), ("x = 1 − 2", "minus is `-`"),
    ("x = 0o17", "there is no octal"), ("x ? 1 : 2", "`gradus help NAME`"),
  ])
  func helps(source: String, help: String) {
    let shown = parse(source).diagnostics.first?.help ?? "no help"
    #expect(shown.contains(help))
  }

  @Test func stringsAreUTF8() {
    let bytes = Array("x = \"é".utf8) + [0xFF] + Array("\"\n# ".utf8) + [0xFE]
    let file = SourceFile(name: "test", bytes: bytes)
    #expect(parse(file).diagnostics.map(summary) == ["bad-character 1:7 byte 255 is not UTF-8 text"])
  }

  @Test func parsingGoesOnAfterAMistake() {
    let (program, diagnostics) = parse(
      """
      a = 1 +* 2
      fn f(x) {
        y = (x + 1
        z = 2
        w = z]
        return y
      }
      b = [1, 2
      c = 3
      model M(n) {
        param w zeros([n])
        fn forward(x) = x @ w
      }
      d = "open
      e = 5
      for i of xs {
        print(i)
      }
      g = 6
      """)
    #expect(
      diagnostics.map(summary) == [
        "syntax 1:8 expected an expression, found `*`",
        "unclosed-bracket 3:13 `(` is not closed before the next statement",
        "unmatched-bracket 5:8 `]` closes nothing",
        "unclosed-bracket 8:10 `[` is not closed before the next statement",
        "syntax 11:11 expected `=` and a value, found `zeros`",
        "unclosed-string 14:10 a string must end on the line it starts on",
        "syntax 16:7 expected `in` and what to loop over, found `of`",
      ])
    #expect(
      dump(program).split(separator: "\n") == [
        "(fn f (x) (do (= z 2) (return y)))", "(= c 3)",
        "(model M (n) (fn forward (x) (do (@ x w))))", "(= e 5)", "(= g 6)",
      ])
  }

  @Test(arguments: [
    ("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("f(", ")"), ("1 + (", ")"), ("2^", ""),
    ("fn(x) = ", ""), ("if a { ", " }"), ("x[", "]"), ("\"{", "}\""), ("a with b: fn(x) = ", ""),
    ("if a { } else ", ""), ("for a in b { ", "}"), ("fn f() { ", "}"), ("f |> g(", ")"),
  ])
  func depthIsLimited(opening: String, closing: String) {
    func nest(_ depth: Int) -> String {
      let closings = String(repeating: closing, count: depth)
      let core = opening.hasSuffix("else ") ? "{ 1 }" : "1"
      let head = opening.hasSuffix("else ") ? "" : ""
      return head + String(repeating: opening, count: depth) + core + closings
    }
    #expect(parse(nest(100)).diagnostics.map(summary) == [])
    for depth in [501, 10_000] {
      #expect(parse(nest(depth)).diagnostics.map(\.code) == ["nesting-too-deep"])
    }
  }

  /// Trees that grow in loops, not by recursion, are limited as well.
  @Test(arguments: [" + 1", " |> f", ".a", "(1)", "[1]", " with a: 1", " and 1", " * 2", " ... 2"])
  func heightIsLimited(link: String) {
    #expect(parse("x" + String(repeating: link, count: 400)).diagnostics.count <= 1)
    let codes = parse("x" + String(repeating: link, count: 10_000)).diagnostics.map(\.code)
    #expect(codes == [link == " ... 2" ? "syntax" : "nesting-too-deep"])
  }

  @Test func aHundredDiagnosticsAreEnough() {
    #expect(parse(String(repeating: "x = )\n", count: 10_000)).diagnostics.count == 100)
    #expect(parse(String(repeating: "f(\n", count: 10_000)).diagnostics.count == 100)
    #expect(parse(String(repeating: "$ ", count: 10_000)).diagnostics.count == 100)
  }

  @Test func longFlatProgramsAreNotDeep() {
    let list = "[" + String(repeating: "a + b * c, ", count: 5_000) + "]"
    #expect(parse(list).diagnostics.map(summary) == [])
    #expect(parse(String(repeating: "x = f(1) + 2\n", count: 5_000)).diagnostics.isEmpty)
  }
}
