import Execution
import Glibc
import Graphs
import Ops
import Passes
import Support
import Tensors

extension Interpreter {
  /// Names that every program sees and that are not written in the language itself.
  func defineBuiltins(in module: Module) {
    for dtype in DType.allCases { define(dtype.name, .dtype(dtype), in: module) }
    for op in OpCatalog.all { define(op.name, .callable(OpFunction(op)), in: module) }
    for builtin in textBuiltins + listBuiltins + tensorBuiltins + gradientBuiltins + modelBuiltins
      + memoryBuiltins + policyBuiltins + dataBuiltins + letterBuiltins
    {
      define(builtin.name, .callable(builtin), in: module)
    }
    define("pi", .double(.pi), in: module)
    define("inf", .double(.infinity), in: module)
    define("nan", .double(.nan), in: module)
  }
}

private var textBuiltins: [Builtin] {
  [
  Builtin(
    "print", "values…",
    """
    Prints values with a space between them and a newline after. In a step it prints at every run.

    >>> print("loss", 0.5)
    loss 0.5
    """
  ) { call throws(Failure) in
    var pieces: [TextPiece] = []
    for (index, value) in call.values.enumerated() {
      if index > 0 { pieces.append(.text(" ")) }
      pieces += try call.interpreter.pieces(of: value ?? .none, format: nil, at: call.sites[index])
    }
    call.interpreter.print(pieces, at: call.site)
    return .none
  },
  Builtin(
    "assert", "condition, message = none",
    """
    Stops the program unless the condition holds, everywhere where it is a tensor. In a step it is checked at
    every run, before anything is changed.

    >>> assert(1 + 1 == 2)
    """
  ) { call throws(Failure) in
    let message =
      call.isMissing(1) ? "assertion failed: \(call.sites[0].text)" : try assertionMessage(call)
    if case .tensor(let tensor) = call[0] {
      if let trace = call.interpreter.trace, trace.isStep, trace.isRecording, tensor.isTraced {
        do {
          let value = try trace.builder.cast(trace.value(of: tensor, at: call.site), to: .bool)
          trace.prints.append([])
          trace.builder.graph.effects.append(
            .init(kind: .assertion(value), origin: Origin(site: call.site)))
          trace.assertions.append((message: message, site: call.site))
        } catch { throw Failure.from(error, at: call.site) }
        return .none
      }
      guard let real = tensor.tensor else { throw Trace.escaped(at: call.site) }
      if real.doubles().contains(0) { throw assertionFailure(message, at: call.site) }
      return .none
    }
    if try !truth(of: call[0], at: call.sites[0]) {
      throw assertionFailure(message, at: call.site)
    }
    return .none
  },
  Builtin("str", "value", "The text that `print` shows for a value.\n\n>>> str(0.5)\n\"0.5\"") {
    call throws(Failure) in
    try call.interpreter.string(
      of: call.interpreter.pieces(of: call[0], format: nil, at: call.sites[0]), at: call.sites[0])
  },
  Builtin(
    "type", "value", "What kind of value it is, tensors with dtype and shape.\n\n>>> type([1, 2])\n\"list\""
  ) { call throws(Failure) in .string(call[0].typeDescription) },
  Builtin(
    "int", "value",
    "A whole number from a number (cut towards zero), a truth value or a text.\n\n>>> int(3.9)\n3"
  ) { call throws(Failure) in
    switch call[0] {
    case .int: return call[0]
    case .bool(let flag): return .int(flag ? 1 : 0)
    case .string(let string):
      let text = try string.text(at: call.sites[0])
      if let number = Int(text) { return .int(number) }
      throw Failure("bad-argument", "\"\(text)\" is not a whole number", at: call.sites[0])
    case .tensor(let tensor) where tensor.isNumber && tensor.tensor == nil:
      do {
        return try call.interpreter.build([tensor], at: call.site) { g, values in
          try g.cast(values[0], to: .i64)
        }
      } catch { throw Failure.from(error, at: call.site) }
    default:
      let number = try hostDouble(call[0], "the value", at: call.sites[0])
      guard number.isFinite, abs(number) < 0x1p63 else {
        throw Failure("integer-overflow", "\(format(number: number)) does not fit in a 64-bit integer", at: call.sites[0])
      }
      return .int(Int(number))
    }
  },
  Builtin(
    "float", "value", "A host number from a number, a truth value, a text or a tensor of one element.\n\n>>> float(3)\n3.0"
  ) { call throws(Failure) in
    switch call[0] {
    case .bool(let flag): return .double(flag ? 1 : 0)
    case .string(let string):
      let text = try string.text(at: call.sites[0])
      if let number = Double(text) { return .double(number) }
      throw Failure("bad-argument", "\"\(text)\" is not a number", at: call.sites[0])
    case .tensor(let tensor) where tensor.isTraced && tensor.tensor == nil:
      do {
        return try call.interpreter.build([tensor], at: call.site) { g, values in
          try g.cast(g.reshape(values[0], to: .scalar), to: .f64)
        }
      } catch { throw Failure.from(error, at: call.site) }
    default: return .double(try hostDouble(call[0], "the value", at: call.sites[0]))
    }
  },
  Builtin("join", "texts, separator = \"\"", "Joins texts.\n\n>>> join([\"a\", \"b\"], \"-\")\n\"a-b\"") {
    call throws(Failure) in
    let separator = call.isMissing(1) ? "" : try call.string(1, "the separator")
    var pieces: [TextPiece] = []
    for (index, item) in try call.list(0, "the texts").enumerated() {
      if index > 0 { pieces.append(.text(separator)) }
      pieces += try call.interpreter.pieces(of: item, format: nil, at: call.sites[0])
    }
    return try call.interpreter.string(of: pieces, at: call.site)
  },
  Builtin("clock", "", "Seconds since some fixed moment, for measuring how long something takes.") {
    call throws(Failure) in
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return .double(Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9)
  },
  Builtin("exit", "code = 0", "Ends the program.") { call throws(Failure) in
    let code = try call.int(0, "the exit code", default: 0)
    guard (0...255).contains(code) else {
      throw Failure(
        "bad-argument", "an exit code lies between 0 and 255, got \(code)", at: call.sites[0],
        notes: ["a shell keeps eight bits of it"])
    }
    throw Failure(
      kind: .exit(code), diagnostic: Diagnostic(.note, "exit", "exit(\(code))", at: call.site))
  },
  ]
}

