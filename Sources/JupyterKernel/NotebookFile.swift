import Formats
import Interpreter
import Notebook
import Support

/// A notebook file of Jupyter, format 4.5, and the script that it stands for.
///
/// Cells come from `# %%`; the title of a cell of code is a cell of prose before it. Code stands there without its `#>`
/// lines, since the outputs are below it. So that a notebook gives its script back, whatever cannot be told from what it
/// shows is kept in the metadata of cells, under `gradus`:
///
/// - `expectations`: runs of expected lines, with the line of code they follow. The code may have been edited since: they
///   go where that line went, and away with it.
/// - `marker`: a `# %%` line, where it is not the usual one; empty for none.
/// - `prose`: the comment lines of prose, where they are not the usual ones.
/// - `blankLines`: how many follow the cell, where it is not one, or at the end none.
package enum NotebookFile {
  // MARK: - Writing

  /// Returns the file of a document.
  package static func bytes(of document: Document, version: String) -> [UInt8] {
    var writer = CellWriter(document)
    let notebook: JSONValue = [
      "cells": .array(writer.cells()),
      "metadata": [
        "kernelspec": ["display_name": "Gradus", "language": "gradus", "name": "gradus"],
        "language_info": Kernel.languageInfo(version),
      ],
      "nbformat": 4, "nbformat_minor": 5,
    ]
    return Array((notebook.indented + "\n").utf8)
  }

  // MARK: - Reading

  /// Returns the script of a notebook.
  ///
  /// - Throws: `KernelError` where the file is no notebook of this language.
  package static func script(of bytes: [UInt8]) throws -> [UInt8] {
    guard let notebook = JSONValue(object: bytes), let cells = notebook["cells"]?.items else {
      throw KernelError("this is no notebook of format 4")
    }
    let metadata = notebook["metadata"]
    let language =
      metadata?["language_info"]?["name"]?.text ?? metadata?["kernelspec"]?["language"]?.text ?? "gradus"
    if language != "gradus" { throw KernelError("the notebook's language is \(language), not gradus") }
    var reader = CellReader()
    for (index, cell) in cells.enumerated() { reader.read(cell, isLast: index == cells.count - 1) }
    return Array(reader.text.utf8)
  }
}

// MARK: - Cells of a script

/// The cells of a document as a notebook has them.
private struct CellWriter {
  let document: Document
  private var executionCount = 0
  private var ids: Set<String> = []

  init(_ document: Document) { self.document = document }

  private var file: SourceFile { document.script.file }

  mutating func cells() -> [JSONValue] {
    let all = document.cells
    var result: [JSONValue] = []
    for (index, cell) in all.enumerated() {
      // What comes before the first marker may be nothing.
      if cell.markerLine == nil, index == 0, all.count > 1, cell.lines.isEmpty { continue }
      let isLast = index == all.count - 1
      switch cell.kind {
      case .prose: result.append(prose(cell, isLast: isLast))
      case .code:
        if !cell.title.isEmpty { result.append(heading(cell)) }
        result.append(code(cell, isFirst: result.isEmpty, isLast: isLast))
      }
    }
    return result
  }

  /// The title of a cell of code.
  private mutating func heading(_ cell: ScriptCell) -> JSONValue {
    let id = id("title-" + slug(cell.title))
    return markdown("## " + cell.title, ["heading": true, "marker": .string(marker(of: cell))], id)
  }

  private mutating func prose(_ cell: ScriptCell, isLast: Bool) -> JSONValue {
    var notes = blankLines(after: cell, isLast: isLast)
    let marker = marker(of: cell)
    if marker != "# %% [markdown]" { notes["marker"] = .string(marker) }
    let lines = document.script.text(of: cell)
    let prose = document.script.prose(of: cell)
    if prose.map(ScriptCell.comment) != lines { notes["prose"] = .array(lines.map { .string($0) }) }
    return markdown(prose.joined(separator: "\n"), notes, id(slug(prose.first { !$0.isEmpty } ?? "prose")))
  }

  private func markdown(_ text: String, _ notes: [String: JSONValue], _ id: String) -> JSONValue {
    ["cell_type": "markdown", "id": .string(id), "metadata": metadata(notes), "source": sourceLines(text)]
  }

  private mutating func code(_ cell: ScriptCell, isFirst: Bool, isLast: Bool) -> JSONValue {
    let lines = Lines(of: document.script.text(of: cell))
    var notes = blankLines(after: cell, isLast: isLast)
    if cell.title.isEmpty {
      let usual = isFirst ? "" : "# %%"
      let marker = marker(of: cell)
      if marker != usual { notes["marker"] = .string(marker) }
    }
    if !lines.expectations.isEmpty { notes["expectations"] = .array(lines.expectations.map(\.json)) }
    let entries = document.script.entries.enumerated().filter { cell.lines.contains($0.element.lines.lowerBound) }
    let hasRun = !entries.isEmpty
    if hasRun { executionCount += 1 }
    let name = cell.title.isEmpty ? lines.code.first { !$0.isEmpty } ?? "empty" : cell.title
    return [
      "cell_type": "code", "id": .string(id(slug(name))), "metadata": metadata(notes),
      "execution_count": hasRun ? .int(executionCount) : .null,
      "outputs": .array(outputs(of: entries.map(\.offset))), "source": sourceLines(lines.code.joined(separator: "\n")),
    ]
  }

