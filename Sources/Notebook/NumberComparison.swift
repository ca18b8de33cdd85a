/// A line cut into words and numbers, to compare an expected text with a printed one.
///
/// Text must be equal; a number with decimals must agree to the decimals written; a whole number must be the same.
package struct ComparableLine: Sendable {
  package enum Token: Equatable, Sendable {
    case text(String)
    /// A run of spaces.
    case space(Int)
    case number(WrittenNumber)
  }

  let text: String
  package let tokens: [Token]

  package init(_ text: String) {
    self.text = text
    tokens = Self.tokens(of: Array(text.utf8))
  }

  /// Whether a zero is written with a sign: it shifts the columns of a tensor, and means nothing.
  var hasNegativeZero: Bool {
    tokens.contains { if case .number(let number) = $0 { number.isNegativeZero } else { false } }
  }

  /// Whether `actual` is what this line asks for.
  ///
  /// - Parameter padding: whether the spaces before numbers and words must agree.
  package func matches(_ actual: ComparableLine, padding: PaddingRule) -> Bool {
    if text == actual.text { return true }
    let expected = padding == .exact ? tokens : tokens.filter(\.isNoSpace)
    let printed = padding == .exact ? actual.tokens : actual.tokens.filter(\.isNoSpace)
    return expected.count == printed.count && zip(expected, printed).allSatisfy { $0.matches($1) }
  }

  package enum PaddingRule { case exact, free }

  // MARK: - Cutting

  private static func tokens(of bytes: [UInt8]) -> [Token] {
    var tokens: [Token] = []
    var text: [UInt8] = []
    var offset = 0
    func flush() {
      if !text.isEmpty { tokens.append(.text(String(decoding: text, as: UTF8.self))) }
      text = []
    }
    while offset < bytes.count {
      if bytes[offset] == UInt8(ascii: " ") {
        flush()
        let start = offset
        while offset < bytes.count, bytes[offset] == UInt8(ascii: " ") { offset += 1 }
        tokens.append(.space(offset - start))
      } else if let end = WrittenNumber.end(in: bytes, from: offset) {
        flush()
        tokens.append(.number(WrittenNumber(String(decoding: bytes[offset..<end], as: UTF8.self))))
        offset = end
      } else {
        text.append(bytes[offset])
        offset += 1
      }
    }
    flush()
    return tokens
  }
}

extension ComparableLine.Token {
  fileprivate var isNoSpace: Bool { if case .space = self { false } else { true } }

  fileprivate func matches(_ actual: Self) -> Bool {
    if case .number(let expected) = self, case .number(let printed) = actual {
      return expected.matches(printed)
    }
    return self == actual
  }
}

/// A number as it is written: its digits say how exactly it is meant.
package struct WrittenNumber: Equatable, Sendable {
  package let text: String
  let value: Double
  /// Half a unit of the last decimal written; nil for a whole number.
  let halfUnit: Double?

  init(_ text: String) {
    self.text = text
    value = Double(text.hasSuffix(".") ? String(text.dropLast()) : text) ?? .nan
    let exponentStart = text.firstIndex { $0 == "e" || $0 == "E" }
    let mantissa = text[..<(exponentStart ?? text.endIndex)]
    let exponent = exponentStart.flatMap { Int(text[text.index(after: $0)...]) } ?? 0
    if let point = mantissa.firstIndex(of: ".") {
      let decimals = mantissa.distance(from: point, to: mantissa.endIndex) - 1
      // `3.` is how tensors print whole numbers: exactly 3.
      halfUnit = decimals == 0 ? 0 : 0.5 * power(10, exponent - decimals)
    } else {
      halfUnit = exponentStart == nil ? nil : 0.5 * power(10, exponent)
    }
  }

  var isNegativeZero: Bool { value == 0 && text.first == "-" }

  /// Whether `printed` rounds to this number at the decimals written here.
  func matches(_ printed: WrittenNumber) -> Bool {
    guard let halfUnit else { return text == printed.text }
    guard printed.halfUnit != nil else { return false }
    // The printed text is itself rounded, so its last bit is not to be trusted.
    return abs(value - printed.value) <= halfUnit * (1 + 1e-9) + abs(value) * 1e-15
  }

  /// Returns the end of the number that begins at `start`, if one does: not in the middle of a word such as `w2` or
  /// `layers.0.weight`, and a sign only where it cannot be an operator.
  static func end(in bytes: [UInt8], from start: Int) -> Int? {
    let previous = start > 0 ? bytes[start - 1] : UInt8(ascii: " ")
    if isWordByte(previous) || previous == UInt8(ascii: ".") { return nil }
    var offset = start
    if bytes[offset] == UInt8(ascii: "-") || bytes[offset] == UInt8(ascii: "+") {
      if previous == UInt8(ascii: ")") || previous == UInt8(ascii: "]") { return nil }
      offset += 1
    }
    let digits = offset
    func skipDigits() { while offset < bytes.count, isDigit(bytes[offset]) { offset += 1 } }
    skipDigits()
    if offset == digits { return nil }
    if offset < bytes.count, bytes[offset] == UInt8(ascii: ".") {
      let after = offset + 1 < bytes.count ? bytes[offset + 1] : UInt8(ascii: " ")
      // `0.weight` is a path, `1...5` and `1..<5` are ranges.
      if isDigit(after) || !isWordByte(after) && after != UInt8(ascii: ".") {
        offset += 1
        skipDigits()
      }
    }
    if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
      var exponent = offset + 1
      if exponent < bytes.count, bytes[exponent] == UInt8(ascii: "-") || bytes[exponent] == UInt8(ascii: "+") {
        exponent += 1
      }
      if exponent < bytes.count, isDigit(bytes[exponent]) {
        offset = exponent
        skipDigits()
      }
    }
    return offset
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
  private static func isWordByte(_ byte: UInt8) -> Bool {
    isDigit(byte) || (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_")
  }
}

/// Returns `base` to a whole power, exact for the powers of ten that decimals need.
private func power(_ base: Double, _ exponent: Int) -> Double {
  var result = 1.0
  for _ in 0..<min(abs(exponent), 400) { result *= base }
  return exponent < 0 ? 1 / result : result
}
