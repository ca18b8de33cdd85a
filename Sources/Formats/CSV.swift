import Tensors

/// A table of numbers, with the names of its columns where the file has them.
package struct Table: Sendable {
  /// [rows, columns]: i64 where every cell is a whole number, else f32.
  package let tensor: Tensor
  package let columns: [String]?
}

/// Comma-separated values and their kin: one row a line, cells between commas, semicolons or tabs.
///
/// - The separator is a tab where the first row has one, else a semicolon, else a comma.
/// - The first row names the columns if none of its cells is a number.
/// - Cells may be quoted; a quote inside is doubled. Blank lines and lines that begin with `#` are skipped.
package enum CSV {
  /// Reads a table. Fractions become f32, the language's own; `dtype` asks for another.
  package static func read(_ source: ByteSource, dtype: DType? = nil) throws(FileError) -> Table {
    // The text, and 8 bytes a cell while it is parsed; the shortest cell is a digit and its separator.
    try source.requireMemory(5 * source.byteCount)
    var parser = Parser(source, try source.allBytes())
    return try parser.parse(dtype: dtype)
  }
}

/// A number as a cell spells it.
private enum Number {
  case integer(Int)
  case double(Double)
}

private struct Parser {
  private let source: ByteSource
  private let bytes: [UInt8]
  private var position = 0
  private var line = 1
  private var lineStart = 0
  private var separator = UInt8(ascii: ",")

  /// Cells in row-major order: integers as long as all are, their f64 from the first fraction on.
  private var integers: [Int] = []
  private var doubles: [Double] = []
  private var hasFraction = false

  /// A cell's bytes, the quotes around them left out.
  struct Cell {
    let range: Range<Int>
    let isQuoted: Bool
    let line: Int
    let lineStart: Int
    let endsRow: Bool
  }

