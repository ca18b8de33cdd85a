import Support
import Testing

@Suite struct RendererTests {
  private let digits = SourceFile(
    name: "digits.nn",
    text: """
      x = load("x")
      w1 = normal([784, 128])
      w2 = normal([64, 10])

      fn net(x) {
        h = x @ w1
        relu(h @ w2 |> scale)
      }
      net(x)
      """)

  /// Returns the site of the `occurrence`-th (from 1) place where a file holds `text`.
  private func site(_ text: String, _ occurrence: Int = 1, in file: SourceFile) -> Site {
    let wanted = Array(text.utf8)
    var left = occurrence
    for start in file.bytes.indices where file.bytes[start...].starts(with: wanted) {
      left -= 1
      if left == 0 { return Site(file: file, start: start, end: start + wanted.count) }
    }
    Issue.record("no `\(text)` in \(file.name)")
    return Site(file: file, start: 0, end: 0)
  }

  private func expect(
    _ diagnostic: Diagnostic, renders expected: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let rendered = render(diagnostic, color: false)
    #expect(rendered == expected, "rendered:\n\(rendered)", sourceLocation: sourceLocation)
    let hasTrailingSpace = rendered.split(separator: "\n").contains { $0.last == " " }
    #expect(!hasTrailingSpace, sourceLocation: sourceLocation)
  }

  @Test func shapeErrorOfTheGallery() {
    var diagnostic = Diagnostic(
      "shape-mismatch", "matmul: inner sizes differ, 128 and 64", at: site("@", 2, in: digits),
      labels: [
        .init(
          site: site("h", 2, in: digits),
          text: "h : f32[32, 128]            made at digits.nn:6 by `x @ w1`"),
        .init(
          site: site("w2", 2, in: digits),
          text: "w2 : f32[64, 10]     made at digits.nn:3 by `normal([64, 10])`"),
      ],
      notes: ["the columns of `h` (128) must equal the rows of `w2` (64)"],
      help: "make `w2` with `normal([128, 10])`")
    diagnostic.trace = [.init(site: site("net(x)", 2, in: digits), text: "fn net")]
    expect(
      diagnostic,
      renders: """
        error[shape-mismatch]: matmul: inner sizes differ, 128 and 64
          --> digits.nn:7:10
           |
         7 |   relu(h @ w2 |> scale)
           |        - ^ -- w2 : f32[64, 10]     made at digits.nn:3 by `normal([64, 10])`
           |        |
           |        h : f32[32, 128]            made at digits.nn:6 by `x @ w1`
           |
           = the columns of `h` (128) must equal the rows of `w2` (64)
           = help: make `w2` with `normal([128, 10])`
           = in fn net called at digits.nn:9
        """)
  }

  @Test func withoutSiteOrExtras() {
    expect(
      Diagnostic(
        .warning, "missing-file", "no file `a.nn`", at: nil, help: "see `gradus help run`"),
      renders: """
        warning[missing-file]: no file `a.nn`
           = help: see `gradus help run`
        """)
    expect(
      Diagnostic("syntax", "expected an expression", at: site("x", in: digits)),
      renders: """
        error[syntax]: expected an expression
          --> digits.nn:1:1
           |
         1 | x = load("x")
           | ^
        """)
  }

  @Test func labelsOnOtherLines() {
    expect(
      Diagnostic(
        "unclosed-bracket", "not closed", at: site("net(x)", 2, in: digits),
        labels: [
          .init(site: site("load", in: digits), text: "far"),
          .init(site: site("fn net", in: digits), text: "near"),
          .init(site: site("relu", in: digits), text: "nearer"),
          .init(site: site("scale", in: digits), text: "on the same line"),
        ]),
      renders: """
        error[unclosed-bracket]: not closed
          --> digits.nn:9:1
           |
         1 | x = load("x")
           |     ---- far
        ...
         5 | fn net(x) {
           | ------ near
         6 |   h = x @ w1
         7 |   relu(h @ w2 |> scale)
           |   ----           ----- on the same line
           |   |
           |   nearer
         8 | }
         9 | net(x)
           | ^^^^^^
        """)
  }

  @Test func threeLabelsHangInOrder() {
    let file = SourceFile(name: "a.nn", text: "where(c, x, y)")
    expect(
      Diagnostic(
        "shape-mismatch", "these do not broadcast", at: site("where(c, x, y)", in: file),
        labels: [
          .init(site: site("c", in: file), text: "f32[2]"),
          .init(site: site("x", in: file), text: "f32[3]"),
          .init(site: site("y", in: file), text: "f32[4]"),
        ]),
      renders: """
        error[shape-mismatch]: these do not broadcast
          --> a.nn:1:1
           |
         1 | where(c, x, y)
           | ^^^^^^^^^^^^^^
           |       |  |  |
           |       |  |  f32[4]
           |       |  f32[3]
           |       f32[2]
        """)
  }

  @Test func labelsInOtherFiles() {
    let library = SourceFile(name: "stdlib/core.nn", text: "# core\nfn mean(x) = sum(x) / n\n")
    expect(
      Diagnostic(
        "arity", "mean takes 1 argument", at: site("net(x)", 2, in: digits),
        labels: [.init(site: site("mean(x)", in: library), text: "declared here")]),
      renders: """
        error[arity]: mean takes 1 argument
          --> digits.nn:9:1
           |
         9 | net(x)
           | ^^^^^^
          ::: stdlib/core.nn:2:4
           |
         2 | fn mean(x) = sum(x) / n
           |    ------- declared here
        """)
  }

