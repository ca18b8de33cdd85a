import Support

/// Returns the canonical text of a program, or nil where it does not parse.
///
/// Only space changes: indentation is two columns a bracket, operators and punctuation are spaced alike, at
/// most two lines are blank, and lines over 100 columns are broken where a newline means nothing. Where the
/// author broke lines they stay broken. Tokens, comments, cells and expected output (`#>`, `#~`, `#!`)
/// stay as they are, so the syntax tree does too, and formatting twice is formatting once.
package func format(_ file: SourceFile) -> String? {
  var parser = Parser(file)
  _ = parser.parseProgram()
  guard parser.diagnostics.isEmpty else { return nil }
  var formatter = Formatter(parser)
  return formatter.format()
}

/// What the formatter moves: a token, or a whole string literal.
struct FormatUnit {
  let kind: TokenKind
  let start: Int
  let end: Int
  let startsLine: Bool
  /// Whether it begins a statement or member.
  let startsItem: Bool
  let text: String
  let width: Int
  /// The unit of the matching bracket; -1 for other units.
  var partner = -1
  /// Whether a space stands before it within a line.
  var isSpaced = false
  /// Comments on lines of their own before it.
  var comments: [Comment] = []
  /// The comment behind it on its line.
  var trailingComment: Comment?
}

struct Formatter {
  static let widest = 100
  static let indentWidth = 2

  let file: SourceFile
  let bytes: [UInt8]
  var units: [FormatUnit] = []
  /// Whether a line begins with each unit.
  var breaks: [Bool] = []

  init(_ parser: Parser) {
    file = parser.file
    bytes = parser.bytes
    makeUnits(parser)
    attach(parser.comments)
    space()
  }

  mutating func format() -> String {
    breaks = units.map(\.startsLine)
    breaks[0] = true
    settleBlocks()
    breakLongLines()
    return emit()
  }

  // MARK: - Units

  private mutating func makeUnits(_ parser: Parser) {
    var unitOfToken = [Int](repeating: -1, count: parser.tokens.count)
    var itemStarts = parser.itemStarts[...]
    var index = 0
    while index < parser.tokens.count {
      let token = parser.tokens[index]
      let last = token.kind == .stringOpen ? Self.closingQuote(from: index, parser.tokens) : index
      let startsItem = itemStarts.first == index
      // A literal's interpolations may hold functions, and they items, which are no business of ours.
      while let item = itemStarts.first, item <= last { itemStarts = itemStarts.dropFirst() }
      unitOfToken[index] = units.count
      let end = parser.tokens[last].end
      let text = file.text(in: token.start..<end)
      units.append(
        FormatUnit(
          kind: token.kind, start: token.start, end: end, startsLine: token.startsLine,
          startsItem: startsItem, text: text, width: text.displayWidth))
      if token.partner >= 0, token.partner < index {
        let opener = unitOfToken[token.partner]
        units[opener].partner = units.count - 1
        units[units.count - 1].partner = opener
      }
      index = last + 1
    }
  }

  /// Returns the index of the quote that closes the literal at `open`; literals nest in interpolations.
  private static func closingQuote(from open: Int, _ tokens: [Token]) -> Int {
    var depth = 0
    for index in open..<tokens.count {
      if tokens[index].kind == .stringOpen { depth += 1 }
      if tokens[index].kind == .stringClose { depth -= 1 }
      if depth == 0 { return index }
    }
    return open
  }

  private mutating func attach(_ comments: [Comment]) {
    var unit = 0
    for comment in comments {
      while units[unit].start < comment.start, unit < units.count - 1 { unit += 1 }
      if comment.ownsLine || unit == 0 {
        units[unit].comments.append(comment)
      } else {
        units[unit - 1].trailingComment = comment
      }
    }
  }

  // MARK: - Space within a line

  private mutating func space() {
    var open: [Int] = []
    for index in units.indices {
      if index > 0, !isUnary(index - 1) {
        units[index].isSpaced = needsSpace(before: index, in: open.last)
      }
      if units[index].kind.isOpener { open.append(index) }
      if units[index].kind.isCloser { _ = open.popLast() }
    }
  }

  private func needsSpace(before index: Int, in opener: Int?) -> Bool {
    let previous = units[index - 1].kind
    let next = units[index].kind
    switch (previous, next) {
    case (_, .comma), (_, .semicolon), (_, .rightParen), (_, .rightBracket), (_, .dot): return false
    case (.leftParen, _), (.leftBracket, _), (.dot, _): return false
    case (.comma, _): return true
    case (_, .leftParen): return !endsValue(index - 1) && previous != .fn
    case (_, .leftBracket): return !endsValue(index - 1)
    case (_, .caret), (.caret, _), (_, .ellipsis), (_, .halfOpen), (.ellipsis, _), (.halfOpen, _):
      return false
    case (_, .colon): return false
    case (.colon, _): return !isSliceColon(index - 1, in: opener)
    default: return true
    }
  }

  /// Whether the colon separates the bounds of a slice; others follow a label or a parameter.
  private func isSliceColon(_ index: Int, in opener: Int?) -> Bool {
    guard let opener, units[opener].kind == .leftBracket else { return false }
    return !(index >= 2 && units[index - 2].kind == .with && units[index - 1].kind.isWord)
  }

  /// Whether a value can end with this unit, so that `(`, `[` or an infix operator may apply to it.
  private func endsValue(_ index: Int) -> Bool {
    let kind = units[index].kind
    if index > 0, units[index - 1].kind == .dot { return true }
    switch kind {
    case .integer, .number, .byteCount, .stringOpen, .true, .false, .none: return true
    case .rightParen, .rightBracket, .rightBrace, .dotDot: return true
    default: return kind.isName
    }
  }

  /// Whether the unit is a sign rather than an infix operator.
  private func isUnary(_ index: Int) -> Bool {
    guard units[index].kind == .minus || units[index].kind == .plus else { return false }
    return index == 0 || units[index].startsItem || !endsValue(index - 1)
  }
}
