import Interpreter
import Support
import Syntax

/// What the text before the cursor can go on to be.
package struct Completion: Equatable, Sendable {
  package enum Subject: Equatable, Sendable {
    /// One of `candidates`.
    case words
    /// A path; inside a string, or after a command that takes a file.
    case path
  }

  package let subject: Subject
  /// The byte of the line at which the word to complete begins.
  package let start: Int
  package let candidates: [String]
}

extension Session {
  /// Returns the page of what stands at a place of a text: of a name, a member (`net.layers[0].weight`), or of the function
  /// among whose arguments the place is.
  ///
  /// Looking is free of effects, as for completion.
  package func helpPage(at offset: Int, in text: String) -> String? {
    let bytes = Array(text.utf8)
    var end = min(max(offset, 0), bytes.count)
    while end < bytes.count, isNameByte(bytes[end]) { end += 1 }
    var start = end
    while start > 0, isNameByte(bytes[start - 1]) || bytes[start - 1] == UInt8(ascii: ".") { start -= 1 }
    let name = String(decoding: bytes[start..<end], as: UTF8.self)
    if let page = helpPage(of: name) { return page }
    if let owner = owner(in: bytes, before: end) { return page(of: name, owner) }
    var depth = 0
    for index in stride(from: start - 1, through: 0, by: -1) {
      switch bytes[index] {
      case UInt8(ascii: ")"): depth += 1
      case UInt8(ascii: "("):
        depth -= 1
        if depth < 0 { return helpPage(at: index, in: String(decoding: bytes[..<index], as: UTF8.self)) }
      default: break
      }
    }
    return nil
  }

  /// Returns the place where a name's function, model, optimizer or step is declared, if it holds one.
  package func declaration(of name: String) -> Site? {
    if case .callable(let callable)? = interpreter.value(of: name) { callable.declaration } else { nil }
  }

  /// Returns what kind of thing a word of the language or a name is, for those who draw an icon beside it.
  package func kind(ofWord word: String) -> String {
    if languageKeywords.contains(word) { return "keyword" }
    if word.hasSuffix(":") { return "param" }
    if case .callable(let callable)? = interpreter.value(of: word) { return callable.kind }
    return "instance"
  }

  /// Returns what can stand at the end of `text`, a line up to the cursor.
  ///
  /// Looking is free of effects: names and members are read, nothing is called.
  package func completion(of text: String) -> Completion {
    let bytes = Array(text.utf8)
    if let quote = openQuote(in: bytes) {
      return Completion(subject: .path, start: quote + 1, candidates: [])
    }
    let wordStart = startOfWord(in: bytes, endingAt: bytes.count)
    let word = String(decoding: bytes[wordStart...], as: UTF8.self)
    func words(_ candidates: [String], from start: Int? = nil) -> Completion {
      let start = start ?? wordStart
      let prefix = String(decoding: bytes[start...], as: UTF8.self)
      return Completion(
        subject: .words, start: start,
        candidates: Set(candidates).filter { $0.hasPrefix(prefix) }.sorted())
    }

    let line = text.drop { $0 == " " }
    if line.first == ":" { return commandCompletion(bytes, words) }
    if line.first == "?" { return words(interpreter.main.visibleNames + HelpTopic.names) }
    if wordStart > 0, bytes[wordStart - 1] == UInt8(ascii: ".") {
      guard wordStart < 2 || bytes[wordStart - 2] != UInt8(ascii: ".") else { return words(names) }
      guard let owner = owner(in: bytes, before: wordStart - 1) else { return words([]) }
      return words(interpreter.memberNames(of: owner))
    }
    if word.isEmpty, line.isEmpty { return words([]) }
    let labels = keywordArguments(in: bytes, at: wordStart)
    // Where an argument begins and nothing is typed yet, all names there are would hide what the call takes.
    let before = bytes[..<wordStart].last { $0 != UInt8(ascii: " ") }
    if word.isEmpty, !labels.isEmpty, before == UInt8(ascii: "(") || before == UInt8(ascii: ",") {
      return words(labels)
    }
    return words(names + labels)
  }

  private var names: [String] {
    interpreter.main.visibleNames.filter { $0 != Session.lastValueName } + languageKeywords
  }

