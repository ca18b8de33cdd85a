import Support
import Syntax
import Tensors

/// The parameters of a function, model or optimizer.
final class ParameterList {
  let names: [String]
  /// Evaluated in the callee's frame, where earlier parameters have their values.
  var defaults: [Node?]
  /// Source text of the defaults, for signatures.
  let defaultTexts: [String?]

  init(names: [String], defaults: [Node?], defaultTexts: [String?]) {
    self.names = names
    self.defaults = defaults
    self.defaultTexts = defaultTexts
  }

  var count: Int { names.count }

  /// `(a, b = 1)`
  var description: String {
    let parts = zip(names, defaultTexts).map { name, text in text.map { "\(name) = \($0)" } ?? name }
    return "(" + parts.joined(separator: ", ") + ")"
  }

  /// Says what is wrong with a call, before it is made where the callee is known early.
  func mistake(
    in labels: [(label: String?, site: Site)], callee: String, at site: Site
  ) -> Diagnostic? {
    var given = [Bool](repeating: false, count: count)
    var position = 0
    for (label, labelSite) in labels {
      if let label {
        guard let index = names.firstIndex(of: label) else {
          return Diagnostic(
            .error, "unknown-argument", "`\(callee)` has no parameter `\(label)`", at: labelSite,
            notes: ["it is `\(callee)\(description)`"],
            help: didYouMean(label, among: names).map { "did you mean `\($0)`?" })
        }
        if given[index] {
          return Diagnostic(
            .error, "duplicate-argument", "`\(label)` is given twice", at: labelSite)
        }
        given[index] = true
      } else {
        while position < count && given[position] { position += 1 }
        if position >= count {
          return Diagnostic(
            .error, "too-many-arguments",
            "`\(callee)` takes \(plural(count, "argument")), got \(labels.count)", at: labelSite,
            notes: ["it is `\(callee)\(description)`"])
        }
        given[position] = true
      }
    }
    for index in 0..<count where !given[index] && defaultTexts[index] == nil {
      return Diagnostic(
        .error, "missing-argument", "`\(callee)` needs `\(names[index])`", at: site,
        notes: ["it is `\(callee)\(description)`"])
    }
    return nil
  }

  /// The arguments by parameter; nil where one was left out.
  func arranged(_ arguments: Arguments, callee: String) throws(Failure) -> [Arguments.Argument?] {
    if let mistake = mistake(
      in: arguments.items.map { ($0.label, $0.site) }, callee: callee,
      at: arguments.site)
    {
      throw Failure(mistake)
    }
    var given = [Arguments.Argument?](repeating: nil, count: count)
    // As `mistake` goes through them: positions are taken in the order of the call.
    var position = 0
    for argument in arguments.items {
      if let label = argument.label, let index = names.firstIndex(of: label) {
        given[index] = argument
      } else {
        while given[position] != nil { position += 1 }
        given[position] = argument
      }
    }
    return given
  }

  /// Puts arguments into `frame`, defaults evaluated.
  func bind(_ arguments: Arguments, callee: String, into frame: Frame) throws(Failure) {
    for (index, argument) in try arranged(arguments, callee: callee).enumerated() {
      if let argument { frame[index] = argument.value }
    }
    for index in 0..<count {
      if case .unset = frame[index], let node = defaults[index] {
        frame[index] = try node.eval(frame)
      }
    }
  }
}

/// `1 axis`, `2 axes`
func plural(_ count: Int, _ noun: String, _ many: String? = nil) -> String {
  "\(count) " + (count == 1 ? noun : many ?? noun + "s")
}

/// A compiled function: shared by all closures made from one declaration.
final class FunctionTemplate {
  let name: String
  let parameters: ParameterList
  let declaration: FunctionDeclaration
  /// Compiles the body at the first call: the standard library costs only what is used.
  private var compile: (() -> Body)?
  private var compiled: Body?

  struct Body {
    /// Slots of a frame: parameters, captured cells, self, locals.
    let slotCount: Int
    let node: Node
    /// Whether the body is an expression; otherwise it ends in `return`s.
    let isExpression: Bool
    /// Slots in the enclosing frame whose cells the closure takes along, in order.
    let captures: [Int]
    let selfSlot: Int?
    /// Parameters that inner closures share.
    let boxedParameters: [Int]
    /// All slots that inner closures share.
    let boxedSlots: Set<Int>
    let annotations: Annotations?
  }

