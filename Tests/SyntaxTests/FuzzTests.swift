import Support
import Syntax
import Testing

/// No input, however broken, may trap; and every diagnostic points into the file.
@Suite struct FuzzTests {
  private static let tokens: [String] = [
    "(", ")", "[", "]", "{", "}", "\"", "{{", "\\", "'", "\n", "\n\n", ";", ",", ":", ".", "..",
    "...", "..<",
    "|>", "->", "=", "==", "+=", "-", "^", "**", "&&", "!", "@", "fn ", "model ", "optimizer ",
    "step ",
    "param ", "state ", "input ", "use ", "for ", " in ", "while ", "if ", " else ", "return ",
    "break",
    " not ", " with ", " with grad: ", "none", "0", "1.5", "9223372036854775808", "0x", "1e",
    "64MiB", "x",
    "# doc\n", "#> 1\n", "\u{0}", "\u{FF}", "変", "“", "\t", "\r\n",
  ]

  @Test func mutatedPrograms() {
    var random = XorShift(seed: 20_260_801)
    let texts = Corpus.all.flatMap { text in
      [Array(text.utf8)]
        + text.split(separator: "\n\n").map { Array($0.utf8) }
        + text.split(separator: "\n").map { Array($0.utf8) }
    }
    for round in 0..<20_000 {
      // Mostly short texts: more of them are seen, and one mutation matters more.
      var bytes = texts[Int.random(in: 0..<texts.count, using: &random)]
      if round % 4 == 0 {
        // Any piece of a program: its brackets do not match, and nothing before it helps.
        let start = Int.random(in: 0..<bytes.count, using: &random)
        bytes = Array(bytes[start..<min(bytes.count, start + 300)])
      }
      for _ in 0..<Int.random(in: 1...4, using: &random) { Self.mutate(&bytes, &random) }
      let file = SourceFile(name: "fuzz.nn", bytes: bytes)
      let (program, diagnostics) = parse(file)
      for diagnostic in diagnostics {
        let sites = [diagnostic.site].compactMap(\.self) + diagnostic.labels.map(\.site)
        guard !sites.isEmpty, sites.allSatisfy({ Self.isInside($0, file) }) else {
          Issue.record("\(summary(diagnostic)) points outside \(bytes)")
          return
        }
      }
      if round % 8 == 0 {
        for diagnostic in diagnostics { _ = render(diagnostic, color: true) }
        _ = dump(program)
        _ = inputStatus(of: String(decoding: bytes, as: UTF8.self))
      }
    }
  }

  private static func isInside(_ site: Site, _ file: SourceFile) -> Bool {
    site.file === file && 0 <= site.start && site.start <= site.end && site.end <= file.bytes.count
  }

  static func mutate(_ bytes: inout [UInt8], _ random: inout XorShift) {
    let place = Int.random(in: 0...bytes.count, using: &random)
    let end = min(bytes.count, place + Int.random(in: 0...12, using: &random))
    switch Int.random(in: 0..<6, using: &random) {
    case 0:
      bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
    case 1:
      bytes.removeSubrange(place..<end)
    case 2:
      if place < bytes.count { bytes[place] = UInt8.random(in: 0...255, using: &random) }
    case 3:
      bytes.insert(
        contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &random))
    case 4:
      let token = tokens[Int.random(in: 0..<tokens.count, using: &random)]
      bytes.insert(contentsOf: token.utf8, at: place)
    default:
      // A bracket or operator in the place of another.
      let token = tokens[Int.random(in: 0..<tokens.count, using: &random)]
      bytes.replaceSubrange(place..<min(place + 1, bytes.count), with: token.utf8)
    }
  }
}
