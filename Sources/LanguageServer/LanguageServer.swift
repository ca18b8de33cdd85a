import Formats
import Notebook
import Support
import Syntax

/// The Language Server Protocol over a connection: mistakes as they are typed, what names stand for, completion and layout.
///
/// https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification
package final class LanguageServer {
  private let connection: Connection
  private let version: String
  private var documents: [String: Document] = [:]
  private var state = State.fresh

  private enum State { case fresh, running, shutDown }

  /// Codes of JSON-RPC and of the protocol.
  private enum ErrorCode: Int {
    case parseError = -32700
    case invalidRequest = -32600
    case methodNotFound = -32601
    case invalidParameters = -32602
    case notInitialized = -32002
  }

  package init(_ connection: Connection, version: String) {
    self.connection = connection
    self.version = version
  }

  /// Serves until the editor says `exit` or goes away, and returns the exit code.
  package func run() -> Int32 {
    while true {
      // What is typed quickly is looked at once.
      if !connection.hasInput { publishStale() }
      switch connection.next() {
      case .end: return state == .shutDown ? 0 : 1
      case .broken(let reason): fail(.null, .parseError, reason)
      case .message(let bytes):
        guard let message = JSONValue(object: bytes) else {
          fail(.null, .parseError, "this is no JSON object")
          continue
        }
        if message["method"]?.text == "exit" { return state == .shutDown ? 0 : 1 }
        handle(message)
      }
    }
  }

  private func handle(_ message: JSONValue) {
    guard let method = message["method"]?.text else {
      // An answer to a request of ours, of which there are none.
      if message["result"] == nil, message["error"] == nil { fail(message["id"] ?? .null, .invalidRequest, "there is no method") }
      return
    }
    let parameters = message["params"] ?? .nothing
    guard let id = message["id"] else { return notified(method, parameters) }
    switch (state, method) {
    case (.fresh, "initialize"):
      state = .running
      answer(id, capabilities)
    case (.fresh, _): fail(id, .notInitialized, "`initialize` comes first")
    case (.shutDown, _): fail(id, .invalidRequest, "the server has been shut down")
    case (.running, "shutdown"):
      state = .shutDown
      answer(id, .null)
    case (.running, "textDocument/hover"): answer(id, parameters, hover)
    case (.running, "textDocument/completion"): answer(id, parameters, completion)
    case (.running, "textDocument/definition"): answer(id, parameters, definition)
    case (.running, "textDocument/formatting"): answer(id, parameters, formatting)
    case (.running, "initialize"): fail(id, .invalidRequest, "`initialize` comes once")
    case (.running, _): fail(id, .methodNotFound, "there is no method \(method)")
    }
  }

  private var capabilities: JSONValue {
    [
      "capabilities": [
        "positionEncoding": "utf-16",
        "textDocumentSync": ["openClose": true, "change": 2],
        "hoverProvider": true,
        "completionProvider": ["triggerCharacters": [".", "("]],
        "definitionProvider": true,
        "documentFormattingProvider": true,
      ],
      "serverInfo": ["name": "gradus", "version": .string(version)],
    ]
  }

  // MARK: - Documents

  private func notified(_ method: String, _ parameters: JSONValue) {
    guard state == .running, let uri = parameters["textDocument"]?["uri"]?.text else { return }
    let version = parameters["textDocument"]?["version"]?.number
    switch method {
    case "textDocument/didOpen":
      guard let text = parameters["textDocument"]?["text"]?.text else { return }
      documents[uri] = Document(uri: uri, text: text, version: version)
    case "textDocument/didChange":
      guard let document = documents[uri], case .array(let changes)? = parameters["contentChanges"] else { return }
      for change in changes {
        guard let text = change["text"]?.text else { continue }
        if let range = change["range"] {
          guard let start = position(range["start"]), let end = position(range["end"]) else { continue }
          document.replace((start, end), with: text, version: version)
        } else {
          document.replace(nil, with: text, version: version)
        }
      }
    case "textDocument/didClose":
      documents[uri] = nil
      publish([], of: uri, version: nil)
    default: break
    }
  }

  /// Checks what has changed, and says what is wrong with it.
  private func publishStale() {
    for document in documents.values.sorted(by: { $0.uri < $1.uri }) where !document.isPublished {
      document.checkIfStale()
      document.isPublished = true
      let mistakes = document.report.mistakes + document.report.unfulfilled
      publish(mistakes.map { diagnostic($0, in: document) }, of: document.uri, version: document.version)
    }
  }

  private func publish(_ diagnostics: [JSONValue], of uri: String, version: Int?) {
    var parameters: [String: JSONValue] = ["uri": .string(uri), "diagnostics": .array(diagnostics)]
    if let version { parameters["version"] = .int(version) }
    connection.send([
      "jsonrpc": "2.0", "method": "textDocument/publishDiagnostics", "params": .object(parameters),
    ])
  }

  private func diagnostic(_ diagnostic: Diagnostic, in document: Document) -> JSONValue {
    let isHere = diagnostic.site?.file === document.file
    var text = diagnostic.message
    if !isHere, let site = diagnostic.site { text += " (\(site.file.name):\(site.line))" }
    for note in diagnostic.notes { text += "\n\(note)" }
    if let help = diagnostic.help { text += "\nhelp: \(help)" }
    let related = diagnostic.labels.filter { $0.site.file === document.file }.map { label -> JSONValue in
      ["location": ["uri": .string(document.uri), "range": range(label.site, in: document)], "message": .string(label.text)]
    }
    let severity = switch diagnostic.severity { case .error: 1; case .warning: 2; case .note: 3 }
    // What happened in another file is told where this one leads there.
    let site = isHere ? diagnostic.site : diagnostic.trace.first { $0.site.file === document.file }?.site
    return [
      "range": site.map { range($0, in: document) } ?? ["start": ["line": 0, "character": 0], "end": ["line": 0, "character": 0]],
      "severity": .int(severity), "code": .string(diagnostic.code), "source": "gradus", "message": .string(text),
      "relatedInformation": .array(related),
    ]
  }

  private func range(_ site: Site, in document: Document) -> JSONValue {
    ["start": json(document.position(of: site.start)), "end": json(document.position(of: site.end))]
  }

  private func json(_ position: Document.Position) -> JSONValue {
    ["line": .int(position.line), "character": .int(position.character)]
  }

  private func position(_ value: JSONValue?) -> Document.Position? {
    guard let line = value?["line"]?.number, let character = value?["character"]?.number, line >= 0, character >= 0 else {
      return nil
    }
    return Document.Position(line: line, character: character)
  }

  // MARK: - Requests

  /// Answers a request about a place in an open document.
  private func answer(
    _ id: JSONValue, _ parameters: JSONValue, _ body: (Document, Document.Position) -> JSONValue
  ) {
    guard let uri = parameters["textDocument"]?["uri"]?.text, let document = documents[uri] else {
      return fail(id, .invalidParameters, "no such document is open")
    }
    guard let position = position(parameters["position"]) else {
      return fail(id, .invalidParameters, "there is no position")
    }
    answer(id, body(document, position))
  }

  private func hover(_ document: Document, _ position: Document.Position) -> JSONValue {
    let offset = document.offset(of: position)
    let meaning = document.meaning(at: offset)
    let page = document.check?.session.helpPage(at: offset, in: document.text)
    guard meaning != nil || page != nil else { return .null }
    let parts = [meaning.map { "```\n\($0.text)\n```" }, page.map { "```\n\($0)\n```" }].compactMap { $0 }
    var result: [String: JSONValue] = ["contents": ["kind": "markdown", "value": .string(parts.joined(separator: "\n"))]]
    if let meaning { result["range"] = range(meaning.site, in: document) }
    return .object(result)
  }

  private func completion(_ document: Document, _ position: Document.Position) -> JSONValue {
    // While a name is being typed, what was known before it began is what can be offered.
    if document.check == nil { document.checkIfStale() }
    guard let session = document.check?.session else { return [] }
    let offset = document.offset(of: position)
    let start = document.file.range(ofLine: document.file.line(at: offset)).lowerBound
    let line = document.file.text(in: start..<max(start, offset))
    let completion = session.completion(of: line)
    guard completion.subject == .words else { return [] }
    let range: JSONValue = [
      "start": json(document.position(of: start + completion.start)), "end": json(document.position(of: offset)),
    ]
    return .array(
      completion.items.prefix(500).map { item in
        [
          "label": .string(item.text), "detail": .string(item.detail),
          "kind": .int(LanguageServer.kinds[item.kind] ?? 6),
          "textEdit": ["range": range, "newText": .string(item.text)],
        ]
      })
  }

  /// The protocol's numbers for what items are; 6 is a variable.
  private static let kinds = ["keyword": 14, "param": 5, "function": 3, "step": 3, "model": 7, "optimizer": 7]

  private func definition(_ document: Document, _ position: Document.Position) -> JSONValue {
    guard let site = document.definition(at: document.offset(of: position)) else { return .null }
    return ["uri": .string(document.uri), "range": range(site, in: document)]
  }

  private func answer(_ id: JSONValue, _ parameters: JSONValue, _ body: (Document) -> JSONValue) {
    guard let uri = parameters["textDocument"]?["uri"]?.text, let document = documents[uri] else {
      return fail(id, .invalidParameters, "no such document is open")
    }
    answer(id, body(document))
  }

  private func formatting(_ document: Document) -> JSONValue {
    // What does not parse keeps its layout.
    guard let text = format(document.file) else { return .null }
    if text == document.text { return [] }
    let end = document.position(of: document.file.bytes.count)
    return [["range": ["start": ["line": 0, "character": 0], "end": json(end)], "newText": .string(text)]]
  }

  // MARK: - Answers

  private func answer(_ id: JSONValue, _ result: JSONValue) {
    connection.send(["jsonrpc": "2.0", "id": id, "result": result])
  }

  private func fail(_ id: JSONValue, _ code: ErrorCode, _ message: String) {
    connection.send([
      "jsonrpc": "2.0", "id": id, "error": ["code": .int(code.rawValue), "message": .string(message)],
    ])
  }
}
