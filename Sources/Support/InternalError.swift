/// A mistake of Gradus itself: something that an earlier stage should have made impossible.
package struct InternalError: Error, Sendable, CustomStringConvertible {
  /// The part of the pipeline that noticed: `fusion`, `planner`.
  package let stage: String
  package let message: String

  package init(_ stage: String, _ message: String) {
    self.stage = stage
    self.message = message
  }

  package var description: String { "internal error in \(stage): \(message), please report" }
}
