import Support

/// How tightly operators bind, loosest first.
enum Precedence: UInt8, Comparable {
  case pipe = 1
  case or, and, not, comparison, range, sum, product, unary, power

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
    if mark.kind.rawValue >= TokenKind.starStar.rawValue,
      let mistake = Mistakes.operators[mark.kind]
    {
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
    if let sign = kind.spelling, index > 0, tokens[index - 1].kind == kind, tokens[index - 1].end == token.start,
      following.startsLine || following.kind == .endOfFile
    {
      try fail(
        Diagnostic(
          "syntax", "there is no operator `\(sign)\(sign)`",
          at: Site(file: file, start: tokens[index - 1].start, end: token.end), help: "counting is `x \(sign)= 1`"))
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
}
