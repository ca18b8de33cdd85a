import Support
import Syntax
import Testing

@Suite struct ExpressionTests {
  /// Source and tree, loosest operators last.
  @Test(arguments: [
    (#"-x^2"#, #"(- (^ x 2))"#),
    (#"2^-1"#, #"(^ 2 (- 1))"#),
    (#"2^-x^2"#, #"(^ 2 (- (^ x 2)))"#),
    (#"a^b^c"#, #"(^ a (^ b c))"#),
    (#"-a * b"#, #"(* (- a) b)"#),
    (#"a + b * c - d"#, #"(- (+ a (* b c)) d)"#),
    (#"a / b // c % d @ e"#, #"(@ (% (// (/ a b) c) d) e)"#),
    (#"a - b - c"#, #"(- (- a b) c)"#),
    (#"not a == b"#, #"(not (== a b))"#),
    (#"not a and b or c"#, #"(or (and (not a) b) c)"#),
    (#"a < b <= c"#, #"(chain a < b <= c)"#),
    (#"a in b"#, #"(in a b)"#),
    (#"a not in b"#, #"(not (in a b))"#),
    (#"x + 1 not in b and c"#, #"(and (not (in (+ x 1) b)) c)"#),
    (#"a...b + 1"#, #"(... a (+ b 1))"#),
    (#"0..<n - 1"#, #"(..< 0 (- n 1))"#),
    (#"1...3"#, #"(... 1 3)"#),
    (#"a == 0...3"#, #"(== a (... 0 3))"#),
    (#"x |> f |> g(1)"#, #"(|> (|> x f) (call g 1))"#),
    (#"a or b |> f"#, #"(|> (or a b) f)"#),
    (#"x |> f with a: 1"#, #"(with (|> x f) a: 1)"#),
    (#"a with b: 1 with c: 2"#, #"(with (with a b: 1) c: 2)"#),
    (#"a with (b: 1, c: x |> f)"#, #"(with a b: 1 c: (|> x f))"#),
    (#"train with (policy)"#, #"(with train policy)"#),
    (#"f(a with b: c, d)"#, #"(call f (with a b: c) d)"#),
    (#"-f(x).y[0]"#, #"(- (index (. (call f x) y) 0))"#),
    (#"a @ b.T / sqrt(d)"#, #"(/ (@ a (. b T)) (call sqrt d))"#),
  ])
  func precedence(source: String, tree: String) {
    let (program, diagnostics) = parse(source)
    #expect(diagnostics.map(summary) == [])
    #expect(dump(program) == tree)
  }

  @Test func sitesIncludeTheParenthesesOfOperands() throws {
    let program = parse("y = (a + b) * c").program
    guard case .assignment(_, let value) = program.statements[0].kind,
      case .binary(.multiply, let left, _, let operatorSite) = value.kind
    else { throw Unexpected() }
    #expect(value.site.text == "(a + b) * c")
    #expect(left.site.text == "a + b")
    #expect(operatorSite.text == "*")
  }

  @Test func sitesInsideStringsAreTrue() throws {
    let program = parse("\"loss {f(x):.4}\"").program
    guard case .expression(let value) = program.statements[0].kind,
      case .string(let parts) = value.kind, case .interpolation(let call, let format) = parts[1]
    else { throw Unexpected() }
    #expect(call.site.text == "f(x)")
    #expect(call.site.column == 8)
    #expect(format == ".4")
  }

  private struct Unexpected: Error {}
}
