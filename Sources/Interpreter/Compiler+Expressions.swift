import Support
import Syntax
import Tensors

extension Compiler {
  func expression(_ expression: Expression, _ scope: FunctionScope) -> Node {
    let site = expression.site
    switch expression.kind {
    case .integer(let value): return ConstantNode(.int(value), site)
    case .number(let value): return ConstantNode(.double(value), site)
    case .boolean(let value): return ConstantNode(.bool(value), site)
    case .none: return ConstantNode(.none, site)
    case .string(let parts): return string(parts, scope, site)
    case .name(let name): return self.name(name, scope, site)
    case .list(let items): return ListNode(items.map { self.expression($0, scope) }, site)
    case .record(let fields):
      var seen = Set<String>()
      for name in fields.compactMap(\.name) where !seen.insert(name.text).inserted {
        return fail("duplicate-name", "`\(name.text)` stands twice in this record", at: name.site)
      }
      return RecordNode(
        fields.map { $0.name?.text }, fields.map { self.expression($0.value, scope) }, site)
    case .comprehension(let element, let clauses):
      return comprehension(element, clauses, scope, site)
    case .unary(.negate, let operand):
      if case .integer(let value) = operand.kind, value != .min { return ConstantNode(.int(-value), site) }
      if case .number(let value) = operand.kind { return ConstantNode(.double(-value), site) }
      return NegateNode(self.expression(operand, scope), interpreter, site)
    case .unary(.plus, let operand): return self.expression(operand, scope)
    case .unary(.not, let operand): return NotNode(self.expression(operand, scope), site)
    case .binary(let op, let left, let right, let operatorSite):
      return binary(
        op, self.expression(left, scope), self.expression(right, scope), operatorSite: operatorSite,
        site)
    case .comparisonChain(let first, let rest): return comparison(first, rest, scope, site)
    case .and(let left, let right):
      return AndNode(self.expression(left, scope), self.expression(right, scope), site)
    case .or(let left, let right):
      return OrNode(self.expression(left, scope), self.expression(right, scope), site)
    case .range(let start, let end, let isClosed):
      return RangeNode(
        self.expression(start, scope), self.expression(end, scope), isClosed: isClosed, site)
    case .call(let callee, let arguments): return call(callee, arguments, piped: nil, scope, site)
    case .pipe(let value, let into):
      if case .call(let callee, let arguments) = into.kind {
        return call(callee, arguments, piped: value, scope, site)
      }
      return call(into, [], piped: value, scope, site)
    case .member(let base, let name):
      return read(MemberNode(self.expression(base, scope), name, interpreter, site))
    case .index(let base, let items):
      return IndexNode(
        self.expression(base, scope), items.map { item($0, scope) }, interpreter, site)
    case .function(let declaration): return closure(declaration, isStep: false, scope)
    case .with(let base, let fields):
      return WithNode(
        self.expression(base, scope),
        fields.map { (name: $0.name, value: withValue($0, scope)) }, interpreter, site)
    case .conditional(let condition, let then, let otherwise):
      return conditional(
        self.expression(condition, scope), then: valueBlock(then, scope),
        otherwise: otherwise.map { valueBlock($0, scope) }, site)
    }
  }

  /// `on`, `off` and policy words after `with` are words, not variables, unless a variable has the name.
  private func withValue(_ field: Expression.Field, _ scope: FunctionScope) -> Node {
    if case .name(let word) = field.value.kind, scope.resolve(word) == nil {
      return ConstantNode(.string(word), field.value.site)
    }
    return expression(field.value, scope)
  }

  func item(_ item: IndexItem, _ scope: FunctionScope) -> IndexNode.Item {
    switch item {
    case .at(let value): .at(expression(value, scope))
    case .slice(let start, let end, let step, let site):
      .slice(
        start.map { expression($0, scope) }, end.map { expression($0, scope) },
        step.map { expression($0, scope) }, site)
    case .rest(let site): .rest(site)
    }
  }

  // MARK: Names

