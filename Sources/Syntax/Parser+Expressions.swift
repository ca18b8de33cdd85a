import Support

/// How tightly operators bind, loosest first.
enum Precedence: UInt8, Comparable {
  case pipe = 1, or, and, not, comparison, range, sum, product, unary, power

  static func < (a: Precedence, b: Precedence) -> Bool { a.rawValue < b.rawValue }

  /// The precedence of what binds more tightly.
  var tighter: Precedence { Precedence(rawValue: rawValue + 1) ?? .power }

  /// The infix operators by token.
  static let infix: [Precedence?] = {
    var table = [Precedence?](repeating: nil, count: 256)
    let rows: [(Precedence, [TokenKind])] = [
      (.pipe, [.pipe]), (.or, [.or, .barBar]), (.and, [.and, .ampersandAmpersand]),
      (
        .comparison,
        [.equalEqual, .notEqual, .less, .lessEqual, .greater, .greaterEqual, .in, .not]
      ),
      (.range, [.ellipsis, .halfOpen]), (.sum, [.plus, .minus]),
      (.product, [.star, .slash, .slashSlash, .percent, .at]), (.power, [.caret, .starStar]),
    ]
    for (precedence, kinds) in rows {
      for kind in kinds { table[Int(kind.rawValue)] = precedence }
    }
    return table
  }()
}

extension TokenKind {
  /// The arithmetic that this operator, or this compound assignment, does.
  var arithmetic: BinaryOperator? {
    switch self {
    case .plus, .plusEqual: .add
    case .minus, .minusEqual: .subtract
    case .star, .starEqual: .multiply
    case .slash, .slashEqual: .divide
    case .slashSlash, .slashSlashEqual: .floorDivide
    case .percent, .percentEqual: .modulo
    case .caret, .caretEqual: .power
    case .at, .atEqual: .matmul
    default: nil
    }
  }

  var comparison: ComparisonOperator? {
    switch self {
    case .equalEqual: .equal
    case .notEqual: .notEqual
    case .less: .less
    case .lessEqual: .lessOrEqual
    case .greater: .greater
    case .greaterEqual: .greaterOrEqual
    case .in: .contained
    default: nil
    }
  }
}

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

  /// Parses what follows `with`: `(name: value, …)` or `name: value`.
  private mutating func parseWithFields() throws(Abandoned) -> [Expression.Field] {
    if kind == .leftParen { return try parseFields().fields }
    guard kind.isWord, following.kind == .colon else {
      try fail(
        expected: "what to change after `with`",
        help: "write `with name: value` or `with (name: value, …)`")
    }
    let name = try takeName("a name", isAnyWord: true)
    index += 1
    return [Expression.Field(name: name, value: try parseBinary(.pipe))]
  }

  // MARK: - Operators

  /// Parses operators that bind at least as tightly as `minimum`.
  mutating func parseBinary(_ minimum: Precedence) throws(Abandoned) -> Expression {
    let first = index
    let outerHeight = height
    let outerDepth = context.depth
    height = 0
    try descend()
    var left = try parsePrefix()
    while let precedence = Precedence.infix[Int(kind.rawValue)], precedence >= minimum, !isAtLineEnd
    {
      if kind == .not, following.kind != .in { break }
      left = try parseInfix(precedence, left: left, from: first)
    }
    height = max(height, outerHeight)
    context.depth = outerDepth
    return left
  }

  private mutating func parseInfix(
    _ precedence: Precedence, left: Expression, from first: Int
  ) throws(Abandoned) -> Expression {
    let mark = token
    if mark.kind.rawValue >= TokenKind.starStar.rawValue, let mistake = Mistakes.operators[mark.kind] {
      report(
        Diagnostic(
          "syntax", "there is no operator `\(text(of: mark))`", at: site(of: mark),
          help: mistake.help))
    }
    let result: Expression.Kind
    switch precedence {
    case .comparison:
      result = try parseComparisons(left)
    case .power:
      // Right associative, and its exponent may carry a sign: 2^-x^2 is 2^(-(x^2)).
      index += 1
      let right = try parseBinary(.power)
      result = .binary(.power, left, right, operatorSite: site(of: mark))
    case .range:
      index += 1
      let right = try parseBinary(precedence.tighter)
      if kind == .ellipsis || kind == .halfOpen {
        try fail(
          Diagnostic(
            "syntax", "a range has two ends", at: site(of: token),
            help: "a slice with a stride is `x[a:b:stride]`"))
      }
      result = .range(left, right, isClosed: mark.kind == .ellipsis)
    default:
      index += 1
      let right = try parseBinary(precedence.tighter)
      switch precedence {
      case .pipe: result = .pipe(left, into: right)
      case .or: result = .or(left, right)
      case .and: result = .and(left, right)
      default:
        result = .binary(
          mark.kind.arithmetic ?? .add, left, right, operatorSite: site(of: mark))
      }
    }
    try grow()
    return Expression(result, at: site(from: first))
  }

  /// Parses a whole chain `a < b <= c`, or `a not in b`.
  private mutating func parseComparisons(_ left: Expression) throws(Abandoned) -> Expression.Kind {
    var links: [(ComparisonOperator, Site, Expression)] = []
    while !isAtLineEnd {
      let mark = index
      if kind == .not, following.kind == .in {
        guard links.isEmpty else { try failNotIn() }
        index += 2
        let operatorSite = site(from: mark)
        let right = try parseBinary(.range)
        if !isAtLineEnd, kind.comparison != nil || kind == .not { try failNotIn() }
        try grow()
        let inside = Expression(
          .comparisonChain(left, [(.contained, operatorSite, right)]),
          at: left.site.joined(with: right.site))
        return .unary(.not, inside)
      }
      guard let comparison = kind.comparison else { break }
      index += 1
      let operatorSite = site(from: mark)
      links.append((comparison, operatorSite, try parseBinary(.range)))
    }
    return .comparisonChain(left, links)
  }

  private mutating func failNotIn() throws(Abandoned) -> Never {
    try fail(
      Diagnostic(
        "syntax", "`not in` stands alone, not in a chain of comparisons", at: site(of: token),
        help: "join two comparisons with `and`"))
  }

  private mutating func parsePrefix() throws(Abandoned) -> Expression {
    let first = index
    let operation: UnaryOperator
    switch kind {
    case .minus: operation = .negate
    case .plus: operation = .plus
    case .not: operation = .not
    case .bang:
      operation = .not
      report(
        Diagnostic(
          "syntax", "there is no operator `!`", at: site(of: token), help: "negation is `not x`"))
    default: return try parsePostfix()
    }
    index += 1
    if operation == .negate, isLeastInteger {
      index += 1
      return Expression(.integer(.min), at: site(from: first))
    }
    // A sign binds less tightly than a power: -x^2 is -(x^2).
    let operand = try parseBinary(operation == .not ? .not : .power)
    try grow()
    return Expression(.unary(operation, operand), at: site(from: first))
  }

  // MARK: - Calls, members, indices

  private mutating func parsePostfix() throws(Abandoned) -> Expression {
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
      if bytes[token.start] < 0x5B, let meant = Mistakes.constants[text] {
        report(
          Diagnostic(
            "syntax", "`\(text)` is written `\(meant)`", at: site(of: token),
            help: "constants are lower case: `true`, `false`, `none`"))
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
