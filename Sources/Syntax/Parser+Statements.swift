import Support

extension Parser {
  mutating func parseStatement() throws(Abandoned) -> Statement {
    let first = index
    let parse = statementParser
    let kind = try parse(&self)
    let site = site(from: first)
    return Statement(kind, at: site, isSilenced: try endItem(from: first))
  }

  private typealias StatementParser = (inout Parser) throws(Abandoned) -> Statement.Kind

  /// Chooses by the tokens ahead. It does not parse, or each nested block would hold the frames of all kinds
  /// of statement on the stack.
  private var statementParser: StatementParser {
    switch kind {
    case .fn where following.kind.isName:
      { parser throws(Abandoned) in .function(try parser.parseFunctionDeclaration()) }
    case .step where declares:
      { parser throws(Abandoned) in .step(try parser.parseFunctionDeclaration()) }
    case .model where declares:
      { parser throws(Abandoned) in .model(try parser.parseModel()) }
    case .optimizer where declares:
      { parser throws(Abandoned) in .optimizer(try parser.parseOptimizer()) }
    case .input where declares:
      { parser throws(Abandoned) in try parser.parseInput() }
    case .use where declares || following.kind == .stringOpen && !following.startsLine:
      { parser throws(Abandoned) in try parser.parseUse() }
    case .for:
      { parser throws(Abandoned) in try parser.parseFor() }
    case .while:
      { parser throws(Abandoned) in try parser.parseWhile() }
    case .return:
      { parser throws(Abandoned) in try parser.parseReturn() }
    case .break, .continue:
      { parser throws(Abandoned) in try parser.parseJump() }
    default:
      { parser throws(Abandoned) in try parser.parseSimpleStatement() }
    }
  }

  /// Whether the current contextual word begins a declaration: a name follows it on its line.
  var declares: Bool {
    following.kind.isName && !(following.startsLine && context.newlineEnds)
  }

  /// Parses an expression, an assignment or a compound assignment.
  private mutating func parseSimpleStatement() throws(Abandoned) -> Statement.Kind {
    let first = index
    let value = try parseExpressionList()
    if isAtLineEnd { return .expression(value) }
    if kind == .equal {
      let target = try makeTarget(value, from: first)
      index += 1
      let assigned = try parseExpressionList()
      if kind == .equal, !isAtLineEnd {
        try fail(
          Diagnostic(
            "syntax", "an assignment has no value, so `=` does not chain", at: site(of: token),
            help: "assign one name at a time, or compare with `==`"))
      }
      return .assignment(target, assigned)
    }
    if kind.isCompoundAssignment, let arithmetic = kind.arithmetic {
      let target = try makeTarget(value, from: first)
      if case .tuple(_, let site) = target {
        try fail(
          Diagnostic(
            "syntax", "`\(text(of: token))` changes one target, not a tuple", at: site))
      }
      index += 1
      return .compoundAssignment(target, arithmetic, try parseExpressionList())
    }
    return .expression(value)
  }

  /// Parses `e`, or `e, e, …` as a tuple.
  private mutating func parseExpressionList() throws(Abandoned) -> Expression {
    let first = index
    let value = try parseExpression()
    guard kind == .comma else { return value }
    var fields = [Expression.Field(name: nil, value: value)]
    while take(.comma) {
      fields.append(Expression.Field(name: nil, value: try parseExpression()))
    }
    try grow()
    return Expression(.record(fields), at: site(from: first))
  }

  private mutating func parseFor() throws(Abandoned) -> Statement.Kind {
    index += 1
    let target = try parseLoopTarget()
    try expect(.in, " and what to loop over")
    let iterable = try parseHeader()
    let body = try parseLoopBody("the loop's body")
    return .forLoop(target, in: iterable, body: body)
  }

  private mutating func parseWhile() throws(Abandoned) -> Statement.Kind {
    index += 1
    let condition = try parseHeader()
    return .whileLoop(condition, body: try parseLoopBody("the loop's body"))
  }

  private mutating func parseLoopBody(_ purpose: String) throws(Abandoned) -> Block {
    let outer = context
    context.isInLoop = true
    let body = try parseBlock(purpose)
    context = outer
    return body
  }

  /// Parses the expression between `if`, `while` or `in` and the block.
  mutating func parseHeader() throws(Abandoned) -> Expression {
    let value = try parseExpression()
    if kind == .equal, !isAtLineEnd {
      try fail(
        Diagnostic(
          "syntax", "`=` assigns; a condition compares", at: site(of: token),
          help: "compare with `==`"))
    }
    return value
  }

