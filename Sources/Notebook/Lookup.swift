import Interpreter
import Support
import Syntax

// What commands find out about names and expressions.

extension Session {
  /// The value of a name or of a path such as `net.layers[0].weight`; nil where there is none. Nothing is called.
  func valueOfPath(_ path: String) -> Value? {
    let isPath = path.unicodeScalars.allSatisfy { $0.properties.isXIDContinue || "._[]-".unicodeScalars.contains($0) }
    guard isPath, let first = path.unicodeScalars.first, first.properties.isXIDStart || first == "_" else { return nil }
    if let value = interpreter.value(of: path) { return value }
    // A path cut short, or one name that there is not.
    guard path.contains(where: { $0 == "." || $0 == "[" }), path.last != "." else { return nil }
    return valueQuietly(of: SourceFile(name: "<path>", text: path))
  }

  /// The source of what is written in the language, with the comment above it: of a function, or of what a model or an
  /// optimizer was made by.
  func source(of value: Value) -> String? {
    let site: Site?
    switch value {
    case .callable(let callable): site = callable.declaration
    case .model(let model): site = model.definition.declaration
    case .optimizer(let optimizer): site = optimizer.definition.declaration
    default: site = nil
    }
    guard let site else { return nil }
    let file = site.file
    var first = site.line
    while first > 1, isDocumentation(file.text(ofLine: first - 1)) { first -= 1 }
    let last = file.line(at: max(site.start, site.end - 1))
    let lines = (first...last).map { file.text(ofLine: $0) }
    return "# \(file.name):\(site.line)\n" + lines.joined(separator: "\n")
  }

  private func isDocumentation(_ line: String) -> Bool {
    let text = line.drop { $0 == " " }
    return text.first == "#" && ExpectedLine(line, line: 1) == nil && !text.hasPrefix("# %%") && !text.hasPrefix("#%%")
  }

  /// A line for each name of the session and the library that begins so, or that holds the word where none begins so.
  func browse(_ prefix: String) -> [String] {
    let names = interpreter.main.visibleNames.filter { $0 != Session.lastValueName && $0 != KeptOutputs.name }
    var chosen = names.filter { $0.hasPrefix(prefix) }
    if chosen.isEmpty { chosen = names.filter { $0.lowercased().contains(prefix.lowercased()) } }
    let rows = chosen.compactMap { name -> [String]? in
      guard let value = interpreter.value(of: name) else { return nil }
      guard case .callable(let callable) = value else { return [name, interpreter.note(on: value)] }
      let text = callable.documentation.prefix { $0 != "\n" }
      let sentence = text.firstRange(of: ". ").map { text[...$0.lowerBound] } ?? text
      return [callable.signature, String(sentence)]
    }
    // One long signature must not push all sentences to the edge.
    let width = min(40, rows.map { $0[0].displayWidth }.max() ?? 0)
    return rows.map { row in
      (row[0] + String(repeating: " ", count: max(2, width - row[0].displayWidth + 2)) + row[1]).trimmedAtEnd
    }
  }

  /// The type of what an expression gives: by a trace of it, which computes nothing, else by running it.
  func type(of file: SourceFile) -> (type: String?, wasEvaluated: Bool, outcome: EntryOutcome) {
    let script = Script(file)
    let statements = script.program.statements
    let mistakes = script.entries.flatMap(\.mistakes)
    guard mistakes.isEmpty else { return (nil, false, .failed(mistakes)) }
    guard statements.count == 1, case .expression = statements[0].kind else {
      let problem = Diagnostic(.error, "bad-command", "only an expression has a type", at: statements.first?.site)
      return (nil, false, .failed([problem]))
    }
    let text = statements[0].site.text
    // What is only read costs nothing.
    if let value = valueOfPath(text) { return (interpreter.typeText(of: value), false, .finished) }
    if let thunk = valueQuietly(of: SourceFile(name: "<type>", text: "fn() = " + text)) {
      let outer = output
      output = SilentOutput()
      defer { output = outer }
      if let type = interpreter.typeByTracing(thunk) { return (type, false, .finished) }
    }
    let (seed, tick) = (interpreter.seed, interpreter.tick)
    let (value, outcome) = evaluate(SourceFile(name: file.name, text: text))
    (interpreter.seed, interpreter.tick) = (seed, tick)
    switch outcome {
    case .finished: return (value.map(interpreter.typeText) ?? "none", true, .finished)
    // `exit()` has no value, and to ask for its type is no wish to leave.
    case .exited: return ("none", true, .finished)
    case .failed, .interrupted: return (nil, true, outcome)
    }
  }

  /// Where a member of a name's value came from: the expression that made it, and what has trained it since.
  func origin(of path: String, _ value: Value) -> [String] {
    var lines = ["\(path) : \(interpreter.note(on: value))"]
    if case .tensor(let tensor) = value, let made = tensor.made { lines.append("  " + Provenance.text(of: made)) }
    guard let dot = path.lastIndex(of: "."), case .model(let model)? = valueOfPath(String(path[..<dot])) else { return lines }
    for (name, count) in interpreter.training(of: String(path[path.index(after: dot)...]), in: model) {
      lines.append("  trained since by `\(name)`, \(count == 1 ? "1 step" : "\(grouped(count)) steps")")
    }
    return lines
  }
}