/// The message as written; values that only a run of a step knows are left out.
private func assertionMessage(_ call: BuiltinCall) throws(Failure) -> String {
  guard case .string(let string) = call[1], string.known == nil else { return try call.string(1, "the message") }
  return string.pieces.map { if case .text(let text) = $0 { text } else { "…" } }.joined()
}

/// What a failed `assert` throws. One in the standard library speaks of the arguments it was given.
func assertionFailure(_ message: String, at site: Site) -> Failure {
  Failure(site.file.isLibrary ? "bad-argument" : "assertion-failed", message, at: site)
}

private var listBuiltins: [Builtin] {
  [
  Builtin(
    "len", "value", "The number of elements: of a list, text, record, range, or along a tensor's first axis.\n\n>>> len([1, 2, 3])\n3"
  ) { call throws(Failure) in
    switch call[0] {
    case .list(let list): return .int(list.items.count)
    case .record(let record): return .int(record.items.count)
    case .range(let range): return .int(range.count)
    case .string(let string): return .int(try string.text(at: call.sites[0]).count)
    case .tensor(let tensor) where tensor.type.rank > 0: return .int(tensor.shape[0])
    case .object(let object): if let count = object.count { return .int(count) }
    case .model(let model):
      if let layers = model.definition.fieldIndex["layers"], case .list(let list) = model.fields[layers] {
        return .int(list.items.count)
      }
    default: break
    }
    throw Failure("bad-argument", "\(call[0].described) has no length", at: call.sites[0])
  },
  Builtin("append", "list, value", "The list with one more element.\n\n>>> append([1, 2], 3)\n[1, 2, 3]") {
    call throws(Failure) in
    guard case .list(let list) = call[0] else {
      throw Failure("bad-argument", "`append` needs a list, got \(call[0].described)", at: call.sites[0])
    }
    return .list(ListValue(list.items + [call[1]], site: call.site))
  },
  Builtin(
    "concat", "values…, axis = 0",
    """
    Joins lists, or tensors along an axis: `concat(a, b)`, `concat([a, b], axis: 1)`.

    >>> concat([1, 2], [3])
    [1, 2, 3]
    """
  ) { call throws(Failure) in try concat(call) },
  Builtin("zip", "lists…", "Tuples of the elements that stand at the same place; the shortest ends it.\n\n>>> zip([1, 2], [3, 4])\n[(1, 3), (2, 4)]") {
    call throws(Failure) in
    var lists: [[Value]] = []
    for index in call.values.indices { lists.append(try call.list(index, "each argument")) }
    let count = lists.map(\.count).min() ?? 0
    return .list((0..<count).map { index in .tuple(lists.map { $0[index] }) })
  },
  Builtin("enumerate", "list, start = 0", "Pairs of place and element.\n\n>>> enumerate([\"a\", \"b\"])\n[(0, \"a\"), (1, \"b\")]") {
    call throws(Failure) in
    let start = try call.int(1, "the start", default: 0)
    let items = try call.list(0, "the list")
    if start.addingReportingOverflow(items.count).overflow {
      throw Failure("integer-overflow", "counting from \(start) goes beyond 64-bit integers", at: call.sites[1])
    }
    return .list(items.enumerated().map { .tuple([.int($0.offset + start), $0.element]) })
  },
  Builtin("pairs", "list", "Each element with the next one.\n\n>>> pairs([64, 128, 10])\n[(64, 128), (128, 10)]") {
    call throws(Failure) in
    let items = try call.list(0, "the list")
    return .list(zip(items, items.dropFirst()).map { .tuple([$0, $1]) })
  },
  Builtin("reversed", "list", "The elements from last to first.\n\n>>> reversed([1, 2, 3])\n[3, 2, 1]") {
    call throws(Failure) in .list(ListValue(try call.list(0, "the list").reversed(), site: call.site))
  },
  Builtin(
    "sorted", "list, by = none, descending = false",
    "The elements in order, numbers or texts; `by` gives each its key.\n\n>>> sorted([3, 1, 2])\n[1, 2, 3]"
  ) { call throws(Failure) in
    var keyed: [(key: Value, value: Value)] = []
    for item in try call.list(0, "the list") {
      let key = call.isMissing(1) ? item : try call.interpreter.call(call.callable(1, "`by`"), [item], at: call.site)
      keyed.append((key, item))
    }
    let descending = try call.bool(2, "`descending`", default: false)
    var failure: Failure?
    func less(_ a: Value, _ b: Value) -> Bool {
      do throws(Failure) {
        switch (a, b) {
        case (.string(let a), .string(let b)):
          return try a.text(at: call.sites[0]) < b.text(at: call.sites[0])
        default:
          return try hostDouble(a, "each key", at: call.sites[0]) < hostDouble(b, "each key", at: call.sites[0])
        }
      } catch {
        failure = error
        return false
      }
    }
    let order = keyed.enumerated().sorted { x, y in
      if descending { return less(y.element.key, x.element.key) || (!less(x.element.key, y.element.key) && x.offset < y.offset) }
      return less(x.element.key, y.element.key) || (!less(y.element.key, x.element.key) && x.offset < y.offset)
    }
    if let failure { throw failure }
    return .list(order.map(\.element.value))
  },
  Builtin(
    "keys", "record", "The names of a record's fields.\n\n>>> keys((rate: 0.1, steps: 5))\n[\"rate\", \"steps\"]"
  ) { call throws(Failure) in
    guard case .record(let record) = call[0] else {
      throw Failure("bad-argument", "`keys` needs a record, got \(call[0].described)", at: call.sites[0])
    }
    return .list(record.names.enumerated().map { .string($1 ?? String($0)) })
  },
  Builtin("values", "record", "What a record's fields hold.\n\n>>> values((rate: 0.1, steps: 5))\n[0.1, 5]") {
    call throws(Failure) in
    guard case .record(let record) = call[0] else {
      throw Failure("bad-argument", "`values` needs a record, got \(call[0].described)", at: call.sites[0])
    }
    return .list(record.items)
  },
  Builtin(
    "map", "f, trees…",
    """
    Applies a function to every leaf of a tree of lists and records; of several trees of one form, to the
    leaves that stand at the same place.

    >>> map(fn(a) = 2 * a, (x: 1, y: [2, 3]))
    (x: 2, y: [4, 6])
    """
  ) { call throws(Failure) in
    guard call.values.count >= 2 else {
      throw Failure("missing-argument", "`map` needs a function and a tree", at: call.site)
    }
    let function = try call.callable(0, "`f`")
    for (tree, site) in zip(call.values, call.sites).dropFirst() { try requireWalkable(tree ?? .none, at: site) }
    return try mapTree(function, Array(call.values.dropFirst().map { $0 ?? .none }), call)
  },
  ]
}

