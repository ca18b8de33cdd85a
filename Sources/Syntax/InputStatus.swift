import Support

/// Whether a text can run as it stands.
package enum InputStatus: Sendable {
  case complete
  /// It breaks off where more must follow: an open bracket, an operator or `with` at the end.
  case incomplete
  /// It holds a mistake that no further line can mend.
  case invalid
}

/// Returns whether `text`, the lines typed so far, wants another line. A blank last line asks for no more.
///
/// An open string is invalid, not incomplete: strings end on their line.
package func inputStatus(of text: String) -> InputStatus {
  var parser = Parser(SourceFile(name: "<input>", text: text))
  _ = parser.parseProgram()
  if parser.diagnostics.isEmpty { return .complete }
  guard parser.endsEarly else { return .invalid }
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  let endsBlank = lines.count > 1 && lines[lines.count - 1].allSatisfy(\.isWhitespace)
  return endsBlank ? .invalid : .incomplete
}