  private mutating func parseReturn() throws(Abandoned) -> Statement.Kind {
    if !context.isInFunction, !hasAbandoned {
      report(
        Diagnostic("outside-function", "`return` stands outside a function", at: site(of: token)))
    }
    index += 1
    if isAtLineEnd || kind == .semicolon || kind == .rightBrace { return .returned(nil) }
    return .returned(try parseExpressionList())
  }

  private mutating func parseJump() throws(Abandoned) -> Statement.Kind {
    let jump = token
    if !context.isInLoop, !hasAbandoned {
      report(
        Diagnostic(
          "outside-loop", "`\(text(of: jump))` stands outside a loop", at: site(of: jump)))
    }
    index += 1
    return jump.kind == .break ? .broken : .continued
  }

  private mutating func parseInput() throws(Abandoned) -> Statement.Kind {
    index += 1
    let name = try takeName("an input's name")
    guard kind == .equal, !isAtLineEnd else {
      try fail(
        expectedOnLine: "`=` and a default value", help: "write `input \(name.text) = 5`")
    }
    index += 1
    return .input(name, try parseExpression())
  }

  private mutating func parseUse() throws(Abandoned) -> Statement.Kind {
    index += 1
    guard kind == .stringOpen else {
      try fail(expected: "a path in quotes", help: "write `use \"\(text(of: token)).nn\"`")
    }
    let path = try parseString()
    guard case .string(let parts) = path.kind, parts.count == 1, case .text(let text) = parts[0]
    else {
      try fail(Diagnostic("syntax", "the path of `use` is plain text", at: path.site))
    }
    return .use(path: text, site: path.site)
  }

  // MARK: - Targets

  /// Parses what a loop binds: `x`, `(a, b)` or `a, b`.
  mutating func parseLoopTarget() throws(Abandoned) -> Target {
    let first = index
    let target = try parseOneTarget()
    guard kind == .comma else { return target }
    var parts = [target]
    while take(.comma) { parts.append(try parseOneTarget()) }
    return .tuple(parts, site: site(from: first))
  }

  private mutating func parseOneTarget() throws(Abandoned) -> Target {
    guard kind == .leftParen else { return .name(try takeName("a name to bind")) }
    let first = index
    let (parts, _) = try parseList(of: "name") { parser throws(Abandoned) in
      let part = try parser.parseOneTarget()
      if parser.kind == .in {
        try parser.fail(
          expected: "`)`", help: "the whole header stands without parentheses: `for x in xs { … }`")
      }
      return part
    }
    if parts.isEmpty {
      try fail(Diagnostic("syntax", "`()` names nothing to bind", at: site(from: first)))
    }
    try grow()
    return .tuple(parts, site: site(from: first))
  }

  /// Turns the expression before `=` into a target.
  private mutating func makeTarget(
    _ expression: Expression, from first: Int
  ) throws(Abandoned) -> Target {
    switch expression.kind {
    case .name(let text):
      return .name(Name(text, at: expression.site))
    case .member(let base, let name):
      return .member(base, name)
    case .index(let base, let items):
      return .index(base, items, site: expression.site)
    case .record(let fields) where !fields.isEmpty && fields.allSatisfy { $0.name == nil }:
      var parts: [Target] = []
      for field in fields { parts.append(try makeTarget(field.value, from: first)) }
      return .tuple(parts, site: expression.site)
    case .list:
      try failTarget(
        expression, "a list", help: "parts are taken with parentheses: `(a, b) = pair`")
    case .call(let callee, _):
      try failTarget(expression, "a call", help: functionHelp(callee))
    case .comparisonChain, .and, .or:
      try failTarget(expression, "a comparison", help: "compare with `==`")
    case .integer, .number, .boolean, .none, .string:
      try failTarget(expression, "a constant", help: nil)
    default:
      try failTarget(expression, "an expression", help: nil)
    }
  }

  private func functionHelp(_ callee: Expression) -> String? {
    guard case .name(let name) = callee.kind else { return nil }
    return "a function is declared by `fn \(name)(…) = …`"
  }

  private mutating func failTarget(
    _ expression: Expression, _ what: String, help: String?
  ) throws(Abandoned) -> Never {
    try fail(
      Diagnostic(
        "bad-target", "cannot assign to \(what)", at: expression.site,
        labels: [Diagnostic.Label(site: site(of: token), text: "assigned here")], help: help))
  }
}
