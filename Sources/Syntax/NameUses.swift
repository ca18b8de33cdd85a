import Support

/// A place where a program writes the name of a variable of its top level.
package struct NameUse: Sendable {
  package let name: String
  package let site: Site
  /// Whether the name gets its value here.
  package let isBinding: Bool
}

/// Returns the places in a statement of the top level that name variables of the top level, in no order.
///
/// Names that a function, model, optimizer or comprehension binds for itself are left out, inside it.
package func globalNameUses(_ statement: Statement) -> [NameUse] {
  var walk = NameWalk()
  walk.walk(statement)
  return walk.uses
}

/// Goes through a syntax tree with the names that are bound around each place.
private struct NameWalk {
  private(set) var uses: [NameUse] = []
  /// Innermost last; empty at the top level, where blocks bind globals.
  private var scopes: [Set<String>] = []

  private mutating func use(_ name: String, _ site: Site, binds: Bool = false) {
    if scopes.contains(where: { $0.contains(name) }) { return }
    uses.append(NameUse(name: name, site: site, isBinding: binds))
  }

  private mutating func bind(_ name: Name) {
    if scopes.isEmpty {
      use(name.text, name.site, binds: true)
    } else {
      scopes[scopes.count - 1].insert(name.text)
    }
  }

  private mutating func inScope(_ names: [Name], _ body: (inout NameWalk) -> Void) {
    scopes.append(Set(names.map(\.text)))
    body(&self)
    scopes.removeLast()
  }

  // MARK: - Statements

  private mutating func walk(_ block: Block) { for statement in block.statements { walk(statement) } }

  mutating func walk(_ statement: Statement) {
    switch statement.kind {
    case .expression(let value): walk(value)
    case .assignment(let target, let value):
      walk(value)
      walk(target)
    case .compoundAssignment(let target, _, let value):
      walk(value)
      walk(target)
    case .function(let function), .step(let function): walk(function)
    case .model(let model): walk(model)
    case .optimizer(let optimizer): walk(optimizer)
    case .input(let name, let value):
      walk(value)
      bind(name)
    case .use, .broken, .continued: break
    case .forLoop(let target, let iterable, let body):
      walk(iterable)
      walk(target)
      walk(body)
    case .whileLoop(let condition, let body):
      walk(condition)
      walk(body)
    case .returned(let value): if let value { walk(value) }
    }
  }

  private mutating func walk(_ target: Target) {
    switch target {
    case .name(let name): bind(name)
    case .tuple(let parts, _): for part in parts { walk(part) }
    case .member(let base, _): walk(base)
    case .index(let base, let items, _):
      walk(base)
      for item in items { walk(item) }
    }
  }

  // MARK: - Declarations

  private mutating func walk(_ function: FunctionDeclaration) {
    if let name = function.name { bind(name) }
    for value in function.parameters.compactMap(\.defaultValue) { walk(value) }
    let annotations = function.parameters.compactMap(\.annotation) + [function.result].compactMap { $0 }
    let dimensions = annotations.flatMap(\.dimensions).compactMap { dimension -> Name? in
      if case .name(let name) = dimension { name } else { nil }
    }
    inScope(function.parameters.map(\.name) + dimensions) { $0.walk(function.body) }
    if let gradient = function.gradient { walk(gradient) }
  }

  private mutating func walk(_ model: ModelDeclaration) {
    bind(model.name)
    for value in model.parameters.compactMap(\.defaultValue) { walk(value) }
    let members = model.members.compactMap { member -> Name? in
      switch member {
      case .param(let name, _), .buffer(let name, _), .field(let name, _): name
      case .function(let function): function.name
      }
    }
    inScope(model.parameters.map(\.name) + members) { walk in
      for member in model.members {
        switch member {
        case .param(_, let value), .buffer(_, let value), .field(_, let value): walk.walk(value)
        case .function(let function): walk.walk(function)
        }
      }
    }
  }

  private mutating func walk(_ optimizer: OptimizerDeclaration) {
    bind(optimizer.name)
    for value in optimizer.parameters.compactMap(\.defaultValue) { walk(value) }
    // The parameter that a state is made for is called `p`.
    let parameter = Name("p", at: optimizer.name.site)
    let members = optimizer.states.map(\.name) + optimizer.functions.compactMap(\.name) + [parameter]
    inScope(optimizer.parameters.map(\.name) + members) { walk in
      for state in optimizer.states { walk.walk(state.value) }
      for function in optimizer.functions { walk.walk(function) }
    }
  }

  // MARK: - Expressions

  private mutating func walk(_ item: IndexItem) {
    switch item {
    case .at(let value): walk(value)
    case .slice(let start, let end, let stride, _): for part in [start, end, stride] { if let part { walk(part) } }
    case .rest: break
    }
  }

  private mutating func walk(_ expression: Expression) {
    switch expression.kind {
    case .integer, .number, .boolean, .none: break
    case .string(let parts): for case .interpolation(let value, _) in parts { walk(value) }
    case .name(let name): use(name, expression.site)
    case .list(let items): for item in items { walk(item) }
    case .record(let fields): for field in fields { walk(field.value) }
    case .comprehension(let element, let clauses):
      inScope([]) { walk in
        for clause in clauses {
          walk.walk(clause.iterable)
          walk.walk(clause.target)
          for condition in clause.conditions { walk.walk(condition) }
        }
        walk.walk(element)
      }
    case .unary(_, let operand): walk(operand)
    case .binary(_, let a, let b, _), .and(let a, let b), .or(let a, let b), .range(let a, let b, _):
      walk(a)
      walk(b)
    case .comparisonChain(let first, let rest):
      walk(first)
      for (_, _, operand) in rest { walk(operand) }
    case .call(let callee, let arguments):
      walk(callee)
      for argument in arguments { walk(argument.value) }
    case .pipe(let value, let into):
      walk(value)
      walk(into)
    case .member(let base, _): walk(base)
    case .index(let base, let items):
      walk(base)
      for item in items { walk(item) }
    case .function(let function): walk(function)
    case .with(let base, let fields):
      walk(base)
      for field in fields { walk(field.value) }
    case .conditional(let condition, let then, let otherwise):
      walk(condition)
      walk(then)
      if let otherwise { walk(otherwise) }
    }
  }
}
