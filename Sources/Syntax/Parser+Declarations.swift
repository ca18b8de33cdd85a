import Support

extension Parser {
  /// Parses `fn name(…) …` or `step name(…) …`.
  mutating func parseFunctionDeclaration() throws(Abandoned) -> FunctionDeclaration {
    let first = index
    index += 1
    let name = try takeName("a name")
    return try parseFunctionRest(name: name, from: first)
  }

  /// Parses `fn(…) = …` or `fn(…) { … }`.
  mutating func parseFunctionLiteral() throws(Abandoned) -> Expression {
    let first = index
    index += 1
    if kind.isName {
      try fail(
        Diagnostic(
          "syntax", "a function inside an expression has no name", at: site(of: token),
          help: "leave the name out: `fn(x) = x`"))
    }
    if kind.isKeyword { _ = try takeName("a name") }
    let declaration = try parseFunctionRest(name: nil, from: first)
    try grow()
    return Expression(.function(declaration), at: declaration.site)
  }

  private mutating func parseFunctionRest(
    name: Name?, from first: Int
  ) throws(Abandoned) -> FunctionDeclaration {
    let parameters = try parseParameters(of: name.map { "`\($0.text)`" } ?? "the function")
    let result = take(.arrow) ? try parseAnnotation() : nil

    let outer = context
    // A literal at the end of a declaration's body leaves `with grad:` to the declaration.
    let isDeclaration = name != nil || outer.gradientOwner == .declaration
    context.isInFunction = true
    context.isInLoop = false
    let body: Block
    if kind == .equal, !isAtLineEnd {
      index += 1
      try descend()
      context.gradientOwner = isDeclaration ? .declaration : .literal
      let value = try parseExpression()
      body = Block([Statement(.expression(value), at: value.site)], at: value.site)
    } else {
      guard kind == .leftBrace else { try failBeforeBody() }
      body = try parseBlock("the function's body")
    }
    context = outer

    var gradient: Expression?
    if name != nil || !isDeclaration, isAtGradient {
      index += 3
      context.gradientOwner = .none
      gradient = try parseExpression()
      context = outer
    }
    return FunctionDeclaration(
      name: name, parameters: parameters, result: result, body: body, gradient: gradient,
      site: site(from: first), documentation: documentation(before: first))
  }

  /// Whether `with grad:` comes next.
  var isAtGradient: Bool {
    guard kind == .with, index + 2 < tokens.count, tokens[index + 2].kind == .colon else {
      return false
    }
    let word = tokens[index + 1]
    return word.kind == .name && bytes[word.start..<word.end].elementsEqual("grad".utf8)
  }

  private mutating func parseParameters(of owner: String) throws(Abandoned) -> [Parameter] {
    guard kind == .leftParen, !isAtLineEnd else {
      try fail(expectedOnLine: "`(` and the parameters of \(owner)")
    }
    var names: [String: Site] = [:]
    return try parseList(of: "parameter") { parser throws(Abandoned) in
      let name = try parser.takeName("a parameter's name")
      if let earlier = names.updateValue(name.site, forKey: name.text) {
        parser.report(
          Diagnostic(
            "duplicate-name", "`\(name.text)` is a parameter already", at: name.site,
            labels: [Diagnostic.Label(site: earlier, text: "the first")]))
      }
      let annotation = parser.take(.colon) ? try parser.parseAnnotation() : nil
      let defaultValue = parser.take(.equal) ? try parser.parseExpression() : nil
      return Parameter(name: name, annotation: annotation, defaultValue: defaultValue)
    }.items
  }

  // MARK: - Shape annotations

  /// Parses `[b, t]`, `f32[n]` or `f32`.
  private mutating func parseAnnotation() throws(Abandoned) -> ShapeAnnotation {
    let first = index
    let dtype = kind.isName ? try takeName("a dtype") : nil
    guard kind == .leftBracket else {
      guard dtype != nil else {
        try fail(expected: "a shape", help: "a shape is `[b, t]`, `[.., n]` or `f32[n]`")
      }
      let site = site(from: first)
      return ShapeAnnotation(dtype: dtype, dimensions: [.rest(site: site)], site: site)
    }
    var rest: Site?
    let (dimensions, _) = try parseList(of: "size") { parser throws(Abandoned) in
      let dimension = try parser.parseDimension()
      if case .rest(let site) = dimension {
        if let rest {
          parser.report(
            Diagnostic(
              "syntax", "a shape has one `..` at most", at: site,
              labels: [Diagnostic.Label(site: rest, text: "the first")]))
        }
        rest = site
      }
      return dimension
    }
    return ShapeAnnotation(dtype: dtype, dimensions: dimensions, site: site(from: first))
  }

