import CStdlib
import Graphs
import Ops
import Testing

/// Every example in the comments of `stdlib/*.nn` and in the documentation of the ops prints what it says.
@Suite struct StdlibExampleTests {
  /// What a reader would type, line by line, and what he is told to expect.
  struct Example: Sendable, CustomTestStringConvertible {
    let place: String
    var lines: [(input: String, output: String)] = []
    var testDescription: String { place }
  }

  /// Takes the examples out of a documentation text: `>>> ` begins an input, `... ` continues it, and what follows
  /// up to an empty line is its output.
  static func example(in text: [Substring], at place: String) -> Example? {
    var example = Example(place: place)
    var isOutput = false
    for line in text {
      if line.hasPrefix(">>> ") {
        example.lines.append((String(line.dropFirst(4)), ""))
        isOutput = true
      } else if isOutput, line.hasPrefix("... "), example.lines.last?.output == "" {
        example.lines[example.lines.count - 1].input += "\n" + line.dropFirst(4)
      } else if isOutput, !line.isEmpty {
        example.lines[example.lines.count - 1].output += line + "\n"
      } else {
        isOutput = false
      }
    }
    return example.lines.isEmpty ? nil : example
  }

  /// The standard library's files.
  static let files: [(name: String, text: String)] = {
    let files = UnsafeBufferPointer(start: gradus_embedded_files(), count: gradus_embedded_file_count())
    return files.compactMap { file in
      let name = String(cString: file.name)
      guard name.hasSuffix(".nn") else { return nil }
      let bytes = UnsafeBufferPointer(start: file.bytes, count: file.byte_count)
      return (name, String(decoding: bytes, as: UTF8.self))
    }
  }()

  static let library: [Example] = {
    var examples: [Example] = []
    for (name, text) in files {
      var comment: [Substring] = []
      for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
        if line.hasPrefix("#") {
          comment.append(line.hasPrefix("# ") ? line.dropFirst(2) : line.dropFirst())
          continue
        }
        let head = line.prefix { $0 != "(" && $0 != "=" }
        if let example = example(in: comment, at: "\(name): \(head)") { examples.append(example) }
        comment = []
      }
    }
    return examples
  }()

  static let ops: [Example] = OpCatalog.all.compactMap {
    example(in: $0.documentation.split(separator: "\n", omittingEmptySubsequences: false), at: $0.name)
  }

  private func check(_ example: Example) throws {
    let session = ProgramSession()
    for (input, output) in example.lines {
      #expect(try session.run(input) == output, "\(input)")
    }
  }

  @Test(arguments: library) func standardLibrary(example: Example) throws { try check(example) }
  @Test(arguments: ops) func op(example: Example) throws { try check(example) }

  /// Functions, layers and optimizers without an example would go unnoticed otherwise.
  @Test func everythingHasAnExample() {
    var undocumented: [String] = []
    for (name, text) in Self.files {
      for line in text.split(separator: "\n")
      where ["fn ", "model ", "optimizer ", "step "].contains(where: line.hasPrefix) {
        let place = "\(name): \(line.prefix { $0 != "(" && $0 != "=" })"
        if !Self.library.contains(where: { $0.place == place }) { undocumented.append(place) }
      }
    }
    #expect(undocumented == [])
  }

  @Test func theLibraryHasNoMistakes() {
    #expect(ProgramSession().interpreter.standardLibraryMistakes.map(\.message) == [])
  }
}