  private func commandCompletion(
    _ bytes: [UInt8], _ words: ([String], Int?) -> Completion
  ) -> Completion {
    let colon = bytes.firstIndex(of: UInt8(ascii: ":")) ?? 0
    guard let space = bytes[colon...].firstIndex(of: UInt8(ascii: " ")) else {
      return words(Command.spellings, colon)
    }
    let command = Command.named(String(decoding: bytes[colon + 1..<space], as: UTF8.self))
    let argument = bytes[space...].firstIndex { $0 != UInt8(ascii: " ") } ?? bytes.count
    switch command?.argument {
    case .path: return Completion(subject: .path, start: argument, candidates: [])
    case .name: return words(interpreter.main.visibleNames + HelpTopic.names, argument)
    case .code: return words(Explanation.all.map(\.code), argument)
    case .expression: return words(names, nil)
    case nil: return words([], argument)
    }
  }

  // MARK: - Looking back

  /// Returns the quote of the string that the text ends in, if it does.
  private func openQuote(in bytes: [UInt8]) -> Int? {
    // Where each `{` of an interpolation leads back to.
    var open: [(quote: Int, depth: Int)] = []
    var quote: Int?
    var depth = 0
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      if let inside = quote {
        switch byte {
        case UInt8(ascii: "\\"): index += 1
        case UInt8(ascii: "\""): quote = nil
        case UInt8(ascii: "{"):
          open.append((inside, depth))
          (quote, depth) = (nil, 0)
        default: break
        }
      } else {
        switch byte {
        case UInt8(ascii: "\""): quote = index
        case UInt8(ascii: "#"):
          while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
        case UInt8(ascii: "{"): depth += 1
        case UInt8(ascii: "}"):
          if depth > 0 {
            depth -= 1
          } else if let outer = open.popLast() {
            (quote, depth) = (outer.quote, outer.depth)
          }
        case UInt8(ascii: "\n"): (open, depth) = ([], 0)
        default: break
        }
      }
      index += 1
    }
    return quote
  }

  private func startOfWord(in bytes: [UInt8], endingAt end: Int) -> Int {
    var start = end
    while start > 0, isNameByte(bytes[start - 1]) { start -= 1 }
    return start
  }

  private func isNameByte(_ byte: UInt8) -> Bool {
    byte &- UInt8(ascii: "0") < 10 || (byte | 0x20) &- UInt8(ascii: "a") < 26
      || byte == UInt8(ascii: "_") || byte >= 0x80
  }

  /// Returns the value of the path of names and constant indices that ends before `end`: of `net.layers[0]`.
  private func owner(in bytes: [UInt8], before end: Int) -> Value? {
    var start = end
    while start > 0 {
      let byte = bytes[start - 1]
      if byte == UInt8(ascii: "]") {
        guard let open = bytes[..<(start - 1)].lastIndex(of: UInt8(ascii: "[")),
          open + 1 < start - 1,
          bytes[open + 1..<start - 1].allSatisfy({
            $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: "-")
          })
        else { return nil }
        start = open
      } else if isNameByte(byte) || byte == UInt8(ascii: ".") {
        start -= 1
      } else {
        break
      }
    }
    let path = String(decoding: bytes[start..<end], as: UTF8.self)
    guard let first = path.unicodeScalars.first, first.properties.isXIDStart || first == "_" else {
      return nil
    }
    return valueQuietly(of: SourceFile(name: "<completion>", text: path))
  }

  /// Returns `name:` for each parameter of the innermost call that is open at `end`.
  private func keywordArguments(in bytes: [UInt8], at end: Int) -> [String] {
    var depth = 0
    for index in stride(from: end - 1, through: 0, by: -1) {
      switch bytes[index] {
      case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"): depth += 1
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        if depth == 0 { return [] }
        depth -= 1
      case UInt8(ascii: "("):
        if depth == 0 { return parameters(ofCallAt: index, in: bytes) }
        depth -= 1
      default: break
      }
    }
    return []
  }

  private func parameters(ofCallAt open: Int, in bytes: [UInt8]) -> [String] {
    let start = startOfWord(in: bytes, endingAt: open)
    guard start < open else { return [] }
    let name = String(decoding: bytes[start..<open], as: UTF8.self)
    var callee = interpreter.value(of: name)
    if start > 0, bytes[start - 1] == UInt8(ascii: ".") {
      callee = owner(in: bytes, before: open)
    }
    guard case .callable(let callable)? = callee else { return [] }
    return (callable.parameterNames ?? []).map { $0 + ":" }
  }
}

/// Words that begin or join statements, offered beside names.
private let languageKeywords = [
  "and", "break", "buffer", "continue", "else", "false", "fn", "for", "if", "in", "input", "model", "none", "not",
  "optimizer", "or", "param", "return", "state", "step", "true", "use", "while", "with",
]
