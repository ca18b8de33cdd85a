import Support
import Syntax
import Tensors

extension Compiler {
  // MARK: Models

  func model(_ declaration: ModelDeclaration) -> ModelDefinition {
    // The constructor: its parameters are variables, earlier members are fields.
    let members = ModelScope()
    let constructor = FunctionScope(parent: nil, module: module, model: members, isTopLevel: false)
    var collector = NameCollector()
    for member in declaration.members {
      switch member {
      case .param(_, let value), .buffer(_, let value), .field(_, let value): collector.collect(value)
      case .function: break
      }
    }
    constructor.sharedNames = collector.mentionedInside
    for parameter in declaration.parameters { constructor.declare(parameter.name.text) }
    let selfSlot = constructor.makeSlot()
    constructor.selfSlot = selfSlot
    let parameters = parameterList(declaration.parameters, constructor)
    let definition = ModelDefinition(
      name: declaration.name.text, parameters: parameters, documentation: declaration.documentation,
      site: declaration.site)

    // All fields, as methods see them.
    let inside = ModelScope()
    var names: [(name: Name, kind: ModelDefinition.FieldKind)] = declaration.parameters.map {
      ($0.name, .argument)
    }
    for member in declaration.members {
      switch member {
      case .param(let name, _): names.append((name, .param))
      case .buffer(let name, _): names.append((name, .buffer))
      case .field(let name, _): names.append((name, .plain))
      case .function(let function): if let name = function.name { inside.methods.insert(name.text) }
      }
    }
    for (index, entry) in names.enumerated() {
      // A member may take over the name of a constructor parameter: `param bias = if bias { … }`.
      let earlier = inside.fields[entry.name.text].map { names[$0].kind }
      if (earlier != nil && (earlier != .argument || entry.kind == .argument))
        || inside.methods.contains(entry.name.text)
      {
        diagnostics.append(
          Diagnostic(
            .error, "duplicate-member", "`\(entry.name.text)` is declared twice in this model",
            at: entry.name.site))
      }
      inside.fields[entry.name.text] = index
      if entry.kind == .param || entry.kind == .buffer { inside.writable.insert(entry.name.text) }
    }
    members.methods = inside.methods

    var fields: [ModelDefinition.Field] = declaration.parameters.map {
      .init(name: $0.name.text, kind: .argument, initial: nil, tied: nil, site: $0.name.site)
    }
    for member in declaration.members {
      let (name, value, kind): (Name, Expression, ModelDefinition.FieldKind)
      switch member {
      case .param(let memberName, let expression): (name, value, kind) = (memberName, expression, .param)
      case .buffer(let memberName, let expression): (name, value, kind) = (memberName, expression, .buffer)
      case .field(let memberName, let expression): (name, value, kind) = (memberName, expression, .plain)
      case .function: continue
      }
      var tied: Node?
      if kind == .param, case .call(let callee, let arguments) = value.kind,
        case .name("tied") = callee.kind, arguments.count == 1, arguments[0].label == nil
      {
        tied = expression(arguments[0].value, constructor)
      }
      fields.append(
        .init(
          name: name.text, kind: kind, initial: tied == nil ? expression(value, constructor) : nil,
          tied: tied, site: name.site))
      members.fields[name.text] = fields.count - 1
    }

    var methods: [String: FunctionTemplate] = [:]
    for member in declaration.members {
      guard case .function(let function) = member, let name = function.name else { continue }
      let scope = functionScope(function, parent: nil, model: inside)
      scope.selfSlot = scope.makeSlot()
      methods[name.text] = template(function, scope)
    }
    definition.complete(
      fields: fields, methods: methods, slotCount: constructor.slotCount, selfSlot: selfSlot)
    return definition
  }

  // MARK: Optimizers

  /// An optimizer's `update` is a function whose further variables are the hyperparameters and the state:
  /// filled in before it runs, the state read back after.
  func optimizer(_ declaration: OptimizerDeclaration) -> OptimizerDefinition {
    let empty = FunctionScope(parent: nil, module: module, model: nil, isTopLevel: false)
    for parameter in declaration.parameters { empty.declare(parameter.name.text) }
    let parameters = parameterList(declaration.parameters, empty)
    let definition = OptimizerDefinition(
      name: declaration.name.text, parameters: parameters, slotCount: empty.slotCount,
      documentation: declaration.documentation, site: declaration.site)

    for state in declaration.states
    where declaration.parameters.contains(where: { $0.name.text == state.name.text }) {
      diagnostics.append(
        Diagnostic(
          .error, "duplicate-name", "`\(state.name.text)` is a parameter already", at: state.name.site))
    }
    let updates = declaration.functions.filter { $0.name?.text == "update" }
    guard let update = updates.first, updates.count == 1, update.parameters.count == 3 else {
      diagnostics.append(
        Diagnostic(
          .error, "bad-optimizer", "an optimizer needs one `fn update(p, g, t)`", at: declaration.site))
      return definition
    }
    // Helper functions become closures of the update, which sees hyperparameters and state.
    let helpers = declaration.functions.filter { $0.name?.text != "update" }.map {
      Statement(.function($0), at: $0.site)
    }
    let body = Block(helpers + update.body.statements, at: update.body.site)
    let whole = FunctionDeclaration(
      name: update.name, parameters: update.parameters, result: update.result, body: body,
      gradient: nil, site: update.site, documentation: "")
    let scope = FunctionScope(parent: nil, module: module, model: nil, isTopLevel: false)
    var collector = NameCollector()
    collector.collect(body)
    scope.sharedNames = collector.mentionedInside
    for parameter in update.parameters { scope.declare(parameter.name.text) }
    let hyperSlots = declaration.parameters.map { scope.declare($0.name.text) }
    let stateSlots = declaration.states.map { scope.declare($0.name.text) }

    // A state's first value sees the parameter and the hyperparameters.
    let states = declaration.states.map { state -> OptimizerDefinition.State in
      let initial = FunctionScope(parent: nil, module: module, model: nil, isTopLevel: false)
      initial.declare(update.parameters[0].name.text)
      for parameter in declaration.parameters { initial.declare(parameter.name.text) }
      let node = expression(state.value, initial)
      return .init(name: state.name.text, initial: node, slotCount: initial.slotCount)
    }
    definition.complete(
      update: template(whole, scope), hyperSlots: hyperSlots, stateSlots: stateSlots, states: states)
    return definition
  }

