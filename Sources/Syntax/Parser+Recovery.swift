import Support

/// How parsing goes on after a statement that failed.
extension Parser {
  /// Moves from a failed statement, which began at `first`, to the next one.
  mutating func skipStatement(from first: Int) {
    let failure = index
    if let resumption = explainUnclosed(from: first, to: failure) {
      index = resumption
      return
    }
    var next = first
    while tokens[next].kind != .endOfFile {
      let token = tokens[next]
      if next >= failure, next > first {
        if token.kind == .rightBrace, token.partner < first { break }
        if token.startsLine, !token.kind.continuesLine, token.kind != .else { break }
      }
      if token.kind == .semicolon, next >= failure {
        next += 1
        break
      }
      next = token.kind.isOpener && token.partner > next ? token.partner + 1 : next + 1
    }
    index = next
  }

  /// Notes the name that a failed statement would have bound.
  mutating func noteAbandonedName(at first: Int) {
    guard first + 1 < tokens.count else { return }
    let (head, next) = (tokens[first], tokens[first + 1])
    switch head.kind {
    case .name where next.kind == .equal: abandonedNames.append(text(of: head))
    case .fn, .step, .model, .optimizer, .input:
      if next.kind == .name { abandonedNames.append(text(of: next)) }
    default: break
    }
  }

  /// Looks for a bracket that was never closed as the true reason of a failure: one that is still open where
  /// a line begins no deeper than the statement did. Returns the token to go on at.
  private mutating func explainUnclosed(from first: Int, to failure: Int) -> Int? {
    let margin = indentation(of: tokens[first])
    var opener: Int?
    var next = first
    var resumption: Int?
    while next <= failure {
      let token = tokens[next]
      let closesBlock = token.kind == .rightBrace && token.partner >= 0 && token.partner < first
      if opener != nil,
        token.kind == .endOfFile || closesBlock
          || token.startsLine && !token.kind.isCloser && indentation(of: token) <= margin
      {
        resumption = next
        if token.kind != .endOfFile { break }
      }
      if token.kind.isOpener, token.partner == -1, token.kind != .interpolationOpen {
        opener = next
      }
      next =
        token.kind.isOpener && token.partner > next && token.partner < failure
        ? token.partner + 1 : next + 1
    }
    guard let opener, let resumption else { return nil }
    let isEnd = tokens[resumption].kind == .endOfFile
    let isKnown = isEnd && hasReportedEnd
    hasReportedEnd = hasReportedEnd || isEnd
    // The failure's own diagnostic, the last, was only a symptom.
    if !isLexical { diagnostics.removeLast() }
    let bracket = tokens[opener]
    tokens[opener].partner = Token.reported
    if isKnown { return resumption }
    let end = tokens[resumption - 1].end
    let spelling = bracket.kind.closer?.spelling ?? ""
    let place =
      isEnd
      ? "the text ends"
      : tokens[resumption].kind == .rightBrace ? "the block ends" : "the next statement"
    diagnostics.append(
      Diagnostic(
        "unclosed-bracket",
        "`\(bracket.kind.spelling ?? "")` is not closed before \(place)",
        at: Site(file: file, start: end, end: end),
        labels: [Diagnostic.Label(site: site(of: bracket), text: "opened here")]
          + misindented(after: opener, end: resumption),
        help: "close it with `\(spelling)`"))
    return resumption
  }

  /// Points at a brace that closes a block opened further in than it stands: likely the outer one's.
  private func misindented(after opener: Int, end: Int) -> [Diagnostic.Label] {
    guard tokens[opener].kind == .leftBrace else { return [] }
    for inner in opener + 1..<end where tokens[inner].kind == .leftBrace {
      let closer = tokens[inner].partner
      guard closer > inner, closer < end, tokens[closer].startsLine else { continue }
      var line = inner
      while line > 0, !tokens[line].startsLine { line -= 1 }
      if indentation(of: tokens[closer]) < indentation(of: tokens[line]) {
        return [
          Diagnostic.Label(
            site: site(of: tokens[inner]), text: "or this one: its `}` stands further out")
        ]
      }
    }
    return []
  }
}