  func name(_ name: String, _ scope: FunctionScope, _ site: Site) -> Node {
    switch scope.resolve(name) {
    case .local(let slot):
      if let outer = scope.outer(name) { return read(OuterNode(slot, outer, site)) }
      return read(LocalNode(slot, name, site))
    case .cell(let slot): return read(CellNode(slot, name, interpreter, site))
    case .field(let field):
      guard let selfSlot = scope.selfSlot else { break }
      return read(OwnFieldNode(selfSlot: selfSlot, field: field, name: name, interpreter, site))
    case .method:
      guard let selfSlot = scope.selfSlot else { break }
      return OwnMethodNode(selfSlot: selfSlot, method: name, site)
    case .global(let slot):
      // The standard library's own names never change: no look-up, no guard.
      let isInLibrary = module.parent == nil
      if isInLibrary || module.ownSlot(of: name) == nil, case let value = interpreter.globals[slot] {
        if case .unset = value {} else { return ConstantNode(value, site) }
      }
      return read(GlobalNode(slot, interpreter, site))
    case nil: break
    }
    let suggestion = didYouMean(name, among: scope.visibleNames)
    return fail(
      "unknown-name",
      "no `\(name)` here" + (suggestion.map { "; did you mean `\($0)`?" } ?? ""), at: site,
      help: name == "help"
        ? "help is `gradus help NAME`, in the terminal `?name`"
        : name == KeptOutputs.name ? "outputs are kept in the terminal and in notebooks; in a script give them names" : nil)
  }

  /// A read of something that may be unknown, in an abstract run.
  private func read(_ node: Node) -> Node {
    interpreter.abstract.map { AbstractReadNode(node, $0) } ?? node
  }

  // MARK: Operators

  func binary(
    _ op: BinaryOperator, _ left: Node, _ right: Node, operatorSite: Site, _ site: Site
  ) -> Node {
    switch op {
    case .add: AdditionNode(left, right, operatorSite: operatorSite, interpreter, site)
    case .subtract: SubtractionNode(left, right, operatorSite: operatorSite, interpreter, site)
    case .multiply: MultiplicationNode(left, right, operatorSite: operatorSite, interpreter, site)
    case .divide: DivisionNode(left, right, operatorSite: operatorSite, interpreter, site)
    case .floorDivide: FloorDivisionNode(left, right, operatorSite: operatorSite, interpreter, site)
    case .modulo: ModuloNode(left, right, operatorSite: operatorSite, interpreter, site)
    case .power: PowerNode(left, right, operatorSite: operatorSite, interpreter, site)
    case .matmul: MatmulNode(left, right, operatorSite: operatorSite, interpreter, site)
    }
  }

  private func comparison(
    _ first: Expression, _ rest: [(ComparisonOperator, Site, Expression)], _ scope: FunctionScope,
    _ site: Site
  ) -> Node {
    var left = expression(first, scope)
    if rest.count == 1, rest[0].0 == .contained {
      return ContainedNode(left, expression(rest[0].2, scope), interpreter, site)
    }
    var comparisons: [ComparisonNode] = []
    for (op, operatorSite, operand) in rest {
      let right = expression(operand, scope)
      let pair = left.site.joined(with: right.site)
      let node: ComparisonNode? =
        switch op {
        case .equal: EqualNode(left, right, operatorSite: operatorSite, interpreter, pair)
        case .notEqual: NotEqualNode(left, right, operatorSite: operatorSite, interpreter, pair)
        case .less: LessNode(left, right, operatorSite: operatorSite, interpreter, pair)
        case .lessOrEqual: LessOrEqualNode(left, right, operatorSite: operatorSite, interpreter, pair)
        case .greater: GreaterNode(left, right, operatorSite: operatorSite, interpreter, pair)
        case .greaterOrEqual: GreaterOrEqualNode(left, right, operatorSite: operatorSite, interpreter, pair)
        case .contained: nil
        }
      guard let node else {
        return fail("syntax", "`in` cannot be part of a chain of comparisons", at: operatorSite)
      }
      comparisons.append(node)
      left = right
    }
    return comparisons.count == 1 ? comparisons[0] : ChainNode(comparisons, site)
  }

