import Notebook
import Support

/// A program that an editor holds open, and what is known of it.
///
/// Editors count in UTF-16 units from the start of a line; everything else here counts bytes.
final class Document {
  let uri: String
  /// Where its file lies; what stands for it where it has none.
  let path: String
  private(set) var file: SourceFile
  private(set) var version: Int?
  /// Whether it has changed since it was checked.
  private(set) var isStale = true
  /// Whether the editor was told what is wrong with the text as it stands.
  var isPublished = false
  private(set) var check: ScriptCheck?
  private(set) var report = ScriptCheck.Report()

  init(uri: String, text: String, version: Int?) {
    self.uri = uri
    path = Document.path(of: uri)
    file = SourceFile(name: path, text: text)
    self.version = version
  }

  // MARK: - Text

  var text: String { file.text(in: 0..<file.bytes.count) }

  /// Replaces a range, or everything.
  func replace(_ range: (start: Position, end: Position)?, with text: String, version: Int?) {
    var bytes = Array(text.utf8)
    if let range {
      let start = offset(of: range.start)
      let end = max(start, offset(of: range.end))
      bytes = Array(file.bytes[..<start]) + bytes + file.bytes[end...]
    }
    file = SourceFile(name: path, bytes: bytes)
    self.version = version ?? self.version
    isStale = true
    isPublished = false
  }

  /// A place as editors say it: both from 0, the second in UTF-16 units.
  struct Position: Equatable {
    let line: Int
    let character: Int
  }

  /// The byte of a position; the nearest there is where the text ends before it.
  func offset(of position: Position) -> Int {
    guard position.line >= 0 else { return 0 }
    guard position.line < file.lineCount else { return file.bytes.count }
    let range = file.range(ofLine: position.line + 1)
    var units = 0
    var offset = range.lowerBound
    for scalar in String(decoding: file.bytes[range], as: UTF8.self).unicodeScalars {
      if units >= position.character { break }
      units += UTF16.width(scalar)
      offset += UTF8.width(scalar)
    }
    return min(offset, range.upperBound)
  }

  /// The position of a byte.
  func position(of offset: Int) -> Position {
    let offset = min(max(offset, 0), file.bytes.count)
    let line = file.line(at: offset)
    let start = file.range(ofLine: line).lowerBound
    let before = String(decoding: file.bytes[start..<max(start, offset)], as: UTF8.self)
    return Position(line: line - 1, character: before.utf16.count)
  }

  // MARK: - Checking

  /// Looks at the program as it stands, if that has not been done yet.
  func checkIfStale() {
    guard isStale else { return }
    isStale = false
    let check = ScriptCheck(Script(file), purpose: .editor)
    check.readsData(beside: path)
    report = check.report()
    self.check = check
  }

  /// What the program has at a byte: the smallest expression there whose value is known.
  func meaning(at offset: Int) -> (site: Site, text: String)? {
    checkIfStale()
    var best: (site: Site, text: String)?
    for meaning in report.meanings {
      let site = meaning.site
      guard site.file === file, site.start <= offset, offset <= site.end else { continue }
      if let best, best.site.end - best.site.start < site.end - site.start { continue }
      best = (site, meaning.description)
    }
    return best
  }

  /// Where the word at a byte is declared, or bound first.
  func definition(at offset: Int) -> Site? {
    checkIfStale()
    let word = wordAround(offset)
    guard !word.isEmpty else { return nil }
    if let site = check?.session.declaration(of: word), site.file === file { return site }
    return report.meanings.map(\.site).filter { $0.file === file && $0.text == word }.min { $0.start < $1.start }
  }

  /// The name that a byte lies in.
  private func wordAround(_ offset: Int) -> String {
    func isInName(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), 0x80...: true
      default: false
      }
    }
    let bytes = file.bytes
    var (start, end) = (min(offset, bytes.count), min(offset, bytes.count))
    while start > 0, isInName(bytes[start - 1]) { start -= 1 }
    while end < bytes.count, isInName(bytes[end]) { end += 1 }
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  // MARK: - Names

  /// The path of a `file:` address; any other address stands for itself.
  private static func path(of uri: String) -> String {
    guard uri.hasPrefix("file://") else { return uri }
    var bytes: [UInt8] = []
    var rest = Array(uri.utf8.dropFirst("file://".utf8.count))[...]
    while let byte = rest.first {
      let digits = rest.dropFirst().prefix(2)
      if byte == UInt8(ascii: "%"), digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) {
        bytes.append(value)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
        rest = rest.dropFirst()
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
