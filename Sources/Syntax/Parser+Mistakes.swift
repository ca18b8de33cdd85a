import Support

/// Where a statement stops making sense: what was expected, and what people who write this mean.
extension Parser {
  /// Fails where an item is complete but its line goes on.
  mutating func failAfterItem(from first: Int) throws(Abandoned) -> Never {
    let word = tokens[first].kind == .name ? text(of: tokens[first]) : ""
    if let help = Mistakes.statementHelp[word], index == first + 1 {
      try fail(
        Diagnostic(
          "syntax", "`\(word)` begins no statement", at: site(of: tokens[first]), help: help))
    }
    var help: String?
    switch kind {
    case .equal: help = "an assignment stands in a statement of its own; a comparison is `==`"
    case .colon: help = "blocks are in braces: `{ … }`; a label stands only in brackets: `f(a: 1)`"
    case .leftBrace: help = "a block follows `fn f(…)`, `for`, `while`, `if` or `else`"
    case .fatArrow, .arrow: help = "a function value is `fn(x) = x`"
    case .else: help = "`else` follows the `}` of an `if`"
    case .dotDot: help = "a range is `a...b` (closed) or `a..<b`"
    case .bang: help = "not equal is `!=`; negation is `not x`"
    case .for: help = "a comprehension stands in brackets: `[x for x in xs]`"
    default: break
    }
    try fail(expected: "a new line or `;` before the next statement", help: help)
  }

  /// Fails where a block should begin.
  mutating func failBeforeBlock(_ purpose: String) throws(Abandoned) -> Never {
    var help: String?
    if kind == .colon { help = "blocks are in braces, not behind a colon: `{ … }`" }
    if kind == .name, text(of: token) == "then" || text(of: token) == "do" {
      help = "blocks are in braces: `{ … }`"
    }
    try fail(expected: "`{` and \(purpose)", help: help)
  }

  /// Fails where a function's body should begin.
  mutating func failBeforeBody() throws(Abandoned) -> Never {
    let help =
      switch kind {
      case .colon: "blocks are in braces, not behind a colon: `{ … }`"
      case .fatArrow: "the body follows `=`: `fn(x) = x`"
      default: "`->` gives the result's shape; the body follows `=` or stands in `{ … }`"
      }
    try fail(expected: "`=` or `{` and the function's body", help: help)
  }

  /// Fails where a list has neither a comma nor its end.
  mutating func failInList(
    of what: String, opener: Token, closer: TokenKind
  ) throws(Abandoned) -> Never {
    if kind.isCloser {
      try fail(
        Diagnostic(
          "unmatched-bracket", "`\(text(of: token))` does not close `\(text(of: opener))`",
          at: site(of: token),
          labels: [Diagnostic.Label(site: site(of: opener), text: "opened here")]))
    }
    var help: String?
    switch kind {
    case .for: help = "a comprehension stands in brackets: `[x for x in xs]`"
    case .equal: help = "compare with `==`; an assignment stands in a statement of its own"
    case .arrow, .fatArrow: help = "a function value is `fn(x) = x`"
    case .semicolon: help = "the parts of a list are separated by commas"
    default: break
    }
    try fail(expected: "`,` or `\(closer.spelling ?? "")` after the \(what)", help: help)
  }

  /// Fails at `f(a = 1)`.
  mutating func failNamedByEqual(
    _ field: Expression.Field, _ what: String
  ) throws(Abandoned) -> Never {
    guard case .name(let name) = field.value.kind, field.name == nil else {
      try fail(expected: "`,` or `)`", help: "compare with `==`")
    }
    try fail(
      Diagnostic(
        "syntax", "a named \(what) is written with `:`", at: site(of: token),
        help: "write `\(name): …`; a comparison is `==`"))
  }

  /// Fails where no expression begins.
  mutating func failNoExpression() throws(Abandoned) -> Never {
    var help: String?
    switch kind {
    case .dot where following.kind == .integer && following.start == token.end:
      try fail(
        Diagnostic(
          "bad-number", "a number begins with a digit",
          at: Site(file: file, start: token.start, end: following.end),
          help: "write `0.\(text(of: following))`"))
    case .slashSlash, .slash: help = "a comment begins with `#`"
    case .pipe: help = "a pipe goes on from a value: `x |> f`"
    case .dotDot, .ellipsis, .halfOpen:
      help = "a range is `a...b` (closed) or `a..<b`; `..` stands only in `x[.., 0]`"
    case .equal: help = "a name stands before `=`: `x = 1`"
    case .else: help = "`else` follows the `}` of an `if`"
    case .leftBrace: help = "braces hold blocks; a record is `(name: \"a\", rate: 0.1)`"
    case .star, .starStar: help = "arguments are written out; nothing unpacks a list"
    case .in: help = "a loop is `for x in xs { … }`"
    case .with: help = "`with` changes a value: `train with precision: bf16`"
    default: break
    }
    try fail(expected: "an expression", help: help)
  }
}
