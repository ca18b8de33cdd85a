import Support
import Syntax
import Tensors

/// The shape annotations of a function, compiled: names are variables that the first use binds.
final class Annotations {
  /// What errors say of a declaration that was not met.
  static let label = "declared here"

  /// Sizes bound in this call.
  struct Bindings {
    /// How errors call the function.
    let callee: String
    var sizes: [(name: String, size: Int)] = []
  }

  enum Dimension {
    /// Binds the variable at its first use.
    case bound(Int, name: String, isBoxed: Bool)
    /// A value known otherwise: a parameter of the function or of its model, arithmetic on bound names.
    case computed(Node)
    case number(Int)
    case any
  }

  struct Annotation {
    let subject: String
    let parameter: Int
    let dtype: DType?
    let leading: [Dimension]
    /// Dimensions after `..`; nil without `..`.
    let trailing: [Dimension]?
    let site: Site
  }

  private let parameters: [Annotation]
  private let result: Annotation?

  private init(parameters: [Annotation], result: Annotation?) {
    self.parameters = parameters
    self.result = result
  }

  /// Returns nil where the function has no annotations.
  static func compile(
    _ declaration: FunctionDeclaration, _ scope: FunctionScope, _ compiler: Compiler
  ) -> Annotations? {
    let names = Set(declaration.parameters.map(\.name.text))
    var fresh = Set<String>()

    func dimension(_ dimension: ShapeAnnotation.Dimension) -> Dimension {
      switch dimension {
      case .number(let size, _): return .number(size)
      case .any, .rest: return .any
      case .expression(let expression): return .computed(compiler.expression(expression, scope))
      case .name(let name):
        if names.contains(name.text) || (!fresh.contains(name.text) && scope.isBoundOutside(name.text)) {
          return .computed(compiler.name(name.text, scope, name.site))
        }
        fresh.insert(name.text)
        let slot = scope.declare(name.text)
        return .bound(slot, name: name.text, isBoxed: scope.isBoxed(name.text))
      }
    }

    func annotation(_ annotation: ShapeAnnotation, _ subject: String, _ parameter: Int) -> Annotation {
      var dtype: DType?
      if let name = annotation.dtype {
        dtype = DType(name: name.text)
        if dtype == nil {
          _ = compiler.fail(
            "unknown-dtype", "there is no dtype `\(name.text)`", at: name.site,
            help: "a shape stands in brackets, as in `[\(name.text)]` or `f32[\(name.text)]`")
        }
      }
      let rest = annotation.dimensions.firstIndex { if case .rest = $0 { true } else { false } }
      let leading = annotation.dimensions[..<(rest ?? annotation.dimensions.count)].map(dimension)
      let trailing = rest.map { annotation.dimensions[($0 + 1)...].map(dimension) }
      return Annotation(
        subject: subject, parameter: parameter, dtype: dtype, leading: leading, trailing: trailing,
        site: annotation.site)
    }

    var parameters: [Annotation] = []
    for (index, parameter) in declaration.parameters.enumerated() {
      if let shape = parameter.annotation {
        parameters.append(annotation(shape, "`\(parameter.name.text)`", index))
      }
    }
    let result = declaration.result.map { annotation($0, "the result", -1) }
    if parameters.isEmpty && result == nil { return nil }
    return Annotations(parameters: parameters, result: result)
  }

  func checkParameters(
    _ frame: Frame, _ arguments: Arguments, _ callee: String, _ interpreter: Interpreter
  ) throws(Failure) -> Bindings {
    var bindings = Bindings(callee: callee)
    for annotation in parameters {
      let index = annotation.parameter
      let site = index < arguments.items.count ? arguments.items[index].site : arguments.site
      frame[index] = try coerced(frame[index], annotation.dtype, interpreter, at: site)
      try check(frame[index], annotation, &bindings, frame, interpreter, at: site)
    }
    return bindings
  }

  func checkResult(
    _ value: Value, _ bindings: Bindings, _ frame: Frame, _ callee: String, _ interpreter: Interpreter,
    at site: Site
  ) throws(Failure) {
    guard let result else { return }
    var bindings = bindings
    try check(value, result, &bindings, frame, interpreter, at: site)
  }

