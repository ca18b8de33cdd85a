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
      + memoryBuiltins + budgetBuiltins + profileBuiltins + inspectorBuiltins + chartBuiltins + policyBuiltins + dataBuiltins + letterBuiltins
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
      guard let real = tensor.tensor else { throw tensor.missing(at: call.site) }
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
  Builtin(
    "leaves", "tree",
    """
    What a tree of lists, records and models holds at its ends, in a list; of a model its params.

    >>> leaves((a: [1, 2], b: (c: 3)))
    [1, 2, 3]
    >>> sum([len(p) for p in leaves(Linear(2, 3))])
    5.0
    """
  ) { call throws(Failure) in
    try requireWalkable(call[0], at: call.sites[0])
    var leaves: [Value] = []
    func walk(_ value: Value) {
      switch value {
      case .list(let list): list.items.forEach(walk)
      case .record(let record): record.items.forEach(walk)
      case .model: walk(parameterTree(of: value) ?? .none)
      case .none: break
      default: leaves.append(value)
      }
    }
    walk(call[0])
    return .list(ListValue(leaves, site: call.site))
  },
  ]
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
  return try filled(call, x.shape, x.dtype, number)
}

private func filled(_ call: BuiltinCall, _ number: Double) throws(Failure) -> Value {
  try filled(call, try call.shape(0), try call.dtype(1, default: .f32), number)
}

private func filled(
  _ call: BuiltinCall, _ shape: Shape, _ dtype: DType, _ number: Double
) throws(Failure) -> Value {
  try call.interpreter.apply(
    OpTable.byName["full"]!, [],
    Attributes([("shape", .ints(shape.sizes)), ("value", .number(number)), ("dtype", .dtype(dtype))]), [],
    at: call.callee, call.site, as: call.name)
}
