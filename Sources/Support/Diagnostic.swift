/// What is wrong with the user's program or data, and where.
///
/// `message` stands on its own: lower case, no final full stop, names the values. At most one `help`.
package struct Diagnostic: Error, Sendable {
  package enum Severity: String, Sendable { case error, warning, note }

  /// A place that explains the main one: an operand with its shape, the matching bracket.
  package struct Label: Sendable {
    package let site: Site
    package let text: String
    package init(site: Site, text: String) {
      self.site = site
      self.text = text
    }
  }

  package var severity: Severity
  /// The stable identifier that `gradus explain` knows, such as `shape-mismatch`.
  package var code: String
  package var message: String
  /// The place that the caret marks; nil where there is none, as for a missing file on the command line.
  package var site: Site?
  /// Further places, drawn in the same source window.
  package var labels: [Label]
  /// Reasons and rules, one line each.
  package var notes: [String]
  /// One way to mend it.
  package var help: String?
  /// Calls between the top level and the error, innermost first: where each was called, and as `text` what
  /// was called (`fn mean`, `step train`).
  package var trace: [Label]
  /// Calls of a long recursion that are not in `trace`, between its first ones and its last.
  package var omittedCalls = 0

  package init(
    _ severity: Severity = .error, _ code: String, _ message: String, at site: Site?,
    labels: [Label] = [], notes: [String] = [], help: String? = nil
  ) {
    self.severity = severity
    self.code = code
    self.message = message
    self.site = site
    self.labels = labels
    self.notes = notes
    self.help = help
    trace = []
  }
}
