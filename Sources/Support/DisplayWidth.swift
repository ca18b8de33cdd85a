extension Unicode.Scalar {
  /// The number of terminal columns that the scalar takes: 2 for East Asian wide ones and emoji, 0 for
  /// marks that join the letter before them.
  package var displayWidth: Int {
    if value < 0x300 { return 1 }
    switch properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format: return 0
    default: break
    }
    return Self.wideRanges.contains { $0.contains(value) } ? 2 : 1
  }

  /// The blocks of East Asian width W and F, in one range where only unassigned scalars lie between.
  private static let wideRanges: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x231A...0x231B, 0x23E9...0x23EC, 0x25FD...0x25FE, 0x2614...0x2615,
    0x2648...0x2653, 0x26A1...0x26A1, 0x2705...0x2705, 0x274C...0x274C, 0x2753...0x2757,
    0x2795...0x2797, 0x2B1B...0x2B1C, 0x2B50...0x2B50, 0x2B55...0x2B55, 0x2E80...0x303E,
    0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF, 0xA960...0xA97C,
    0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
    0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1F9FF, 0x1FA70...0x1FAFF, 0x20000...0x3FFFD,
  ]

  /// The scalar itself, or what to print instead where it would act on the terminal: control characters,
  /// and those that reverse the direction of text and so can hide code.
  fileprivate var printable: Unicode.Scalar {
    switch value {
    case 0..<0x20: Unicode.Scalar(0x2400 + value) ?? "\u{FFFD}"
    case 0x7F..<0xA0, 0x202A...0x202E, 0x2066...0x2069: "\u{FFFD}"
    default: self
    }
  }
}

extension StringProtocol {
  /// The text with nothing in it that a terminal would obey, but for ends of lines: it may quote a file.
  package var printable: String {
    String(String.UnicodeScalarView(unicodeScalars.map { $0 == "\n" ? $0 : $0.printable }))
  }

  /// The number of terminal columns that the text takes; a newline or tab counts as one.
  package var displayWidth: Int { unicodeScalars.reduce(0) { $0 + $1.displayWidth } }
}

/// A source line laid out for a terminal, with the column of each byte.
struct DisplayLine {
  /// What stands in each column, tabs as spaces; the second column of a wide scalar is empty.
  private(set) var cells: [String] = []
  /// The column (from 0) of each byte of the line, and of its end.
  private(set) var columns: [Int] = []

  private static let tabWidth = 4

  init(_ text: some StringProtocol) {
    for scalar in text.unicodeScalars {
      for _ in 0..<UTF8.width(scalar) { columns.append(cells.count) }
      if scalar == "\t" {
        let width = Self.tabWidth - cells.count % Self.tabWidth
        cells += [String](repeating: " ", count: width)
        continue
      }
      let printed = scalar.printable
      switch printed.displayWidth {
      case 0 where !cells.isEmpty: cells[cells.count - 1].unicodeScalars.append(printed)
      case 2: cells += [String(Character(printed)), ""]
      default: cells.append(String(Character(printed)))
      }
    }
    columns.append(cells.count)
  }

  /// Returns the column of the byte at `offset` in the line.
  func column(ofByte offset: Int) -> Int { columns[min(max(offset, 0), columns.count - 1)] }
}
