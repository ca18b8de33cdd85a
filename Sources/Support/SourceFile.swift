/// A text that programs are read from: its name as users see it and its bytes.
package final class SourceFile: Sendable {
  /// The name shown in diagnostics: a path as the user gave it, `<stdin>`, `<repl 3>`, `stdlib/core.nn`.
  package let name: String
  /// The text in UTF-8.
  package let bytes: [UInt8]
  /// Whether it is part of the standard library, whose lines are not the user's.
  package let isLibrary: Bool
  /// The offset of the first byte of each line.
  private let lineStarts: [Int]

  package init(name: String, bytes: [UInt8], isLibrary: Bool = false) {
    self.name = name
    self.bytes = bytes
    self.isLibrary = isLibrary
    var starts = [0]
    for (offset, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
      starts.append(offset + 1)
    }
    lineStarts = starts
  }

  package convenience init(name: String, text: String) {
    self.init(name: name, bytes: Array(text.utf8))
  }

  package var lineCount: Int { lineStarts.count }

  /// Returns the line (from 1) that holds the byte at `offset`.
  package func line(at offset: Int) -> Int {
    var low = 0
    var high = lineStarts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if lineStarts[middle] <= offset { low = middle } else { high = middle }
    }
    return low + 1
  }

  /// Returns the column (from 1, in Unicode scalars) of the byte at `offset`.
  package func column(at offset: Int) -> Int {
    let start = lineStarts[line(at: offset) - 1]
    var column = 1
    for byte in bytes[start..<max(start, min(offset, bytes.count))] where byte & 0xC0 != 0x80 {
      column += 1
    }
    return column
  }

  /// Returns the byte range of `line` (from 1), its newline left out.
  package func range(ofLine line: Int) -> Range<Int> {
    let start = lineStarts[line - 1]
    var end = line < lineStarts.count ? lineStarts[line] - 1 : bytes.count
    if end > start, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
    return start..<max(start, end)
  }

  /// Returns the text of `line` (from 1) without its newline.
  package func text(ofLine line: Int) -> String {
    String(decoding: bytes[range(ofLine: line)], as: UTF8.self)
  }

  /// Returns the text in a byte range.
  package func text(in range: Range<Int>) -> String {
    String(decoding: bytes[range.clamped(to: 0..<bytes.count)], as: UTF8.self)
  }
}

/// A place in a source text: what a diagnostic underlines.
package struct Site: Hashable, Sendable {
  package let file: SourceFile
  /// Byte offsets in the file, half open.
  package let start: Int
  package let end: Int

  package init(file: SourceFile, start: Int, end: Int) {
    self.file = file
    self.start = start
    self.end = end
  }

  /// The source text at this site.
  package var text: String { file.text(in: start..<max(start, end)) }
  /// The source text where it is short enough to stand in a sentence.
  package var shortText: String? {
    let length = end - start
    guard length > 0, length <= 24 else { return nil }
    let text = text
    return text.utf8.contains(UInt8(ascii: "\n")) ? nil : text
  }
  package var line: Int { file.line(at: start) }
  package var column: Int { file.column(at: start) }

  /// Whether `other` lies within this site.
  package func contains(_ other: Site) -> Bool {
    file === other.file && start <= other.start && other.end <= end
  }

  /// Returns the smallest site that covers this one and `other`.
  package func joined(with other: Site) -> Site {
    Site(file: file, start: min(start, other.start), end: max(end, other.end))
  }

  package static func == (a: Site, b: Site) -> Bool {
    a.file === b.file && a.start == b.start && a.end == b.end
  }
  package func hash(into hasher: inout Hasher) {
    hasher.combine(ObjectIdentifier(file))
    hasher.combine(start)
    hasher.combine(end)
  }
}