/// The tree of the function's results; trees must have one form.
private func mapTree(_ function: Callable, _ trees: [Value], _ call: BuiltinCall) throws(Failure) -> Value {
  try call.interpreter.checkInterrupt(at: call.site)
  func different() -> Failure {
    Failure("tree-mismatch", "`map`: the trees differ in form", at: call.site)
  }
  switch trees[0] {
  case .list(let list):
    var items: [Value] = []
    for index in list.items.indices {
      var parts: [Value] = []
      for tree in trees {
        guard case .list(let other) = tree, other.items.count == list.items.count else { throw different() }
        parts.append(other.items[index])
      }
      items.append(try mapTree(function, parts, call))
    }
    return .list(ListValue(items, site: list.site))
  case .record(let record):
    var items: [Value] = []
    for index in record.items.indices {
      var parts: [Value] = []
      for tree in trees {
        guard case .record(let other) = tree, other.names == record.names else { throw different() }
        parts.append(other.items[index])
      }
      items.append(try mapTree(function, parts, call))
    }
    return .record(RecordValue(names: record.names, items: items))
  case .model(let model):
    // A model's params as a record of its own paths.
    var trees = trees
    trees[0] = parameterTree(of: .model(model)) ?? .record([:])
    for index in trees.indices.dropFirst() {
      if case .model = trees[index] { trees[index] = parameterTree(of: trees[index]) ?? .record([:]) }
    }
    return try mapTree(function, trees, call)
  case .range(let range):
    try call.interpreter.checkFits(elements: range.count, at: call.site)
    return try mapTree(
      function, [.list((range.start..<range.end).map { Value.int($0) })] + trees.dropFirst(), call)
  // A place without a value: a layer without params among those that have some.
  case .none where trees.allSatisfy({ if case .none = $0 { true } else { false } }): return .none
  default: return try call.interpreter.call(function, trees, at: call.site)
  }
}

