import Support
import Syntax
import Tensors

/// A tensor that training changes (a param) or that a model keeps beside them (a buffer).
package final class ModelParameter: ObjectValue {
  package var tensor: Tensor
  package let isBuffer: Bool
  package var isFrozen = false
  /// How often it was given a value by something else than training.
  private(set) var assignmentCount = 0
  /// The expression that gave its first value.
  package let made: Site
  /// The model that it was made for, and under which name.
  private(set) weak var home: ModelValue?
  private var name = ""

  /// Where it sits in the outermost model: `layers.3.weight`.
  package var path: String {
    guard let outer = home?.path, !outer.isEmpty else { return name }
    return outer + "." + name
  }

  init(_ tensor: Tensor, isBuffer: Bool, made: Site) {
    self.tensor = tensor
    self.isBuffer = isBuffer
    self.made = made
  }

  package override var kind: String { isBuffer ? "buffer" : "param" }

  /// Gives it another value.
  func assign(_ tensor: Tensor) {
    self.tensor = tensor
    assignmentCount += 1
  }

  func settle(in model: ModelValue, as name: String) {
    if home != nil { return }
    home = model
    self.name = name
  }
}

/// A `model` declaration: calling it makes a model.
package final class ModelDefinition: Callable {
  enum FieldKind { case argument, plain, param, buffer }
  struct Field {
    let name: String
    let kind: FieldKind
    /// Computes the first value, in the constructor's frame; nil for arguments.
    let initial: Node?
    /// `tied(other.weight)`: shares that parameter instead of making one.
    let tied: Node?
    let site: Site
  }

  let declaredName: String
  let parameters: ParameterList
  private(set) var fields: [Field] = []
  private(set) var methods: [String: FunctionTemplate] = [:]
  private(set) var fieldIndex: [String: Int] = [:]
  private var slotCount = 0
  private var selfSlot = 0
  private let site: Site
  private let text: String
  var place: Site { site }

  init(name: String, parameters: ParameterList, documentation: String, site: Site) {
    declaredName = name
    self.parameters = parameters
    text = documentation
    self.site = site
    super.init()
  }

  /// Fills in what compiling the members found.
  func complete(
    fields: [Field], methods: [String: FunctionTemplate], slotCount: Int, selfSlot: Int
  ) {
    self.fields = fields
    self.methods = methods
    self.slotCount = slotCount
    self.selfSlot = selfSlot
    for (index, field) in fields.enumerated() { fieldIndex[field.name] = index }
  }

  package override var name: String { declaredName }
  package override var kind: String { "model" }
  package override var signature: String { declaredName + parameters.description }
  package override var documentation: String { text }
  package override var declaration: Site? { site }
  package override var parameterNames: [String]? { parameters.names }

  override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(Failure) -> Value {
    if interpreter.isCapturing {
      throw Failure(
        "model-in-step", "a model cannot be made inside a step", at: arguments.site,
        help: "make it before the step and use it here")
    }
    let frame = try interpreter.push(slotCount, at: arguments.site)
    defer { interpreter.pop(frame, slotCount) }
    let model = ModelValue(self)
    interpreter.abstract?.models.append(model)
    try parameters.bind(arguments, callee: name, into: frame)
    do throws(Failure) {
      frame[selfSlot] = .model(model)
      for (index, field) in fields.enumerated() {
        model.fields[index] = try initial(field, index, frame, interpreter)
        try model.hold(model.fields[index], as: field.name, at: field.site)
      }
    } catch {
      if site.file.isLibrary, !arguments.site.file.isLibrary {
        error.leaveLibrary(call: name, at: arguments.callee ?? arguments.site)
      } else {
        error.add(call: name, at: arguments.site)
      }
      throw error
    }
    return .model(model)
  }

  private func initial(
    _ field: Field, _ index: Int, _ frame: Frame, _ interpreter: Interpreter
  ) throws(Failure) -> Value {
    switch field.kind {
    case .argument: return frame[index]
    case .plain: return try field.initial!.eval(frame)
    case .param, .buffer:
      if let tied = field.tied {
        guard let parameter = try interpreter.parameter(of: tied, frame) else {
          throw Failure(
            "bad-tie", "`tied` needs a param of another model, such as `tied(embed.weight)`",
            at: tied.site)
        }
        return .object(parameter)
      }
      let node = field.initial!
      let given = try node.eval(frame)
      // `none` leaves the param out: `param bias = if bias { … } else { none }`.
      if case .none = given { return .none }
      let value = try interpreter.tensorValue(given, at: node.site)
      if let abstract = interpreter.abstract {
        return try abstract.parameter(value, isBuffer: field.kind == .buffer, at: node.site)
      }
      guard let tensor = value.tensor else { throw value.missing(at: node.site) }
      guard tensor.dtype.isFloating || field.kind == .buffer else {
        throw Failure(
          "bad-param", "a param needs a float tensor, got \(tensor.type)", at: node.site,
          help: "use `f32(…)`, or make it a buffer")
      }
      return .object(
        ModelParameter(tensor.contiguous(), isBuffer: field.kind == .buffer, made: node.site))
    }
  }
}

