import Support
import Syntax
import Tensors

/// A statement ready to run.
package struct CompiledStatement {
  package let statement: Statement
  /// Name and arity mistakes in it, inner functions included.
  package let diagnostics: [Diagnostic]
  let node: Node
  let slotCount: Int

  /// Makes the file's variables that it assigns unknown to an abstract run.
  package func forgetNames() { (node as? AbstractStatementNode)?.forgetGlobals() }
}

/// Turns syntax trees into nodes: resolves every name, checks calls whose callee is known.
///
/// Never fails: a mistake becomes a diagnostic and a node that throws it if it is reached.
final class Compiler {
  let interpreter: Interpreter
  let module: Module
  var diagnostics: [Diagnostic] = []
  /// The standard library compiles function bodies at their first call.
  let isLazy: Bool

  init(_ interpreter: Interpreter, module: Module, isLazy: Bool = false) {
    self.interpreter = interpreter
    self.module = module
    self.isLazy = isLazy
  }

  // MARK: Top level

  /// Declares the names that `statements` assign at the top level.
  func declareNames(of statements: [Statement]) {
    var counts: [String: Int] = [:]
    for statement in statements {
      var collector = NameCollector()
      collector.collect(statement)
      for name in collector.assigned { counts[name.text, default: 0] += 1 }
    }
    for (name, count) in counts.sorted(by: { $0.key < $1.key }) {
      if module.ownSlot(of: name) == nil {
        guard interpreter.globalNames.count < Interpreter.globalCapacity else {
          isOutOfNames = true
          continue
        }
        let slot = interpreter.makeGlobal(name)
        // A name of the standard library keeps its meaning until it is assigned.
        if let inherited = module.parent?.slot(of: name) {
          interpreter.globals[slot] = interpreter.globals[inherited]
        }
        module.declare(name, slot: slot)
      }
      module.declarations[name] = nil
      reassigned[name] = count
    }
    for statement in statements {
      switch statement.kind {
      case .function(let declaration), .step(let declaration):
        if let name = declaration.name { note(name.text, declaration.parameters) }
      case .model(let declaration): note(declaration.name.text, declaration.parameters)
      case .optimizer(let declaration): note(declaration.name.text, declaration.parameters)
      default: break
      }
    }
  }

  /// Declares names that have no statement to bind them.
  func declare(_ names: [String]) {
    for name in names
    where module.slot(of: name) == nil && interpreter.globalNames.count < Interpreter.globalCapacity {
      module.declare(name, slot: interpreter.makeGlobal(name))
    }
  }

  private var reassigned: [String: Int] = [:]
  /// Whether the session's table of names is full.
  private var isOutOfNames = false

  private func note(_ name: String, _ parameters: [Parameter]) {
    guard reassigned[name] == 1 else { return }
    module.declarations[name] = signature(parameters)
  }

  /// A parameter list without compiled defaults.
  private func signature(_ parameters: [Parameter]) -> ParameterList {
    ParameterList(
      names: parameters.map(\.name.text), defaults: parameters.map { _ in nil },
      defaultTexts: parameters.map { $0.defaultValue?.site.text })
  }

  func compile(_ statement: Statement) -> CompiledStatement {
    diagnostics = []
    if isOutOfNames {
      diagnostics.append(
        Diagnostic(
          .error, "too-many-names", "a session holds at most \(grouped(Interpreter.globalCapacity)) names",
          at: statement.site))
      isOutOfNames = false
    }
    let scope = FunctionScope(parent: nil, module: module, model: nil, isTopLevel: true)
    var collector = NameCollector()
    collector.collect(statement)
    scope.sharedNames = collector.mentionedInside
    let node = self.statement(statement, scope, isOutermost: true)
    return CompiledStatement(
      statement: statement, diagnostics: diagnostics, node: node, slotCount: scope.slotCount)
  }

  // MARK: Statements

  func block(_ block: Block, _ scope: FunctionScope) -> Node {
    if block.statements.count == 1 { return statement(block.statements[0], scope) }
    return BlockNode(block.statements.map { statement($0, scope) }, block.site)
  }

  /// A block whose last statement is its value.
  func valueBlock(_ block: Block, _ scope: FunctionScope) -> Node {
    if leaves(block) {
      return fail(
        "syntax", "`return`, `break` and `continue` cannot stand in a block that is a value",
        at: block.site)
    }
    if block.statements.count == 1 { return valueStatement(block.statements[0], scope) }
    var nodes = block.statements.dropLast().map { statement($0, scope) }
    if let last = block.statements.last { nodes.append(valueStatement(last, scope)) }
    return BlockNode(nodes, block.site)
  }