/// A model's params (not its buffers) as a record shaped like the model; nil where it has none.
func parameterTree(of value: Value) -> Value? {
  switch value {
  case .object(let object):
    guard let parameter = object as? ModelParameter, !parameter.isBuffer else { return nil }
    return .tensor(TensorValue(parameter.tensor, made: parameter.made))
  case .model(let model):
    var names: [String?] = []
    var items: [Value] = []
    for (index, field) in model.definition.fields.enumerated() {
      if let tree = parameterTree(of: model.fields[index]) {
        names.append(field.name)
        items.append(tree)
      }
    }
    return names.isEmpty ? nil : .record(RecordValue(names: names, items: items))
  case .list(let list):
    let items = list.items.map { parameterTree(of: $0) }
    if items.allSatisfy({ $0 == nil }) { return nil }
    return .list(items.map { $0 ?? .none })
  case .record(let record):
    let items = record.items.map { parameterTree(of: $0) }
    if items.allSatisfy({ $0 == nil }) { return nil }
    return .record(RecordValue(names: record.names, items: items.map { $0 ?? .none }))
  default: return nil
  }
}

private func concat(_ call: BuiltinCall) throws(Failure) -> Value {
  var positional: [(value: Value, site: Site)] = []
  var axis = AttributeValue.int(0)
  var hasAxis = false
  for (index, value) in call.values.enumerated() {
    switch call.labels[index] {
    case nil: positional.append((value ?? .none, call.sites[index]))
    case "axis":
      axis = .int(try hostInteger(value ?? .none, "`axis`", at: call.sites[index]))
      hasAxis = true
    case _?: break
    }
  }
  guard !positional.isEmpty else {
    throw Failure("missing-argument", "`concat` needs something to join", at: call.site)
  }
  func isTensor(_ value: Value) -> Bool { if case .tensor = value { true } else { false } }
  if positional.allSatisfy({ if case .string = $0.value { true } else { false } }) {
    var pieces: [TextPiece] = []
    for case .string(let part) in positional.map(\.value) { pieces += part.pieces }
    return try call.interpreter.string(of: pieces, at: call.callee)
  }
  var parts = positional
  if positional.count == 1, case .list(let list) = positional[0].value {
    let inner = zip(list.items, list.sites(within: positional[0].site)).map { (value: $0, site: $1) }
    if !hasAxis, !inner.isEmpty,
      inner.allSatisfy({ if case .list = $0.value { true } else { false } })
    {
      parts = inner
    } else if hasAxis || inner.contains(where: { isTensor($0.value) }) {
      parts = inner
      return try call.interpreter.apply(
        OpTable.byName["concat"]!, parts.map(\.value), Attributes([("axis", axis)]), parts.map(\.site),
        at: call.callee, call.site)
    } else {
      return positional[0].value
    }
  }
  if !hasAxis, parts.allSatisfy({ if case .list = $0.value { true } else { false } }) {
    var items: [Value] = []
    for case .list(let list) in parts.map(\.value) {
      try call.interpreter.checkFits(elements: items.count + list.items.count, at: call.callee)
      items += list.items
    }
    return .list(ListValue(items, site: call.site))
  }
  return try call.interpreter.apply(
    OpTable.byName["concat"]!, parts.map(\.value), Attributes([("axis", axis)]), parts.map(\.site),
    at: call.callee, call.site)
}