  private func marker(of cell: ScriptCell) -> String { cell.markerLine.map { file.text(ofLine: $0) } ?? "" }

  private func blankLines(after cell: ScriptCell, isLast: Bool) -> [String: JSONValue] {
    var count = cell.lines.count - document.script.text(of: cell).count
    // Behind the newline at the end of a file begins no line.
    if isLast, count > 0 { count -= 1 }
    return count == (isLast ? 0 : 1) ? [:] : ["blankLines": .int(count)]
  }

  private func metadata(_ notes: [String: JSONValue]) -> JSONValue {
    notes.isEmpty ? .nothing : ["gradus": .object(notes)]
  }

  // MARK: - Names of cells

  /// Names stay the same when other cells come and go: they are made of titles and first lines.
  private mutating func id(_ wanted: String) -> String {
    var id = wanted
    var count = 1
    while !ids.insert(id).inserted {
      count += 1
      id = "\(wanted)-\(count)"
    }
    return id
  }

  private func slug(_ text: String) -> String {
    var slug = ""
    for byte in text.utf8.prefix(200) {
      let letter = byte | 0x20
      let isPlain = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter) && byte >= 0x41
      if isPlain || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
        slug.unicodeScalars.append(UnicodeScalar(isPlain ? letter : byte))
      } else if !slug.isEmpty, slug.last != "-" {
        slug += "-"
      }
      if slug.utf8.count == 40 { break }
    }
    while slug.last == "-" { slug.removeLast() }
    return slug.isEmpty ? "cell" : slug
  }

  // MARK: - Outputs

  private func outputs(of entries: [Int]) -> [JSONValue] {
    var result: [JSONValue] = []
    var written = ""
    func flush() {
      if !written.isEmpty {
        result.append(["output_type": "stream", "name": "stdout", "text": sourceLines(written)])
      }
      written = ""
    }
    let all = entries.flatMap { document.outputs[$0] }
    for (index, output) in all.enumerated() {
      if case .text(let text, _) = output {
        written += text + "\n"
        continue
      }
      flush()
      switch output {
      case .text: break
      case .value(let value, _):
        var bundle = mimeBundle(value).members ?? [:]
        for (kind, text) in bundle { bundle[kind] = sourceLines(text.text ?? "") }
        var display: [String: JSONValue] = ["data": .object(bundle), "metadata": .nothing]
        // The last value of a cell is its result.
        let isResult = index == all.count - 1
        display["output_type"] = isResult ? "execute_result" : "display_data"
        if isResult { display["execution_count"] = .int(executionCount) }
        result.append(.object(display))
      case .warning(let text):
        result.append(["output_type": "stream", "name": "stderr", "text": sourceLines(text + "\n")])
      case .error(let code, let message, let text):
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { JSONValue.string(String($0)) }
        result.append([
          "output_type": "error", "ename": .string(code), "evalue": .string(message), "traceback": .array(lines),
        ])
      }
    }
    flush()
    return result
  }
}

/// A text as notebook files hold it: a list of lines with their newlines.
private func sourceLines(_ text: String) -> JSONValue {
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  let whole = lines.enumerated().map { index, line in index < lines.count - 1 ? line + "\n" : String(line) }
  return .array(whole.filter { !$0.isEmpty }.map { .string($0) })
}

/// The lines of a cell of code, and the expected lines between them.
private struct Lines {
  var code: [String] = []
  var expectations: [Run] = []

  /// Expected lines that stand together.
  struct Run {
    /// How many lines of code stand before them, and the last of these.
    let position: Int
    let anchor: String
    var lines: [String]

    init(position: Int, anchor: String, lines: [String]) {
      self.position = position
      self.anchor = anchor
      self.lines = lines
    }

    init?(_ json: JSONValue) {
      guard let position = json["line"]?.number, let anchor = json["after"]?.text, let lines = json["lines"]?.items else {
        return nil
      }
      // What is no expectation would run as code.
      self.init(position: position, anchor: anchor, lines: lines.compactMap(\.text).filter(Script.isExpectation))
    }

    var json: JSONValue {
      ["line": .int(position), "after": .string(anchor), "lines": .array(lines.map { .string($0) })]
    }
  }

  init(of lines: [String]) {
    var isOpen = false
    for line in lines {
      if Script.isExpectation(line) {
        if isOpen {
          expectations[expectations.count - 1].lines.append(line)
        } else {
          expectations.append(Run(position: code.count, anchor: code.last ?? "", lines: [line]))
        }
        isOpen = true
      } else {
        code.append(line)
        isOpen = false
      }
    }
  }
}

// MARK: - Script of cells

