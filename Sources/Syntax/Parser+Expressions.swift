import Support

extension Parser {
  /// Parses an expression of any kind: `with` binds loosest.
  mutating func parseExpression() throws(Abandoned) -> Expression {
    let first = index
    let outerHeight = height
    height = 0
    var value = try parseBinary(.pipe)
    while kind == .with, !(context.gradientOwner != .none && isAtGradient) {
      index += 1
      let fields = try parseWithFields()
      try grow()
      value = Expression(.with(value, fields), at: site(from: first))
    }
    height = max(height, outerHeight)
    return value
  }

  /// Parses what follows `with`: `(name: value, …)`, `name: value` or a call.
  private mutating func parseWithFields() throws(Abandoned) -> [Expression.Field] {
    if kind == .leftParen { return try parseFields().fields }
    // A call gives a policy: `train with fit(train, x, y, budget: 24MiB)`.
    if kind.isWord, following.kind == .leftParen { return [Expression.Field(name: nil, value: try parseBinary(.pipe))] }
    guard kind.isWord, following.kind == .colon else {
      try fail(
        expected: "what to change after `with`",
        help: "write `with name: value` or `with (name: value, …)`")
    }
    let name = try takeName("a name", isAnyWord: true)
    index += 1
    return [Expression.Field(name: name, value: try parseBinary(.pipe))]
  }

  // MARK: - Calls, members, indices

  mutating func parsePostfix() throws(Abandoned) -> Expression {
    let first = index
    var value = try parsePrimary()
    switch value.kind {
    case .function, .conditional:
      // Their end is easily overlooked, so what follows does not apply to them; parentheses make it.
      if tokens[first].kind != .leftParen { return value }
    default: break
    }
    while true {
      if token.startsLine, context.newlineEnds { return value }
      switch kind {
      case .leftParen:
        let arguments = try parseArguments()
        value = Expression(.call(value, arguments), at: site(from: first))
      case .leftBracket:
        let items = try parseIndex()
        value = Expression(.index(value, items), at: site(from: first))
      case .dot:
        index += 1
        if kind == .integer {
          try fail(
            expected: "a name after `.`", help: "a position is an index: `[\(text(of: token))]`")
        }
        let name = try takeName("a name after `.`", isAnyWord: true)
        value = Expression(.member(value, name), at: site(from: first))
      default:
        return value
      }
      try grow()
    }
  }

  private mutating func parseArguments() throws(Abandoned) -> [Argument] {
    try parseList(of: "argument") { parser throws(Abandoned) in
      let field = try parser.parseField("argument")
      return Argument(label: field.name, value: field.value)
    }.items
  }

  /// Parses the fields of a record, a tuple or `with (…)`.
  mutating func parseFields() throws(Abandoned) -> (
    fields: [Expression.Field], endsInComma: Bool
  ) {
    let (fields, endsInComma) = try parseList(of: "field") { parser throws(Abandoned) in
      try parser.parseField("field")
    }
    return (fields, endsInComma)
  }

  /// Parses `value` or `name: value`.
  private mutating func parseField(_ what: String) throws(Abandoned) -> Expression.Field {
    var name: Name?
    if kind.isWord, following.kind == .colon {
      name = try takeName("a label", isAnyWord: true)
      index += 1
    }
    let field = Expression.Field(name: name, value: try parseExpression())
    if kind == .equal { try failNamedByEqual(field, what) }
    return field
  }

  private mutating func parseIndex() throws(Abandoned) -> [IndexItem] {
    let opener = index
    let items = try parseList(of: "index") { parser throws(Abandoned) in
      try parser.parseIndexItem()
    }.items
    if items.isEmpty {
      try fail(
        Diagnostic(
          "syntax", "an index is missing between `[` and `]`", at: site(from: opener),
          help: "`[:]` takes everything"))
    }
    return items
  }