  init(
    name: String, parameters: ParameterList, declaration: FunctionDeclaration,
    compile: @escaping () -> Body
  ) {
    self.name = name
    self.parameters = parameters
    self.declaration = declaration
    self.compile = compile
  }

  /// What its traces became, where it is a step.
  let plans = PlanStore()

  /// How errors name it.
  var displayName: String { name.isEmpty ? "fn" : name }

  private var code: Code?
  /// There where a call is just arguments into slots, then the body; not before the body is compiled.
  private(set) var simpleCode: Code?

  var body: Body {
    if let compiled { return compiled }
    let body = compile!()
    compiled = body
    compile = nil
    let code = Code(body, name: displayName, parameterCount: parameters.count)
    self.code = code
    let isSimple =
      body.captures.isEmpty && body.selfSlot == nil && body.boxedParameters.isEmpty
      && body.annotations == nil
      && declaration.gradient == nil
    if isSimple { simpleCode = code }
    return body
  }

  /// Runs the body over a frame whose slots are filled.
  func run(_ frame: Frame, _ interpreter: Interpreter) throws(Failure) -> Value {
    if let abstract = interpreter.abstract {
      return try abstract.inFunction(at: declaration.site) { () throws(Failure) in
        try code.unsafelyUnwrapped.run(frame, interpreter)
      }
    }
    return try code.unsafelyUnwrapped.run(frame, interpreter)
  }

  /// What a call needs, in fields that never change: reading those counts no references.
  final class Code {
    let node: Node
    let isExpression: Bool
    let slotCount: Int
    let parameterCount: Int
    let name: String

    init(_ body: Body, name: String, parameterCount: Int) {
      node = body.node
      isExpression = body.isExpression
      slotCount = body.slotCount
      self.parameterCount = parameterCount
      self.name = name
    }

    @inline(__always)
    func run(_ frame: Frame, _ interpreter: Interpreter) throws(Failure) -> Value {
      if isExpression { return try node.eval(frame) }
      if try node.exec(frame) == .returned {
        let value = interpreter.returned
        interpreter.returned = .none
        return value
      }
      return .none
    }
  }
}

/// A function with the variables it closes over, or a method bound to its model.
package final class FunctionValue: Callable {
  let template: FunctionTemplate
  let captured: [Cell]
  let owner: ModelValue?
  /// The function's own derivative.
  var ownGradient: Callable?
  override var depth: Int { ownGradient.map { $0.depth + 1 } ?? 0 }

  init(_ template: FunctionTemplate, captured: [Cell], owner: ModelValue? = nil) {
    self.template = template
    self.captured = captured
    self.owner = owner
    super.init(isFunction: true)
  }

  package override var name: String { template.name }
  package override var signature: String {
    (template.name.isEmpty ? "fn" : template.name) + template.parameters.description
  }
  package override var documentation: String { template.declaration.documentation }
  package override var declaration: Site? { template.declaration.site }
  package override var parameterNames: [String]? { template.parameters.names }

  /// How errors call it: `Linear.forward`.
  private var calledName: String {
    if let owner { return "\(owner.definition.name).\(template.name)" }
    return template.displayName
  }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    if let rule = ownGradient, let trace = interpreter.trace, trace.isRecording,
      !trace.isInsideOwnGradient
    {
      return try interpreter.callWithOwnGradient(self, rule, arguments, trace)
    }
    return try callBody(arguments, interpreter)
  }

  /// The call without regard to a derivative of its own.
  func callBody(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    let body = template.body
    let frame = try interpreter.push(body.slotCount, at: arguments.site)
    defer { interpreter.pop(frame, body.slotCount) }
    // Mistakes in the arguments or the result have the call as their place already.
    var isInside = false
    do throws(Failure) {
      var slot = template.parameters.count
      for cell in captured {
        frame[slot] = .cell(cell)
        slot += 1
      }
      if let selfSlot = body.selfSlot, let owner { frame[selfSlot] = .model(owner) }
      try template.parameters.bind(arguments, callee: calledName, into: frame)
      var sizes: Annotations.Bindings?
      if let annotations = body.annotations {
        sizes = try annotations.checkParameters(frame, arguments, calledName, interpreter)
      }
      for parameter in body.boxedParameters {
        frame[parameter] = .cell(
          Cell(frame[parameter], trace: interpreter.isCapturing ? interpreter.traceSerial : 0))
      }
      isInside = true
      let result = try template.run(frame, interpreter)
      isInside = false
      if let annotations = body.annotations, let sizes {
        try annotations.checkResult(result, sizes, frame, calledName, interpreter, at: arguments.site)
      }
      return result
    } catch {
      if template.declaration.site.file.isLibrary, !arguments.site.file.isLibrary {
        error.leaveLibrary(
          call: calledName, at: arguments.callee ?? arguments.site,
          arguments: interpreter.labels(arguments.items.map { ($0.value, $0.site) }))
      } else if isInside || error.diagnostic.site?.file !== arguments.site.file {
        error.add(call: calledName, at: arguments.site)
      }
      throw error
    }
  }
}

