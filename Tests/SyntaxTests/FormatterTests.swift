import Foundation
import Support
import Syntax
import Testing

@Suite struct FormatterTests {
  private func format(_ text: String) -> String? {
    Syntax.format(SourceFile(name: "test.nn", text: text))
  }

  /// Checks that a text keeps its tree and that formatting again changes nothing.
  private func check(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let (program, diagnostics) = parse(text)
    guard diagnostics.isEmpty else { return }
    guard let formatted = format(text) else {
      Issue.record("does not format:\n\(text)", sourceLocation: sourceLocation)
      return
    }
    #expect(dump(parse(formatted).program) == dump(program), sourceLocation: sourceLocation)
    let again = format(formatted)
    #expect(again == formatted, "from:\n\(text)", sourceLocation: sourceLocation)
  }

  @Test func wrongProgramsDoNotFormat() {
    #expect(format("x = )") == nil)
    #expect(format("") == "")
    #expect(format("\n\n") == "")
    #expect(format("# only a comment") == "# only a comment\n")
  }

  @Test(arguments: [
    ("x=1+2*y", "x = 1 + 2 * y"), ("- x ^ - 2 + a . b", "-x^-2 + a.b"),
    ("f (a:1 , b : 2)", "f(a: 1, b: 2)"),
    ("x[a+1 : b , : , 1 ... 3, ::2]", "x[a + 1:b, :, 1...3, ::2]"),
    ("x[.. , none]", "x[.., none]"), ("not(a)and(b)", "not (a) and (b)"), ("(a , )", "(a,)"),
    ("a;b ;", "a; b;"), ("if a{b}else{ }", "if a { b } else { }"),
    ("fn f(x:f32 [n]=[1],y:[..,_])->[ n ]=x", "fn f(x: f32[n] = [1], y: [.., _]) -> [n] = x"),
    ("y=fn (x)=-x", "y = fn(x) = -x"), ("train with(a:1)", "train with (a: 1)"),
    ("[x with a:1,-1,[2] [0]]", "[x with a: 1, -1, [2][0]]"),
    ("for(a,b)in(c){ -a }", "for (a, b) in (c) { -a }"),
    ("x|>f|>g(1)", "x |> f |> g(1)"), ("a@b.T//c%d", "a @ b.T // c % d"), ("x . in (1)", "x.in(1)"),
    ("\"{ a+b :.4}\"+\"\"", "\"{ a+b :.4}\" + \"\""), ("use   \"a.nn\"", "use \"a.nn\""),
    ("return_(- 1)", "return_(-1)"), ("a<b<=c==d!=e", "a < b <= c == d != e"),
  ])
  func spacing(source: String, expected: String) {
    #expect(format(source) == expected + "\n")
    check(source)
  }

  @Test func layout() {
    let source = """


      # %% Values
      x=[[1,2],[3,4]]            # a list
      x*0.5      # half
      #> f32[2, 2]
      #>   [0.5, 1.0],
      for i in 0 ..<3{print("{i+1}")}
      while a {
       b; c }



      if a { }
      else {
      }
      fn f(x)
      {

      # comment
        x
            # last

      }
      model Linear(n) {
        param weight = normal([n])
        param b      = zeros([n])
        param bias   = zeros([n])
      }
      y = q
      |> softmax(axis: 1)
          # in a pipe
        |> fn(z) {
      w = z +
      1
      w
      }
      z = f(a,
         b)
      squares = [
      i^2
        for i in 1...5
      ]
      # end
      """
    #expect(
      format(source) == """
        # %% Values
        x = [[1, 2], [3, 4]]  # a list
        x * 0.5               # half
        #> f32[2, 2]
        #>   [0.5, 1.0],
        for i in 0..<3 { print("{i+1}") }
        while a {
          b; c
        }


        if a { }
        else { }
        fn f(x) {
          # comment
          x
          # last
        }
        model Linear(n) {
          param weight = normal([n])
          param b      = zeros([n])
          param bias   = zeros([n])
        }
        y = q
          |> softmax(axis: 1)
          # in a pipe
          |> fn(z) {
            w = z +
              1
            w
          }
        z = f(a,
          b)
        squares = [
          i^2
          for i in 1...5
        ]
        # end

        """)
    check(source)
  }

  @Test func longLines() {
    let name = String(repeating: "n", count: 30)
    let source = """
      x = f(\(name), g(\(name)), \(name), \(name))
      y = \(name)(1) |> \(name)(2) |> \(name)(3) |> \(name)(4)
      for \(name) in \(name) { a; f(\(name)); b = \(name) }
      \(name) + \(name) + \(name) + \(name)
      """
    #expect(
      format(source) == """
        x = f(
          \(name), g(\(name)), \(name),
          \(name)
        )
        y = \(name)(1)
          |> \(name)(2)
          |> \(name)(3)
          |> \(name)(4)
        for \(name) in \(name) {
          a;
          f(\(name));
          b = \(name)
        }
        \(name) + \(name) + \(name) + \(name)

        """)
    check(source)
  }

  @Test(arguments: Corpus.all)
  func corpus(source: String) {
    check(source)
    #expect(format(source) != nil)
  }

  @Test func mutatedSpace() {
    var random = XorShift(seed: 7)
    for _ in 0..<1_500 {
      var bytes = Array(Corpus.all[Int.random(in: 0..<3, using: &random)].utf8)
      let start = Int.random(in: 0..<bytes.count, using: &random)
      bytes = Array(bytes[start..<min(bytes.count, start + 400)])
      for _ in 0..<6 {
        let place = Int.random(in: 0...bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes.insert(contentsOf: "\n".utf8, at: place)
        case 1: bytes.insert(contentsOf: "   ".utf8, at: place)
        case 2: bytes.insert(contentsOf: " # note\n".utf8, at: place)
        default:
          if place < bytes.count, bytes[place] == 0x20 || bytes[place] == 0x0A {
            bytes.remove(at: place)
          }
        }
      }
      check(String(decoding: bytes, as: UTF8.self))
    }
  }

  /// Every script there is, whole and with mistakes in random places: what still parses keeps its tree, and formatting it
  /// twice is formatting it once.
  @Test func scriptsAndTheirMutations() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    var texts: [String] = []
    for folder in ["Tests/Golden", "stdlib", "scripts"] {
      let files = FileManager.default.enumerator(at: root.appendingPathComponent(folder), includingPropertiesForKeys: nil)
      for case let file as URL in files! where file.pathExtension == "nn" {
        texts.append(String(decoding: try Data(contentsOf: file), as: UTF8.self))
      }
    }
    texts.sort()
    #expect(texts.count > 50)
    for text in texts { check(text) }

    var random = XorShift(seed: 11)
    var formattedCount = 0
    var round = 0
    while formattedCount < 2_000, round < 40_000 {
      round += 1
      // Some lines of a script: most of it would be the same from one mutation to the next.
      let lines = texts[Int.random(in: 0..<texts.count, using: &random)].split(separator: "\n", omittingEmptySubsequences: false)
      let start = Int.random(in: 0..<lines.count, using: &random)
      var bytes = Array(lines[start..<min(lines.count, start + 12)].joined(separator: "\n").utf8)
      for _ in 0..<Int.random(in: 1...3, using: &random) { FuzzTests.mutate(&bytes, &random) }
      let text = String(decoding: bytes, as: UTF8.self)
      guard parse(text).1.isEmpty else { continue }
      formattedCount += 1
      check(text)
    }
    #expect(formattedCount == 2_000)
  }
}
