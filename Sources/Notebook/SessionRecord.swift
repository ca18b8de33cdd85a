import Formats
import Interpreter
import Support
import Syntax

/// What a session ran and what that printed: it can be saved as a script whose outputs are its tests.
struct SessionRecord {
  /// An entry of the session.
  private struct Piece {
    /// Its lines with the comments above them, expectations left out.
    var code: [String]
    var expected: [String] = []
    /// The number of the input that it came in.
    let input: Int
    /// Whether it ended in a value.
    var hasValue = false
    /// The codes of its mistakes that were known before it ran.
    var mistakes: [String] = []
    /// Why it stands in the script as a comment; nil where it does not.
    var reasonToLeaveOut: String?
  }
  private var pieces: [Piece] = []
  /// Names of what measures time, and those that hold what it said: their output is shown, not compared.
  private var volatileNames = measuringFunctions

  /// Lines kept of an output that is too long to be compared.
  private static let longestCut = 20

  // MARK: - Recording

  /// Keeps an entry, what it said while it ran, and what it ended in.
  mutating func add(
    _ entry: Script.Entry, of prepared: Session.PreparedScript, input: Int, _ said: RecordingOutput.Taken,
    _ outcome: Session.EntryOutcome
  ) {
    let script = prepared.script
    var piece = Piece(code: lines(above: entry, in: script) + lines(of: entry, in: script), input: input)
    piece.mistakes = prepared.mistakes(in: entry).map(\.code)
    piece.hasValue = said.hasValue
    var diagnostics = said.diagnostics
    switch outcome {
    case .failed(let errors): diagnostics += errors
    case .interrupted:
      // What was stopped half way has no outcome to expect.
      piece.reasonToLeaveOut = "interrupted"
      pieces.append(piece)
      return
    case .finished, .exited: break
    }
    let names = Interpreter.names(in: script.program.statements[entry.statements])
    let wasShown = entry.expectation.lines.contains { $0.kind == .shown } && !entry.expectation.isCompared
    let isVolatile = wasShown || !names.mentioned.isDisjoint(with: volatileNames)
    if isVolatile { volatileNames.formUnion(names.assigned) } else { volatileNames.subtract(names.assigned) }
    volatileNames.formUnion(measuringFunctions.subtracting(names.assigned))
    for line in said.isCut ? said.lines.prefix(SessionRecord.longestCut) + ["..."] : said.lines[...] {
      // Places in what was typed are others in the script, and how the process grew will be different.
      let isPassing = line.contains("   resident ") || line.contains("<repl ") || line.contains("<cell ")
        || line.contains("<command>") || line.contains(".nn:")
      let isShown = isVolatile || said.isCut
      let text = Check.Style.script.line(isShown ? .shown : .output, isPassing && !isShown ? "..." : line)
      if isPassing, text == piece.expected.last { continue }
      piece.expected.append(text)
    }
    for diagnostic in diagnostics where diagnostic.severity == .error {
      let message = diagnostic.message.contains("\n") ? "" : ": " + diagnostic.message
      piece.expected.append(
        Check.Style.script.line(.error, "\(diagnostic.severity.rawValue)[\(diagnostic.code)]\(message)"))
    }
    pieces.append(piece)
  }

  /// Keeps the comments after the last entry.
  mutating func addEnd(of script: Script, input: Int) {
    let last = script.entries.last?.lines.upperBound ?? 0
    guard last < script.file.lineCount else { return }
    let lines = lines(last + 1...script.file.lineCount, of: script.file)
    if !lines.allSatisfy(\.isEmpty) { pieces.append(Piece(code: lines, input: input)) }
  }

  /// Forgets everything, as the session does.
  mutating func reset() { self = SessionRecord() }

  private func lines(of entry: Script.Entry, in script: Script) -> [String] {
    entry.lines.map { script.file.text(ofLine: $0) }
  }

  /// The lines between an entry and the one before it. Expectations that came with them are replaced by what was printed.
  private func lines(above entry: Script.Entry, in script: Script) -> [String] {
    let before = script.entries.last { $0.lines.upperBound < entry.lines.lowerBound }?.lines.upperBound ?? 0
    guard before + 1 < entry.lines.lowerBound else { return [] }
    return lines(before + 1...entry.lines.lowerBound - 1, of: script.file)
  }