private var tensorBuiltins: [Builtin] {
  [
  Builtin("tensor", "value, dtype = f32", "A tensor from a number or a nested list.\n\n>>> tensor([1, 2])\nf32[2]\n[1., 2.]") {
    call throws(Failure) in
    let value = try call.tensor(0)
    if call.isMissing(1), let real = value.tensor, !value.isTraced {
      return .tensor(TensorValue(real, made: value.made))
    }
    if call.isMissing(1) { return .tensor(value) }
    return try call.interpreter.cast(call[0], to: call.dtype(1, default: .f32), at: call.sites[0])
  },
  // The op takes matrices; this brings vectors and batches to them, as `@` does.
  Builtin(MatMul.name, "a, b", MatMul.documentation) { call throws(Failure) in
    let sites = BinarySites(
      whole: call.site, operator: call.site, left: call.sites[0], right: call.sites[1])
    return try call.interpreter.matmul(call[0], call[1], sites)
  },
  Builtin("zeros", "shape, dtype = f32", "A tensor of zeros.\n\n>>> zeros([2])\nf32[2]\n[0., 0.]") {
    call throws(Failure) in try filled(call, 0)
  },
  Builtin("ones", "shape, dtype = f32", "A tensor of ones.\n\n>>> ones([2])\nf32[2]\n[1., 1.]") {
    call throws(Failure) in try filled(call, 1)
  },
  Builtin("zeros_like", "x", "Zeros of the shape and dtype of `x`.\n\n>>> zeros_like([1, 2])\nf32[2]\n[0., 0.]") {
    call throws(Failure) in try filledLike(call, 0)
  },
  Builtin("ones_like", "x", "Ones of the shape and dtype of `x`.\n\n>>> ones_like([1, 2])\nf32[2]\n[1., 1.]") {
    call throws(Failure) in try filledLike(call, 1)
  },
  Builtin("einsum", "pattern, operands…", einsumDocumentation) { call throws(Failure) in try einsum(call) },
  Builtin("seed", "n", "Sets the seed of all random numbers and starts their count anew.") {
    call throws(Failure) in
    if call.interpreter.isCapturing {
      throw Failure("assignment-in-step", "`seed` cannot be called inside a step", at: call.site)
    }
    call.interpreter.seed = try call.int(0, "the seed")
    call.interpreter.tick = 0
    return .none
  },
  ]
}

private func filledLike(_ call: BuiltinCall, _ number: Double) throws(Failure) -> Value {
  let x = try call.tensor(0)
  return try call.interpreter.apply(
    OpTable.byName["full"]!, [],
    Attributes([("shape", .ints(x.shape.sizes)), ("value", .number(number)), ("dtype", .dtype(x.dtype))]), [],
    at: call.callee, call.site, as: call.name)
}

private func filled(_ call: BuiltinCall, _ number: Double) throws(Failure) -> Value {
  let shape = try call.shape(0)
  let dtype = try call.dtype(1, default: .f32)
  return try call.interpreter.apply(
    OpTable.byName["full"]!, [],
    Attributes([("shape", .ints(shape.sizes)), ("value", .number(number)), ("dtype", .dtype(dtype))]), [],
    at: call.callee, call.site, as: call.name)
}

