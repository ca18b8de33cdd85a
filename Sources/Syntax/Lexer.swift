import Support

/// What the lexer makes of a file. Its last token is always `endOfFile`.
struct LexedFile: Sendable {
  var tokens: [Token] = []
  var comments: [Comment] = []
  var diagnostics: [Diagnostic] = []
}

/// Cuts a file into tokens and pairs its brackets.
///
/// Newlines are no tokens: a token knows whether it starts its line, and the parser decides what that means.
/// Brackets are paired here, because pairing sees the whole file: the parser recovers by it, and tells an
/// unclosed bracket from a missing comma.
struct Lexer {
  let file: SourceFile
  /// The text and a final zero, so that a byte can be looked at before asking whether it is there.
  let bytes: [UInt8]
  let count: Int
  var offset = 0
  var startsLine = true
  /// Indices of open brackets and interpolations, innermost last.
  private var open: [Int] = []
  /// Indices of the `stringOpen` tokens whose interpolations are open, innermost last.
  private var openStrings: [Int] = []
  var lexed = LexedFile()
  private let tables = LexerTables.shared

  init(_ file: SourceFile) {
    self.file = file
    count = file.bytes.count
    bytes = file.bytes + [0]
    lexed.tokens.reserveCapacity(count / 3 + 16)
  }

  static func lex(_ file: SourceFile) -> LexedFile {
    var lexer = Lexer(file)
    lexer.run()
    return lexer.lexed
  }

