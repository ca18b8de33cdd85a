import Support
import Syntax

/// What names a function body mentions and assigns, so that variables shared with closures are known before compiling.
struct NameCollector {
  /// Assigned here, inner functions and comprehension variables left out; in order of appearance.
  private(set) var assigned: [Name] = []
  /// Mentioned anywhere, inner functions included.
  private(set) var mentioned: Set<String> = []
  /// Mentioned by inner functions.
  private(set) var mentionedInside: Set<String> = []
  private var depth = 0

  init() {}

  private mutating func mention(_ name: String) {
    mentioned.insert(name)
    if depth > 0 { mentionedInside.insert(name) }
  }

  private mutating func assign(_ name: Name) {
    if depth == 0 { assigned.append(name) } else { mention(name.text) }
  }

  mutating func collect(_ block: Block) { for statement in block.statements { collect(statement) } }

  mutating func collect(_ statement: Statement) {
    switch statement.kind {
    case .expression(let expression): collect(expression)
    case .assignment(let target, let value):
      collect(value)
      collect(target, binds: true)
    case .compoundAssignment(let target, _, let value):
      collect(value)
      collect(target, binds: true)
      if case .name(let name) = target { mention(name.text) }
    case .function(let declaration), .step(let declaration):
      if let name = declaration.name { assign(name) }
      collectInner(declaration)
    case .model(let declaration): assign(declaration.name)
    case .optimizer(let declaration): assign(declaration.name)
    case .input(let name, let value):
      assign(name)
      collect(value)
    case .use: break
    case .forLoop(let target, let iterable, let body):
      collect(iterable)
      collect(target, binds: true)
      collect(body)
    case .whileLoop(let condition, let body):
      collect(condition)
      collect(body)
    case .returned(let value): if let value { collect(value) }
    case .broken, .continued: break
    }
  }

  mutating func collectInner(_ declaration: FunctionDeclaration) {
    for parameter in declaration.parameters {
      if let value = parameter.defaultValue {
        depth += 1
        collect(value)
        depth -= 1
      }
    }
    depth += 1
    for annotation in declaration.parameters.compactMap(\.annotation) { collect(annotation) }
    if let result = declaration.result { collect(result) }
    collect(declaration.body)
    depth -= 1
    if let gradient = declaration.gradient { collect(gradient) }
  }

  mutating func collect(_ annotation: ShapeAnnotation) {
    for dimension in annotation.dimensions {
      switch dimension {
      case .name(let name): mention(name.text)
      case .expression(let expression): collect(expression)
      case .number, .rest, .any: break
      }
    }
  }

  mutating func collect(_ target: Target, binds: Bool) {
    switch target {
    case .name(let name): if binds { assign(name) }
    case .tuple(let parts, _): for part in parts { collect(part, binds: binds) }
    case .member(let base, _): collect(base)
    case .index(let base, let items, _):
      collect(base)
      for item in items { collect(item) }
    }
  }

  mutating func collect(_ item: IndexItem) {
    switch item {
    case .at(let expression): collect(expression)
    case .slice(let a, let b, let c, _): for part in [a, b, c] { if let part { collect(part) } }
    case .rest: break
    }
  }

  mutating func collect(_ expression: Expression) {
    switch expression.kind {
    case .integer, .number, .boolean, .none: break
    case .string(let parts):
      for case .interpolation(let value, _) in parts { collect(value) }
    case .name(let name): mention(name)
    case .list(let items): for item in items { collect(item) }
    case .record(let fields): for field in fields { collect(field.value) }
    case .comprehension(let element, let clauses):
      for clause in clauses {
        collect(clause.iterable)
        collect(clause.target, binds: false)
        for condition in clause.conditions { collect(condition) }
      }
      collect(element)
    case .unary(_, let operand): collect(operand)
    case .binary(_, let a, let b, _), .and(let a, let b), .or(let a, let b), .range(let a, let b, _):
      collect(a)
      collect(b)
    case .comparisonChain(let first, let rest):
      collect(first)
      for (_, _, operand) in rest { collect(operand) }
    case .call(let callee, let arguments):
      collect(callee)
      for argument in arguments { collect(argument.value) }
    case .pipe(let value, let into):
      collect(value)
      collect(into)
    case .member(let base, _): collect(base)
    case .index(let base, let items):
      collect(base)
      for item in items { collect(item) }
    case .function(let declaration): collectInner(declaration)
    case .with(let base, let fields):
      collect(base)
      for field in fields { collect(field.value) }
    case .conditional(let condition, let then, let otherwise):
      collect(condition)
      collect(then)
      if let otherwise { collect(otherwise) }
    }
  }
}

/// Whether a block contains `return`, `break` or `continue` that leaves it, inner functions left out.
func leaves(_ block: Block) -> Bool { block.statements.contains(where: leaves) }

private func leaves(_ statement: Statement) -> Bool {
  switch statement.kind {
  case .returned, .broken, .continued: true
  case .forLoop(_, _, let body), .whileLoop(_, let body): leaves(body)
  case .expression(let expression):
    if case .conditional(_, let then, let otherwise) = expression.kind {
      leaves(then) || otherwise.map(leaves) ?? false
    } else {
      false
    }
  default: false
  }
}

extension Interpreter {
  /// The names that statements assign, and all that they mention.
  package static func names(in statements: ArraySlice<Statement>) -> (assigned: Set<String>, mentioned: Set<String>) {
    var collector = NameCollector()
    for statement in statements { collector.collect(statement) }
    return (Set(collector.assigned.map(\.text)), collector.mentioned)
  }
}
