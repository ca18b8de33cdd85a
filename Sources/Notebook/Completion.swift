import Interpreter
import Support
import Syntax

/// What the text before the cursor can go on to be.
package struct Completion: Equatable, Sendable {
  package enum Subject: Equatable, Sendable {
    /// One of `items`.
    case words
    /// A path; inside the string of a function that reads or writes files, or after a command that takes one.
    case path
  }

  /// A word to go on with.
  package struct Item: Equatable, Sendable {
    package let text: String
    /// What stands beside it in a list: `(x, axis = -1)`, `f32[2, 3]`.
    package let detail: String
    /// What kind of thing it is, for those who draw an icon: `function`, `keyword`, `param`, `instance` …
    package let kind: String

    init(_ text: String, _ detail: String = "", kind: String = "instance") {
      self.text = text
      self.detail = detail
      self.kind = kind
    }
  }

  package let subject: Subject
  /// The byte of the line at which the word to complete begins.
  package let start: Int
  package let items: [Item]
  package var candidates: [String] { items.map(\.text) }
}

extension Session {
  /// Returns the place where a name's function, model, optimizer or step is declared, if it holds one.
  package func declaration(of name: String) -> Site? {
    if case .callable(let callable)? = interpreter.value(of: name) { callable.declaration } else { nil }
  }

  /// Returns what can stand at the end of `text`, an input up to the cursor.
  ///
  /// Looking is free of effects: names and members are read, nothing is called.
  package func completion(of text: String) -> Completion {
    let bytes = Array(text.utf8)
    let line = text.drop { $0 == " " }
    if line.first == ":" { return commandCompletion(bytes) }
    let place = Place(in: bytes)
    if let quote = place.openQuote {
      let isPath = takesPath(stringAt: quote, in: bytes, place)
      return Completion(subject: isPath ? .path : .words, start: quote + 1, items: [])
    }
    let wordStart = startOfWord(in: bytes, endingAt: bytes.count)
    func words(_ items: [Completion.Item]) -> Completion { matching(items, bytes, from: wordStart) }

    if place.isInComment || wordStart == bytes.count && line.isEmpty { return words([]) }
    if line.first == "?" { return words(pages(beginning: typed(in: bytes, from: wordStart))) }
    if wordStart > 0, bytes[wordStart - 1] == UInt8(ascii: "."),
      wordStart < 2 || bytes[wordStart - 2] != UInt8(ascii: ".")
    {
      guard let owner = owner(in: bytes, before: wordStart - 1) else { return words([]) }
      return words(members(of: owner, withPaths: wordStart < bytes.count))
    }
    if let items = policies(before: wordStart, in: bytes, place) { return words(items) }
    let labels = keywordArguments(in: bytes, place)
    // Where an argument begins and nothing is typed yet, all names there are would hide what the call takes.
    let before = bytes[..<wordStart].last { $0 != UInt8(ascii: " ") }
    if wordStart == bytes.count, !labels.isEmpty, before == UInt8(ascii: "(") || before == UInt8(ascii: ",") {
      return words(labels)
    }
    return words(names(beginning: typed(in: bytes, from: wordStart)) + labels)
  }

  /// The items that go on from what is typed, each once, in alphabetical order.
  private func matching(_ items: [Completion.Item], _ bytes: [UInt8], from start: Int) -> Completion {
    let prefix = typed(in: bytes, from: start)
    var seen = Set<String>()
    return Completion(
      subject: .words, start: start,
      items: items.filter { $0.text.hasPrefix(prefix) && seen.insert($0.text).inserted }.sorted { $0.text < $1.text })
  }

  private func typed(in bytes: [UInt8], from start: Int) -> String { String(decoding: bytes[start...], as: UTF8.self) }

  // MARK: - Names

  /// What is known of a name's value, in the words of a list.
  private func item(_ name: String, _ value: Value) -> Completion.Item {
    guard case .callable(let callable) = value else { return .init(name, interpreter.note(on: value)) }
    return .init(name, callable.argumentList, kind: callable.kind)
  }

  private func names(beginning prefix: String) -> [Completion.Item] {
    namedValues(beginning: prefix) + keywords.map { .init($0, kind: "keyword") }
  }

  private func namedValues(beginning prefix: String) -> [Completion.Item] {
    namedValues(interpreter.main.visibleNames.filter { $0.hasPrefix(prefix) })
  }

  private func namedValues(_ names: [String]) -> [Completion.Item] {
    names.compactMap { name in
      name == Session.lastValueName ? nil : interpreter.value(of: name).map { item(name, $0) }
    }
  }

  /// What help has pages on.
  private func pages(beginning prefix: String) -> [Completion.Item] {
    namedValues(beginning: prefix) + HelpTopic.names.map { .init($0, "a page", kind: "topic") }
  }

  /// Members, and the paths of a model's params once something is typed: without, they would bury its fields.
  private func members(of owner: Value, withPaths: Bool) -> [Completion.Item] {
    let members = interpreter.members(of: owner).map { member in
      Completion.Item(member.name, member.note, kind: member.note.hasPrefix("(") ? "function" : "instance")
    }
    return members + (withPaths ? interpreter.parameterPaths(of: owner).map { .init($0.path, $0.note) } : [])
  }