  @Test func tabsAndWideTextKeepTheCaretInPlace() {
    let file = SourceFile(name: "t.nn", text: "\tx = \"变量 é e\u{301} 😀\" + y\tz")
    expect(
      Diagnostic(
        "unknown-name", "no `y` here", at: site("y", in: file),
        labels: [
          .init(site: site("z", in: file), text: "变"), .init(site: site("变", in: file), text: "w"),
        ]),
      renders: """
        error[unknown-name]: no `y` here
          --> t.nn:1:20
           |
         1 |     x = "变量 é e\u{301} 😀" + y   z
           |          --             ^   - 变
           |          |
           |          w
        """)
  }

  @Test func charactersThatActOnTheTerminalAreReplaced() {
    let file = SourceFile(name: "t.nn", text: "a\u{1B}[31m \u{202E}b + \0c")
    let rendered = render(Diagnostic("syntax", "m", at: site("c", in: file)), color: false)
    #expect(rendered.contains(" 1 | a␛[31m \u{FFFD}b + ␀c"))
  }

  @Test func sitesAtTheEndOverLinesAndBeyond() {
    let file = SourceFile(name: "t.nn", text: "f(\n  1,\n")
    expect(
      Diagnostic("syntax", "end", at: Site(file: file, start: 8, end: 8)),
      renders: """
        error[syntax]: end
          --> t.nn:3:1
           |
         3 |
           | ^
        """)
    expect(
      Diagnostic("syntax", "over lines", at: Site(file: file, start: 0, end: 7)),
      renders: """
        error[syntax]: over lines
          --> t.nn:1:1
           |
         1 | f(
           | ^^
        """)
    let beyond = render(
      Diagnostic("syntax", "beyond", at: Site(file: file, start: 90, end: 99)), color: false)
    #expect(beyond.hasSuffix(" 3 |\n   | ^"))
    let empty = SourceFile(name: "e.nn", text: "")
    #expect(
      render(Diagnostic("syntax", "e", at: Site(file: empty, start: 0, end: 0)), color: false)
        .hasSuffix(" 1 |\n   | ^"))
  }

  @Test func hugeLinesAreCutAroundTheCaret() {
    let filler = String(repeating: "0, ", count: 300)
    let file = SourceFile(name: "t.nn", text: "x = [\(filler)bad, \(filler)]")
    let lines = render(
      Diagnostic(
        "syntax", "m", at: site("bad", in: file),
        labels: [.init(site: site("x", in: file), text: "far to the left")]), color: false
    ).split(separator: "\n").map(String.init)
    let source = lines[3].unicodeScalars.map { $0 }
    #expect(source.count <= 130)
    #expect(lines[3].hasPrefix(" 1 | …") && lines[3].hasSuffix("…"))
    let caret = lines[4].unicodeScalars.firstIndex(of: "^")?.utf16Offset(in: lines[4]) ?? 0
    #expect(source[caret] == "b")
  }

  @Test func longTracesAreCut() {
    var diagnostic = Diagnostic("too-deep", "the call depth is over 10000", at: nil)
    diagnostic.trace = [Diagnostic.Label](
      repeating: .init(site: site("net(x)", 2, in: digits), text: "fn net"), count: 10_000)
    let lines = render(diagnostic, color: false).split(separator: "\n")
    #expect(lines.count == 10)
    #expect(lines[7] == "   = … 9992 more calls")
  }

  @Test func colourOnlyAddsEscapes() {
    let diagnostic = Diagnostic(
      "syntax", "m", at: site("@", in: digits),
      labels: [.init(site: site("w1", 2, in: digits), text: "f32[2]")], help: "h")
    let colored = render(diagnostic, color: true)
    #expect(colored.hasPrefix("\u{1B}[1;31merror[syntax]\u{1B}[0m\u{1B}[1m: m\u{1B}[0m\n"))
    #expect(colored.contains("\u{1B}[1;31m^\u{1B}[0m"))
    #expect(colored.replacing(/\u{1B}\[[0-9;]*m/, with: "") == render(diagnostic, color: false))
  }

  @Test func internalErrorsAskForAReport() {
    #expect(
      "\(InternalError("planner", "two buffers overlap"))"
        == "internal error in planner: two buffers overlap, please report")
  }
}

@Suite struct DidYouMeanTests {
  private let names = [
    "relu", "gelu", "train", "mean", "median", "softmax", "log_softmax", "x", "w1", "w2",
  ]

  @Test(arguments: [
    ("trian", "train"), ("rleu", "relu"), ("Relu", "relu"), ("softmx", "softmax"),
    ("sotfmaxx", "softmax"),
    ("meen", "mean"), ("log_softmx", "log_softmax"), ("w3", "w1"), ("geluu", "gelu"),
    ("SOFTMAX", "softmax"),
  ])
  func finds(name: String, expected: String) {
    #expect(didYouMean(name, among: names) == expected)
    #expect(didYouMean(name, among: names.reversed()) == expected)
  }

  @Test(arguments: ["y", "", "banana", "cross_entropy", "tr", "train"])
  func findsNothing(name: String) {
    #expect(didYouMean(name, among: names) == nil)
  }
}

extension Diagnostic {
  fileprivate init(
    _ code: String, _ message: String, at site: Site?, labels: [Label] = [], notes: [String] = [],
    help: String? = nil
  ) {
    self.init(.error, code, message, at: site, labels: labels, notes: notes, help: help)
  }
}