private var gradientBuiltins: [Builtin] {
  [
  Builtin(
    "grad", "f",
    """
    The function that gives the gradient of `f` by its first argument: a number, a tensor, a tree of them, or
    a model, whose gradient is a record with the model's own paths.

    >>> grad(fn(x) = sum(x^3))([1.0, 2.0])
    f32[2]
    [ 3., 12.]
    """
  ) { call throws(Failure) in
    .callable(GradientFunction(try call.callable(0, "`f`"), givesValue: false))
  },
  Builtin(
    "value_and_grad", "f",
    "Like `grad`, but gives the value too.\n\n>>> value_and_grad(fn(x) = x^2)(3.0)\n(9.0, 6.0)"
  ) { call throws(Failure) in
    .callable(GradientFunction(try call.callable(0, "`f`"), givesValue: true))
  },
  Builtin(
    "vjp", "f, x, dy = none",
    "The value of `f` at `x`, and the product of `dy` with its Jacobian; without `dy`, a function of it.\n\n>>> vjp(fn(x) = x^2, 3.0, 1.0)\n(9.0, 6.0)"
  ) { call throws(Failure) in
    try call.interpreter.vjp(
      try call.callable(0, "`f`"), call[1], call.isMissing(2) ? nil : call[2], at: call.site)
  },
  Builtin(
    "jvp", "f, x, v",
    "The value of `f` at `x`, and its derivative in the direction `v`.\n\n>>> jvp(fn(x) = x^2, 3.0, 1.0)\n(9.0, 6.0)"
  ) { call throws(Failure) in
    try call.interpreter.jvp(try call.callable(0, "`f`"), call[1], call[2], at: call.site)
  },
  Builtin(
    "stop_gradient", "x",
    "The value of `x`, through which no gradient flows.\n\n>>> grad(fn(x) = x * stop_gradient(x))(3.0)\n3.0"
  ) { call throws(Failure) in
    switch call[0] {
    case .tensor(let tensor) where tensor.isTraced:
      guard let trace = tensor.trace, trace.isRecording else { return call[0] }
      do {
        let value = try trace.builder.emit(StopGradient(), tensor.value!)
        return trace.wrap(value, isNumber: tensor.isNumber, made: call.site)
      } catch { throw Failure.from(error, at: call.site) }
    case .list, .record:
      return try mapTree(
        NativeFunction("stop_gradient", ["x"]) { interpreter, values, site throws(Failure) in
          guard case .callable(let stop)? = interpreter.prelude.slot(of: "stop_gradient").map({ interpreter.globals[$0] })
          else { return values[0] }
          return try interpreter.call(stop, values, at: site)
        }, [call[0]], call)
    default: return call[0]
    }
  },
  Builtin(
    "check_grad", "f, x, tolerance = 0.0001",
    """
    Compares the gradient of `f` at `x` with central differences in f64, and gives the largest error relative
    to the gradient's size; an error above the tolerance stops the program.

    >>> check_grad(fn(x) = sum(sin(x)), [0.5, 1.0]) < 0.0001
    true
    """
  ) { call throws(Failure) in try checkGradient(call) },
  Builtin(
    "graph", "f, arguments…",
    """
    Prints the graph that calling `f` records, and that of its gradient where it has one. Of an optimizer it prints
    what an update does, and in how many passes over memory.

    >>> graph(sgd(lr: 0.1))
    sgd: 1 pass over p, g
      multiply add multiply subtract
    """
  ) { call throws(Failure) in try printGraph(call) },
  Builtin(
    "when_training", "in_training, in_use",
    """
    The first function's value where a gradient by a model is taken of it, else the second's: how Dropout and
    BatchNorm know what to do. Inside a step both are recorded and the choice falls when the step is complete.

    >>> when_training(fn() = 1, fn() = 2)
    2
    """
  ) { call throws(Failure) in try whenTraining(call) },
  ]
}

private func whenTraining(_ call: BuiltinCall) throws(Failure) -> Value {
  let interpreter = call.interpreter
  func value(_ index: Int) throws(Failure) -> Value {
    if case .callable(let callable) = call[index] { return try interpreter.call(callable, [], at: call.site) }
    return call[index]
  }
  switch interpreter.mode {
  case .training:
    // Buffers move in steps that minimize; here training only shows what it would give.
    let outer = interpreter.freezesBuffers
    interpreter.freezesBuffers = true
    defer { interpreter.freezesBuffers = outer }
    return try value(0)
  case .evaluation: return try value(1)
  case .undecided:
    guard let trace = interpreter.trace, trace.isRecording else { return try value(1) }
    let writes = trace.bufferWrites.count
    let training = try interpreter.tensorValue(try value(0), at: call.site)
    let owner = trace.bufferWrites.count > writes ? trace.bufferWrites.last?.owner : nil
    let use = try interpreter.tensorValue(try value(1), at: call.site)
    do {
      trace.setOrigin(call.site)
      let id = trace.modeCount
      trace.modeCount += 1
      if let owner { trace.modeOwners[id] = owner }
      let result = try trace.builder.emit(
        ModeSwitch(id: id), trace.value(of: use, at: call.site), trace.value(of: training, at: call.site))
      return trace.wrap(result, isNumber: false, made: call.site)
    } catch { throw Failure.from(error, at: call.site) }
  }
}

