import Support

/// Parses a file. A program with errors holds the statements that were understood.
package func parse(_ file: SourceFile) -> (program: Program, diagnostics: [Diagnostic]) {
  var parser = Parser(file)
  let program = parser.parseProgram()
  return (program, parser.diagnostics)
}

/// Thrown from where a statement stops making sense to where the next one begins; the diagnostic has been
/// noted by then.
struct Abandoned: Error {}

/// A recursive-descent parser, with operators by precedence climbing.
///
/// Every function leaves `index` behind what it parsed. A statement that fails is dropped and the next is
/// sought by lines, brackets and indentation (`skipStatement`), so that one mistake is one diagnostic.
struct Parser {
  /// How deep a syntax tree may be; later stages recurse over it.
  static let deepest = 500
  static let mostDiagnostics = 100

  let file: SourceFile
  let bytes: [UInt8]
  var tokens: [Token]
  /// What was passed over; the formatter puts it back.
  let comments: [Comment]
  /// The first tokens of all statements and members, in order.
  private(set) var itemStarts: [Int] = []
  var index = 0
  var diagnostics: [Diagnostic]
  var context = Context()
  /// The first token of the statement or member being parsed.
  private var itemStart = 0
  /// The height of the highest tree parsed since a caller last set this to 0. Loops grow trees without
  /// recursion (`a + b + c …`), so depth alone does not bound them.
  var height = 0
  /// Whether the first complaint was that the text ends too early.
  private(set) var endsEarly = false
  var hasReportedEnd = false
  /// Whether a statement has been given up. What follows may then stand where it does not belong.
  private(set) var hasAbandoned = false
  /// Names that failed statements would have bound.
  var abandonedNames: [String] = []

  /// What holds inside the construct being parsed, put back at its end.
  struct Context {
    /// Whether a newline ends the expression: yes in blocks, no in brackets.
    var newlineEnds = true
    /// Which function's body this is the end of, if any: it takes `with grad:`, the expression does not.
    var gradientOwner = GradientOwner.none
    var isInLoop = false
    var isInFunction = false
    var depth = 0
  }

  enum GradientOwner { case none, literal, declaration }

  init(_ file: SourceFile) {
    let lexed = Lexer.lex(file)
    self.file = file
    bytes = file.bytes
    tokens = lexed.tokens
    comments = lexed.comments
    diagnostics = lexed.diagnostics
  }

  mutating func parseProgram() -> Program {
    var statements: [Statement] = []
    while true {
      let parsed = parseItems { parser throws(Abandoned) in try parser.parseStatement() }
      statements += parsed
      if kind == .endOfFile { break }
      // Only a closing brace stops the items early, and at the top level it closes nothing.
      reportUnexpected(expected: "a statement")
      index += 1
    }
    diagnostics.sort { ($0.site?.start ?? 0) < ($1.site?.start ?? 0) }
    return Program(file: file, statements: statements, abandonedNames: abandonedNames)
  }

  // MARK: - Tokens

  var token: Token { tokens[index] }
  var kind: TokenKind { tokens[index].kind }
  /// The kind of the token after the next; the last token is followed by itself.
  var following: Token { tokens[min(index + 1, tokens.count - 1)] }

  /// Whether the statement ends before the current token.
  var isAtLineEnd: Bool {
    let token = tokens[index]
    return token.startsLine && context.newlineEnds && !token.kind.continuesLine
      || token.kind == .endOfFile
  }

  mutating func take(_ kind: TokenKind) -> Bool {
    guard self.kind == kind else { return false }
    index += 1
    return true
  }

  mutating func expect(_ kind: TokenKind, _ purpose: String = "") throws(Abandoned) {
    if take(kind) { return }
    try fail(expected: "`\(kind.spelling ?? "")`\(purpose)")
  }

  /// Takes a name; any word will do where `isAnyWord`, as after `.`.
  mutating func takeName(_ what: String, isAnyWord: Bool = false) throws(Abandoned) -> Name {
    let token = token
    guard token.kind.isName || isAnyWord && token.kind.isWord else {
      if token.kind.isKeyword {
        try fail(
          Diagnostic(
            "syntax", "`\(text(of: token))` is a keyword and cannot be \(what)",
            at: site(of: token)))
      }
      try fail(expected: what)
    }
    index += 1
    return Name(text(of: token), at: site(of: token))
  }

  func text(of token: Token) -> String {
    String(decoding: bytes[token.start..<token.end], as: UTF8.self)
  }

  // MARK: - Sites

  func site(of token: Token) -> Site { Site(file: file, start: token.start, end: token.end) }

  /// Returns the site from the token at `first` to the one before the current.
  func site(from first: Int) -> Site {
    let start = tokens[first].start
    return Site(file: file, start: start, end: index > first ? tokens[index - 1].end : start)
  }

  /// The empty place after the last token parsed.
  var siteAfterPrevious: Site {
    let end = index > 0 ? tokens[index - 1].end : 0
    return Site(file: file, start: end, end: end)
  }

  /// Returns the column (from 0, in bytes) of a token.
  func indentation(of token: Token) -> Int {
    var start = token.start
    while start > 0, bytes[start - 1] != 0x0A { start -= 1 }
    return token.start - start
  }

  // MARK: - Depth

  /// Enters a construct; callers put the context back.
  mutating func descend() throws(Abandoned) {
    context.depth += 1
    if context.depth > Self.deepest { try failTooDeep() }
  }

