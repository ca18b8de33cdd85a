/// What a token is. Keywords and operators carry their spelling; the lexer's tables are made from it.
enum TokenKind: UInt8, CaseIterable, Sendable {
  // Literals and names.
  case name, integer, number, byteCount
  // A string literal is a run of these: `"`, text, `{`, the tokens of the value, `:.4`, `}`, `"`.
  case stringOpen, stringText, interpolationOpen, format, interpolationClose, stringClose

  // Words that are always keywords.
  case fn, `for`, `in`, `while`, `if`, `else`, `return`, `break`, `continue`
  case and, or, not, `true`, `false`, none, with
  // Words that begin a declaration when a name (or, after `use`, a string) follows; names elsewhere.
  case model, optimizer, step, param, buffer, state, input, use

  // Brackets and punctuation.
  case leftParen, rightParen, leftBracket, rightBracket, leftBrace, rightBrace
  case comma, colon, semicolon, dot, dotDot, arrow
  // Operators.
  case ellipsis, halfOpen, pipe
  case plus, minus, star, slash, slashSlash, percent, caret, at
  case equalEqual, notEqual, less, lessEqual, greater, greaterEqual
  // Assignment, plain and compound.
  case equal, plusEqual, minusEqual, starEqual, slashEqual, slashSlashEqual, percentEqual
  case caretEqual, atEqual
  // Operators of other languages, known so that a diagnostic can name the right one.
  case starStar, ampersandAmpersand, barBar, bang, fatArrow

  /// A piece that the lexer has already complained about.
  case invalid
  case endOfFile

  /// How the token is written where that is fixed.
  var spelling: String? {
    switch self {
    case .name, .integer, .number, .byteCount, .stringText, .format, .invalid, .endOfFile: nil
    case .stringOpen, .stringClose: "\""
    case .interpolationOpen, .leftBrace: "{"
    case .interpolationClose, .rightBrace: "}"
    case .leftParen: "("
    case .rightParen: ")"
    case .leftBracket: "["
    case .rightBracket: "]"
    case .comma: ","
    case .colon: ":"
    case .semicolon: ";"
    case .dot: "."
    case .dotDot: ".."
    case .ellipsis: "..."
    case .halfOpen: "..<"
    case .arrow: "->"
    case .pipe: "|>"
    case .plus: "+"
    case .minus: "-"
    case .star: "*"
    case .slash: "/"
    case .slashSlash: "//"
    case .percent: "%"
    case .caret: "^"
    case .at: "@"
    case .equalEqual: "=="
    case .notEqual: "!="
    case .less: "<"
    case .lessEqual: "<="
    case .greater: ">"
    case .greaterEqual: ">="
    case .equal: "="
    case .plusEqual: "+="
    case .minusEqual: "-="
    case .starEqual: "*="
    case .slashEqual: "/="
    case .slashSlashEqual: "//="
    case .percentEqual: "%="
    case .caretEqual: "^="
    case .atEqual: "@="
    case .starStar: "**"
    case .ampersandAmpersand: "&&"
    case .barBar: "||"
    case .bang: "!"
    case .fatArrow: "=>"
    case .fn: "fn"
    case .for: "for"
    case .in: "in"
    case .while: "while"
    case .if: "if"
    case .else: "else"
    case .return: "return"
    case .break: "break"
    case .continue: "continue"
    case .and: "and"
    case .or: "or"
    case .not: "not"
    case .true: "true"
    case .false: "false"
    case .none: "none"
    case .with: "with"
    case .model: "model"
    case .optimizer: "optimizer"
    case .step: "step"
    case .param: "param"
    case .buffer: "buffer"
    case .state: "state"
    case .input: "input"
    case .use: "use"
    }
  }

  var isKeyword: Bool { rawValue >= TokenKind.fn.rawValue && rawValue <= TokenKind.use.rawValue }
  /// Whether the word is a keyword only where a declaration can start.
  var isContextual: Bool {
    rawValue >= TokenKind.model.rawValue && rawValue <= TokenKind.use.rawValue
  }
  /// Whether the token can name a variable.
  var isName: Bool { self == .name || isContextual }
  /// Whether the token can stand where nothing else is possible: after `.`, or before `:` as a label.
  var isWord: Bool { self == .name || isKeyword }
  var isOpener: Bool {
    self == .leftParen || self == .leftBracket || self == .leftBrace || self == .interpolationOpen
  }
  var isCloser: Bool { self == .rightParen || self == .rightBracket || self == .rightBrace }
  /// The bracket that closes this one.
  var closer: TokenKind? {
    switch self {
    case .leftParen: .rightParen
    case .leftBracket: .rightBracket
    case .leftBrace: .rightBrace
    case .interpolationOpen: .interpolationClose
    default: nil
    }
  }
  var isCompoundAssignment: Bool {
    rawValue >= TokenKind.plusEqual.rawValue && rawValue <= TokenKind.atEqual.rawValue
  }
  /// Whether a line that begins with this token continues the statement above it.
  var continuesLine: Bool { self == .pipe || self == .with }
}

/// The words that begin or join statements, declarations included.
package let keywords = TokenKind.allCases.filter(\.isKeyword).compactMap(\.spelling)

struct Token: Sendable {
  let kind: TokenKind
  /// Whether this is the first token of its line.
  let startsLine: Bool
  /// Byte offsets in the file, half open.
  let start: Int
  let end: Int
  /// For a bracket, the index of the bracket that it pairs with; -1 where there is none, and `reported` once
  /// the parser has said so.
  var partner = -1

  static let reported = -2
}

/// A comment from `#` to the end of its line.
struct Comment: Sendable {
  let start: Int
  let end: Int
  /// Whether nothing but space stands before it on its line.
  let ownsLine: Bool
}