  private mutating func run() {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }
    while true {
      let byte = bytes[offset]
      switch tables.classes[Int(byte)] {
      case .space:
        offset += 1
      case .newline:
        if !openStrings.isEmpty { closeStrings() }
        offset += 1
        startsLine = true
      case .letter:
        lexWord()
      case .digit:
        lexNumber()
      case .symbol:
        lexSymbol(byte)
      case .quote:
        append(.stringOpen, length: 1)
        lexStringBody(openedBy: lexed.tokens.count - 1)
      case .hash:
        lexComment()
      case .singleQuote:
        lexForeignQuoted(closer: "'")
      case .other:
        if byte == 0, offset == count {
          if !openStrings.isEmpty { closeStrings() }
          append(.endOfFile, length: 0)
          return
        }
        lexOther()
      }
    }
  }

  // MARK: - Names, operators, comments

  private mutating func lexWord() {
    let start = offset
    // Keywords are lower-case letters, five bits each; any other byte makes the code no keyword's.
    var code: UInt64 = 0
    var isPlain = true
    while true {
      let byte = bytes[offset]
      let byteClass = tables.classes[Int(byte)]
      if byteClass == .letter || byteClass == .digit {
        code = code &<< 5 | UInt64(byte & 31)
        isPlain = isPlain && byte >= 0x61
        offset += 1
      } else if byte >= 0x80, let length = identifierScalarLength(canStart: false) {
        isPlain = false
        offset += length
      } else {
        break
      }
    }
    let isCandidate = isPlain && offset - start <= LexerTables.longestKeyword
    append(isCandidate ? tables.keyword(code) ?? .name : .name, from: start)
  }

  private mutating func lexSymbol(_ byte: UInt8) {
    let second = bytes[offset + 1]
    for row in tables.operators[Int(byte)] where row.length == 1 || row.second == second {
      if row.length == 3, bytes[offset + 2] != row.third { continue }
      if row.kind == .colon, openStrings.count > 0, isInterpolation(open.last) {
        return lexFormat()
      }
      if row.kind == .rightBrace, isInterpolation(open.last) {
        return closeInterpolation()
      }
      append(row.kind, length: row.length)
      if row.kind.isOpener { open.append(lexed.tokens.count - 1) }
      if row.kind.isCloser { pair(row.kind) }
      return
    }
    lexOther()
  }

  private mutating func lexComment() {
    let start = offset
    while bytes[offset] != 0x0A, offset < count { offset += 1 }
    var end = offset
    if end > start, bytes[end - 1] == 0x0D { end -= 1 }
    lexed.comments.append(Comment(start: start, end: end, ownsLine: startsLine))
  }

  /// Lexes what begins with a byte that no table row takes: a letter beyond ASCII, or a mistake.
  private mutating func lexOther() {
    if bytes[offset] >= 0x80, identifierScalarLength(canStart: true) != nil { return lexWord() }
    if bytes[offset...].starts(with: "“".utf8) { return lexForeignQuoted(closer: "”") }
    lexBadCharacter()
  }

  private mutating func lexBadCharacter() {
    let start = offset
    offset += max(scalarLength(at: offset), 1)
    let text = file.text(in: start..<offset)
    let shown = bytes[start] < 0x20 || text == "\u{FFFD}" ? "byte \(bytes[start])" : "`\(text)`"
    report(
      Diagnostic(
        "bad-character", "\(shown) means nothing here", at: site(start, offset),
        help: Mistakes.characterHelp[text]))
    append(.invalid, from: start)
  }

  // MARK: - Brackets

  /// Pairs the closing bracket just appended with the innermost opener of its kind in the same string.
  private mutating func pair(_ closer: TokenKind) {
    let index = lexed.tokens.count - 1
    for depth in open.indices.reversed() {
      let opener = open[depth]
      if lexed.tokens[opener].kind == .interpolationOpen { return }
      if lexed.tokens[opener].kind.closer == closer {
        // Passing over brackets of other kinds is a guess, a safe one for braces and within a line.
        let isGuess = depth < open.count - 1 && closer != .rightBrace
        if isGuess, lexed.tokens[opener...].dropFirst().contains(where: \.startsLine) { return }
        lexed.tokens[opener].partner = index
        lexed.tokens[index].partner = opener
        // What was opened inside and never closed stays without a partner.
        open.removeSubrange(depth...)
        return
      }
      // A brace is too weighty to be passed over for the sake of a stray `)` or `]`.
      if lexed.tokens[opener].kind == .leftBrace { return }
    }
  }

  private func isInterpolation(_ index: Int?) -> Bool {
    guard let index else { return false }
    return lexed.tokens[index].kind == .interpolationOpen
  }

  // MARK: - Strings

  /// Lexes the text after a quote, or after an interpolation, up to the next interpolation or the end.
  private mutating func lexStringBody(openedBy opener: Int) {
    let start = offset
    while true {
      switch bytes[offset] {
      case UInt8(ascii: "\""):
        appendText(from: start)
        append(.stringClose, length: 1)
        return
      case UInt8(ascii: "\\"):
        offset += 1
        if bytes[offset] == UInt8(ascii: "u"), bytes[offset + 1] == UInt8(ascii: "{") {
          // The braces of `\u{…}` are no interpolation.
          offset += 2
        } else if bytes[offset] != 0x0A, offset < count {
          offset += 1
        }
      case UInt8(ascii: "{") where bytes[offset + 1] == UInt8(ascii: "{"):
        offset += 2
      case UInt8(ascii: "{"):
        appendText(from: start)
        append(.interpolationOpen, length: 1)
        open.append(lexed.tokens.count - 1)
        openStrings.append(opener)
        return
      case 0x0A:
        appendText(from: start)
        return reportUnclosed(openStrings.first ?? opener)
      case 0 where offset == count:
        appendText(from: start)
        return reportUnclosed(openStrings.first ?? opener)
      default:
        offset += 1
      }
    }
  }

  private mutating func appendText(from start: Int) {
    if offset <= start { return }
    append(.stringText, from: start)
    // Bytes that are no text would become another text, silently.
    guard let wrong = invalidByte(in: start..<offset) else { return }
    report(
      Diagnostic(
        "bad-character", "byte \(bytes[wrong]) is not UTF-8 text", at: site(wrong, wrong + 1),
        help: "save the file as UTF-8"))
  }

  /// Returns where a range stops being UTF-8, nil where it never does.
  private func invalidByte(in range: Range<Int>) -> Int? {
    if bytes[range].allSatisfy({ $0 < 0x80 }) { return nil }
    var parser = Unicode.UTF8.ForwardParser()
    var rest = bytes[range].makeIterator()
    var index = range.lowerBound
    while true {
      switch parser.parseScalar(from: &rest) {
      case .valid(let scalar): index += scalar.count
      case .emptyInput: return nil
      case .error: return index
      }
    }
  }

  /// Takes `:.4` before the `}` of an interpolation as one token.
  private mutating func lexFormat() {
    let start = offset
    while offset < count, bytes[offset] != UInt8(ascii: "}"), bytes[offset] != UInt8(ascii: "\""),
      bytes[offset] != 0x0A
    {
      offset += 1
    }
    append(.format, from: start)
  }

  private mutating func closeInterpolation() {
    append(.interpolationClose, length: 1)
    if let opener = open.popLast() {
      lexed.tokens[opener].partner = lexed.tokens.count - 1
      lexed.tokens[lexed.tokens.count - 1].partner = opener
    }
    if let string = openStrings.popLast() { lexStringBody(openedBy: string) }
  }

  /// Reports the strings left open where a line ends inside an interpolation.
  private mutating func closeStrings() {
    if let outermost = openStrings.first { reportUnclosed(outermost) }
  }

  private mutating func reportUnclosed(_ opener: Int) {
    let quote = lexed.tokens[opener]
    var labels = [Diagnostic.Label(site: site(quote.start, quote.end), text: "it starts here")]
    if let first = open.first(where: { $0 > opener && isInterpolation($0) }) {
      let brace = lexed.tokens[first]
      labels.append(
        Diagnostic.Label(
          site: site(brace.start, brace.end), text: "an interpolation; a plain brace is `{{`"))
    }
    var end = offset
    if end > 0, bytes[end - 1] == 0x0D { end -= 1 }
    report(
      Diagnostic(
        "unclosed-string", "a string must end on the line it starts on", at: site(end, end),
        labels: labels, help: "close it with `\"`; a line break inside a string is written `\\n`"))
    open.removeAll { $0 > opener }
    openStrings.removeAll()
    append(.invalid, length: 0)
  }

  /// Takes a string in quotes of another kind as one in plain double quotes, with a diagnostic.
  private mutating func lexForeignQuoted(closer: String) {
    let start = offset
    // Both quotes of a kind take as many bytes.
    let length = closer.utf8.count
    var end = offset + length
    while end < count, bytes[end] != 0x0A, !bytes[end...].starts(with: closer.utf8) { end += 1 }
    guard end < count, bytes[end] != 0x0A, openStrings.isEmpty else { return lexBadCharacter() }
    report(
      Diagnostic(
        "syntax", "strings are written in plain double quotes", at: site(start, end + length),
        help: "write `\"\(file.text(in: start + length..<end))\"`"))
    append(.stringOpen, length: length)
    offset = end
    appendText(from: start + length)
    append(.stringClose, length: length)
  }

  // MARK: - Tokens and diagnostics

  mutating func append(_ kind: TokenKind, length: Int) {
    offset += length
    append(kind, from: offset - length)
  }

  mutating func append(_ kind: TokenKind, from start: Int) {
    lexed.tokens.append(Token(kind: kind, startsLine: startsLine, start: start, end: offset))
    startsLine = false
  }

  mutating func report(_ diagnostic: Diagnostic) {
    if lexed.diagnostics.count < Parser.mostDiagnostics { lexed.diagnostics.append(diagnostic) }
  }

  func site(_ start: Int, _ end: Int) -> Site { Site(file: file, start: start, end: end) }

  func byteClass(at offset: Int) -> ByteClass { tables.classes[Int(bytes[offset])] }

  /// Returns how many bytes the scalar at `offset` takes, or 0 where the bytes are not UTF-8.
  private func scalarLength(at offset: Int) -> Int {
    decodeScalar(at: offset) == nil ? 0 : Unicode.UTF8.width(ofLead: bytes[offset])
  }

  private func decodeScalar(at offset: Int) -> Unicode.Scalar? {
    let width = Unicode.UTF8.width(ofLead: bytes[offset])
    guard offset + width <= count else { return nil }
    var decoder = Unicode.UTF8()
    var bytes = bytes[offset..<offset + width].makeIterator()
    guard case .scalarValue(let scalar) = decoder.decode(&bytes) else { return nil }
    return scalar
  }

  /// Returns the length of the scalar at the current offset where a name may hold (or begin with) it.
  private func identifierScalarLength(canStart: Bool) -> Int? {
    guard let scalar = decodeScalar(at: offset) else { return nil }
    let fits = canStart ? scalar.properties.isXIDStart : scalar.properties.isXIDContinue
    return fits ? Unicode.UTF8.width(ofLead: bytes[offset]) : nil
  }
}

extension Unicode.UTF8 {
  /// The number of bytes that a scalar with this first byte takes.
  fileprivate static func width(ofLead byte: UInt8) -> Int {
    byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
  }
}

extension Diagnostic {
  /// Makes an error; syntax has no other kind.
  init(
    _ code: String, _ message: String, at site: Site, labels: [Label] = [], help: String? = nil
  ) {
    self.init(.error, code, message, at: site, labels: labels, notes: [], help: help)
  }
}