  init(_ source: ByteSource, _ bytes: [UInt8]) {
    self.source = source
    self.bytes = bytes
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }  // byte order mark
    lineStart = position
  }

  mutating func parse(dtype: DType?) throws(FileError) -> Table {
    guard skipBlankLines() else { throw source.damaged("has no rows") }
    chooseSeparator()
    let first = try row()
    let firstLine = first[0].line
    var columns: [String]? = nil
    var rowCount = 0
    if first.contains(where: { !$0.isQuoted && number(in: $0.range) != nil }) {
      for cell in first { try append(cell) }
      rowCount = 1
    } else {
      columns = []
      for cell in first { columns?.append(try text(of: cell)) }
    }

    while skipBlankLines() {
      var count = 0
      var endsRow = false
      var last: Cell
      repeat {
        last = try cell()
        endsRow = last.endsRow
        count += 1
        if count > first.count { break }
        try append(last)
      } while !endsRow
      if count != first.count {
        let found = count > first.count ? "more than \(counted(first.count, "cell"))" : counted(count, "cell")
        throw error("this row has \(found), line \(firstLine) has \(grouped(first.count))", at: last)
      }
      rowCount += 1
    }
    let type = TensorType(
      dtype ?? (hasFraction || rowCount == 0 ? .f32 : .i64), [rowCount, first.count])
    try source.requireMemory(type.byteCount)
    return Table(
      tensor: hasFraction
        ? Tensor(doubles, dtype: type.dtype, shape: type.shape)
        : Tensor(integers: integers, dtype: type.dtype, shape: type.shape),
      columns: columns)
  }

  // MARK: Lines

  /// Moves to the next row; false at the end.
  private mutating func skipBlankLines() -> Bool {
    while position < bytes.count {
      var end = position
      while end < bytes.count, isBlank(bytes[end]) || bytes[end] == UInt8(ascii: "\r") { end += 1 }
      if end < bytes.count, bytes[end] == UInt8(ascii: "#") {
        while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
      }
      if end < bytes.count, bytes[end] != UInt8(ascii: "\n") { return true }
      position = min(end + 1, bytes.count)
      startLine()
    }
    return false
  }

  private mutating func startLine() {
    line += 1
    lineStart = position
  }

  private mutating func chooseSeparator() {
    var isQuoted = false
    for byte in bytes[position...] {
      switch byte {
      case UInt8(ascii: "\""): isQuoted.toggle()
      case _ where isQuoted: continue
      case UInt8(ascii: "\n"): return
      case UInt8(ascii: ";"): separator = byte
      case UInt8(ascii: "\t"):
        separator = byte
        return
      default: continue
      }
    }
  }

  private mutating func row() throws(FileError) -> [Cell] {
    var cells: [Cell] = []
    repeat { cells.append(try cell()) } while !cells[cells.count - 1].endsRow
    return cells
  }

  // MARK: Cells

  private func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") && separator != byte
  }

  private mutating func cell() throws(FileError) -> Cell {
    while position < bytes.count, isBlank(bytes[position]) { position += 1 }
    let start = position
    let startsAt = (line: line, lineStart: lineStart)
    let isQuoted = position < bytes.count && bytes[position] == UInt8(ascii: "\"")
    var end = position
    if isQuoted {
      end = try closingQuote()
      position = end + 1
      while position < bytes.count, isBlank(bytes[position]) || bytes[position] == UInt8(ascii: "\r") { position += 1 }
      if position < bytes.count, bytes[position] != separator, bytes[position] != UInt8(ascii: "\n") {
        throw source.damaged("text follows the closing quote of a cell", at: place(position, line, lineStart))
      }
    } else {
      while position < bytes.count, bytes[position] != separator, bytes[position] != UInt8(ascii: "\n") {
        position += 1
      }
      end = position
      while end > start, isBlank(bytes[end - 1]) || bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
    }

    let endsRow = position >= bytes.count || bytes[position] != separator
    if position < bytes.count { position += 1 }
    if endsRow { startLine() }
    return Cell(
      range: isQuoted ? start + 1..<end : start..<end, isQuoted: isQuoted, line: startsAt.line,
      lineStart: startsAt.lineStart, endsRow: endsRow)
  }

  /// Returns where the quoted cell that begins at `position` ends; newlines inside it are counted.
  private mutating func closingQuote() throws(FileError) -> Int {
    let opening = (line: line, lineStart: lineStart)
    var index = position + 1
    while index < bytes.count {
      if bytes[index] == UInt8(ascii: "\"") {
        if index + 1 >= bytes.count || bytes[index + 1] != UInt8(ascii: "\"") { return index }
        index += 1
      } else if bytes[index] == UInt8(ascii: "\n") {
        line += 1
        lineStart = index + 1
      }
      index += 1
    }
    throw source.damaged("this quote is never closed", at: place(position, opening.line, opening.lineStart))
  }

  private func text(of cell: Cell) throws(FileError) -> String {
    guard let text = String(validating: bytes[cell.range], as: UTF8.self) else {
      throw error("this cell is not UTF-8 text", at: cell)
    }
    return cell.isQuoted ? text.replacing("\"\"", with: "\"") : text
  }

  private mutating func append(_ cell: Cell) throws(FileError) {
    switch number(in: cell.range) {
    case .integer(let value) where !hasFraction: integers.append(value)
    case .integer(let value): doubles.append(Double(value))
    case .double(let value):
      if !hasFraction {
        hasFraction = true
        doubles = integers.map(Double.init)
        integers = []
      }
      doubles.append(value)
    case nil:
      if cell.range.isEmpty { throw error("this cell is empty", at: cell) }
      let text = String(decoding: bytes[cell.range].prefix(40), as: UTF8.self)
      throw error("\"\(text)\" is not a number", at: cell)
    }
  }

  // MARK: Numbers

  /// Reads all of `range` as a number: `-12`, `1.5e-3`, `nan`, `inf`; nil where it is none.
  private func number(in range: Range<Int>) -> Number? {
    var index = range.lowerBound
    let isNegative = index < range.upperBound && bytes[index] == UInt8(ascii: "-")
    if isNegative || index < range.upperBound && bytes[index] == UInt8(ascii: "+") { index += 1 }
    let firstDigit = index

    var mantissa: UInt64 = 0
    var isExact = true
    var digitCount = 0
    var scale = 0
    func takeDigits(_ scaleStep: Int) {
      while index < range.upperBound, case let digit = bytes[index] &- UInt8(ascii: "0"), digit <= 9 {
        let (product, overflow) = mantissa.multipliedReportingOverflow(by: 10)
        let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
        if overflow || carry { isExact = false } else { mantissa = sum }
        digitCount += 1
        scale -= scaleStep
        index += 1
      }
    }

    takeDigits(0)
    if index == range.upperBound, digitCount > 0, isExact {
      if !isNegative, let value = Int(exactly: mantissa) { return .integer(value) }
      if isNegative, mantissa <= UInt64(1) << 63 { return .integer(Int(truncatingIfNeeded: 0 &- mantissa)) }
    }
    if index < range.upperBound, bytes[index] == UInt8(ascii: ".") {
      index += 1
      takeDigits(1)
    }
    if digitCount == 0 { return word(in: firstDigit..<range.upperBound, isNegative: isNegative) }
    if index < range.upperBound, bytes[index] | 0x20 == UInt8(ascii: "e") {
      index += 1
      let isDown = index < range.upperBound && bytes[index] == UInt8(ascii: "-")
      if isDown || index < range.upperBound && bytes[index] == UInt8(ascii: "+") { index += 1 }
      let firstDigit = index
      var exponent = 0
      while index < range.upperBound, case let digit = bytes[index] &- UInt8(ascii: "0"), digit <= 9 {
        exponent = min(exponent * 10 + Int(digit), 1 << 20)
        index += 1
      }
      if index == firstDigit { return nil }
      scale += isDown ? -exponent : exponent
    }
    if index != range.upperBound { return nil }

    // A mantissa and a power of ten that are both exact in f64 need one rounding, which division and product do right.
    if isExact, mantissa <= 1 << 53, scale.magnitude < powersOfTen.count {
      let value = Double(mantissa)
      let scaled = scale < 0 ? value / powersOfTen[-scale] : value * powersOfTen[scale]
      return .double(isNegative ? -scaled : scaled)
    }
    return Double(String(decoding: bytes[range], as: UTF8.self)).map { .double($0) }
  }

  /// Reads the numbers that are words.
  private func word(in range: Range<Int>, isNegative: Bool) -> Number? {
    // None is longer than "infinity"; a cell of megabytes need not become a string.
    if range.count > 8 { return nil }
    switch String(decoding: bytes[range], as: UTF8.self).lowercased() {
    case "nan": return .double(.nan)
    case "inf", "infinity": return .double(isNegative ? -.infinity : .infinity)
    default: return nil
    }
  }

  // MARK: Errors

  private func error(_ message: String, at cell: Cell) -> FileError {
    source.damaged(message, at: place(cell.range.lowerBound, cell.line, cell.lineStart))
  }

  private func place(_ position: Int, _ line: Int, _ lineStart: Int) -> FileError.Place {
    let scalars = bytes[lineStart..<position].count { $0 & 0xC0 != 0x80 }
    return .line(line, column: scalars + 1)
  }
}

/// The powers of ten that f64 holds exactly.
private let powersOfTen: [Double] = [
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
  1e20, 1e21, 1e22,
]