private func checkGradient(_ call: BuiltinCall) throws(Failure) -> Value {
  let interpreter = call.interpreter
  let function = try call.callable(0, "`f`")
  let tolerance = try call.double(2, "the tolerance", default: 1e-4)
  // In f64, so that differences mean something.
  let x = try interpreter.cast(call[1], to: .f64, at: call.sites[1])
  let gradient = try GradientFunction(function, givesValue: false).call(
    Arguments(values: [x], at: call.site), interpreter)
  guard case .tensor(let point) = x, let values = point.tensor?.doubles(),
    case .tensor(let analytic) = gradient, let slopes = analytic.tensor?.doubles()
  else {
    throw Failure("bad-argument", "`check_grad` needs a tensor to differentiate by", at: call.sites[1])
  }
  func short(_ number: Double) -> String { format(number, spec: ".6g") ?? format(number: number) }
  func at(_ values: [Double]) throws(Failure) -> Double {
    let shifted = Value.tensor(
      TensorValue(Tensor(values, dtype: .f64, shape: point.shape), made: call.site))
    return try hostDouble(interpreter.call(function, [shifted], at: call.site), "the result of `f`", at: call.site)
  }
  var worst = 0.0
  var worstIndex = 0
  var numeric = [Double](repeating: 0, count: values.count)
  let scale = max(slopes.map(abs).max() ?? 0, 1e-8)
  for index in values.indices {
    try interpreter.checkInterrupt(at: call.site)
    let step = 1e-5 * max(1, abs(values[index]))
    var shifted = values
    shifted[index] = values[index] + step
    let up = try at(shifted)
    shifted[index] = values[index] - step
    let down = try at(shifted)
    numeric[index] = (up - down) / (2 * step)
    let error = abs(numeric[index] - slopes[index]) / scale
    if !(error <= worst) {
      worst = error
      worstIndex = index
    }
  }
  if !(worst <= tolerance) {
    throw Failure(
      "gradient-mismatch",
      "the gradient of element \(worstIndex) is \(short(slopes[worstIndex])), differences say \(short(numeric[worstIndex]))",
      at: call.site, notes: ["relative error \(short(worst)), tolerance \(short(tolerance))"])
  }
  return .double(worst)
}

private func printGraph(_ call: BuiltinCall) throws(Failure) -> Value {
  let interpreter = call.interpreter
  guard call.values.count >= 1 else {
    throw Failure("missing-argument", "`graph` needs a function and its arguments", at: call.site)
  }
  if case .optimizer(let optimizer) = call[0] {
    try interpreter.printGraph(of: optimizer, at: call.site)
    return .none
  }
  let function = try call.callable(0, "`f`")
  let trace = Trace(interpreter, isStep: false)
  let outer = interpreter.trace
  interpreter.trace = trace
  defer {
    trace.finish()
    interpreter.trace = outer
  }
  var traced: [Value] = []
  var targets: [GraphValue] = []
  var names: [String] = []
  for index in 1..<max(call.values.count, 1) {
    guard let tree = try? DifferentiatedTree(call[index], trace, at: call.sites[index]) else {
      traced.append(call[index])
      continue
    }
    traced.append(tree.traced)
    targets += tree.targets
    let parameter = function.parameterNames.flatMap { index <= $0.count ? $0[index - 1] : nil } ?? "x\(index)"
    let paths = parameters(of: call[index]).filter { !$0.parameter.isBuffer && !$0.parameter.isFrozen }.map(\.path)
    if tree.targets.count == 1, paths.isEmpty {
      names.append(parameter)
    } else {
      names += tree.targets.indices.map {
        "\(parameter).\(paths.count == tree.targets.count ? paths[$0] : String($0))"
      }
    }
  }
  let result = try interpreter.call(function, traced, at: call.site)
  var outputs = ["value"]
  if case .tensor(let tensor) = result, let value = tensor.value {
    trace.builder.graph.outputs = [value]
    if tensor.type.elementCount == 1, tensor.dtype.isFloating, !targets.isEmpty {
      do {
        trace.phase = .backward
        trace.setOrigin(call.site)
        let one = try trace.builder.broadcast(trace.builder.constant(1, value.dtype), to: value.shape)
        let gradients = try pullBack(trace.builder, from: [value], cotangents: [one], to: targets)
        for (gradient, name) in zip(gradients, names) {
          guard let gradient else { continue }
          trace.builder.graph.outputs.append(gradient)
          outputs.append("gradient of \(name)")
        }
      } catch { throw Failure.from(error, at: call.site) }
    }
  }
  // Derivatives by constants were recorded too; nobody asked for them.
  if !trace.builder.graph.outputs.isEmpty { removeDeadCode(&trace.builder.graph) }
  interpreter.output.write(describe(trace.builder.graph, inputs: names, outputs: outputs))
  return .none
}