  private func lines(_ range: ClosedRange<Int>, of file: SourceFile) -> [String] {
    range.map { file.text(ofLine: $0) }.filter { ExpectedLine($0, line: 1) == nil }
  }

  // MARK: - Saving

  /// Writes the session as a script.
  func save(to path: String) throws { try writeAtomically(Array(text.utf8), to: path) }

  /// The session as a script that passes its own tests.
  var text: String {
    var pieces = namingOutputs()
    // A name that was unknown then may be assigned later in the script, and a mistake of syntax may reach further than it
    // did: such entries become comments, until all others have the mistakes that they had.
    for _ in 0...pieces.count {
      guard let index = firstMisplaced(in: pieces) else { break }
      pieces[index].reasonToLeaveOut =
        pieces[index].mistakes.isEmpty ? "not to be had outside of the session" : "an error when it was typed"
    }
    return SessionRecord.lines(of: pieces).joined().joined(separator: "\n") + "\n"
  }

  private static func lines(of pieces: [Piece]) -> [[String]] {
    pieces.map { piece in
      guard let reason = piece.reasonToLeaveOut else { return piece.code + piece.expected }
      return ["# \(reason):"] + piece.code.map { "#   " + $0 }
    }
  }

  /// The entry to leave out so that others come nearer to the mistakes that they had.
  private func firstMisplaced(in pieces: [Piece]) -> Int? {
    let blocks = SessionRecord.lines(of: pieces)
    let script = Script(SourceFile(name: "session.nn", text: blocks.joined().joined(separator: "\n")))
    let prepared = Session(output: SilentOutput()).prepare(script)
    var line = 1
    var culprit: Int?
    for (index, block) in blocks.enumerated() {
      let range = line..<line + block.count
      line += block.count
      let entries = script.entries.filter { range.contains($0.lines.lowerBound) }
      let mistakes = entries.flatMap { prepared.mistakes(in: $0).map(\.code) }
      let isOut = pieces[index].reasonToLeaveOut != nil
      if !isOut, !pieces[index].mistakes.isEmpty { culprit = index }
      let expected = isOut ? [] : pieces[index].mistakes
      // What is called with too many arguments is found out before the start or when it runs.
      if mistakes == expected || mistakes.isEmpty && !expected.contains("unknown-name") { continue }
      // A name that only the session had, such as `Out`; other mistakes reached here from above.
      if !isOut, mistakes.allSatisfy({ $0 == "unknown-name" }) { return index }
      if let culprit { return culprit }
    }
    return nil
  }

  /// The entries with a name for each output that another one takes from `Out`.
  private func namingOutputs() -> [Piece] {
    var result = pieces
    let numbers = Set(pieces.flatMap { $0.code.flatMap { outputReferences(in: $0).map(\.number) } })
    for number in numbers.sorted() {
      guard let source = pieces.lastIndex(where: { $0.input == number && $0.hasValue }) else { continue }
      var name = "out_\(number)"
      while pieces.contains(where: { $0.code.contains { $0.contains(name) } }) { name += "_" }
      result[source].expected.append("\(name) = _")
      for index in result.indices where index > source {
        result[index].code = result[index].code.map { line in
          var line = line
          for reference in outputReferences(in: line).reversed() where reference.number == number {
            line.replaceSubrange(reference.range, with: name)
          }
          return line
        }
      }
    }
    return result
  }
}

/// The functions whose results differ from run to run on one machine.
private let measuringFunctions: Set<String> = ["calibrate", "clock", "compare", "profile", "time"]

/// Finds `Out[3]` in a line.
private func outputReferences(in line: String) -> [(range: Range<String.Index>, number: Int)] {
  var found: [(Range<String.Index>, Int)] = []
  var start = line.startIndex
  while let open = line[start...].firstRange(of: KeptOutputs.name + "[") {
    start = open.upperBound
    let isWhole = open.lowerBound == line.startIndex
      || !(line[line.index(before: open.lowerBound)].isLetter || "._".contains(line[line.index(before: open.lowerBound)]))
    let digits = line[start...].prefix { $0.isNumber }
    guard isWhole, let number = Int(digits), line[digits.endIndex...].first == "]" else { continue }
    found.append((open.lowerBound..<line.index(after: digits.endIndex), number))
  }
  return found
}
