import Support

/// A piece of a program's text and what it is, for those who colour it.
package struct Highlight: Sendable {
  package enum Kind: Sendable {
    case keyword, constant, number, string, comment
    /// A name that is called; one that labels an argument or field; one behind a dot; any other.
    case call, label, member, name
    case symbol
  }

  package let kind: Kind
  /// Byte offsets in the file, half open.
  package let start: Int
  package let end: Int
}

/// Returns the tokens and comments of a program in their order, whether it parses or not.
package func highlights(of file: SourceFile) -> [Highlight] {
  let lexed = Lexer.lex(file)
  let tokens = lexed.tokens
  var result = lexed.comments.map { Highlight(kind: .comment, start: $0.start, end: $0.end) }
  for (index, token) in tokens.enumerated() where token.end > token.start {
    let before = index > 0 ? tokens[index - 1] : nil
    let after = tokens[index + 1]
    result.append(Highlight(kind: kind(of: token, before, after), start: token.start, end: token.end))
  }
  return result.sorted { $0.start < $1.start }
}

private func kind(of token: Token, _ before: Token?, _ after: Token) -> Highlight.Kind {
  switch token.kind {
  case .integer, .number, .byteCount: return .number
  case .stringOpen, .stringText, .stringClose, .format: return .string
  case .true, .false, .none: return .constant
  case let kind where kind.isWord:
    if before?.kind == .dot { return .member }
    let beginsArgument = before?.kind == .leftParen || before?.kind == .comma || before?.kind == .with
    if after.kind == .colon, beginsArgument { return .label }
    // Words of declarations are names elsewhere.
    let declares = after.kind.isName || kind == .use && after.kind == .stringOpen
    if kind.isKeyword, !kind.isContextual || declares && !after.startsLine { return .keyword }
    return after.kind == .leftParen && after.start == token.end ? .call : .name
  default: return .symbol
  }
}
