import Execution
import Graphs
import Passes
import Support

/// What stops an evaluation. One reference, so that throwing functions return in a register.
package final class Failure: Error {
  package enum Kind {
    /// An error of the user's program or data.
    case diagnostic
    /// Ctrl-C.
    case interrupted
    /// `exit(code)`
    case exit(Int)
    /// In an abstract run: what comes here is not known without computing.
    case unchecked
    /// An abstract run has used up its time.
    case abandoned
  }
  package let kind: Kind
  package var diagnostic: Diagnostic
  /// In an abstract run: whether it was met where not every run comes.
  var isUncertain = false

  init(_ diagnostic: Diagnostic) {
    kind = .diagnostic
    self.diagnostic = diagnostic
  }

  init(kind: Kind, diagnostic: Diagnostic) {
    self.kind = kind
    self.diagnostic = diagnostic
  }

  convenience init(
    _ code: String, _ message: String, at site: Site?, labels: [Diagnostic.Label] = [],
    notes: [String] = [], help: String? = nil
  ) {
    self.init(Diagnostic(.error, code, message, at: site, labels: labels, notes: notes, help: help))
  }

  static func interrupted(at site: Site?) -> Failure {
    Failure(kind: .interrupted, diagnostic: Diagnostic(.error, "interrupted", "interrupted", at: site))
  }

  /// Says that an abstract run cannot go on here, and why.
  static func unchecked(_ reason: String, at site: Site?) -> Failure {
    Failure(kind: .unchecked, diagnostic: Diagnostic(.note, "unchecked", reason, at: site))
  }

  var isUnchecked: Bool { if case .unchecked = kind { true } else { false } }

  /// Gives an error from a lower layer its place.
  ///
  /// - Parameters:
  ///   - op: the op that refused, for the head of the message.
  ///   - operands: how the program writes the op's operands.
  static func from(
    _ error: any Error, at site: Site?, op: String? = nil, operands: [String] = []
  ) -> Failure {
    func headed(_ message: String) -> String {
      guard let op, !message.hasPrefix(op) else { return message }
      return "\(op): \(message)"
    }
    func named(_ text: String) -> String {
      guard text.utf8.contains(UInt8(ascii: "<")) else { return text }
      var text = text
      for index in 0..<max(operands.count, 2) {
        let name = index < operands.count ? operands[index] : "operand \(index + 1)"
        text = substituting(name, for: OpRejection.operand(index), in: text)
      }
      return text
    }
    switch error {
    case let failure as Failure: return failure
    case is Interrupted: return .interrupted(at: site)
    case let diagnostic as Diagnostic: return Failure(diagnostic)
    case let rejection as OpRejection:
      return Failure(
        Diagnostic(
          .error, rejection.code, headed(rejection.message), at: site,
          notes: rejection.notes.map(named), help: rejection.help.map(named)))
    case let fault as KernelFault: return Failure(fault.code, headed(fault.message), at: site)
    case let cut as NotSeparable:
      return Failure(
        "not-separable", "`accumulate` needs a loss that is a sum over rows: \(cut.reason)", at: cut.site ?? site,
        notes: [
          "rows of different pieces never meet; only their sums do",
          "arguments with as many rows as the first are cut with it; `batch: [\"x\", \"y\"]` names others",
        ],
        help: "leave `accumulate` away, or compute this before the step")
    case let bug as InternalError: return Failure("internal", bug.description, at: site)
    default: return Failure("internal", "\(error)", at: site)
    }
  }

  /// Notes the call that led here, innermost first; long recursions keep their ends.
  func add(call name: String, at site: Site) {
    if diagnostic.trace.count >= 64 {
      diagnostic.trace.remove(at: 32)
      diagnostic.omittedCalls += 1
    }
    diagnostic.trace.append(.init(site: site, text: name))
  }

  /// Moves an error inside the standard library to the user's call that led there.
  ///
  /// - Parameters:
  ///   - name: what was called.
  ///   - site: where the call names it.
  ///   - arguments: labels of its arguments.
  func leaveLibrary(call name: String, at site: Site, arguments: [Diagnostic.Label] = []) {
    guard let inner = diagnostic.site, inner.file.isLibrary else { return }
    if !diagnostic.message.hasPrefix(name) { diagnostic.message = "\(name): \(diagnostic.message)" }
    // Operands of the library's own line; what was passed on as it is has its label at the call.
    let operands = diagnostic.labels.filter { $0.site.file.isLibrary && $0.text != Annotations.label }.map { label in
      // At its place a type needs no name; in a note it says nothing without one.
      guard !label.text.contains(":"), let name = label.site.shortText else { return label.text }
      return "\(name) : \(label.text)"
    }
    diagnostic.notes.append(
      "found at \(inner.file.name):\(inner.line)"
        + (operands.isEmpty ? "" : ", where " + operands.joined(separator: " and ")))
    diagnostic.labels = diagnostic.labels.filter { !$0.site.file.isLibrary } + arguments
    diagnostic.trace.removeAll { $0.site.file.isLibrary }
    diagnostic.site = site
  }

  /// The same by the calls that were noted, for errors that come out of a plan.
  func leaveLibrary() {
    guard diagnostic.site?.file.isLibrary == true,
      let index = diagnostic.trace.firstIndex(where: { !$0.site.file.isLibrary })
    else { return }
    let call = diagnostic.trace.remove(at: index)
    leaveLibrary(call: call.text, at: call.site)
  }
}

/// Returns `text` with `other` in the place of every `word`.
func substituting(_ other: String, for word: String, in text: String) -> String {
  let (text, word) = (Array(text.utf8), Array(word.utf8))
  guard !word.isEmpty else { return String(decoding: text, as: UTF8.self) }
  var result: [UInt8] = []
  var index = 0
  while index < text.count {
    if text[index...].starts(with: word) {
      result += Array(other.utf8)
      index += word.count
    } else {
      result.append(text[index])
      index += 1
    }
  }
  return String(decoding: result, as: UTF8.self)
}
