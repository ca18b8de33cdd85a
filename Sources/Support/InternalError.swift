/// A bug of ours: a broken promise between stages. Never the user's fault.
package struct InternalError: Error, Sendable, CustomStringConvertible {
  /// The stage that noticed.
  package let stage: String
  package let message: String

  package init(stage: String, message: String) {
    self.stage = stage
    self.message = message
  }

  package var description: String { "internal error in \(stage): \(message); please report it" }
}