  /// Notes that a node was put on top of what was parsed.
  mutating func grow() throws(Abandoned) {
    height += 1
    if height > Self.deepest { try failTooDeep() }
  }

  private mutating func failTooDeep() throws(Abandoned) -> Never {
    try fail(
      Diagnostic(
        "nesting-too-deep", "this nests more than \(Self.deepest) deep", at: site(of: token),
        help: "give a part of it a name first"))
  }

  // MARK: - Items: statements and members

  /// Parses items up to a closing brace or the end of the file, passing over those that fail.
  mutating func parseItems<Item>(_ parse: (inout Parser) throws(Abandoned) -> Item) -> [Item] {
    var items: [Item] = []
    let outer = context
    while true {
      while take(.semicolon) {}
      if kind == .rightBrace || kind == .endOfFile { return items }
      let first = index
      itemStart = first
      itemStarts.append(first)
      do throws(Abandoned) {
        items.append(try parse(&self))
      } catch {
        context = outer
        hasAbandoned = true
        noteAbandonedName(at: first)
        skipStatement(from: first)
        // What has so many mistakes is no program, and nobody reads on.
        if diagnostics.count >= Self.mostDiagnostics { index = tokens.count - 1 }
      }
    }
  }

  /// Ends an item at a newline, a `;` or a closing brace. Returns whether it was `;`.
  mutating func endItem(from first: Int) throws(Abandoned) -> Bool {
    if take(.semicolon) { return true }
    if kind == .rightBrace || kind == .endOfFile || token.startsLine { return false }
    try failAfterItem(from: first)
  }

  /// Parses items in braces. Inside, newlines end statements whatever the braces stand in.
  mutating func parseBraced<Item>(
    _ purpose: String, _ parse: (inout Parser) throws(Abandoned) -> Item
  ) throws(Abandoned) -> (items: [Item], site: Site) {
    let opener = index
    guard kind == .leftBrace else { try failBeforeBlock(purpose) }
    let outer = context
    try descend()
    context.newlineEnds = true
    context.gradientOwner = .none
    index += 1
    let items = parseItems(parse)
    try expect(.rightBrace, " to close the block")
    context = outer
    try grow()
    return (items, site(from: opener))
  }

  mutating func parseBlock(_ purpose: String) throws(Abandoned) -> Block {
    let (statements, site) = try parseBraced(purpose) { parser throws(Abandoned) in
      try parser.parseStatement()
    }
    return Block(statements, at: site)
  }

  /// Parses a bracketed, comma-separated list; the current token is its opener.
  mutating func parseList<Item>(
    of what: String, _ parse: (inout Parser) throws(Abandoned) -> Item
  ) throws(Abandoned) -> (items: [Item], endsInComma: Bool) {
    let opener = token
    let closer = opener.kind.closer ?? .rightParen
    let outer = context
    try descend()
    context.newlineEnds = false
    context.gradientOwner = .none
    index += 1
    var items: [Item] = []
    var endsInComma = false
    while kind != closer {
      items.append(try parse(&self))
      endsInComma = take(.comma)
      if !endsInComma, kind != closer { try failInList(of: what, opener: opener, closer: closer) }
    }
    index += 1
    context = outer
    return (items, endsInComma)
  }

  // MARK: - Diagnostics

  /// Whether the parser stands before a piece that the lexer has complained about.
  var isLexical: Bool { kind == .invalid }

  /// Notes a diagnostic and goes on.
  mutating func report(_ diagnostic: Diagnostic) {
    diagnostics.append(diagnostic)
  }

  /// Notes a diagnostic and gives the statement up.
  mutating func fail(_ diagnostic: Diagnostic) throws(Abandoned) -> Never {
    if !isLexical { report(diagnostic) }
    throw Abandoned()
  }

  mutating func fail(expected: String, help: String? = nil) throws(Abandoned) -> Never {
    reportUnexpected(expected: expected, help: help)
    throw Abandoned()
  }

  /// Fails where something must come on this line, so that a further line would not mend it.
  mutating func fail(expectedOnLine expected: String, help: String? = nil) throws(Abandoned)
    -> Never
  {
    let couldEndEarly = endsEarly
    reportUnexpected(expected: expected, help: help)
    endsEarly = couldEndEarly
    throw Abandoned()
  }

  /// Notes that the current token does not fit.
  mutating func reportUnexpected(expected: String, help: String? = nil) {
    if isLexical { return }
    if kind.isCloser, token.partner == -1 {
      return report(
        Diagnostic(
          "unmatched-bracket", "`\(text(of: token))` closes nothing", at: site(of: token),
          help: help))
    }
    if kind == .endOfFile, diagnostics.isEmpty { endsEarly = true }
    let isBreak = isAtLineEnd && index != itemStart
    report(
      Diagnostic(
        "syntax", "expected \(expected), found \(foundDescription)",
        at: isBreak ? siteAfterPrevious : site(of: token), help: help))
  }

  /// The current token in words.
  var foundDescription: String {
    if kind == .endOfFile { return "the end of the text" }
    if isAtLineEnd, index != itemStart { return "the end of the line" }
    switch kind {
    case .stringOpen: return "a string"
    case .stringClose: return "the end of the string"
    case .stringText: return "text"
    default: return "`\(text(of: token))`"
    }
  }
}
