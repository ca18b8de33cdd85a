/// What a byte can begin.
enum ByteClass: UInt8 {
  case space, newline, letter, digit, symbol, quote, singleQuote, hash
  /// Bytes beyond ASCII and those that no token begins with.
  case other
}

/// The lexer's tables, made once from the spellings of `TokenKind`.
struct LexerTables: Sendable {
  static let shared = LexerTables()
  /// `optimizer`; also what fits into a 64-bit code at five bits a letter.
  static let longestKeyword = 12

  struct Operator: Sendable {
    let kind: TokenKind
    let length: Int
    let second: UInt8
    let third: UInt8
  }

  let classes: [ByteClass]
  /// The operators that begin with each byte, longest first.
  let operators: [[Operator]]
  /// An open-addressed table of keywords by their five-bit code.
  private let keywords: [(code: UInt64, kind: TokenKind)]

  private init() {
    var classes = [ByteClass](repeating: .other, count: 256)
    for byte in UInt8(ascii: "a")...UInt8(ascii: "z") { classes[Int(byte)] = .letter }
    for byte in UInt8(ascii: "A")...UInt8(ascii: "Z") { classes[Int(byte)] = .letter }
    for byte in UInt8(ascii: "0")...UInt8(ascii: "9") { classes[Int(byte)] = .digit }
    for byte in "_".utf8 { classes[Int(byte)] = .letter }
    for byte in " \t\r\u{0C}".utf8 { classes[Int(byte)] = .space }
    classes[0x0A] = .newline
    classes[Int(UInt8(ascii: "\""))] = .quote
    classes[Int(UInt8(ascii: "'"))] = .singleQuote
    classes[Int(UInt8(ascii: "#"))] = .hash

    var operators = [[Operator]](repeating: [], count: 256)
    var keywords = [(code: UInt64, kind: TokenKind)](repeating: (0, .invalid), count: 64)
    for kind in TokenKind.allCases {
      guard let spelling = kind.spelling.map({ Array($0.utf8) }) else { continue }
      if kind.isKeyword {
        let code = spelling.reduce(0) { $0 << 5 | UInt64($1 & 31) }
        var slot = Self.slot(of: code)
        while keywords[slot].code != 0 { slot = (slot + 1) & 63 }
        keywords[slot] = (code, kind)
      } else if !kind.isStringPiece {
        classes[Int(spelling[0])] = .symbol
        operators[Int(spelling[0])].append(
          Operator(
            kind: kind, length: spelling.count, second: spelling.count > 1 ? spelling[1] : 0,
            third: spelling.count > 2 ? spelling[2] : 0))
      }
    }
    self.classes = classes
    self.operators = operators.map { $0.sorted { $0.length > $1.length } }
    self.keywords = keywords
  }

  private static func slot(of code: UInt64) -> Int {
    Int(truncatingIfNeeded: (code &* 0x9E37_79B9_7F4A_7C15) &>> 58)
  }

  /// Returns the keyword with this code.
  func keyword(_ code: UInt64) -> TokenKind? {
    var slot = Self.slot(of: code)
    while keywords[slot].code != 0 {
      if keywords[slot].code == code { return keywords[slot].kind }
      slot = (slot + 1) & 63
    }
    return nil
  }
}

extension TokenKind {
  /// Whether only the lexer's string rules make this token.
  fileprivate var isStringPiece: Bool {
    rawValue >= TokenKind.stringOpen.rawValue && rawValue <= TokenKind.stringClose.rawValue
  }
}
