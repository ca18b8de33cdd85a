import Support

/// Returns a program's syntax tree as S-expressions, one top-level statement a line.
///
///     x = f(1, axis: 0)[1:]    (= x (index (call f 1 axis: 0) (slice 1 _ _)))
package func dump(_ program: Program) -> String {
  program.statements.map { Dump.of($0) }.joined(separator: "\n")
}

/// The S-expressions of each kind of node.
private enum Dump {
  static func form(_ head: String, _ parts: [String]) -> String {
    "(" + ([head] + parts).joined(separator: " ") + ")"
  }

  static func form(_ head: String, _ parts: String...) -> String { form(head, parts) }

  // MARK: - Statements

  static func of(_ statement: Statement) -> String {
    let text = of(statement.kind)
    return statement.isSilenced ? form("silent", text) : text
  }

  private static func of(_ kind: Statement.Kind) -> String {
    switch kind {
    case .expression(let value): of(value)
    case .assignment(let target, let value): form("=", of(target), of(value))
    case .compoundAssignment(let target, let operation, let value):
      form(operation.rawValue + "=", of(target), of(value))
    case .function(let declaration): of(declaration, as: "fn")
    case .step(let declaration): of(declaration, as: "step")
    case .model(let declaration): of(declaration)
    case .optimizer(let declaration): of(declaration)
    case .input(let name, let value): form("input", name.text, of(value))
    case .use(let path, _): form("use", quoted(path))
    case .forLoop(let target, let iterable, let body):
      form("for", of(target), of(iterable), of(body))
    case .whileLoop(let condition, let body): form("while", of(condition), of(body))
    case .returned(let value): form("return", value.map { [of($0)] } ?? [])
    case .broken: "(break)"
    case .continued: "(continue)"
    }
  }

  private static func of(_ block: Block) -> String { form("do", block.statements.map { of($0) }) }

  private static func of(_ target: Target) -> String {
    switch target {
    case .name(let name): name.text
    case .tuple(let parts, _): form("tuple", parts.map { of($0) })
    case .member(let base, let name): form(".", of(base), name.text)
    case .index(let base, let items, _): form("index", [of(base)] + items.map { of($0) })
    }
  }

  // MARK: - Declarations

  private static func of(_ declaration: FunctionDeclaration, as keyword: String) -> String {
    var parts = [declaration.name?.text ?? "_", of(declaration.parameters)]
    if let result = declaration.result { parts.append("-> " + of(result)) }
    parts.append(of(declaration.body))
    if let gradient = declaration.gradient { parts.append(form("grad", of(gradient))) }
    return form(keyword, parts + documented(declaration.documentation))
  }

  private static func of(_ declaration: ModelDeclaration) -> String {
    let members = declaration.members.map { member in
      switch member {
      case .param(let name, let value): form("param", name.text, of(value))
      case .buffer(let name, let value): form("buffer", name.text, of(value))
      case .field(let name, let value): form("field", name.text, of(value))
      case .function(let function): of(function, as: "fn")
      }
    }
    return form(
      "model",
      [declaration.name.text, of(declaration.parameters)] + members
        + documented(declaration.documentation))
  }

  private static func of(_ declaration: OptimizerDeclaration) -> String {
    form(
      "optimizer",
      [declaration.name.text, of(declaration.parameters)]
        + declaration.states.map { form("state", $0.name.text, of($0.value)) }
        + declaration.functions.map { of($0, as: "fn") }
        + documented(declaration.documentation))
  }

  private static func documented(_ text: String) -> [String] {
    text.isEmpty ? [] : [form("doc", quoted(text))]
  }

  private static func of(_ parameters: [Parameter]) -> String {
    let shown = parameters.map { parameter in
      var parts = [parameter.name.text]
      if let annotation = parameter.annotation { parts.append(": " + of(annotation)) }
      if let value = parameter.defaultValue { parts.append("= " + of(value)) }
      return parts.count == 1 ? parts[0] : "(" + parts.joined(separator: " ") + ")"
    }
    return "(" + shown.joined(separator: " ") + ")"
  }

  private static func of(_ annotation: ShapeAnnotation) -> String {
    let dimensions = annotation.dimensions.map { dimension in
      switch dimension {
      case .name(let name): name.text
      case .number(let number, _): "\(number)"
      case .rest: ".."
      case .any: "_"
      case .expression(let value): of(value)
      }
    }
    return (annotation.dtype?.text ?? "") + "[" + dimensions.joined(separator: " ") + "]"
  }

  // MARK: - Expressions

  private static func of(_ expression: Expression) -> String {
    switch expression.kind {
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .boolean(let value): "\(value)"
    case .none: "none"
    case .string(let parts): of(parts)
    case .name(let name): name
    case .list(let elements): form("list", elements.map { of($0) })
    case .record(let fields): form("record", fields.map { of($0) })
    case .comprehension(let value, let clauses):
      form("each", [of(value)] + clauses.map { of($0) })
    case .unary(let operation, let operand): form(operation.rawValue, of(operand))
    case .binary(let operation, let left, let right, _):
      form(operation.rawValue, of(left), of(right))
    case .comparisonChain(let first, let links): of(first, links)
    case .and(let left, let right): form("and", of(left), of(right))
    case .or(let left, let right): form("or", of(left), of(right))
    case .range(let start, let end, let isClosed):
      form(isClosed ? "..." : "..<", of(start), of(end))
    case .call(let callee, let arguments):
      form("call", [of(callee)] + arguments.map { labelled($0.label, $0.value) })
    case .pipe(let value, let function): form("|>", of(value), of(function))
    case .member(let base, let name): form(".", of(base), name.text)
    case .index(let base, let items): form("index", [of(base)] + items.map { of($0) })
    case .function(let declaration): of(declaration, as: "fn")
    case .with(let base, let fields): form("with", [of(base)] + fields.map { of($0) })
    case .conditional(let condition, let then, let otherwise):
      form("if", [of(condition), of(then)] + (otherwise.map { [of($0)] } ?? []))
    }
  }

  private static func of(
    _ first: Expression, _ links: [(ComparisonOperator, Site, Expression)]
  ) -> String {
    if links.count == 1 { return form(links[0].0.rawValue, of(first), of(links[0].2)) }
    return form("chain", [of(first)] + links.flatMap { [$0.0.rawValue, of($0.2)] })
  }

  private static func of(_ field: Expression.Field) -> String { labelled(field.name, field.value) }

  private static func labelled(_ name: Name?, _ value: Expression) -> String {
    (name.map { $0.text + ": " } ?? "") + of(value)
  }

  private static func of(_ clause: Expression.Clause) -> String {
    form(
      "for",
      [of(clause.target), of(clause.iterable)] + clause.conditions.map { form("if", of($0)) })
  }

  private static func of(_ item: IndexItem) -> String {
    switch item {
    case .at(let value): of(value)
    case .slice(let start, let end, let stride, _):
      form("slice", [start, end, stride].map { $0.map { of($0) } ?? "_" })
    case .rest: ".."
    }
  }

  private static func of(_ parts: [StringPart]) -> String {
    if parts.count == 1, case .text(let text) = parts[0] { return quoted(text) }
    return form(
      "string",
      parts.map { part in
        switch part {
        case .text(let text): quoted(text)
        case .interpolation(let value, let format):
          format.map { form("format", of(value), quoted($0)) } ?? of(value)
        }
      })
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\" + String(scalar)
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
