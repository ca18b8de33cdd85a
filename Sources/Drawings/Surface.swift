/// What a drawing is made for: columns of text, with colours or without.
package struct Surface: Equatable, Sendable {
  package enum Colors: Sendable {
    case none
    /// The 256 of most terminals.
    case indexed
    /// 24 bits.
    case full
  }

  package let width: Int
  package let colors: Colors

  /// Narrower and wider drawings are hard to read.
  private static let widths = 48...160

  package init(width: Int, colors: Colors) {
    self.width = min(max(width, Surface.widths.lowerBound), Surface.widths.upperBound)
    self.colors = colors
  }

  /// Files, pipes and expectations: the same everywhere.
  package static let plain = Surface(width: 80, colors: .none)

  package var hasColors: Bool { colors != .none }

  // MARK: Colours

  /// Foregrounds that each terminal's theme makes readable: blue, red, green, magenta, cyan, yellow.
  private static let hues = [34, 31, 32, 35, 36, 33]

  /// The text in the colour of a series.
  package func inked(_ text: String, series: Int) -> String {
    hasColors && text.contains { $0 != " " } ? "\u{1B}[\(Surface.hues[series % Surface.hues.count])m\(text)\u{1B}[0m" : text
  }

  /// The text in one colour on another.
  package func painted(_ text: String, _ foreground: Color, on background: Color? = nil) -> String {
    if !hasColors { return text }
    return "\u{1B}[38;\(code(foreground))" + (background.map { ";48;\(code($0))" } ?? "") + "m\(text)\u{1B}[0m"
  }

  private func code(_ color: Color) -> String {
    if colors == .full { return "2;\(color.red);\(color.green);\(color.blue)" }
    return "5;\(color.index)"
  }
}

/// A colour as screens have it.
package struct Color: Equatable, Sendable {
  package let red, green, blue: UInt8

  /// `#30688e`
  package var hex: String {
    "#" + [red, green, blue].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// The nearest in the cube of 6 x 6 x 6 colours.
  fileprivate var index: Int {
    func level(_ part: UInt8) -> Int { part < 48 ? 0 : part < 115 ? 1 : (Int(part) - 35) / 40 }
    return 16 + 36 * level(red) + 6 * level(green) + level(blue)
  }
}
