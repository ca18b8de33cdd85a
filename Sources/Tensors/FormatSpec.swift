/// How an interpolation shows its value, the part after the colon in `"{loss:.4}"`.
///
/// Python's format mini-language, `[[fill]align][sign][0][width][,][.precision][type]`, with one change: a
/// precision without a type means decimals, so `.4` is `.4f`.
///
///     .4  0.6931     .3e  6.931e-01     8.2  "    0.69"     ,  1,234,567     .1%  97.5%     >8 <8 ^8  alignment
package struct FormatSpec: Hashable, Sendable {
  package enum Alignment: Character, Sendable {
    case left = "<"
    case right = ">"
    case center = "^"
  }

  package enum Sign: Character, Sendable {
    case always = "+"
    case onlyMinus = "-"
    case space = " "
  }

  package enum Notation: Character, Sendable {
    case fixed = "f"
    case scientific = "e"
    case general = "g"
    case percent = "%"
    case decimal = "d"
    case hexadecimal = "x"
    case binary = "b"
    case octal = "o"
    case text = "s"
  }

  /// Widths and precisions beyond these are refused: an interpolation is a line of text.
  static let greatestWidth = 1000
  static let greatestPrecision = 100

  package private(set) var fill: Character = " "
  package private(set) var alignment: Alignment?
  package private(set) var sign = Sign.onlyMinus
  package private(set) var padsWithZeros = false
  package private(set) var width = 0
  package private(set) var groupsThousands = false
  package private(set) var precision: Int?
  package private(set) var notation: Notation?

  /// Reads a specification; nil where it is not one.
  package init?(_ text: some StringProtocol) {
    var rest = Array(text)[...]
    if rest.count >= 2, let alignment = Alignment(rawValue: rest[rest.startIndex + 1]) {
      fill = rest.removeFirst()
      self.alignment = alignment
      rest.removeFirst()
    } else if let alignment = rest.first.flatMap(Alignment.init(rawValue:)) {
      self.alignment = alignment
      rest.removeFirst()
    }
    if let sign = rest.first.flatMap(Sign.init(rawValue:)) {
      self.sign = sign
      rest.removeFirst()
    }
    if rest.first == "0" {
      padsWithZeros = true
      rest.removeFirst()
    }
    if let width = FormatSpec.takeNumber(&rest) { self.width = width }
    if rest.first == "," {
      groupsThousands = true
      rest.removeFirst()
    }
    if rest.first == "." {
      rest.removeFirst()
      guard let precision = FormatSpec.takeNumber(&rest) else { return nil }
      self.precision = precision
    }
    if let notation = rest.first.flatMap(Notation.init(rawValue:)) {
      self.notation = notation
      rest.removeFirst()
    }
    guard rest.isEmpty, width <= FormatSpec.greatestWidth,
      precision ?? 0 <= FormatSpec.greatestPrecision
    else { return nil }
  }

  private static func takeNumber(_ rest: inout ArraySlice<Character>) -> Int? {
    let digits = rest.prefix { $0.isASCII && $0.isNumber }
    rest.removeFirst(digits.count)
    return digits.isEmpty ? nil : Int(String(digits)) ?? .max
  }

  /// Formats an f64; nil where the notation is not one for it.
  package func format(_ number: Double) -> String? {
    let magnitude = number.magnitude
    let body: String
    switch notation {
    case nil where precision == nil: body = Tensors.format(number: magnitude)
    case nil, .fixed: body = fixed(magnitude, decimals: precision ?? 6)
    case .scientific: body = scientific(magnitude, decimals: precision ?? 6)
    case .general: body = general(magnitude, digits: precision ?? 6)
    case .percent: body = fixed(magnitude * 100, decimals: precision ?? 6) + "%"
    // A whole f64 is a number like any other to the user: `{1e3:d}` is 1000.
    case .decimal:
      guard let integer = Int(exactly: number) else { return nil }
      return format(integer)
    case .hexadecimal, .binary, .octal, .text: return nil
    }
    return laidOut(body, isNegative: number.sign == .minus && !number.isNaN)
  }

  /// Formats an integer; with a precision, or in a notation for fractions, as the f64 of the same value.
  package func format(_ integer: Int) -> String? {
    switch notation {
    case nil where precision != nil: return format(Double(integer))
    case .fixed, .scientific, .general, .percent: return format(Double(integer))
    case .text: return nil
    case _ where precision != nil: return nil
    case nil, .decimal: return laidOut(String(integer.magnitude), isNegative: integer < 0)
    case .hexadecimal, .binary, .octal:
      if groupsThousands { return nil }
      let radix = notation == .hexadecimal ? 16 : notation == .octal ? 8 : 2
      return laidOut(String(integer.magnitude, radix: radix), isNegative: integer < 0)
    }
  }

  /// Formats a text: width and alignment apply, a precision cuts it off.
  package func format(_ text: String) -> String? {
    guard notation == nil || notation == .text, sign == .onlyMinus, !groupsThousands, !padsWithZeros else {
      return nil
    }
    return aligned(precision.map { String(text.prefix($0)) } ?? text, default: .left)
  }

  // MARK: Layout

  /// Puts sign, thousands separators and padding around the text of a magnitude.
  private func laidOut(_ magnitude: String, isNegative: Bool) -> String {
    let prefix =
      switch sign {
      case _ where isNegative: "-"
      case .always: "+"
      case .space: " "
      case .onlyMinus: ""
      }
    let wholeCount = magnitude.prefix { $0.isASCII && $0.isNumber }.count
    let fraction = magnitude.dropFirst(wholeCount)
    var whole = String(magnitude.prefix(wholeCount))
    if padsWithZeros, alignment == nil {
      let room = width - prefix.count - fraction.count
      if wholeCount == 0 { return prefix + String(repeating: "0", count: max(room, 0)) + fraction }  // inf, nan
      // Zeros are grouped like other digits, as in Python, so the text may be one wider than asked.
      while separated(whole).count < room { whole = "0" + whole }
    }
    return aligned(prefix + separated(whole) + fraction, default: .right)
  }

  private func separated(_ digits: String) -> String {
    if !groupsThousands { return digits }
    var result = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { result.append(",") }
      result.append(digit)
    }
    return result
  }

  private func aligned(_ text: String, default: Alignment) -> String {
    let room = max(width - text.count, 0)
    let left =
      switch alignment ?? `default` {
      case .left: 0
      case .right: room
      case .center: room / 2
      }
    // As in Python, `0` before the width is also a fill for an explicit alignment.
    let fill = padsWithZeros && fill == " " ? "0" : fill
    return String(repeating: fill, count: left) + text + String(repeating: fill, count: room - left)
  }
}

/// Formats a number by an interpolation specification such as `.4`; nil where it is not one for numbers.
package func format(_ number: Double, spec: String) -> String? { FormatSpec(spec)?.format(number) }

/// Formats an integer by an interpolation specification such as `,`; nil where it is not one for integers.
package func format(_ integer: Int, spec: String) -> String? { FormatSpec(spec)?.format(integer) }

/// Formats a text by an interpolation specification such as `>8`; nil where it is not one for texts.
package func format(_ text: String, spec: String) -> String? { FormatSpec(spec)?.format(text) }
