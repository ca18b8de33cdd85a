import Support

extension Parser {
  // MARK: - Numbers

  mutating func parseNumber() throws(Abandoned) -> Expression {
    let token = token
    let site = site(of: token)
    let text = textWithoutSeparators(token)
    index += 1
    switch token.kind {
    case .integer:
      return Expression(.integer(parseInteger(text, at: site)), at: site)
    case .byteCount:
      return Expression(.integer(parseByteCount(text, at: site)), at: site)
    default:
      let value = Double(text) ?? 0
      if !value.isFinite {
        report(
          Diagnostic(
            "bad-number", "`\(text)` is beyond the largest number, 1.8e308", at: site,
            help: "infinity is `inf`"))
      }
      return Expression(.number(value), at: site)
    }
  }

  private func textWithoutSeparators(_ token: Token) -> String {
    String(
      decoding: bytes[token.start..<token.end].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
  }

  private mutating func parseInteger(_ text: String, at site: Site) -> Int {
    let isPrefixed = text.count > 2 && text.utf8.first == UInt8(ascii: "0")
    let radix = isPrefixed ? Radix(prefix: Array(text.utf8)[1]) : nil
    let value = radix.map { Int(text.dropFirst(2), radix: $0.rawValue) } ?? Int(text)
    if let value { return value }
    report(
      Diagnostic(
        "bad-number", "`\(text)` does not fit in a 64-bit integer", at: site,
        help: radix == nil ? "write it as a number with a point: `\(text).0`" : nil))
    return 0
  }

  /// Whether the current token is 2^63, which has a meaning only behind a minus sign.
  var isLeastInteger: Bool {
    guard kind == .integer, token.end - token.start >= 19, following.kind != .caret else {
      return false
    }
    return textWithoutSeparators(token) == "9223372036854775808"
  }

  private mutating func parseByteCount(_ text: String, at site: Site) -> Int {
    let digits = text.dropLast(3)
    let value = (Double(digits) ?? 0) * (ByteUnit(rawValue: String(text.suffix(3)))?.scale ?? 1)
    if let count = Int(exactly: value) { return count }
    let isTooLarge = value >= 0x1p63
    report(
      Diagnostic(
        "bad-number",
        isTooLarge
          ? "`\(text)` does not fit in a 64-bit integer"
          : "`\(text)` is not a whole number of bytes",
        at: site,
        help: isTooLarge ? nil : "the nearest are \(Int(value)) and \(Int(value) + 1) bytes"))
    return 0
  }

  // MARK: - Strings

  mutating func parseString() throws(Abandoned) -> Expression {
    let first = index
    index += 1
    var parts: [StringPart] = []
    while kind != .stringClose {
      switch kind {
      case .stringText:
        parts.append(.text(decodeText(token)))
        index += 1
      case .interpolationOpen:
        parts.append(try parseInterpolation())
      default:
        try fail(expected: "the end of the string")
      }
    }
    index += 1
    if parts.isEmpty { parts = [.text("")] }
    return Expression(.string(parts), at: site(from: first))
  }

  private mutating func parseInterpolation() throws(Abandoned) -> StringPart {
    let opener = token
    let outer = context
    try descend()
    context.newlineEnds = false
    context.gradientOwner = .none
    index += 1
    if kind == .interpolationClose {
      try fail(
        Diagnostic(
          "syntax", "nothing to interpolate between the braces",
          at: Site(file: file, start: opener.start, end: token.end),
          help: "plain braces are written `{{` and `}}`"))
    }
    let value = try parseExpression()
    var format: String?
    if kind == .format {
      format = String(text(of: token).dropFirst())
      index += 1
    }
    guard take(.interpolationClose) else {
      // Without a partner it is an unclosed string, and the lexer has said so.
      if opener.partner == -1 { throw Abandoned() }
      try fail(
        expected: "`}` after the interpolated value",
        help: "a plain brace in a string is written `{{`")
    }
    context = outer
    try grow()
    return .interpolation(value, format: format)
  }

  /// Returns the text that a piece of a string literal stands for.
  private mutating func decodeText(_ token: Token) -> String {
    let piece = bytes[token.start..<token.end]
    if !piece.contains(where: "\\{}".utf8.contains) {
      return String(decoding: piece, as: UTF8.self)
    }
    var decoded: [UInt8] = []
    decoded.reserveCapacity(piece.count)
    var offset = token.start
    while offset < token.end {
      let byte = bytes[offset]
      let next = offset + 1 < token.end ? bytes[offset + 1] : 0
      switch byte {
      case UInt8(ascii: "\\"):
        offset = decodeEscape(at: offset, end: token.end, into: &decoded)
        continue
      case UInt8(ascii: "}") where next != byte:
        report(
          Diagnostic(
            "bad-escape", "`}` closes nothing in this string",
            at: Site(file: file, start: offset, end: offset + 1), help: "a plain brace is `}}`"))
        decoded.append(byte)
      case UInt8(ascii: "{"), UInt8(ascii: "}"):
        decoded.append(byte)
        offset += 1
      default:
        decoded.append(byte)
      }
      offset += 1
    }
    return String(decoding: decoded, as: UTF8.self)
  }

  /// Decodes the escape at `offset`. Returns the offset behind it.
  private mutating func decodeEscape(at offset: Int, end: Int, into decoded: inout [UInt8]) -> Int {
    let letter = offset + 1 < end ? bytes[offset + 1] : 0
    switch letter {
    case UInt8(ascii: "n"): decoded.append(0x0A)
    case UInt8(ascii: "t"): decoded.append(0x09)
    case UInt8(ascii: "r"): decoded.append(0x0D)
    case UInt8(ascii: "0"): decoded.append(0)
    case UInt8(ascii: "e"): decoded.append(0x1B)
    case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "{"), UInt8(ascii: "}"):
      decoded.append(letter)
    case UInt8(ascii: "u"):
      return decodeScalar(at: offset, end: end, into: &decoded)
    default:
      // A letter beyond ASCII is more than one byte.
      var after = min(offset + 2, end)
      while after < end, bytes[after] & 0xC0 == 0x80 { after += 1 }
      let site = Site(file: file, start: offset, end: after)
      report(
        Diagnostic(
          "bad-escape", "`\(site.text)` is no escape", at: site,
          help:
            "escapes are `\\n \\t \\r \\0 \\e \\\\ \\\" \\{ \\} \\u{1F600}`; a backslash is `\\\\`")
      )
      return after
    }
    return offset + 2
  }

  /// Decodes `\u{1F600}`.
  private mutating func decodeScalar(at offset: Int, end: Int, into decoded: inout [UInt8]) -> Int {
    var after = offset + 2
    while after < end, bytes[after] != UInt8(ascii: "}"), after < offset + 12 { after += 1 }
    after = min(after + 1, end)
    let site = Site(file: file, start: offset, end: after)
    let digits = site.text.dropFirst(3).dropLast()
    if site.text.hasPrefix("\\u{"), site.text.hasSuffix("}"), digits.first != "+",
      let code = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(code)
    {
      decoded += Array(Character(scalar).utf8)
      return after
    }
    report(
      Diagnostic(
        "bad-escape", "`\(site.text)` names no Unicode scalar", at: site,
        help: "write its code in hexadecimal: `\\u{1F600}`"))
    return after
  }
}