/// Makes a closure: the function with the cells it shares.
final class ClosureNode: Node {
  let template: FunctionTemplate
  /// Slots of the enclosing frame that hold the shared cells.
  let captures: [Int]
  let ownGradient: Node?
  /// Whether it is a step.
  let isStep: Bool
  let selfSlot: Int?
  let interpreter: Interpreter

  init(
    _ template: FunctionTemplate, captures: [Int], ownGradient: Node?, isStep: Bool, selfSlot: Int?,
    _ interpreter: Interpreter, _ site: Site
  ) {
    self.template = template
    self.captures = captures
    self.ownGradient = ownGradient
    self.isStep = isStep
    self.selfSlot = selfSlot
    self.interpreter = interpreter
    super.init(site)
  }

  override func eval(_ frame: Frame) throws(Failure) -> Value {
    var cells: [Cell] = []
    for slot in captures {
      if case .cell(let cell) = frame[slot] {
        cells.append(cell)
      } else {
        // Not assigned yet: the closure and its maker share the variable all the same.
        let cell = Cell(.unset, trace: interpreter.isCapturing ? interpreter.traceSerial : 0)
        frame[slot] = .cell(cell)
        cells.append(cell)
      }
    }
    var owner: ModelValue?
    if let selfSlot, case .model(let model) = frame[selfSlot] { owner = model }
    let function = FunctionValue(template, captured: cells, owner: owner)
    if let ownGradient {
      guard case .callable(let rule) = try ownGradient.eval(frame) else {
        throw Failure(
          "bad-gradient", "a function's own derivative must be a function", at: ownGradient.site,
          help: "write `with grad: fn(x, dy) = …`")
      }
      function.ownGradient = rule
      try requireDepth(function.depth, at: site)
    }
    return isStep ? .callable(StepValue(function)) : .callable(function)
  }
}

extension Interpreter {
  /// Calls whatever `callee` is.
  func call(_ callee: Value, _ arguments: Arguments) throws(Failure) -> Value {
    switch callee {
    case .callable(let callable): return try callable.call(arguments, self)
    case .model(let model):
      guard let forward = model.definition.methods["forward"] else {
        throw Failure(
          "not-callable", "the model `\(model.definition.name)` has no `forward`", at: arguments.site,
          help: "give it `fn forward(x) = …`, or call one of its functions by name")
      }
      return try call(forward, of: model, arguments)
    case .dtype(let dtype): return try castCall(dtype, arguments)
    default:
      throw Failure(
        "not-callable", "\(callee.described) cannot be called", at: arguments.callee ?? arguments.site)
    }
  }

  func call(
    _ method: FunctionTemplate, of model: ModelValue, _ arguments: Arguments
  ) throws(Failure) -> Value {
    let path = trace?.enter(model)
    defer { if let path { trace?.leave(path) } }
    return try FunctionValue(method, captured: [], owner: model).call(arguments, self)
  }

  /// Calls a function of the program with values of our own.
  func call(_ callable: Callable, _ values: [Value], at site: Site) throws(Failure) -> Value {
    try callable.call(Arguments(values: values, at: site), self)
  }
}
