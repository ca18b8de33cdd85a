import Support
import Syntax

extension Compiler {
  /// A statement of an abstract run.
  func abstractStatement(
    _ node: Node, _ statement: Statement, _ scope: FunctionScope, isOutermost: Bool, _ run: AbstractRun
  ) -> Node {
    switch statement.kind {
    // What cannot be known of a returned value is not known of the call.
    case .returned, .broken, .continued: return node
    default: break
    }
    var collector = NameCollector()
    collector.collect(statement)
    var places = PlaceCollector()
    places.collect(statement)
    var targets: [AssignTarget] = []
    var seen = Set<String>()
    for name in collector.assigned.map(\.text) + places.bases.sorted() where seen.insert(name).inserted {
      if let target = forgetting(name, scope, statement.site) { targets.append(target) }
    }
    let isWriting = collector.assigned.contains { scope.model?.writable.contains($0.text) ?? false }
    if !scope.isTopLevel, !places.bases.isEmpty || isWriting, !statement.site.file.isLibrary { run.callsMayChangeObjects = true }
    return AbstractStatementNode(
      node, targets: targets, isTopLevel: scope.isTopLevel, isOutermost: isOutermost, changesObjects: !places.bases.isEmpty,
      run, statement.site)
  }

  /// How a variable of this function, or of the file outside of functions, becomes unknown.
  private func forgetting(_ name: String, _ scope: FunctionScope, _ site: Site) -> AssignTarget? {
    switch scope.resolve(name) {
    case .local(let slot): LocalTarget(slot, site)
    case .cell(let slot): CellTarget(slot, isFresh: false, interpreter, site)
    case .global where scope.isTopLevel: module.ownSlot(of: name).map { GlobalTarget($0, interpreter, site) }
    case .field, .method, .global, nil: nil
    }
  }
}

extension Block {
  /// Whether nothing in it leaves it before its end, and nothing assigns one of `names`.
  func isStraight(keeping names: Set<String>) -> Bool {
    var collector = NameCollector()
    for statement in statements { collector.collect(statement) }
    return !collector.assigned.contains { names.contains($0.text) } && !statements.contains { $0.mayLeave }
  }
}

extension Target {
  /// The variables that it binds.
  var names: Set<String> {
    switch self {
    case .name(let name): [name.text]
    case .tuple(let targets, _): targets.reduce(into: []) { $0.formUnion($1.names) }
    case .member, .index: []
    }
  }
}

extension Statement {
  fileprivate var mayLeave: Bool {
    switch kind {
    case .returned, .broken, .continued: true
    case .forLoop(_, _, let body), .whileLoop(_, let body): body.statements.contains { $0.mayLeave }
    case .expression(let expression), .assignment(_, let expression), .compoundAssignment(_, _, let expression):
      if case .conditional(_, let then, let otherwise) = expression.kind {
        (then.statements + (otherwise?.statements ?? [])).contains { $0.mayLeave }
      } else {
        false
      }
    default: false
    }
  }
}

/// The variables whose members or elements a statement assigns.
private struct PlaceCollector {
  private(set) var bases: Set<String> = []

  mutating func collect(_ block: Block) { for statement in block.statements { collect(statement) } }

  mutating func collect(_ statement: Statement) {
    switch statement.kind {
    case .assignment(let target, _), .compoundAssignment(let target, _, _): collect(target)
    case .forLoop(_, _, let body), .whileLoop(_, let body): collect(body)
    case .expression(let expression): collect(expression)
    default: break
    }
  }

  private mutating func collect(_ expression: Expression) {
    guard case .conditional(_, let then, let otherwise) = expression.kind else { return }
    collect(then)
    if let otherwise { collect(otherwise) }
  }

  private mutating func collect(_ target: Target) {
    switch target {
    case .name: break
    case .tuple(let parts, _): for part in parts { collect(part) }
    case .member(let base, _), .index(let base, _, _): base.firstName.map { _ = bases.insert($0) }
    }
  }
}

extension Expression {
  /// `net` of `net.layers[0].weight`
  fileprivate var firstName: String? {
    switch kind {
    case .name(let name): name
    case .member(let base, _), .index(let base, _): base.firstName
    default: nil
    }
  }
}
