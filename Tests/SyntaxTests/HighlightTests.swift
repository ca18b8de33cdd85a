import Support
import Syntax
import Testing

@Suite struct HighlightTests {
  private func pieces(_ text: String) -> [String] {
    let file = SourceFile(name: "test.nn", text: text)
    return highlights(of: file).map { "\($0.kind) \(file.text(in: $0.start..<$0.end))" }
  }

  @Test func wordsAreWhatTheyMeanWhereTheyStand() {
    #expect(pieces("step f(x) { x.step }").filter { $0.contains("step") } == ["keyword step", "member step"])
    #expect(pieces("step = 3") == ["name step", "symbol =", "number 3"])
    #expect(pieces("sum(x, axis: 1)").filter { !$0.hasPrefix("symbol") } == ["call sum", "name x", "label axis", "number 1"])
    #expect(pieces("true # c") == ["constant true", "comment # c"])
  }

  @Test func interpolationsAreCode() {
    #expect(pieces("\"a{b:.2}\"") == ["string \"", "string a", "symbol {", "name b", "string :.2", "symbol }", "string \""])
  }

  @Test(arguments: ["f(", "\"open", "“x”", "a\u{0}b", "x = ) }"])
  func whatDoesNotParseHasColoursToo(text: String) { #expect(!pieces(text).isEmpty) }

  private func uses(_ text: String) -> [String] {
    parse(SourceFile(name: "test.nn", text: text)).program.statements.flatMap(globalNameUses)
      .map { ($0.isBinding ? "=" : "") + $0.name }.sorted()
  }

  @Test func namesOfFunctionsAreTheirOwn() {
    #expect(uses("x = y + 1") == ["=x", "y"])
    #expect(uses("fn f(x: [n]) { z = x + n + y\n z }") == ["=f", "y"])
    #expect(uses("for i in xs { s += i }") == ["=i", "=s", "i", "xs"])
    #expect(uses("[a * k for a in xs if a > 0]") == ["k", "xs"])
    #expect(uses("model M(n) { param w = normal([n])\n fn forward(x) = x * w * c }") == ["=M", "c", "normal"])
    #expect(uses("optimizer o(lr = r) { state m = zeros_like(p)\n fn update(p, g, t) = p - lr * g }") == ["=o", "r", "zeros_like"])
    #expect(uses("\"{a} b\"") == ["a"])
    #expect(uses("net.x[i] = v") == ["i", "net", "v"])
  }
}