  private func valueStatement(_ statement: Statement, _ scope: FunctionScope) -> Node {
    if case .expression(let expression) = statement.kind { return self.expression(expression, scope) }
    return ValuelessNode(self.statement(statement, scope))
  }

  func statement(_ statement: Statement, _ scope: FunctionScope, isOutermost: Bool = false) -> Node {
    let node = plainStatement(statement, scope)
    guard let abstract = interpreter.abstract else { return node }
    return abstractStatement(node, statement, scope, isOutermost: isOutermost, abstract)
  }

  private func plainStatement(_ statement: Statement, _ scope: FunctionScope) -> Node {
    let site = statement.site
    switch statement.kind {
    case .expression(let expression):
      if case .conditional(let condition, let then, let otherwise) = expression.kind {
        // At the top level an `if` echoes its value, so its blocks are values where they can be.
        if scope.isTopLevel, !leaves(then), otherwise.map(leaves) != true {
          return self.expression(expression, scope)
        }
        return conditional(
          self.expression(condition, scope), then: block(then, scope),
          otherwise: otherwise.map { block($0, scope) }, site)
      }
      return self.expression(expression, scope)
    case .assignment(let target, let value):
      return growth(target, value, scope, site) ?? assignment(target, expression(value, scope), scope, site)
    case .compoundAssignment(let target, let op, let value):
      switch target {
      case .name(let name):
        let current = self.name(name.text, scope, name.site)
        let node = binary(op, current, expression(value, scope), operatorSite: target.site, site)
        return assignment(target, node, scope, site)
      case .tuple:
        return fail("bad-assignment", "`\(op.rawValue)=` needs one variable on its left", at: target.site)
      case .member, .index:
        let place = self.place(target, scope)
        let slot = scope.makeSlot()
        let current = LocalNode(slot, target.site.text, target.site)
        let node = binary(op, current, expression(value, scope), operatorSite: target.site, site)
        return UpdateNode(place, slot: slot, node, interpreter, site)
      }
    case .function(let declaration):
      return declared(declaration, isStep: false, scope, site)
    case .step(let declaration):
      return declared(declaration, isStep: true, scope, site)
    case .model(let declaration):
      guard scope.isTopLevel else {
        return fail("misplaced-declaration", "a model is declared at the top level", at: site)
      }
      return bind(declaration.name, ConstantNode(.callable(model(declaration)), site), scope, site)
    case .optimizer(let declaration):
      guard scope.isTopLevel else {
        return fail("misplaced-declaration", "an optimizer is declared at the top level", at: site)
      }
      return bind(declaration.name, ConstantNode(.callable(optimizer(declaration)), site), scope, site)
    case .input(let name, let value):
      guard scope.isTopLevel else {
        return fail("misplaced-declaration", "`input` stands at the top level", at: site)
      }
      return bind(name, InputNode(name, expression(value, scope), interpreter, site), scope, site)
    case .use(let path, let pathSite):
      guard scope.isTopLevel else {
        return fail("misplaced-declaration", "`use` stands at the top level", at: site)
      }
      return use(path, pathSite, site)
    case .forLoop(let target, let iterable, let body):
      let values = expression(iterable, scope)
      let names = target.names
      let target = self.target(target, scope, isFresh: true)
      if let abstract = interpreter.abstract {
        return AbstractForNode(
          target, values, block(body, scope), isStraight: body.isStraight(keeping: names), interpreter, abstract, site)
      }
      return ForNode(target, values, block(body, scope), interpreter, site)
    case .whileLoop(let condition, let body):
      if let abstract = interpreter.abstract {
        return AbstractWhileNode(expression(condition, scope), block(body, scope), interpreter, abstract, site)
      }
      return WhileNode(expression(condition, scope), block(body, scope), interpreter, site)
    case .returned(let value):
      // The parser has reported one outside a function.
      if scope.isTopLevel {
        return FailNode(Diagnostic(.error, "outside-function", "`return` stands outside a function", at: site), site)
      }
      return ReturnNode(value.map { expression($0, scope) }, interpreter, site)
    case .broken: return BreakNode(site)
    case .continued: return ContinueNode(site)
    }
  }

  private func declared(
    _ declaration: FunctionDeclaration, isStep: Bool, _ scope: FunctionScope, _ site: Site
  ) -> Node {
    guard let name = declaration.name else {
      return fail("syntax", "a declaration needs a name", at: site)
    }
    return bind(name, closure(declaration, isStep: isStep, scope), scope, site)
  }

  private func bind(_ name: Name, _ value: Node, _ scope: FunctionScope, _ site: Site) -> Node {
    AssignNode(target(.name(name), scope), value, site)
  }