/// A model: fields by slot. An object: assignment changes it for everyone who holds it.
package final class ModelValue {
  package let definition: ModelDefinition
  var fields: [Value]
  /// The model whose field this is, and under which path; the first to hold it wins, until it lets go.
  ///
  /// Whoever is a parent holds the child, and no model is inside itself: so parents never form a circle.
  private(set) weak var parent: ModelValue?
  private var pathInParent = ""
  /// One more than that of the deepest part, as far as it is known from here.
  private(set) var depth = 1
  /// Why it cannot be used: a step that wrote to it was stopped half way.
  package var torn: String?
  /// Whether any model has ever been torn: until then nobody need look.
  nonisolated(unsafe) private(set) static var isAnyTorn = false

  init(_ definition: ModelDefinition) {
    self.definition = definition
    fields = [Value](repeating: .unset, count: definition.fields.count)
  }

  /// Where this model sits in the outermost one: `layers.3`.
  package var path: String {
    var parts: [String] = []
    var model = self
    while let parent = model.parent {
      parts.append(model.pathInParent)
      model = parent
    }
    return parts.reversed().joined(separator: ".")
  }

  /// Models hold each other at most so deep: their paths are as long.
  private static let deepestModel = 1000

  /// Takes note of a field's new value: its models have this one as their parent unless they have another.
  func hold(_ value: Value, as path: String, at site: Site) throws(Failure) {
    var below = value.depth + 1
    var model = self
    while true {
      if below > ModelValue.deepestModel {
        throw Failure(
          "nesting-too-deep", "models hold each other more than \(grouped(ModelValue.deepestModel)) deep", at: site,
          help: "keep them in one list")
      }
      model.depth = max(model.depth, below)
      guard let parent = model.parent else { break }
      below = max(below, model.depth) + 1
      model = parent
    }
    adopt(value, as: path)
  }

  /// Lets go of the models in a field's old value.
  private func abandon(_ value: Value) {
    guard value.mayHoldModels else { return }
    try? forEachLeaf(of: value) { leaf in
      if case .model(let child) = leaf, child.parent === self { child.parent = nil }
    }
  }

  private func adopt(_ value: Value, as path: String) {
    switch value {
    case .model(let child):
      if child.parent == nil, child !== self {
        child.parent = self
        child.pathInParent = path
      }
    case .object(let object):
      (object as? ModelParameter)?.settle(in: self, as: path)
    case .list(let list) where list.summary.holdsModels:
      for (index, item) in list.items.enumerated() { adopt(item, as: "\(path).\(index)") }
    case .record(let record) where record.summary.holdsModels:
      for (index, item) in record.items.enumerated() {
        adopt(item, as: "\(path).\(record.names[index] ?? String(index))")
      }
    default: break
    }
  }

  /// Makes the model, and those that hold it, unusable until it is loaded or made anew.
  func tear(_ reason: String) {
    ModelValue.isAnyTorn = true
    var model: ModelValue? = self
    while let torn = model {
      torn.torn = reason
      model = torn.parent
    }
  }

  /// Makes the model and its parts usable again: all their params have been given values.
  func mend() { forEachModel { $0.torn = nil } }

  func read(field: Int, _ interpreter: Interpreter, at site: Site) throws(Failure) -> Value {
    let value = fields[field]
    switch definition.fields[field].kind {
    case .param, .buffer:
      if case .none = value { return .none }
      guard case .object(let object) = value else {
        throw unset(definition.fields[field].name, at: site)
      }
      return .tensor(try interpreter.read(unsafeDowncast(object, to: ModelParameter.self), of: self, at: site))
    case .plain, .argument:
      if case .unset = value { throw unset(definition.fields[field].name, at: site) }
      if interpreter.isCapturing {
        return try interpreter.trace!.capture(
          .field(self, field, name: definition.fields[field].name), value, at: site)
      }
      return value
    }
  }

  /// The parameter object in a field, if it is a param or buffer.
  func parameter(_ name: String) -> ModelParameter? {
    guard let index = definition.fieldIndex[name], case .object(let object) = fields[index] else {
      return nil
    }
    return object as? ModelParameter
  }

  func assign(
    _ name: String, _ value: Value, _ interpreter: Interpreter, at site: Site
  ) throws(Failure) {
    guard let index = definition.fieldIndex[name] else {
      throw Failure(
        "unknown-member", "the model `\(definition.name)` has no field `\(name)`", at: site,
        help: didYouMean(name, among: definition.fields.map(\.name)).map { "did you mean `\($0)`?" })
    }
    switch definition.fields[index].kind {
    case .param, .buffer:
      let tensor = try interpreter.tensorValue(value, at: site)
      guard case .object(let object) = fields[index] else {
        throw Failure("bad-assignment", "this model was made without `\(name)`", at: site)
      }
      try interpreter.write(tensor, to: unsafeDowncast(object, to: ModelParameter.self), of: self, at: site)
    case .plain, .argument:
      if interpreter.isCapturing {
        throw Failure(
          "assignment-in-step", "`\(name)` cannot be assigned inside a step", at: site,
          notes: ["a step changes params through `minimize`, and buffers"],
          help: "declare it `buffer \(name) = …` if it is a tensor that the step keeps")
      }
      if isInside(value) {
        throw Failure(
          "circular-model", "`\(name)` of `\(definition.name)` cannot hold the model itself", at: site,
          notes: ["a model's parts form a tree, so that each param has one path"])
      }
      try requireWalkable(value, at: site)
      let old = fields[index]
      try hold(value, as: name, at: site)
      fields[index] = value
      abandon(old)
      // What it lets go of may stand in another field, or in this one still.
      for (index, field) in definition.fields.enumerated() { adopt(fields[index], as: field.name) }
    }
  }
}

