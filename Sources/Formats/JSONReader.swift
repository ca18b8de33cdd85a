/// Reads JSON in the order that the caller expects it, building nothing.
///
/// The caller's grammar is the only nesting there is, so hostile input can neither exhaust the stack nor make values
/// larger than its own text.
struct JSONReader {
  private let source: ByteSource
  private let bytes: [UInt8]
  /// Where `bytes` begin in the file.
  private let start: Int
  private(set) var position = 0

  init(_ source: ByteSource, _ bytes: [UInt8], startingAt start: Int) {
    self.source = source
    self.bytes = bytes
    self.start = start
  }

  /// Returns an error at the place that was reached.
  func error(_ message: String) -> FileError {
    source.damaged("header: \(message)", at: .byte(start + position))
  }

  // MARK: Structure

  /// Reads an object; `member` reads the value of each key. Keys may not repeat.
  mutating func object(
    _ member: (inout JSONReader, String) throws(FileError) -> Void
  ) throws(FileError) {
    try expect(UInt8(ascii: "{"))
    if take(UInt8(ascii: "}")) { return }
    var keys: Set<String> = []
    repeat {
      let key = try string()
      if !keys.insert(key).inserted { throw error("key \"\(key.prefix(80))\" occurs twice") }
      try expect(UInt8(ascii: ":"))
      try member(&self, key)
    } while take(UInt8(ascii: ","))
    try expect(UInt8(ascii: "}"))
  }

  /// Reads an array of whole numbers from 0.
  mutating func naturals() throws(FileError) -> [Int] {
    var numbers: [Int] = []
    try expect(UInt8(ascii: "["))
    if take(UInt8(ascii: "]")) { return [] }
    repeat { numbers.append(try natural()) } while take(UInt8(ascii: ","))
    try expect(UInt8(ascii: "]"))
    return numbers
  }

  /// Checks that nothing but blanks is left.
  mutating func end() throws(FileError) {
    skipBlanks()
    if position < bytes.count { throw error("text follows the object") }
  }

  private mutating func skipBlanks() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    skipBlanks()
    guard position < bytes.count, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ byte: UInt8) throws(FileError) {
    if !take(byte) { throw error("\(Character(UnicodeScalar(byte))) expected") }
  }

  // MARK: Values

  private mutating func natural() throws(FileError) -> Int {
    skipBlanks()
    let digits = bytes[position...].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    let hasLeadingZero = digits.count > 1 && digits.first == UInt8(ascii: "0")
    // 19 digits are the most that an Int has.
    guard !digits.isEmpty, !hasLeadingZero, digits.count <= 19,
      let number = Int(String(decoding: digits, as: UTF8.self))
    else { throw error("a whole number from 0 expected") }
    position = digits.endIndex
    return number
  }

  /// Reads a string with its escapes.
  mutating func string() throws(FileError) -> String {
    try expect(UInt8(ascii: "\""))
    var content: [UInt8] = []
    while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
      let byte = bytes[position]
      if byte < 0x20 { throw error("a control character in a string") }
      if byte != UInt8(ascii: "\\") {
        content.append(byte)
        position += 1
      } else {
        content.append(contentsOf: String(try escape()).utf8)
      }
    }
    guard take(UInt8(ascii: "\"")) else { throw error("a string is never closed") }
    guard let text = String(validating: content, as: UTF8.self) else { throw error("a string is not UTF-8 text") }
    return text
  }

  private mutating func escape() throws(FileError) -> UnicodeScalar {
    position += 1
    guard position < bytes.count else { throw error("a string is never closed") }
    let letter = bytes[position]
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return UnicodeScalar(letter)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: throw error("an unknown escape in a string")
    }
    let unit = try hexadecimalUnit()
    if let scalar = UnicodeScalar(unit) { return scalar }
    // A scalar beyond 16 bits is written as two surrogates.
    guard unit < 0xDC00, bytes[position...].starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) else {
      throw error("half a surrogate pair in a string")
    }
    position += 2
    let low = try hexadecimalUnit()
    guard (0xDC00..<0xE000).contains(low),
      let scalar = UnicodeScalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
    else { throw error("half a surrogate pair in a string") }
    return scalar
  }

  private mutating func hexadecimalUnit() throws(FileError) -> UInt32 {
    let digits = bytes[position...].prefix(4)
    guard digits.count == 4, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
      let unit = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw error("four hexadecimal digits expected") }
    position += 4
    return unit
  }
}

/// Returns `text` as a JSON string.
package func jsonString(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\u{8}": result += "\\b"
    case "\u{C}": result += "\\f"
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    case _ where scalar.value < 0x20:
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