  private func assignment(
    _ target: Target, _ value: Node, _ scope: FunctionScope, _ site: Site
  ) -> Node {
    let target = self.target(target, scope)
    if let local = target as? LocalTarget { return AssignLocalNode(local.slot, value, site) }
    if let global = target as? GlobalTarget {
      return AssignGlobalNode(global.slot, value, interpreter, site)
    }
    return AssignNode(target, value, site)
  }

  /// `xs = append(xs, value)`, which need not copy the list; nil for anything else.
  private func growth(
    _ target: Target, _ value: Expression, _ scope: FunctionScope, _ site: Site
  ) -> Node? {
    guard case .name(let name) = target, case .call(let callee, let arguments) = value.kind,
      case .name("append") = callee.kind, arguments.count == 2, arguments.allSatisfy({ $0.label == nil }),
      case .name(name.text) = arguments[0].value.kind, case .global? = scope.resolve("append"),
      module.ownSlot(of: "append") == nil
    else { return nil }
    let variable = self.target(target, scope)
    // What closures share may be assigned while the element is evaluated.
    guard variable is LocalTarget || variable is GlobalTarget else { return nil }
    return AppendNode(
      variable, expression(arguments[0].value, scope), expression(arguments[1].value, scope),
      call: expression(value, scope), interpreter, site)
  }

  func conditional(_ condition: Node, then: Node, otherwise: Node?, _ site: Site) -> Node {
    if let abstract = interpreter.abstract {
      return AbstractConditionalNode(condition, then: then, otherwise: otherwise, interpreter, abstract, site)
    }
    return ConditionalNode(condition, then: then, otherwise: otherwise, site)
  }

  func target(_ target: Target, _ scope: FunctionScope, isFresh: Bool = false) -> AssignTarget {
    let plain = plainTarget(target, scope, isFresh: isFresh)
    if let abstract = interpreter.abstract, abstract.notesMeanings, module.parent != nil, case .name = target {
      return AbstractTarget(plain, abstract)
    }
    return plain
  }

  private func plainTarget(_ target: Target, _ scope: FunctionScope, isFresh: Bool) -> AssignTarget {
    switch target {
    case .name(let name):
      if let model = scope.model, model.writable.contains(name.text), let selfSlot = scope.selfSlot {
        return OwnFieldTarget(selfSlot: selfSlot, name: name.text, interpreter, name.site)
      }
      if scope.isTopLevel {
        // A comprehension variable is never assigned, so this is a global, declared already.
        guard let slot = module.ownSlot(of: name.text) else {
          _ = fail("too-many-names", "there is no room for another name", at: name.site)
          return AssignTarget(name.site)
        }
        return GlobalTarget(slot, interpreter, name.site)
      }
      let slot = scope.declare(name.text)
      return scope.isBoxed(name.text)
        ? CellTarget(slot, isFresh: isFresh, interpreter, name.site)
        : LocalTarget(slot, name.site)
    case .tuple(let parts, let site):
      return TupleTarget(
        parts.map { self.target($0, scope, isFresh: isFresh) }, interpreter, site)
    case .member, .index: return PlaceTarget(place(target, scope), interpreter, target.site)
    }
  }

  private func place(_ target: Target, _ scope: FunctionScope) -> PlaceNode {
    switch target {
    case .name(let name):
      variable(name.text, scope, name.site)
    case .member(let base, let name): MemberPlace(place(base, scope), name, interpreter, target.site)
    case .index(let base, let items, let site):
      ElementPlace(place(base, scope), items.map { item($0, scope) }, interpreter, site, base: base.site)
    case .tuple: PlaceNode()
    }
  }

  /// The place of a variable. A list from outside a function becomes the function's own when an element is assigned;
  /// an object stays where it is, so the name goes on standing for it.
  private func variable(_ name: String, _ scope: FunctionScope, _ site: Site) -> PlaceNode {
    let read = self.name(name, scope, site)
    let isOwn: Bool =
      switch scope.resolve(name) {
      case .local, .cell, nil: true
      case .field: scope.model?.writable.contains(name) ?? false
      case .global, .method: scope.isTopLevel && module.ownSlot(of: name) != nil
      }
    if isOwn { return VariablePlace(target(.name(Name(name, at: site)), scope), read: read) }
    if scope.isTopLevel || scope.sharedNames.contains(name) { return ExpressionPlace(read) }
    let slot = scope.declare(name, hiding: read)
    return VariablePlace(LocalTarget(slot, site), read: self.name(name, scope, site))
  }