  private mutating func parseIndexItem() throws(Abandoned) -> IndexItem {
    let first = index
    if take(.dotDot) { return .rest(site: site(from: first)) }
    if kind == .ellipsis, following.kind == .comma || following.kind == .rightBracket {
      report(
        Diagnostic(
          "syntax", "the rest of the axes is `..`", at: site(of: token), help: "write `x[.., 0]`"))
      index += 1
      return .rest(site: site(from: first))
    }
    var bounds: [Expression?] = [nil]
    var isSlice = false
    while kind != .comma, kind != .rightBracket {
      if kind == .colon, bounds.count < 3 {
        index += 1
        isSlice = true
        bounds.append(nil)
      } else if bounds[bounds.count - 1] == nil {
        bounds[bounds.count - 1] = try parseExpression()
      } else {
        break
      }
    }
    guard isSlice else {
      guard let value = bounds[0] else { try fail(expected: "an index") }
      return .at(value)
    }
    bounds += [nil, nil]
    return .slice(bounds[0], bounds[1], bounds[2], site: site(from: first))
  }

  // MARK: - Primary expressions

  private mutating func parsePrimary() throws(Abandoned) -> Expression {
    let token = token
    switch token.kind {
    case .integer, .number, .byteCount:
      return try parseNumber()
    case .stringOpen:
      return try parseString()
    case .true, .false:
      index += 1
      return Expression(.boolean(token.kind == .true), at: site(of: token))
    case .none:
      index += 1
      return Expression(.none, at: site(of: token))
    case .leftParen:
      return try parseParenthesised()
    case .leftBracket:
      return try parseListLiteral()
    case .fn:
      return try parseFunctionLiteral()
    case .if:
      return try parseConditional()
    case _ where token.kind.isName:
      let text = text(of: token)
      if bytes[token.start] < 0x5B, let constant = Mistakes.constants[text] {
        report(
          Diagnostic(
            "syntax", "`\(text)` is written `\(constant.written)`", at: site(of: token),
            help: "constants are lower case: `true`, `false`, `none`"))
        index += 1
        return Expression(constant.meant, at: site(of: token))
      }
      index += 1
      return Expression(.name(text), at: site(of: token))
    default:
      try failNoExpression()
    }
  }

  /// Parses `(e)`, a tuple or a record.
  private mutating func parseParenthesised() throws(Abandoned) -> Expression {
    let first = index
    let (fields, endsInComma) = try parseFields()
    if fields.count == 1, fields[0].name == nil, !endsInComma { return fields[0].value }
    try grow()
    return Expression(.record(fields), at: site(from: first))
  }

  /// Parses `[a, b]` or `[e for x in xs if c]`.
  private mutating func parseListLiteral() throws(Abandoned) -> Expression {
    let first = index
    var clauses: [Expression.Clause] = []
    let (items, endsInComma) = try parseList(of: "element") { parser throws(Abandoned) in
      let item = try parser.parseExpression()
      if parser.kind == .for { clauses = try parser.parseClauses() }
      return item
    }
    try grow()
    if clauses.isEmpty { return Expression(.list(items), at: site(from: first)) }
    if items.count > 1 || endsInComma {
      try fail(
        Diagnostic(
          "syntax", "a comprehension has one value before `for`", at: site(from: first),
          help: "several values are a tuple: `[(a, b) for a in xs for b in ys]`"))
    }
    return Expression(.comprehension(items[0], clauses), at: site(from: first))
  }

  private mutating func parseClauses() throws(Abandoned) -> [Expression.Clause] {
    var clauses: [Expression.Clause] = []
    while take(.for) {
      let target = try parseLoopTarget()
      try expect(.in, " and what to loop over")
      let iterable = try parseExpression()
      var conditions: [Expression] = []
      while take(.if) { conditions.append(try parseHeader()) }
      clauses.append(
        Expression.Clause(target: target, iterable: iterable, conditions: conditions))
    }
    return clauses
  }

  /// Parses `if c { … }`, with `else { … }` or `else if …`, which may begin the next line.
  private mutating func parseConditional() throws(Abandoned) -> Expression {
    let first = index
    index += 1
    let condition = try parseHeader()
    let then = try parseBlock("the block of `if`")
    var otherwise: Block?
    if take(.else) {
      if kind == .if {
        let depth = context.depth
        try descend()
        let nested = try parseConditional()
        context.depth = depth
        otherwise = Block([Statement(.expression(nested), at: nested.site)], at: nested.site)
      } else {
        otherwise = try parseBlock("the block of `else`")
      }
    }
    try grow()
    return Expression(
      .conditional(condition, then: then, otherwise: otherwise), at: site(from: first))
  }
}