private var modelBuiltins: [Builtin] {
  [
  Builtin(
    "minimize", "loss, tree, opt, clip = none, clip_value = none",
    """
    One step of an optimizer on every param of a model, a part of one, or a list of them. Only inside a step.
    `clip` bounds the norm of all gradients together, `clip_value` each element.
    Gives (applied, reason, norm, scale).
    """
  ) { call throws(Failure) in
    guard case .optimizer(let optimizer) = call[2] else {
      if case .callable(let callable) = call[2], callable is OptimizerDefinition {
        throw Failure(
          "bad-argument", "`minimize` needs an optimizer, got `\(callable.name)` before it is made", at: call.sites[2],
          help: "make one outside the step: `opt = \(callable.name)(…)`")
      }
      throw Failure(
        "bad-argument", "`minimize` needs an optimizer, got \(call[2].described)", at: call.sites[2])
    }
    return try call.interpreter.minimize(
      call[0], call[1], optimizer, clip: call.isMissing(3) ? nil : call[3],
      clipValue: call.isMissing(4) ? nil : call[4], at: call.site, lossSite: call.sites[0],
      treeSite: call.sites[1])
  },
  Builtin("tied", "parameter", "Shares a param of another model: `param weight = tied(embed.weight)`.") {
    call throws(Failure) in
    throw Failure(
      "bad-tie", "`tied` stands right after `param name =` in a model", at: call.site)
  },
  Builtin("copy", "model", "A model (or optimizer settings) of its own with the same values; ties are kept.") {
    call throws(Failure) in
    switch call[0] {
    case .model, .list, .record: return try copyTree(call[0], at: call.sites[0])
    case .optimizer(let optimizer): return .optimizer(optimizer.copy())
    default: return call[0]
    }
  },
  Builtin("freeze", "tree", "Keeps the params of a model, or of a part of one, from being trained.") {
    call throws(Failure) in try setFrozen(call, true)
  },
  Builtin("unfreeze", "tree", "Lets frozen params be trained again.") { call throws(Failure) in
    try setFrozen(call, false)
  },
  Builtin("parameter_count", "tree", "The number of trainable elements of a model.") {
    call throws(Failure) in
    .int(
      parameters(of: call[0]).filter { !$0.parameter.isBuffer }
        .reduce(0) { $0 + $1.parameter.tensor.elementCount })
  },
  Builtin(
    "parameters", "tree", "The params of a model as a record shaped like it."
  ) { call throws(Failure) in
    try requireWalkable(call[0], at: call.sites[0])
    return parameterTree(of: call[0]) ?? .record([:])
  },
  ]
}

private func setFrozen(_ call: BuiltinCall, _ isFrozen: Bool) throws(Failure) -> Value {
  let found = parameters(of: call[0])
  guard !found.isEmpty else {
    throw Failure("no-parameters", "there are no params in \(call[0].described)", at: call.sites[0])
  }
  if call.interpreter.isCapturing {
    throw Failure(
      "assignment-in-step", "`\(call.name)` cannot be called inside a step", at: call.site,
      help: "call it before the step: steps that exist notice")
  }
  for entry in found { entry.parameter.isFrozen = isFrozen }
  call.interpreter.freezeEpoch += 1
  return .none
}

/// Models copied deeply, each param once.
private func copyTree(_ value: Value, at site: Site) throws(Failure) -> Value {
  try requireWalkable(value, at: site)
  var parametersByOld: [ObjectIdentifier: ModelParameter] = [:]
  var modelsByOld: [ObjectIdentifier: ModelValue] = [:]
  func walk(_ value: Value) throws(Failure) -> Value {
    switch value {
    case .object(let object):
      guard let parameter = object as? ModelParameter else { return value }
      if let known = parametersByOld[ObjectIdentifier(parameter)] { return .object(known) }
      let copy = ModelParameter(
        parameter.tensor.copiedForState(), isBuffer: parameter.isBuffer, made: parameter.made)
      copy.isFrozen = parameter.isFrozen
      parametersByOld[ObjectIdentifier(parameter)] = copy
      return .object(copy)
    case .model(let model):
      if let known = modelsByOld[ObjectIdentifier(model)] { return .model(known) }
      let copy = ModelValue(model.definition)
      modelsByOld[ObjectIdentifier(model)] = copy
      copy.torn = model.torn
      for (index, field) in model.definition.fields.enumerated() {
        copy.fields[index] = try walk(model.fields[index])
        try copy.hold(copy.fields[index], as: field.name, at: site)
      }
      return .model(copy)
    case .list(let list): return .list(ListValue(try list.items.map(walk), site: list.site))
    case .record(let record):
      return .record(RecordValue(names: record.names, items: try record.items.map(walk)))
    default: return value
    }
  }
  return try walk(value)
}