  /// Where what an expression gives is kept: in a variable, member or element, or nowhere.
  private func place(_ base: Expression, _ scope: FunctionScope) -> PlaceNode {
    switch base.kind {
    case .name(let name): variable(name, scope, base.site)
    case .member(let inner, let name): place(.member(inner, name), scope)
    case .index(let inner, let items): place(.index(inner, items, site: base.site), scope)
    default: ExpressionPlace(expression(base, scope))
    }
  }

  // MARK: Functions

  func parameterList(_ parameters: [Parameter], _ scope: FunctionScope) -> ParameterList {
    let list = signature(parameters)
    list.defaults = parameters.map { parameter in
      parameter.defaultValue.map { expression($0, scope) }
    }
    return list
  }

  /// A function value in `scope`: its template and the cells it takes along.
  func closure(
    _ declaration: FunctionDeclaration, isStep: Bool, _ scope: FunctionScope
  ) -> Node {
    let inner = functionScope(declaration, parent: scope, model: scope.model)
    if scope.selfSlot != nil { inner.selfSlot = inner.makeSlot() }
    let template = template(declaration, inner)
    return ClosureNode(
      template, captures: inner.captures,
      ownGradient: declaration.gradient.map { expression($0, scope) }, isStep: isStep,
      selfSlot: scope.selfSlot, interpreter, declaration.site)
  }

  /// The scope of a function's body: parameters first, then captured cells.
  func functionScope(
    _ declaration: FunctionDeclaration, parent: FunctionScope?, model: ModelScope?
  ) -> FunctionScope {
    let scope = FunctionScope(parent: parent, module: module, model: model, isTopLevel: false)
    var collector = NameCollector()
    collector.collect(declaration.body)
    for annotation in declaration.parameters.compactMap(\.annotation) { collector.collect(annotation) }
    if let result = declaration.result { collector.collect(result) }
    for value in declaration.parameters.compactMap(\.defaultValue) { collector.collect(value) }
    scope.sharedNames = collector.mentionedInside
    var own = Set<String>()
    for parameter in declaration.parameters {
      scope.declare(parameter.name.text)
      own.insert(parameter.name.text)
    }
    for name in collector.assigned where !(model?.writable.contains(name.text) ?? false) {
      own.insert(name.text)
    }
    scope.capture(collector.mentioned.subtracting(own))
    return scope
  }

  func template(_ declaration: FunctionDeclaration, _ scope: FunctionScope) -> FunctionTemplate {
    let name = declaration.name?.text ?? ""
    let parameters = parameterList(declaration.parameters, scope)
    let make = { [self] () -> FunctionTemplate.Body in
      let annotations = Annotations.compile(declaration, scope, self)
      var collector = NameCollector()
      collector.collect(declaration.body)
      for name in collector.assigned where !(scope.model?.writable.contains(name.text) ?? false) {
        scope.declare(name.text)
      }
      let isExpression = !leaves(declaration.body)
      let node: Node =
        isExpression
        ? valueBlock(declaration.body, scope) : returningBlock(declaration.body, scope)
      return FunctionTemplate.Body(
        slotCount: scope.slotCount, node: node, isExpression: isExpression,
        captures: scope.captures, selfSlot: scope.selfSlot,
        boxedParameters: declaration.parameters.indices.filter {
          scope.isBoxed(declaration.parameters[$0].name.text)
        },
        boxedSlots: scope.boxedSlots, annotations: annotations)
    }
    if isLazy {
      return FunctionTemplate(name: name, parameters: parameters, declaration: declaration, compile: make)
    }
    let body = make()
    let template = FunctionTemplate(
      name: name, parameters: parameters, declaration: declaration, compile: { body })
    _ = template.body
    return template
  }

  /// A body with `return`s: what stands last is returned too.
  private func returningBlock(_ block: Block, _ scope: FunctionScope) -> Node {
    var nodes = block.statements.dropLast().map { statement($0, scope) }
    if let last = block.statements.last { nodes.append(returning(last, scope)) }
    return BlockNode(nodes, block.site)
  }

  private func returning(_ statement: Statement, _ scope: FunctionScope) -> Node {
    guard case .expression(let expression) = statement.kind else {
      return self.statement(statement, scope)
    }
    if case .conditional(let condition, let then, let otherwise) = expression.kind {
      return conditional(
        self.expression(condition, scope), then: returningBlock(then, scope),
        otherwise: otherwise.map { returningBlock($0, scope) }, statement.site)
    }
    return ReturnNode(self.expression(expression, scope), interpreter, statement.site)
  }

  // MARK: Diagnostics

  func fail(
    _ code: String, _ message: String, at site: Site, notes: [String] = [], help: String? = nil
  ) -> Node {
    let diagnostic = Diagnostic(.error, code, message, at: site, notes: notes, help: help)
    diagnostics.append(diagnostic)
    return FailNode(diagnostic, site)
  }
}