  /// A list of numbers given where a shape is asked for is a tensor, of the dtype that the annotation names; only
  /// whole numbers become integers.
  private func coerced(
    _ value: Value, _ dtype: DType?, _ interpreter: Interpreter, at site: Site
  ) throws(Failure) -> Value {
    switch value {
    case .tensor(let tensor):
      guard let dtype, dtype.isInteger, tensor.isWholeList else { return value }
      return try interpreter.cast(value, to: dtype, at: site)
    case .list:
      let meansIndex = dtype?.isInteger == true
      let tensor = try interpreter.tensorValue(value, meansIndex: meansIndex, at: site)
      guard let dtype, !meansIndex || tensor.dtype.isInteger else { return .tensor(tensor) }
      return try interpreter.cast(meansIndex ? .tensor(tensor) : value, to: dtype, at: site)
    default: return value
    }
  }

  private func check(
    _ value: Value, _ annotation: Annotation, _ bindings: inout Bindings, _ frame: Frame,
    _ interpreter: Interpreter, at site: Site
  ) throws(Failure) {
    let shape: Shape
    let description: String
    switch value {
    case .tensor(let tensor):
      shape = tensor.shape
      description =
        annotation.parameter < 0 ? tensor.type.description : interpreter.describe(tensor, at: site)
      if let dtype = annotation.dtype, tensor.dtype != dtype {
        throw mismatch(
          annotation, "has dtype \(tensor.dtype), the annotation asks for \(dtype)", description, bindings, site,
          code: "dtype-mismatch")
      }
    case .int, .double, .bool:
      shape = .scalar
      description = "a number"
    default:
      throw mismatch(
        annotation, "must be a tensor, got \(value.described)", value.typeDescription, bindings, site,
        code: "bad-argument")
    }
    let count = annotation.leading.count + (annotation.trailing?.count ?? 0)
    guard annotation.trailing == nil ? shape.rank == count : shape.rank >= count else {
      throw mismatch(
        annotation,
        "has \(plural(shape.rank, "axis", "axes")), \(annotation.site.text) asks for \(annotation.trailing == nil ? "" : "at least ")\(count)",
        description, bindings, site)
    }
    for (axis, dimension) in annotation.leading.enumerated() {
      try check(shape[axis], axis, dimension, annotation, description, &bindings, frame, site)
    }
    for (index, dimension) in (annotation.trailing ?? []).enumerated() {
      let axis = shape.rank - annotation.trailing!.count + index
      try check(shape[axis], axis, dimension, annotation, description, &bindings, frame, site)
    }
  }

  private func check(
    _ size: Int, _ axis: Int, _ dimension: Dimension, _ annotation: Annotation,
    _ description: String, _ bindings: inout Bindings, _ frame: Frame, _ site: Site
  ) throws(Failure) {
    switch dimension {
    case .any: break
    case .number(let expected):
      if size != expected {
        throw mismatch(
          annotation, "has size \(size) on axis \(axis), expected \(expected)", description, bindings, site)
      }
    case .computed(let node):
      let expected = try hostInteger(node.eval(frame), "a size", at: node.site)
      if size != expected {
        throw mismatch(
          annotation,
          "has size \(size) on axis \(axis), expected \(node.site.text) = \(expected)", description,
          bindings, site)
      }
    case .bound(let slot, let name, let isBoxed):
      if let earlier = bindings.sizes.first(where: { $0.name == name }) {
        if earlier.size != size {
          throw mismatch(
            annotation, "has size \(size) on axis \(axis), but \(name) = \(earlier.size)", description,
            bindings, site)
        }
      } else {
        bindings.sizes.append((name, size))
        frame[slot] = isBoxed ? .cell(Cell(.int(size), trace: 0)) : .int(size)
      }
    }
  }

  private func mismatch(
    _ annotation: Annotation, _ text: String, _ got: String, _ bindings: Bindings, _ site: Site,
    code: String = "shape-mismatch"
  ) -> Failure {
    var notes: [String] = []
    if !bindings.sizes.isEmpty {
      notes.append(
        "in this call " + bindings.sizes.map { "\($0.name) = \($0.size)" }.joined(separator: ", "))
    }
    var labels = [Diagnostic.Label(site: site, text: got)]
    if annotation.site.file.isLibrary, !site.file.isLibrary {
      notes.append("\(bindings.callee) takes \(annotation.subject) of shape \(annotation.site.text)")
    } else {
      labels.append(.init(site: annotation.site, text: Annotations.label))
    }
    return Failure(
      code, "\(bindings.callee): \(annotation.subject) \(text)", at: site, labels: labels, notes: notes)
  }
}
