import Formats
import Glibc
import Interpreter
import Notebook
import Support
import Syntax

/// A Jupyter kernel: a session whose other end is a notebook or a console.
///
/// The protocol is that of https://jupyter-client.readthedocs.io/en/stable/messaging.html, version 5.5.
/// See Note [Three threads].
package final class Kernel {
  private let wire: Wire
  private let output: KernelOutput
  private let dialogue: Dialogue
  private var history = History()
  private var executionCount = 0

  /// - Parameter path: the connection file that the front end wrote.
  /// - Throws: `KernelError`.
  package init(connection path: String, bytes: [UInt8], version: String) throws {
    wire = try Wire(ConnectionFile(path: path, bytes: bytes), kernelInfo: Kernel.info(version))
    output = KernelOutput(wire)
    let session = Session(output: output)
    session.inputKind = "cell"
    output.interpreter = session.interpreter
    dialogue = Dialogue(session, output)
  }

  /// Answers requests until the front end ends the process.
  package func run() throws -> Never {
    try wire.start()
    while true { answer(wire.nextRequest()) }
  }

  private static func info(_ version: String) -> JSONValue {
    [
      "status": "ok", "protocol_version": .string(Message.protocolVersion), "implementation": "gradus",
      "implementation_version": .string(version), "banner": "Gradus \(version)   :help   ?name",
      "language_info": languageInfo(version),
    ]
  }

  /// What a front end needs to know of the language.
  static func languageInfo(_ version: String) -> JSONValue {
    [
      "name": "gradus", "version": .string(version), "mimetype": "text/x-gradus", "file_extension": ".nn",
      // Comments, strings, numbers and calls look as in Python.
      "codemirror_mode": "python",
    ]
  }

  // MARK: - Requests

  private func answer(_ request: Request) {
    wire.publishState("busy", for: request)
    let content = request.content
    switch request.type {
    case "execute_request":
      let waiting = execute(request)
      wire.publishState("idle", for: request)
      waiting.forEach(abort)
      return
    case "kernel_info_request": wire.reply("kernel_info_reply", wire.kernelInfo, to: request)
    case "is_complete_request": wire.reply("is_complete_reply", completeness(of: content), to: request)
    case "complete_request": wire.reply("complete_reply", completions(for: content), to: request)
    case "inspect_request": wire.reply("inspect_reply", inspection(for: content), to: request)
    case "history_request":
      wire.reply("history_reply", ["status": "ok", "history": history.answer(content)], to: request)
    case "comm_info_request": wire.reply("comm_info_reply", ["status": "ok", "comms": .nothing], to: request)
    case "comm_open":
      // There is nothing here that a widget could talk to.
      wire.publish("comm_close", ["comm_id": content["comm_id"] ?? "", "data": .nothing], for: request)
    // Requests of later versions of the protocol, and what is none.
    default: break
    }
    wire.publishState("idle", for: request)
  }

  // MARK: - Running

  /// - Returns: the requests that are not to be run since this one failed.
  private func execute(_ request: Request) -> [Request] {
    let content = request.content
    let code = content["code"]?.text ?? ""
    let isSilent = content["silent"]?.flag ?? false
    let isRemembered = !isSilent && (content["store_history"]?.flag ?? true)
    if isRemembered { executionCount += 1 }
    output.begin(
      request, executionCount: executionCount, isSilent: isSilent,
      allowsQuestions: content["allow_stdin"]?.flag ?? false)
    if !isSilent {
      wire.publish(
        "execute_input", ["code": .string(code), "execution_count": .int(executionCount)], for: request)
    }

    // Errors name the cell as its front end does.
    dialogue.session.inputCount = executionCount - 1
    var payload: [JSONValue] = []
    var failure: JSONValue?
    switch dialogue.run(code) {
    case .finished: break
    case .failed(let errors): failure = Kernel.description(of: errors)
    case .interrupted(let diagnostic): failure = Kernel.description(of: [diagnostic])
    case .exited: payload.append(["source": "ask_exit", "keepkernel": false])
    }
    payload += output.pages.map { page in
      ["source": "page", "data": ["text/plain": .string(page)], "start": 0]
    }
    var reply: [String: JSONValue] = ["execution_count": .int(executionCount), "payload": .array(payload)]
    var waiting: [Request] = []
    if let failure {
      // Before anybody hears of the error: what is sent by those who did is meant to run.
      if content["stop_on_error"]?.flag ?? true { waiting = wire.takeExecuteRequests() }
      output.publishError(failure)
      reply.merge(failure.members ?? [:]) { $1 }
      reply["status"] = "error"
      reply["user_expressions"] = .nothing
    } else {
      reply["status"] = "ok"
      reply["user_expressions"] = values(of: content["user_expressions"]?.members ?? [:])
    }
    if isRemembered { history.add(executionCount, code, result: output.result) }
    wire.endExecution()
    wire.reply("execute_reply", .object(reply), to: request)
    return waiting
  }

  /// Answers a request that was waiting when one before it failed: it is not run.
  private func abort(_ request: Request) {
    wire.publishState("busy", for: request)
    var reply = Kernel.description(of: [Kernel.aborted]).members ?? [:]
    reply["status"] = "error"
    reply["execution_count"] = .int(executionCount)
    wire.reply("execute_reply", .object(reply), to: request)
    wire.publishState("idle", for: request)
  }

  private static let aborted = Diagnostic(.error, "interrupted", "not run: an input before this one failed", at: nil)

  /// Errors as front ends show them: the text is the terminal's.
  private static func description(of errors: [Diagnostic]) -> JSONValue {
    let lines = errors.map { error in
      // `interrupted` needs no caret under the line that happened to run.
      error.code == "interrupted" ? error.message : render(error, color: true)
    }.flatMap { $0.split(separator: "\n", omittingEmptySubsequences: false).map { JSONValue.string(String($0)) } }
    return [
      "ename": .string(errors.first?.code ?? "error"), "evalue": .string(errors.first?.message ?? ""),
      "traceback": .array(lines),
    ]
  }

  /// Values that a front end shows beside the output. What they print is not heard.
  private func values(of expressions: [String: JSONValue]) -> JSONValue {
    let session = dialogue.session
    let outer = session.output
    session.output = SilentOutput()
    defer { session.output = outer }
    return .object(
      expressions.mapValues { expression in
        let file = SourceFile(name: "<user expression>", text: expression.text ?? "")
        let (value, outcome) = session.evaluate(file)
        switch outcome {
        case .finished:
          let value = value ?? Value.none
          return ["status": "ok", "data": mimeBundle(ShownValue(value, as: session.interpreter.display(value), by: session.interpreter)), "metadata": .nothing]
        case .failed(let errors): return Kernel.failed(errors)
        case .interrupted(let diagnostic): return Kernel.failed([diagnostic])
        case .exited: return Kernel.failed([])
        }
      })
  }

  private static func failed(_ errors: [Diagnostic]) -> JSONValue {
    var members = description(of: errors).members ?? [:]
    members["status"] = "error"
    return .object(members)
  }

  // MARK: - Looking

  private func completeness(of content: JSONValue) -> JSONValue {
    let code = content["code"]?.text ?? ""
    if Command.isIncomplete(code) { return ["status": "incomplete", "indent": "  "] }
    if Command.parse(code) != nil { return ["status": "complete"] }
    switch inputStatus(of: code) {
    case .complete: return ["status": "complete"]
    case .invalid: return ["status": "invalid"]
    case .incomplete:
      let line = code.split(separator: "\n", omittingEmptySubsequences: false).last ?? ""
      let opens = "{[(".contains(line.last { !$0.isWhitespace } ?? " ")
      return ["status": "incomplete", "indent": .string(line.prefix { $0 == " " } + (opens ? "  " : ""))]
    }
  }

  /// Returns the text before the cursor. Front ends count in Unicode scalars.
  private func textBeforeCursor(_ content: JSONValue) -> String {
    let scalars = (content["code"]?.text ?? "").unicodeScalars
    return String(scalars.prefix(max(0, content["cursor_pos"]?.number ?? scalars.count)))
  }

  private func completions(for content: JSONValue) -> JSONValue {
    let text = textBeforeCursor(content)
    let completion = dialogue.session.completion(of: text)
    let word = String(decoding: Array(text.utf8)[completion.start...], as: UTF8.self)
    let matches = completion.subject == .path ? paths(beginning: word) : completion.candidates
    let end = text.unicodeScalars.count
    let start = end - word.unicodeScalars.count
    let types: [JSONValue] =
      completion.subject == .path
      ? matches.map { ["start": .int(start), "end": .int(end), "text": .string($0), "type": "path"] }
      : completion.items.map { item in
        [
          "start": .int(start), "end": .int(end), "text": .string(item.text), "type": .string(item.kind),
          "signature": .string(item.detail),
        ]
      }
    return [
      "status": "ok", "matches": .array(matches.map { .string($0) }), "cursor_start": .int(start),
      "cursor_end": .int(end), "metadata": ["_jupyter_types_experimental": .array(types)],
    ]
  }

  private func inspection(for content: JSONValue) -> JSONValue {
    let text = content["code"]?.text ?? ""
    let offset = textBeforeCursor(content).utf8.count
    let withSource = content["detail_level"]?.number == 1
    guard let page = dialogue.session.helpPage(at: offset, in: text, withSource: withSource) else {
      return ["status": "ok", "found": false, "data": .nothing, "metadata": .nothing]
    }
    return ["status": "ok", "found": true, "data": ["text/plain": .string(page)], "metadata": .nothing]
  }
}

/// Returns the paths that begin so, those of folders with a slash at their end, in alphabetical order.
private func paths(beginning start: String) -> [String] {
  let folder = start.lastIndex(of: "/").map { String(start[...$0]) } ?? ""
  let name = start.dropFirst(folder.count)
  guard let listing = opendir(folder.isEmpty ? "." : folder) else { return [] }
  defer { closedir(listing) }
  var found: [String] = []
  while let entry = readdir(listing) {
    let other = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    guard other.hasPrefix(name), name.hasPrefix(".") || !other.hasPrefix(".") else { continue }
    var status = stat()
    let isFolder = stat(folder + other, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    found.append(folder + other + (isFolder ? "/" : ""))
  }
  return found.sorted()
}