  // MARK: - Commands

  private func commandCompletion(_ bytes: [UInt8]) -> Completion {
    let colon = bytes.firstIndex(of: UInt8(ascii: ":")) ?? 0
    guard let space = bytes[colon...].firstIndex(of: UInt8(ascii: " ")) else {
      let commands = Command.allCases.map { Completion.Item(":" + $0.rawValue, $0.summary, kind: "command") }
      return matching(commands, bytes, from: colon)
    }
    let command = Command.named(String(decoding: bytes[colon + 1..<space], as: UTF8.self))
    let start = bytes[space...].firstIndex { $0 != UInt8(ascii: " ") } ?? bytes.count
    switch command?.argument {
    case .path:
      let isQuoted = start < bytes.count && bytes[start] == UInt8(ascii: "\"")
      return Completion(subject: .path, start: isQuoted ? start + 1 : start, items: [])
    case .name: return matching(pages(beginning: typed(in: bytes, from: start)), bytes, from: start)
    case .code:
      let codes = Explanation.all.map { Completion.Item($0.code, kind: "error") }
      return matching(codes, bytes, from: start)
    case .expression:
      let inner = completion(of: typed(in: bytes, from: start))
      return Completion(subject: inner.subject, start: start + inner.start, items: inner.items)
    case nil: return matching([], bytes, from: start)
    }
  }

  // MARK: - Calls

  /// Returns `name:` for each parameter of the innermost call that is open.
  private func keywordArguments(in bytes: [UInt8], _ place: Place) -> [Completion.Item] {
    guard let open = place.brackets.last, bytes[open] == UInt8(ascii: "("), let callee = callee(ofCallAt: open, in: bytes)
    else { return [] }
    return callee.labels.map { .init($0.name + ":", $0.defaultText.map { "= " + $0 } ?? "", kind: "param") }
  }

  private func callee(ofCallAt open: Int, in bytes: [UInt8]) -> Callable? {
    let start = startOfWord(in: bytes, endingAt: open)
    guard start < open else { return nil }
    var callee = interpreter.value(of: String(decoding: bytes[start..<open], as: UTF8.self))
    if start > 0, bytes[start - 1] == UInt8(ascii: ".") { callee = owner(in: bytes, before: open) }
    return callee.flatMap(interpreter.callable)
  }

  /// Whether a string is an argument that is a path: of `load`, `save`, `use`, or of any parameter called so.
  private func takesPath(stringAt quote: Int, in bytes: [UInt8], _ place: Place) -> Bool {
    let before = bytes[..<quote].lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
    let word = String(decoding: bytes[startOfWord(in: bytes, endingAt: before)..<before], as: UTF8.self)
    if word == "use" { return true }
    guard let open = place.brackets.last, bytes[open] == UInt8(ascii: "("), let callee = callee(ofCallAt: open, in: bytes)
    else { return false }
    if before > 0, bytes[before - 1] == UInt8(ascii: ":") {
      return bytes[..<(before - 1)].suffix(4).elementsEqual("path".utf8)
    }
    let position = place.commas
    return callee.parameterNames.map { position < $0.count && $0[position] == "path" }
      ?? (position == 0 && callee.argumentList.hasPrefix("(path"))
  }

  // MARK: - Policies

  /// Returns what can stand in `owner with name: value`, or `owner with (…)`; nil elsewhere.
  private func policies(before wordStart: Int, in bytes: [UInt8], _ place: Place) -> [Completion.Item]? {
    var end = wordStart
    func skipSpace() { while end > 0, bytes[end - 1] == UInt8(ascii: " ") || bytes[end - 1] == 0x0A { end -= 1 } }
    skipSpace()
    var policy: Policy?
    if end > 0, bytes[end - 1] == UInt8(ascii: ":") {
      let start = startOfWord(in: bytes, endingAt: end - 1)
      guard let named = Policy.named(String(decoding: bytes[start..<end - 1], as: UTF8.self)) else { return nil }
      policy = named
      end = start
      skipSpace()
    }
    if end > 0, bytes[end - 1] == UInt8(ascii: ",") || bytes[end - 1] == UInt8(ascii: "("),
      let open = place.brackets.last, bytes[open] == UInt8(ascii: "(")
    {
      end = open
      skipSpace()
    }
    let start = startOfWord(in: bytes, endingAt: end)
    guard bytes[start..<end].elementsEqual("with".utf8) else { return nil }
    if let policy {
      // The library's names are what none of these is.
      return policy.values.map { .init($0, kind: "keyword") } + namedValues(interpreter.main.names)
    }
    end = start
    skipSpace()
    return settings(of: end, in: bytes)
  }