  // MARK: Strings and comprehensions

  private func string(_ parts: [StringPart], _ scope: FunctionScope, _ site: Site) -> Node {
    if parts.isEmpty { return ConstantNode(.string(""), site) }
    if parts.count == 1, case .text(let text) = parts[0] { return ConstantNode(.string(text), site) }
    return StringNode(
      parts.map { part in
        switch part {
        case .text(let text): .text(text)
        case .interpolation(let value, let format): .value(expression(value, scope), format: format)
        }
      }, interpreter, site)
  }

  private func comprehension(
    _ element: Expression, _ clauses: [Expression.Clause], _ scope: FunctionScope, _ site: Site
  ) -> Node {
    var hidden = 0
    var compiled: [ComprehensionNode.Clause] = []
    for clause in clauses {
      let iterable = expression(clause.iterable, scope)
      let target = comprehensionTarget(clause.target, scope, &hidden)
      compiled.append(
        .init(
          target: target, iterable: iterable,
          conditions: clause.conditions.map { expression($0, scope) }))
    }
    let element = expression(element, scope)
    scope.unhide(hidden)
    return ComprehensionNode(element, compiled, interpreter, site)
  }

  private func comprehensionTarget(
    _ target: Target, _ scope: FunctionScope, _ hidden: inout Int
  ) -> AssignTarget {
    switch target {
    case .name(let name):
      let (slot, isBoxed) = scope.hide(name.text)
      hidden += 1
      return isBoxed
        ? CellTarget(slot, isFresh: true, interpreter, name.site) : LocalTarget(slot, name.site)
    case .tuple(let parts, let site):
      var targets: [AssignTarget] = []
      for part in parts { targets.append(comprehensionTarget(part, scope, &hidden)) }
      return TupleTarget(targets, interpreter, site)
    case .member, .index:
      _ = fail("syntax", "a comprehension binds names", at: target.site)
      return AssignTarget(target.site)
    }
  }

  // MARK: Calls

  private func call(
    _ callee: Expression, _ arguments: [Argument], piped: Expression?, _ scope: FunctionScope,
    _ site: Site
  ) -> Node {
    var nodes: [Node] = []
    var labels: [String?] = []
    var sites: [(label: String?, site: Site)] = []
    if let piped {
      nodes.append(expression(piped, scope))
      labels.append(nil)
      sites.append((nil, piped.site))
    }
    for argument in arguments {
      nodes.append(expression(argument.value, scope))
      labels.append(argument.label?.text)
      sites.append((argument.label?.text, argument.label?.site ?? argument.value.site))
    }
    if case .member(let base, let name) = callee.kind {
      return MethodCallNode(
        expression(base, scope), name, nodes, labels: labels, interpreter, site)
    }
    if case .name(let name) = callee.kind, case .global(let slot)? = scope.resolve(name),
      let parameters = knownParameters(name, slot),
      let mistake = parameters.mistake(in: sites, callee: name, at: callee.site)
    {
      diagnostics.append(mistake)
      return FailNode(mistake, site)
    }
    if let abstract = interpreter.abstract {
      return AbstractCallNode(expression(callee, scope), nodes, labels: labels, interpreter, abstract, site)
    }
    return CallNode(expression(callee, scope), nodes, labels: labels, interpreter, site)
  }

  /// The parameters of a global that is declared once and never assigned otherwise.
  private func knownParameters(_ name: String, _ slot: Int) -> ParameterList? {
    if module.ownSlot(of: name) != nil { return module.declarations[name] }
    guard case .callable(let callable) = interpreter.globals[slot] else { return nil }
    if callable.isFunction {
      return unsafeDowncast(callable, to: FunctionValue.self).template.parameters
    }
    return (callable as? OpFunction)?.known ?? (callable as? Builtin)?.parameters
      ?? (callable as? ModelDefinition)?.parameters ?? (callable as? OptimizerDefinition)?.parameters
  }
}