extension Interpreter {
  /// A parameter's value: the trace's where one records, else the tensor.
  func read(_ parameter: ModelParameter, of model: ModelValue?, at site: Site) throws(Failure) -> TensorValue {
    if let torn = model?.torn { throw Failure("torn-model", torn, at: site) }
    if let trace, trace.isRecording { return try trace.read(parameter, at: site) }
    return TensorValue(parameter.tensor, made: parameter.made)
  }

  /// Replaces a parameter's value: at the commit point of a step where one is traced, else now.
  func write(
    _ value: TensorValue, to parameter: ModelParameter, of model: ModelValue, at site: Site
  ) throws(Failure) {
    if let trace, trace.isRecording {
      try trace.write(value, to: parameter, owner: model, at: site)
      return
    }
    if freezesBuffers, parameter.isBuffer { return }
    guard value.dtype.isFloating || parameter.isBuffer else {
      throw Failure("bad-param", "a param needs a float tensor, got \(value.type)", at: site)
    }
    if abstract != nil { return parameter.assign(.phantom(value.type)) }
    guard let tensor = value.tensor else { throw value.missing(at: site) }
    parameter.assign(tensor.contiguous())
  }

  /// The parameter that an expression such as `embed.weight` names.
  func parameter(of node: Node, _ frame: Frame) throws(Failure) -> ModelParameter? {
    let node = (node as? AbstractReadNode)?.inner ?? node
    if let member = node as? MemberNode, case .model(let model) = try member.base.eval(frame) {
      return model.parameter(member.name.text)
    }
    if let own = node as? OwnFieldNode, case .model(let model) = frame[own.selfSlot] {
      return model.parameter(own.name)
    }
    return nil
  }
}

/// A parameter and where it was found.
package struct ParameterPath {
  package let path: String
  package let parameter: ModelParameter
}

/// The params and buffers in a value: of a model, of a list or record of models. Shared ones once.
package func parameters(of value: Value) -> [ParameterPath] {
  var result: [ParameterPath] = []
  var seen = Set<ObjectIdentifier>()
  // Models, lists and records that were gone through.
  var models = Set<ObjectIdentifier>()
  func walk(_ value: Value, _ path: String) {
    func inner(_ name: String) -> String { path.isEmpty ? name : path + "." + name }
    switch value {
    case .object(let object):
      if let parameter = object as? ModelParameter, seen.insert(ObjectIdentifier(parameter)).inserted {
        result.append(ParameterPath(path: path, parameter: parameter))
      }
    case .model(let model):
      guard models.insert(ObjectIdentifier(model)).inserted else { return }
      for (index, field) in model.definition.fields.enumerated() {
        walk(model.fields[index], inner(field.name))
      }
    case .list(let list) where models.insert(ObjectIdentifier(list)).inserted:
      for (index, item) in list.items.enumerated() { walk(item, inner(String(index))) }
    case .record(let record) where models.insert(ObjectIdentifier(record)).inserted:
      for (index, item) in record.items.enumerated() {
        walk(item, inner(record.names[index] ?? String(index)))
      }
    default: break
    }
  }
  walk(value, "")
  return result
}