  /// The policies of what ends at a place, and the hyperparameters of an optimizer; all of them where nothing is known of
  /// it.
  private func settings(of end: Int, in bytes: [UInt8]) -> [Completion.Item] {
    var value = owner(in: bytes, before: end)
    if end > 0, bytes[end - 1] == UInt8(ascii: ")") {
      // `adamw(lr: 1e-3) with`: what is called says what comes out.
      var depth = 0
      let open = bytes[..<end].lastIndex { byte in
        if byte == UInt8(ascii: ")") { depth += 1 } else if byte == UInt8(ascii: "(") { depth -= 1 }
        return depth == 0
      }
      value = open.flatMap { callee(ofCallAt: $0, in: bytes) }.map { .callable($0) }
      if case .callable(let callable)? = value, callable.kind != "optimizer" { value = nil }
    }
    if case .record? = value, let value { return interpreter.members(of: value).map { .init($0.name + ":", $0.note) } }
    let subject = value.flatMap(interpreter.policySubject)
    var items = Policy.all.filter { subject == nil || $0.subjects.contains(subject!) }.map { policy in
      Completion.Item(policy.name + ":", policy.summary, kind: "param")
    }
    if subject == .optimizer, let value {
      items += interpreter.hyperparameters(of: value).map { .init($0.name + ":", "= " + $0.note, kind: "param") }
    }
    return items
  }
}

// MARK: - Looking around

extension Session {
  /// Returns the page of what stands at a place of a text: of a name, a member (`net.layers[0].weight`), or of the function
  /// among whose arguments the place is.
  ///
  /// Looking is free of effects, as for completion.
  ///
  /// - Parameter withSource: whether the source follows, where the language has it.
  package func helpPage(at offset: Int, in text: String, withSource: Bool = false) -> String? {
    let bytes = Array(text.utf8)
    var end = min(max(offset, 0), bytes.count)
    while end < bytes.count, isNameByte(bytes[end]) { end += 1 }
    let place = Place(in: Array(bytes[..<end]))
    if let page = helpPage(ofWordBefore: end, in: bytes) {
      let source = withSource ? owner(in: bytes, before: end).flatMap(source) : nil
      return source.map { page + "\n\n" + $0 } ?? page
    }
    for open in place.brackets.reversed() where bytes[open] == UInt8(ascii: "(") {
      if let page = helpPage(ofWordBefore: open, in: bytes) { return page }
    }
    return nil
  }

  private func helpPage(ofWordBefore end: Int, in bytes: [UInt8]) -> String? {
    let path = path(in: bytes, before: end)
    if let page = helpPage(of: path) { return page }
    return owner(in: bytes, before: end).map { page(of: path, $0) }
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
  private func owner(in bytes: [UInt8], before end: Int) -> Value? { valueOfPath(path(in: bytes, before: end)) }

  private func path(in bytes: [UInt8], before end: Int) -> String {
    var start = end
    while start > 0 {
      let byte = bytes[start - 1]
      if byte == UInt8(ascii: "]") {
        guard let open = bytes[..<(start - 1)].lastIndex(of: UInt8(ascii: "[")),
          open + 1 < start - 1,
          bytes[open + 1..<start - 1].allSatisfy({
            $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: "-")
          })
        else { break }
        start = open
      } else if isNameByte(byte) || byte == UInt8(ascii: ".") {
        start -= 1
      } else {
        break
      }
    }
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }
}

/// Where a text ends: in a string or a comment, and between which brackets.
private struct Place {
  /// The quote of the string that the text ends in.
  private(set) var openQuote: Int?
  private(set) var isInComment = false
  /// The brackets that are open, the innermost last; `{` of interpolations among them.
  private(set) var brackets: [Int] = []
  /// The commas since the innermost bracket.
  private(set) var commas = 0

  init(in bytes: [UInt8]) {
    // Of the strings around the place whose `{` is open: the quote, and how many brackets were open at it.
    var strings: [(quote: Int, depth: Int)] = []
    var commaCounts: [Int] = []
    var index = 0
    func open(_ place: inout Place) {
      place.brackets.append(index)
      commaCounts.append(place.commas)
      place.commas = 0
    }
    func close(_ place: inout Place) {
      guard place.brackets.popLast() != nil else { return }
      place.commas = commaCounts.removeLast()
    }
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\n") {
        // Strings end on their line, and what is open in them.
        if let first = strings.first { while brackets.count > first.depth { close(&self) } }
        (strings, openQuote, isInComment) = ([], nil, false)
      } else if isInComment {
        // Up to the end of the line.
      } else if let quote = openQuote {
        switch byte {
        case UInt8(ascii: "\\"): index += 1
        case UInt8(ascii: "\""): openQuote = nil
        case UInt8(ascii: "{"):
          strings.append((quote, brackets.count))
          openQuote = nil
          open(&self)
        default: break
        }
      } else {
        switch byte {
        case UInt8(ascii: "\""): openQuote = index
        case UInt8(ascii: "#"): isInComment = true
        case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"): open(&self)
        case UInt8(ascii: ")"), UInt8(ascii: "]"): close(&self)
        case UInt8(ascii: "}"):
          close(&self)
          if let string = strings.last, brackets.count == string.depth {
            openQuote = string.quote
            strings.removeLast()
          }
        case UInt8(ascii: ","): commas += 1
        default: break
        }
      }
      index += 1
    }
  }
}