  private mutating func parseDimension() throws(Abandoned) -> ShapeAnnotation.Dimension {
    let token = token
    if take(.dotDot) { return .rest(site: site(of: token)) }
    if take(.ellipsis) {
      report(
        Diagnostic(
          "syntax", "the rest of a shape is `..`", at: site(of: token), help: "write `[.., n]`"))
      return .rest(site: site(of: token))
    }
    let value = try parseExpression()
    switch value.kind {
    case .name("_"): return .any(site: value.site)
    case .name(let name): return .name(Name(name, at: value.site))
    case .integer(let number): return .number(number, site: value.site)
    default: return .expression(value)
    }
  }

  // MARK: - Models and optimizers

  mutating func parseModel() throws(Abandoned) -> ModelDeclaration {
    let first = index
    index += 1
    let name = try takeName("a model's name")
    let parameters = try parseParameters(of: "`\(name.text)`")
    let (members, _) = try parseBraced("the model's members") { parser throws(Abandoned) in
      try parser.parseModelMember()
    }
    return ModelDeclaration(
      name: name, parameters: parameters, members: members, site: site(from: first),
      documentation: documentation(before: first))
  }

  private mutating func parseModelMember() throws(Abandoned) -> ModelDeclaration.Member {
    let first = index
    let member: ModelDeclaration.Member
    switch kind {
    case .param where declares:
      let (name, value) = try parseBinding(after: "param", isMarked: true)
      member = .param(name, value)
    case .buffer where declares:
      let (name, value) = try parseBinding(after: "buffer", isMarked: true)
      member = .buffer(name, value)
    case .fn where following.kind.isName:
      member = .function(try parseFunctionDeclaration())
    case _ where kind.isName && following.kind == .equal:
      let (name, value) = try parseBinding(after: "", isMarked: false)
      member = .field(name, value)
    default:
      try failMember("a model holds `param`, `buffer`, fields `name = value` and `fn`")
    }
    _ = try endItem(from: first)
    return member
  }

  mutating func parseOptimizer() throws(Abandoned) -> OptimizerDeclaration {
    let first = index
    index += 1
    let name = try takeName("an optimizer's name")
    let parameters = try parseParameters(of: "`\(name.text)`")
    var states: [OptimizerDeclaration.State] = []
    var functions: [FunctionDeclaration] = []
    _ = try parseBraced("the optimizer's members") { parser throws(Abandoned) in
      let member = parser.index
      switch parser.kind {
      case .state where parser.declares:
        let (name, value) = try parser.parseBinding(after: "state", isMarked: true)
        states.append(OptimizerDeclaration.State(name: name, value: value))
      case .fn where parser.following.kind.isName:
        functions.append(try parser.parseFunctionDeclaration())
      default:
        try parser.failMember("an optimizer holds `state name = value` and `fn`")
      }
      _ = try parser.endItem(from: member)
    }
    return OptimizerDeclaration(
      name: name, parameters: parameters, states: states, functions: functions,
      site: site(from: first), documentation: documentation(before: first))
  }

  /// Parses `name = value`, behind a word such as `param` where `isMarked`.
  private mutating func parseBinding(
    after word: String, isMarked: Bool
  ) throws(Abandoned) -> (Name, Expression) {
    if isMarked { index += 1 }
    let name = try takeName("a name")
    guard kind == .equal, !isAtLineEnd else {
      try fail(expectedOnLine: "`=` and a value", help: "write `\(word) \(name.text) = zeros([n])`")
    }
    index += 1
    return (name, try parseExpression())
  }

  private mutating func failMember(_ rule: String) throws(Abandoned) -> Never {
    if kind.isCloser { try fail(expected: "a member") }
    try fail(
      Diagnostic("syntax", "\(foundDescription) begins no member", at: site(of: token), help: rule))
  }

  // MARK: - Documentation

  /// Returns the comment lines right above the declaration at `first`, which the lexer passed over.
  private func documentation(before first: Int) -> String {
    guard tokens[first].startsLine else { return "" }
    var lines: [String] = []
    var line = file.line(at: tokens[first].start) - 1
    while line >= 1 {
      var range = file.range(ofLine: line)
      while let byte = bytes[range].first, byte == 0x20 || byte == 0x09 {
        range = range.dropFirst()
      }
      guard let text = Self.documentationLine(bytes[range]) else { break }
      lines.append(text)
      line -= 1
    }
    return lines.reversed().joined(separator: "\n")
  }

  /// Returns what a line says as documentation: nil for code, cell heads and expected output.
  private static func documentationLine(_ line: ArraySlice<UInt8>) -> String? {
    guard line.first == UInt8(ascii: "#") else { return nil }
    var rest = line.dropFirst()
    if let mark = rest.first, ">~!".utf8.contains(mark) { return nil }
    if rest.starts(with: "%%".utf8) || rest.starts(with: " %%".utf8) { return nil }
    if rest.first == UInt8(ascii: " ") { rest = rest.dropFirst() }
    while let byte = rest.last, byte == 0x20 || byte == 0x09 || byte == 0x0D {
      rest = rest.dropLast()
    }
    return String(decoding: rest, as: UTF8.self)
  }
}