  // MARK: Files

  /// `use "helpers.nn"`: runs the file once, in its own names, and takes its names over.
  func use(_ path: String, _ pathSite: Site, _ site: Site) -> Node {
    let resolved = resolvePath(path, from: site.file.name)
    do {
      let used = try interpreter.load(module: resolved, written: path, at: pathSite)
      // Names of our own for what the file defines: assigning them leaves the file's as they are.
      var copies: [(from: Int, to: Int)] = []
      for name in used.module.names {
        guard let slot = used.module.ownSlot(of: name) else { continue }
        let isOurs = module.ownSlot(of: name) != nil
        if !isOurs {
          guard interpreter.globalNames.count < Interpreter.globalCapacity else {
            return fail("too-many-names", "there is no room for another name", at: pathSite)
          }
          module.declare(name, slot: interpreter.makeGlobal(name))
        }
        copies.append((slot, module.ownSlot(of: name)!))
        // A call is checked early where nothing else can be meant.
        module.declarations[name] = isOurs ? nil : used.module.declarations[name]
      }
      diagnostics += used.diagnostics
      return UseNode(used, copies, interpreter, site)
    } catch {
      let failure = Failure.from(error, at: pathSite)
      diagnostics.append(failure.diagnostic)
      return FailNode(failure.diagnostic, site)
    }
  }
}

/// A path in a program is relative to the program's file.
func resolvePath(_ path: String, from file: String) -> String {
  if path.hasPrefix("/") || file.hasPrefix("<") { return path }
  guard let slash = file.lastIndex(of: "/") else { return path }
  return String(file[...slash]) + path
}

/// A file taken in by `use`: compiled when it is named, run when the statement is reached, once.
final class UsedFile {
  let module: Module
  let statements: [CompiledStatement]
  let diagnostics: [Diagnostic]
  var hasRun = false
  init(module: Module, statements: [CompiledStatement], diagnostics: [Diagnostic]) {
    self.module = module
    self.statements = statements
    self.diagnostics = diagnostics
  }
}

final class UseNode: Node {
  let file: UsedFile
  /// The slots of the file's names, and those of the names they have here.
  let copies: [(from: Int, to: Int)]
  let interpreter: Interpreter
  init(_ file: UsedFile, _ copies: [(from: Int, to: Int)], _ interpreter: Interpreter, _ site: Site) {
    self.file = file
    self.copies = copies
    self.interpreter = interpreter
    super.init(site)
  }
  override func exec(_ frame: Frame) throws(Failure) -> Flow {
    try runOnce()
    for (from, to) in copies { interpreter.globals[to] = interpreter.globals[from] }
    return .normal
  }

  private func runOnce() throws(Failure) {
    if file.hasRun { return }
    file.hasRun = true
    for statement in file.statements {
      do throws(Failure) {
        _ = try interpreter.run(statement)
      } catch {
        file.hasRun = false
        error.add(call: "use", at: site)
        throw error
      }
    }
  }
}

/// `input epochs = 5`: the default, or what the command line gave.
final class InputNode: Node {
  let name: Name
  let fallback: Node
  let interpreter: Interpreter
  init(_ name: Name, _ fallback: Node, _ interpreter: Interpreter, _ site: Site) {
    self.name = name
    self.fallback = fallback
    self.interpreter = interpreter
    super.init(site)
  }
  override func eval(_ frame: Frame) throws(Failure) -> Value {
    let usual = try fallback.eval(frame)
    guard let text = interpreter.inputs[name.text] else { return usual }
    interpreter.usedInputs.insert(name.text)
    switch usual {
    case .string: return .string(text)
    case .int:
      if let value = Int(text) { return .int(value) }
      if let value = Double(text) { return .double(value) }
    case .double: if let value = Double(text) { return .double(value) }
    case .bool:
      if text == "true" || text == "false" { return .bool(text == "true") }
    case .dtype: if let dtype = DType(name: text) { return .dtype(dtype) }
    case .list: if let numbers = numbers(text) { return .list(ListValue(numbers, site: name.site)) }
    default: break
    }
    throw Failure(
      "bad-input", "the input `\(name.text)` is \(usual.typeDescription), `\(text)` is not", at: name.site)
  }

  /// The numbers of `[64, 0.5]`; nil where it is none.
  private func numbers(_ text: String) -> [Value]? {
    guard text.first == "[", text.last == "]" else { return nil }
    var numbers: [Value] = []
    for part in text.dropFirst().dropLast().split(separator: ",") {
      let part = String(part.filter { $0 != " " })
      if let whole = Int(part) {
        numbers.append(.int(whole))
      } else if let number = Double(part) {
        numbers.append(.double(number))
      } else {
        return nil
      }
    }
    return numbers
  }
}
