import Interpreter
import Support
import Syntax

extension Document {
  /// The document as one page that needs nothing else: no network, no script.
  ///
  /// Code is coloured by our own lexer. Over a name stands, while the pointer is there, what it held at that place.
  package var html: String {
    var page = PageWriter(self)
    return page.text()
  }
}

/// Writes the page of a document.
private struct PageWriter {
  let document: Document
  var prose = ProseRenderer()
  private var figureCount = 0
  /// By the byte where a name begins.
  let descriptions: [Int: String]
  let highlights: [Highlight]

  init(_ document: Document) {
    self.document = document
    highlights = Syntax.highlights(of: document.script.file)
    descriptions = Dictionary(
      document.descriptions.filter { $0.key.file === document.script.file }.map { ($0.key.start, $0.value) },
      uniquingKeysWith: { $1 })
  }

  mutating func text() -> String {
    let body = document.cells.map { cell($0) }.filter { !$0.isEmpty }.joined(separator: "\n\n")
    let title = document.title
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
      <title>\(escapedHTML(plain(title)))</title>
      <style>
      \(styleSheet)
      </style>
      </head>
      <body>
      <main>
      \(contents)\(body)
      </main>
      <footer>
      <p>\(escapedHTML(document.name)) · <a download="\(escapedHTML(document.name))" href="\(download)">the script</a>, \
      which <code>gradus \(escapedHTML(document.name))</code> runs</p>
      </footer>
      </body>
      </html>

      """
  }

  /// A title without the marks of code and emphasis.
  private func plain(_ title: String) -> String { title.filter { $0 != "`" && $0 != "*" } }

  private var contents: String {
    guard prose.headings.count > 3 else { return "" }
    let items = prose.headings.map { "<li class=\"level\($0.level)\"><a href=\"#\($0.id)\">\($0.html)</a></li>" }
    return """
      <nav><details>
      <summary>Contents</summary>
      <ul>
      \(items.joined(separator: "\n"))
      </ul>
      </details></nav>


      """
  }

  /// The script itself, in the page.
  private var download: String {
    var text = "data:text/plain;charset=utf-8,"
    for byte in document.script.file.bytes {
      let isPlain = byte < 0x80 && (Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber)
      if isPlain {
        text.unicodeScalars.append(UnicodeScalar(byte))
      } else {
        let digits = String(byte, radix: 16, uppercase: true)
        text += digits.count == 1 ? "%0" + digits : "%" + digits
      }
    }
    return text
  }

  // MARK: - Cells

  private mutating func cell(_ cell: ScriptCell) -> String {
    var blocks: [String] = []
    if !cell.title.isEmpty { blocks.append(prose.heading(cell.title, level: 2)) }
    switch cell.kind {
    case .prose: blocks.append(prose.html(document.script.prose(of: cell)))
    case .code:
      for part in document.parts(of: cell) {
        var block = "<section class=\"entry\">\n<pre class=\"code\"><code>\(code(part))</code></pre>"
        for output in part.entry.map({ document.outputs[$0] }) ?? [] { block += "\n" + html(output) }
        blocks.append(block + "\n</section>")
      }
    }
    return blocks.filter { !$0.isEmpty }.joined(separator: "\n")
  }

  /// A drawing at its own size, or as wide as there is room.
  private mutating func figure(_ svg: String) -> String {
    figureCount += 1
    let id = "figure-\(figureCount)"
    var size = ""
    if let start = svg.firstRange(of: "viewBox=\"0 0 ") {
      size = " style=\"max-width:\(svg[start.upperBound...].prefix { $0.isNumber })px\""
    }
    // Styles of a drawing hold for the whole page unless they are nested.
    let drawing = svg.replacing("<style>", with: "<style>#\(id){").replacing("</style>", with: "}</style>")
    return "<figure id=\"\(id)\"\(size)>\n\(drawing)\n</figure>"
  }

  private mutating func html(_ output: CellOutput) -> String {
    func lines(_ text: String, _ style: String) -> String {
      "<pre class=\"output\(style)\"><samp>\(escapedHTML(text))</samp></pre>"
    }
    let measured = " measured\" title=\"measured in one run"
    switch output {
    case .text(let text, let isMeasured): return lines(text, isMeasured ? measured : "")
    case .value(let value, let isMeasured):
      if let svg = value.svg { return figure(svg) }
      if let html = value.html { return "<div class=\"output table\">\n\(html)\n</div>" }
      return lines(value.text, isMeasured ? measured : "")
    case .warning(let text): return lines(text, " warning")
    case .error(_, _, let text): return lines(text, " error")
    }
  }

  // MARK: - Code

  private func code(_ part: Script.CodePart) -> String {
    part.lines.map { line in code(in: document.script.file.range(ofLine: line)) }.joined(separator: "\n")
  }

  private func code(in range: Range<Int>) -> String {
    let file = document.script.file
    var result = ""
    var position = range.lowerBound
    // The first piece that begins in the line; no token goes over its end.
    var low = 0
    var high = highlights.count
    while low < high {
      let middle = (low + high) / 2
      if highlights[middle].start < range.lowerBound { low = middle + 1 } else { high = middle }
    }
    for piece in highlights[low...] {
      if piece.start >= range.upperBound { break }
      result += escapedHTML(file.text(in: position..<piece.start))
      let end = min(piece.end, range.upperBound)
      result += span(escapedHTML(file.text(in: piece.start..<end)), piece)
      position = end
    }
    return result + escapedHTML(file.text(in: position..<range.upperBound))
  }

  private func span(_ text: String, _ piece: Highlight) -> String {
    let style = piece.kind.style
    if let description = descriptions[piece.start] {
      // It can be touched, but the keyboard does not stop at each name.
      return
        "<span class=\"\(style.isEmpty ? "" : style + " ")about\" tabindex=\"-1\" data-about=\"\(escapedHTML(description))\">\(text)</span>"
    }
    return style.isEmpty ? text : "<span class=\"\(style)\">\(text)</span>"
  }
}

extension Highlight.Kind {
  /// Its class in the style sheet.
  fileprivate var style: String {
    switch self {
    case .keyword: "k"
    case .constant, .number: "n"
    case .string: "s"
    case .comment: "c"
    case .call: "f"
    case .label: "l"
    case .symbol: "o"
    case .member, .name: ""
    }
  }
}

private let styleSheet = """
  :root {
    --paper: #fdfcfa; --ink: #1f2328; --faint: #656d76; --rule: #e2dfd8; --code: #f4f2ec; --accent: #2a5a97;
    --keyword: #8a3b8f; --number: #9a4a00; --string: #2f6f3e; --comment: #6d7178; --call: #2a5a97; --label: #7a5a00;
    --measured: #b98900; --warning: #b06000; --error: #b3261e; --error-paper: #fdf1ef;
    --serif: Charter, "Bitstream Charter", "Iowan Old Style", "Source Serif 4", Georgia, serif;
    --sans: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
    --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace;
  }
  @media screen and (prefers-color-scheme: dark) {
    :root {
      --paper: #16181d; --ink: #dfe2e7; --faint: #9aa1ab; --rule: #30343c; --code: #1e2128; --accent: #83b0ea;
      --keyword: #d59be0; --number: #e8a76a; --string: #93cf9c; --comment: #8a919c; --call: #83b0ea; --label: #d8bd6a;
      --measured: #b08a2a; --warning: #d99a4a; --error: #f08a80; --error-paper: #2a1d1d;
    }
  }
  :root { color-scheme: light dark; }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.6 var(--serif); }
  main, footer { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.5rem 0; }
  p, ul, ol, blockquote, h1, h2, h3, h4 { max-width: 44rem; }
  h1, h2, h3, h4 { font-family: var(--sans); line-height: 1.25; margin: 2.4rem 0 0.8rem; }
  h1 { font-size: 2rem; margin-top: 0.5rem; }
  h2 { font-size: 1.35rem; }
  h3 { font-size: 1.1rem; }
  a { color: var(--accent); }
  code, pre, samp { font-family: var(--mono); }
  code { font-size: 0.88em; }
  :is(p, li, td, th, h1, h2, h3, h4) > code { background: var(--code); border-radius: 3px; padding: 0.1em 0.3em; }
  pre { margin: 0; font-size: 0.83rem; line-height: 1.5; overflow-x: auto; tab-size: 4; }
  pre code, pre samp { font-size: inherit; }
  pre.sample { margin: 1rem 0; padding: 0.7rem 1rem; max-width: 44rem; background: var(--code); border-radius: 6px; }
  li > p, li > ul, li > ol { margin: 0.2em 0; }
  .entry { margin: 1.1rem 0; }
  .code { background: var(--code); border-radius: 6px; padding: 0.7rem 1rem; }
  .output { padding: 0.6rem 1rem 0.1rem 0.9rem; margin-left: 0.2rem; border-left: 3px solid var(--rule); }
  .entry > .code + * { margin-top: 0.45rem; }
  .output + .output { padding-top: 0.35rem; }
  .output.measured { border-left-color: var(--measured); }
  .output.warning { border-left-color: var(--warning); color: var(--warning); }
  .output.error { border-left-color: var(--error); color: var(--error); background: var(--error-paper); padding-bottom: 0.6rem; }
  .k { color: var(--keyword); }
  .n { color: var(--number); }
  .s { color: var(--string); }
  .c { color: var(--comment); font-style: italic; }
  .f { color: var(--call); }
  .l { color: var(--label); }
  .o { color: var(--faint); }
  .about { cursor: help; border-radius: 3px; outline: none; }
  .about:hover, .about:focus { background: color-mix(in srgb, var(--accent) 18%, transparent); }
  .about:hover::before, .about:focus::before {
    content: attr(data-about); position: fixed; z-index: 1; margin-top: -2.3em; padding: 0.25em 0.7em;
    background: var(--ink); color: var(--paper); border-radius: 5px; font: 0.8rem/1.5 var(--mono); font-style: normal;
    white-space: pre; pointer-events: none; max-width: 90vw; overflow: hidden; text-overflow: ellipsis;
  }
  figure { margin: 0.6rem 0; }
  figure svg { display: block; width: 100%; height: auto; overflow: visible; }
  table { border-collapse: collapse; font: 0.88rem/1.5 var(--sans); margin: 0.6rem 0; }
  th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid var(--rule); font-variant-numeric: tabular-nums; text-align: left; }
  .right { text-align: right; }
  caption { color: var(--faint); padding-bottom: 0.4rem; }
  .table th, .table td { white-space: nowrap; }
  .table { overflow-x: auto; font: 0.88rem/1.5 var(--sans); }
  blockquote { margin: 1rem 0; padding-left: 1rem; border-left: 3px solid var(--rule); color: var(--faint); }
  hr { border: 0; border-top: 1px solid var(--rule); margin: 2rem 0; }
  nav { font-family: var(--sans); font-size: 0.92rem; margin-bottom: 1.5rem; }
  nav ul { list-style: none; padding: 0.3rem 0 0; margin: 0; }
  nav li.level2 { padding-left: 1.2rem; }
  nav li.level3, nav li.level4, nav li.level5, nav li.level6 { padding-left: 2.4rem; }
  nav a { text-decoration: none; }
  summary { cursor: pointer; color: var(--faint); }
  footer { padding-bottom: 2.5rem; margin-top: 2rem; color: var(--faint); font: 0.85rem/1.5 var(--sans); }
  footer p { border-top: 1px solid var(--rule); padding-top: 0.8rem; max-width: none; }
  @media (max-width: 40rem) {
    body { font-size: 1rem; }
    main, footer { padding-left: 1rem; padding-right: 1rem; }
    main { padding-top: 1.5rem; }
    h1 { font-size: 1.55rem; }
    pre { font-size: 0.75rem; }
    .code { margin: 0 -0.5rem; padding: 0.6rem; }
    .about:hover::before, .about:focus::before {
      left: 0.5rem; right: 0.5rem; bottom: 0.5rem; margin: 0; padding: 0.6em 0.9em; max-width: none; white-space: pre-wrap;
    }
  }
  @media print {
    @page { margin: 18mm 16mm; }
    body { background: none; font-size: 10.5pt; }
    main, footer { max-width: none; padding: 0; }
    p, ul, ol, blockquote { max-width: none; }
    nav, .about::before { display: none; }
    pre { white-space: pre-wrap; font-size: 8.5pt; overflow: visible; }
    .code { border: 0.5pt solid var(--rule); -webkit-print-color-adjust: exact; print-color-adjust: exact; }
    figure, tr { break-inside: avoid; }
    h1, h2, h3 { break-after: avoid; }
    a { color: inherit; text-decoration: none; }
  }
  """
