import Support

extension Lexer {
  /// Lexes a number, with everything that clings to it: `2x` is one bad number, not two tokens.
  mutating func lexNumber() {
    let start = offset
    if bytes[offset] == UInt8(ascii: "0"), let radix = Radix(prefix: bytes[offset + 1]) {
      offset += 2
      let digits = offset
      takeWord()
      guard isDigits(digits..<offset, radix: radix) else {
        let rest = file.text(in: start..<offset)
        return reject(
          start, "`\(rest)` is not \(radix.article) number",
          help: "\(radix.name) digits follow the `\(radix.prefix)`, as in `\(radix.example)`")
      }
      return append(.integer, from: start)
    }
    var kind = TokenKind.integer
    takeDigits()
    if bytes[offset] == UInt8(ascii: "."), byteClass(at: offset + 1) == .digit {
      kind = .number
      offset += 1
      takeDigits()
    } else if bytes[offset] == UInt8(ascii: "."), bytes[offset + 1] != UInt8(ascii: "."),
      byteClass(at: offset + 1) != .letter
    {
      offset += 1
      let text = file.text(in: start..<offset)
      return reject(start, "a digit must follow the point of `\(text)`", help: "write `\(text)0`")
    }
    if bytes[offset] | 0x20 == UInt8(ascii: "e") {
      let sign = bytes[offset + 1]
      let digits = sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") ? offset + 2 : offset + 1
      if byteClass(at: digits) == .digit {
        kind = .number
        offset = digits
        takeDigits()
      }
    }
    let suffix = offset
    takeWord()
    if hasLooseSeparator(start..<suffix) {
      let digits = file.text(in: start..<suffix)
      return reject(
        start, "a digit must follow each `_` in `\(digits)`",
        help: "write `\(digits.filter { $0 != "_" })`")
    }
    if offset > suffix {
      let digits = file.text(in: start..<suffix)
      let unit = file.text(in: suffix..<offset)
      guard ByteUnit(rawValue: unit) != nil else {
        return reject(
          start, "`\(digits + unit)` is not a number",
          help: Mistakes.suffixHelp(digits: digits, suffix: unit))
      }
      kind = .byteCount
    }
    append(kind, from: start)
  }

  private mutating func takeDigits() {
    while byteClass(at: offset) == .digit || bytes[offset] == UInt8(ascii: "_") { offset += 1 }
  }

  private mutating func takeWord() {
    while byteClass(at: offset) == .digit || byteClass(at: offset) == .letter { offset += 1 }
  }

  /// Returns whether an underscore in the range stands before anything but a digit.
  private func hasLooseSeparator(_ range: Range<Int>) -> Bool {
    range.contains { index in
      bytes[index] == UInt8(ascii: "_")
        && (index + 1 == range.upperBound || byteClass(at: index + 1) != .digit)
    }
  }

  /// Returns whether the range holds digits of `radix`, with single underscores between them.
  private func isDigits(_ range: Range<Int>, radix: Radix) -> Bool {
    var canSeparate = false
    for byte in bytes[range] {
      if byte == UInt8(ascii: "_") {
        guard canSeparate else { return false }
        canSeparate = false
      } else {
        guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, digit < radix.rawValue
        else { return false }
        canSeparate = true
      }
    }
    return canSeparate
  }

  private mutating func reject(_ start: Int, _ message: String, help: String?) {
    report(Diagnostic("bad-number", message, at: site(start, offset), help: help))
    append(.invalid, from: start)
  }
}

/// How the digits of `0x1F` and `0b101` are read.
enum Radix: Int {
  case binary = 2
  case hexadecimal = 16

  init?(prefix byte: UInt8) {
    switch byte | 0x20 {
    case UInt8(ascii: "x"): self = .hexadecimal
    case UInt8(ascii: "b"): self = .binary
    default: return nil
    }
  }

  var name: String { self == .binary ? "binary" : "hexadecimal" }
  var article: String { "a \(name)" }
  var prefix: String { self == .binary ? "0b" : "0x" }
  var example: String { self == .binary ? "0b101" : "0x1F" }
}

/// The units of byte literals: `64MiB`.
enum ByteUnit: String {
  case kibi = "KiB"
  case mebi = "MiB"
  case gibi = "GiB"

  var scale: Double {
    switch self {
    case .kibi: 0x1p10
    case .mebi: 0x1p20
    case .gibi: 0x1p30
    }
  }
}
