import Graphs
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
  }
  package let kind: Kind
  package var diagnostic: Diagnostic

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

  /// Gives an error from a lower layer its place.
  static func from(_ error: any Error, at site: Site?) -> Failure {
    switch error {
    case let failure as Failure: return failure
    case let diagnostic as Diagnostic: return Failure(diagnostic)
    case let rejection as OpRejection:
      return Failure(
        Diagnostic(
          .error, rejection.code, rejection.message, at: site, notes: rejection.notes,
          help: rejection.help))
    case let fault as KernelFault: return Failure(fault.code, fault.message, at: site)
    case let bug as InternalError: return Failure("internal", bug.description, at: site)
    default: return Failure("internal", "\(error)", at: site)
    }
  }

  /// Notes the call that led here, innermost first; long recursions keep their ends.
  func add(call name: String, at site: Site) {
    if diagnostic.trace.count < 64 {
      diagnostic.trace.append(.init(site: site, text: name))
    }
  }
}