/// Puts a script together from the cells of a notebook.
private struct CellReader {
  private(set) var text = ""
  /// The marker that a title left for the code below it.
  private var title: String?

  mutating func read(_ cell: JSONValue, isLast: Bool) {
    let source = joined(cell["source"])
    let notes = cell["metadata"]?["gradus"]
    let blankLines = min(max(notes?["blankLines"]?.number ?? (isLast ? 0 : 1), 0), 1000)
    if cell["cell_type"]?.text == "code" {
      let usual = text.isEmpty ? "" : "# %%"
      // Only the marker may be there: anything else would be code that nobody sees in the notebook.
      var marker = notes?["marker"]?.text ?? usual
      if !marker.isEmpty, CellMarker(marker)?.kind != .code { marker = usual }
      add(marker: title ?? marker, code(cell, source, notes), blankLines)
      title = nil
      return
    }
    if notes?["heading"]?.flag == true, let words = headingWords(source) {
      flushTitle()
      let marker = notes?["marker"]?.text ?? ""
      title = CellMarker(marker)?.title == words ? marker : "# %% " + words
      if isLast { flushTitle() }
      return
    }
    flushTitle()
    var marker = notes?["marker"]?.text ?? "# %% [markdown]"
    if CellMarker(marker)?.kind != .prose { marker = "# %% [markdown]" }
    let prose = source.isEmpty ? [] : lines(source)
    let kept = notes?["prose"]?.items?.compactMap(\.text) ?? []
    let isKept = !kept.isEmpty && kept.map(ScriptCell.prose) == prose && kept.allSatisfy(Script.isProse)
    add(marker: marker, isKept ? kept : prose.map(ScriptCell.comment), blankLines)
  }

  /// A title whose code is gone.
  private mutating func flushTitle() {
    if let title { add(marker: title, [], 1) }
    title = nil
  }

  private mutating func add(marker: String, _ lines: [String], _ blankLines: Int) {
    // What stood last in the file before may have had none below it.
    if !text.isEmpty, !text.hasSuffix("\n") { text += "\n" }
    for line in (marker.isEmpty ? [] : [marker]) + lines { text += line + "\n" }
    text += String(repeating: "\n", count: blankLines)
  }

  /// The words of a title that is still one line.
  private func headingWords(_ source: String) -> String? {
    let words = source.drop { $0 == "#" || $0 == " " }
    return words.isEmpty || words.contains("\n") || !source.hasPrefix("#") ? nil : String(words)
  }

  private func code(_ cell: JSONValue, _ source: String, _ notes: JSONValue?) -> [String] {
    var code = source.isEmpty ? [] : lines(source)
    // The kernel's own commands are nothing that a script can say.
    if Command.parse(source) != nil { return code.map(ScriptCell.comment) }
    guard let kept = notes?["expectations"]?.items else {
      return notes == nil ? withOutputs(code, cell) : code
    }
    // From the end, so that positions before stay right.
    var last = code.count
    for run in kept.compactMap(Lines.Run.init).reversed() {
      guard let position = position(of: run, in: code, upTo: last) else { continue }
      code.insert(contentsOf: run.lines, at: position)
      last = position
    }
    return code
  }

  /// Where a run of expected lines belongs now: after the line that it followed, the nearest where there are several.
  private func position(of run: Lines.Run, in code: [String], upTo last: Int) -> Int? {
    if run.position == 0 { return 0 }
    let candidates = (0..<last).filter { code[$0] == run.anchor }
    return candidates.min { abs($0 + 1 - run.position) < abs($1 + 1 - run.position) }.map { $0 + 1 }
  }

  /// Code that was written in a notebook, with its outputs as expected lines. Where several statements share them, they
  /// are shown only: which said what is not known.
  private func withOutputs(_ code: [String], _ cell: JSONValue) -> [String] {
    let script = Script(SourceFile(name: "<cell>", text: code.joined(separator: "\n")))
    let isCompared = script.entries.count == 1
    var result = code
    for output in cell["outputs"]?.items ?? [] {
      switch output["output_type"]?.text {
      case "stream" where output["name"]?.text == "stdout":
        result += marked(isCompared ? "#>" : "#~", joined(output["text"]))
      case "execute_result", "display_data":
        result += marked(isCompared ? "#>" : "#~", joined(output["data"]?["text/plain"]))
      case "error":
        let heading = "error[\(output["ename"]?.text ?? "error")]: \(output["evalue"]?.text ?? "")"
        result += marked(isCompared ? "#!" : "#~", String(heading.prefix { $0 != "\n" }))
      default: break
      }
    }
    return result
  }

  private func marked(_ mark: String, _ text: String) -> [String] {
    lines(text.hasSuffix("\n") ? String(text.dropLast()) : text).map { $0.isEmpty ? mark : "\(mark) \($0)" }
  }

  private func lines(_ text: String) -> [String] {
    text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  /// A text that may be one string or a list of lines.
  private func joined(_ json: JSONValue?) -> String {
    json?.text ?? (json?.items ?? []).compactMap(\.text).joined()
  }
}
