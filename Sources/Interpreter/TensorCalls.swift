import Execution
import Glibc
import Graphs
import Ops
import Support
import Syntax
import Tensors


/// An operand on its way into an op: a host number keeps its own nature until it meets a tensor.
private enum Operand {
  case int(Int)
  case double(Double)
  case bool(Bool)
  case tensor(TensorValue)

  var isNumber: Bool {
    if case .tensor(let tensor) = self { return tensor.isNumber }
    return true
  }

  /// The dtype of a host number in its own right.
  var numberDType: DType {
    switch self {
    case .int: .i64
    case .double: .f64
    case .bool: .bool
    case .tensor(let tensor): tensor.dtype
    }
  }

  var shape: Shape {
    if case .tensor(let tensor) = self { return tensor.shape }
    return .scalar
  }
}

/// Every op by its name in programs.
enum OpTable {
  static let byName: [String: any TensorOp.Type] = {
    var table: [String: any TensorOp.Type] = [:]
    for op in OpCatalog.all { table[op.name] = op }
    return table
  }()

  /// Makes an op that the interpreter itself asks for.
  static func make(
    _ name: String, _ attributes: [(String, AttributeValue)], operands: [TensorType]
  ) throws -> any TensorOp {
    guard let type = byName[name] else {
      throw InternalError("interpreter", "there is no op `\(name)`")
    }
    return try type.init(Attributes(attributes), operands: operands)
  }
}

extension Interpreter {
  // MARK: Limits

  /// Refuses a text that memory does not hold, or would not hold several of.
  func checkFits(characters count: Int, at site: Site) throws(Failure) {
    if count > 1 << 30 || Machine.shortage(of: 2 * count) != nil {
      throw Failure("out-of-memory", "a text of \(grouped(count)) bytes is too long", at: site)
    }
  }

  /// Refuses a tensor that memory does not hold, before a copy of it is made.
  func checkFits(_ type: TensorType, at site: Site) throws(Failure) {
    do { try EagerEvaluator.checkFits(type) } catch { throw Failure.from(error, at: site) }
  }

  /// Refuses a list that memory does not hold.
  func checkFits(elements count: Int, at site: Site) throws(Failure) {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: 2 * MemoryLayout<Value>.stride)
    if overflow || Machine.shortage(of: bytes) != nil {
      throw Failure(
        "out-of-memory", "a list of \(grouped(count)) elements is more than this machine holds", at: site,
        help: "go through a range instead, or use a tensor")
    }
  }

  // MARK: Calls of ops

  func isTensorLike(_ value: Value) -> Bool {
    switch value {
    case .int, .double, .bool, .tensor: true
    case .list(let list): list.summary.isTensorLike
    default: false
    }
  }

  /// Applies an op to values: promotes dtypes, broadcasts shapes, then computes or records.
  ///
  /// - Parameter name: how errors call it, if not by the op's own name.
  func apply(
    _ op: any TensorOp.Type, _ values: [Value], _ attributes: Attributes, _ sites: [Site],
    at site: Site, _ whole: Site, as name: String? = nil
  ) throws(Failure) -> Value {
    let results = try applyAll(op, values, attributes, sites, at: site, whole, as: name)
    return results.count == 1 ? results[0] : .tuple(results)
  }

  func applyAll(
    _ op: any TensorOp.Type, _ values: [Value], _ attributes: Attributes, _ sites: [Site],
    at site: Site, _ whole: Site, as name: String? = nil
  ) throws(Failure) -> [Value] {
    let traits = op.traits
    var operands: [Operand] = []
    operands.reserveCapacity(values.count)
    for (index, value) in values.enumerated() {
      operands.append(try operand(value, index, of: op, at: sites[index]))
    }
    let allNumbers = !operands.isEmpty && operands.allSatisfy(\.isNumber)
    // Host numbers stay host numbers through elementwise ops.
    let isHostResult = allNumbers && traits.fusion == .elementwise

    // One dtype for all, or each its own.
    var dtypes: [DType]
    if traits.promotion == .asIs {
      dtypes = operands.map { operand in
        switch operand {
        case .tensor(let tensor): tensor.isNumber && !isHostResult && tensor.dtype == .f64 ? .f32 : tensor.dtype
        case .int: .i64
        case .double: isHostResult ? .f64 : .f32
        case .bool: .bool
        }
      }
    } else {
      let common = commonDType(operands, op, isHostResult: isHostResult, traits.promotion)
      dtypes = [DType](repeating: common, count: operands.count)
      // A condition is never converted: numbers in its place are a mistake that the op names.
      if traits.promotion == .unifyAfterCondition { dtypes[0] = operands[0].numberDType }
    }

    var shape: Shape?
    if traits.broadcasts, operands.count > 1 {
      var common = operands[0].shape
      for operand in operands.dropFirst() {
        guard let next = common.broadcast(with: operand.shape) else {
          throw broadcastFailure(op, operands, sites, at: site)
        }
        common = next
      }
      shape = common
    }

    var widening = Widening(op, dtypes)
    if let low = lowPrecision, !isHostResult {
      (dtypes, widening) = PrecisionRule.apply(
        to: op, dtypes, isNumber: operands.map(\.isNumber), isFull: operands.map { $0.shape == shape },
        own: operands.map(\.numberDType), low: low)
    }
    if traits.broadcasts, let narrow = dtypes.last, narrow == .f16 || narrow == .bf16,
      operands.contains(where: { !isExact($0, in: narrow) })
    {
      // A number meets 16 bits in f32, and the result rounds.
      widening = Widening(of: dtypes, to: narrow)
    }
    do {
      if let trace, trace.isRecording, trace.isStep || operands.contains(where: isTraced) {
        return try record(
          op, operands, dtypes, widening, shape, attributes, isHostResult: isHostResult, in: trace, whole)
      }
      if let abstract, !areFoldable(operands, op) {
        return try abstract.compute(
          op, types: abstractTypes(operands, widening.dtypes, shape, at: whole), rounded: widening.result, attributes,
          isHostResult: isHostResult, whole)
      }
      return try compute(op, operands, widening, shape, attributes, isHostResult: isHostResult, whole)
    } catch {
      throw explain(error, tensorValues(operands), sites, op: name ?? op.name, at: site)
    }
  }

  /// Whether an operand is no number, or one that a dtype of 16 bits has.
  private func isExact(_ operand: Operand, in dtype: DType) -> Bool {
    switch operand {
    case .tensor(let tensor): !tensor.isNumber
    case .bool: true
    case .int(let number): Tensor.number(Double(number), dtype).scalar == Double(number)
    case .double(let number): Tensor.number(number, dtype).scalar == number || number.isNaN
    }
  }

  private func isTraced(_ operand: Operand) -> Bool {
    if case .tensor(let tensor) = operand { return tensor.isTraced && tensor.trace === trace }
    return false
  }

  private func commonDType(
    _ operands: [Operand], _ op: any TensorOp.Type, isHostResult: Bool,
    _ promotion: OpTraits.Promotion
  ) -> DType {
    let unified = promotion == .unifyAfterCondition ? Array(operands.dropFirst()) : operands
    var tensors: DType?
    var numbers: DType?
    for operand in unified {
      if operand.isNumber {
        numbers = numbers.map { $0.promoted(with: operand.numberDType) } ?? operand.numberDType
      } else if case .tensor(let tensor) = operand {
        tensors = tensors.map { $0.promoted(with: tensor.dtype) } ?? tensor.dtype
      }
    }
    var result: DType
    if let tensors {
      result = tensors
      if let numbers {
        if numbers.isFloating, !tensors.isFloating { result = .f32 }
        if numbers.isInteger, tensors == .bool { result = .i64 }
      }
    } else {
      result = numbers ?? .f32
      if !isHostResult, result == .f64 { result = .f32 }
    }
    if promotion == .unifyFloating, !result.isFloating { result = isHostResult ? .f64 : .f32 }
    if result == .bool, !op.dtypes.contains(.bool) { result = .i64 }
    return result
  }

  /// Whether an abstract run knows all operands and computes with them: sizes and places that a program writes down.
  private func areFoldable(_ operands: [Operand], _ op: any TensorOp.Type) -> Bool {
    guard op.traits.effect == .pure else { return false }
    if operands.isEmpty { return false }
    return operands.allSatisfy { operand in
      guard case .tensor(let tensor) = operand else { return true }
      return tensor.tensor != nil && tensor.type.elementCount <= AbstractRun.largestFolded
    }
  }

  /// The types of operands as an op takes them.
  private func abstractTypes(
    _ operands: [Operand], _ dtypes: [DType], _ shape: Shape?, at site: Site
  ) throws(Failure) -> [TensorType] {
    var types: [TensorType] = []
    for (operand, dtype) in zip(operands, dtypes) {
      if case .int(let value) = operand { _ = try wholeNumber(value, dtype, at: site) }
      types.append(TensorType(dtype, shape ?? operand.shape))
    }
    return types
  }

  /// Computes at once.
  private func compute(
    _ op: any TensorOp.Type, _ operands: [Operand], _ widening: Widening, _ shape: Shape?,
    _ attributes: Attributes, isHostResult: Bool, _ site: Site
  ) throws -> [Value] {
    var tensors: [Tensor] = []
    tensors.reserveCapacity(operands.count)
    for (operand, dtype) in zip(operands, widening.dtypes) {
      var tensor = try realTensor(operand, dtype, at: site)
      if let shape, tensor.shape != shape { tensor = tensor.broadcast(to: shape) }
      tensors.append(tensor)
    }
    let attributes = try randomAttributes(op, attributes, &tensors)
    let types = tensors.map(\.type)
    let instance = try op.init(attributes, operands: types)
    let results = try EagerEvaluator.run(
      instance, tensors, resultTypes: try instance.resultTypes(of: types))
    return try results.map { result in
      if isHostResult { return hostNumber(result) }
      let rounded = try result.dtype == .f32 ? widening.result.map { try cast(result, to: $0) } : nil
      return .tensor(TensorValue(rounded ?? result, made: site))
    }
  }

  /// A random op outside a trace: its key is (seed, tick), and the tick moves on.
  private func randomAttributes(
    _ op: any TensorOp.Type, _ attributes: Attributes, _ tensors: inout [Tensor]
  ) throws -> Attributes {
    guard op.traits.effect == .random else { return attributes }
    tensors.insert(Tensor(integers: [seed, tick], shape: [2]), at: 0)
    tick &+= 1
    var attributes = attributes
    attributes.set("ordinal", .int(0))
    return attributes
  }

  /// Records in the trace, which computes too where it has real values.
  private func record(
    _ op: any TensorOp.Type, _ operands: [Operand], _ dtypes: [DType], _ widening: Widening, _ shape: Shape?,
    _ attributes: Attributes, isHostResult: Bool, in trace: Trace, _ site: Site
  ) throws -> [Value] {
    let g = trace.builder
    trace.setOrigin(site)
    var values: [GraphValue] = []
    for (index, operand) in operands.enumerated() {
      // A number keeps its digits; a tensor is rounded to what it should be before it widens.
      let first = operand.isNumber ? widening.dtypes[index] : dtypes[index]
      var value = try g.cast(graphValue(operand, first, in: trace, at: site), to: widening.dtypes[index])
      if let shape { value = try g.broadcast(value, to: shape) }
      values.append(value)
    }
    var attributes = attributes
    if op.traits.effect == .random {
      values.insert(try trace.randomKey(), at: 0)
      attributes.set("ordinal", .int(g.nextOrdinal()))
    }
    let instance = try op.init(attributes, operands: values.map(\.type))
    return try g.append(instance, values).map { result in
      let rounded = try result.dtype == .f32 ? widening.result.map { try g.cast(result, to: $0) } : nil
      return trace.wrap(rounded ?? result, isNumber: isHostResult, made: site)
    }
  }

  // MARK: Operands

  private func operand(
    _ value: Value, _ index: Int, of op: any TensorOp.Type, at site: Site
  ) throws(Failure) -> Operand {
    switch value {
    case .int(let value): return .int(value)
    case .double(let value): return .double(value)
    case .bool(let value): return .bool(value)
    case .tensor(let tensor):
      let tensor = try usable(tensor, at: site)
      if !op.dtypes.contains(tensor.dtype) { try requireNumbers(tensor, at: site) }
      if tensor.isWholeList, op.traits.promotion == .asIs, op.signature.namesPlaces(operand: index) {
        return .tensor(try indices(tensor, at: site))
      }
      return .tensor(tensor)
    case .list:
      let meansIndex = op.traits.promotion == .asIs && op.signature.namesPlaces(operand: index)
      return .tensor(try tensorValue(value, meansIndex: meansIndex, at: site))
    case .model, .record, .callable, .optimizer, .object, .string, .range, .none, .dtype, .cell, .unset:
      throw Failure(
        "bad-operand", "a tensor is needed here, got \(value.described)", at: site,
        help: {
          if case .range(let range) = value { return "use `arange(\(range.start), \(range.end))`" }
          return nil
        }())
    }
  }

  /// A list of whole numbers, taken for f32 at first, as the indices that it turns out to be.
  func indices(_ tensor: TensorValue, at site: Site) throws(Failure) -> TensorValue {
    do {
      guard case .tensor(let whole) = try build([tensor], at: site, { g, values in try g.cast(values[0], to: .i64) })
      else { return tensor }
      return whole
    } catch { throw Failure.from(error, at: site) }
  }

  /// Lets go of the trace of a value that outlived it.
  func usable(_ tensor: TensorValue, at site: Site) throws(Failure) -> TensorValue {
    guard let trace = tensor.trace, !trace.isRecording || trace !== self.trace else { return tensor }
    if abstract != nil, tensor.tensor == nil, !trace.isStep {
      return TensorValue(abstract: tensor.type, isNumber: tensor.isNumber, isWholeList: tensor.isWholeList, made: tensor.made)
    }
    guard let real = tensor.tensor else { throw tensor.missing(at: site) }
    return TensorValue(real, made: tensor.made, isWholeList: tensor.isWholeList)
  }

  /// Refuses tensors of dtypes that only store.
  func requireNumbers(_ tensor: TensorValue, at site: Site) throws(Failure) {
    guard DTypeSet.storage.contains(tensor.dtype) else { return }
    throw Failure(
      "unsupported-dtype", "\(tensor.dtype) only stores numbers: nothing is computed in it, or looked up", at: site,
      labels: [.init(site: site, text: describe(tensor, at: site))],
      help: "convert it first: `f32(\(site.text))`")
  }

  private func realTensor(_ operand: Operand, _ dtype: DType, at site: Site) throws -> Tensor {
    switch operand {
    case .int(let value): return try wholeNumber(value, dtype, at: site)
    case .double(let value): return Tensor.number(value, dtype)
    case .bool(let value): return Tensor.number(value ? 1 : 0, dtype)
    case .tensor(let tensor):
      guard let real = tensor.tensor else { throw tensor.missing(at: site) }
      return try cast(real, to: dtype)
    }
  }

  private func graphValue(
    _ operand: Operand, _ dtype: DType, in trace: Trace, at site: Site
  ) throws -> GraphValue {
    switch operand {
    case .int(let value): return trace.builder.constant(try wholeNumber(value, dtype, at: site))
    case .double(let value): return trace.builder.constant(value, dtype)
    case .bool(let value): return trace.builder.constant(value ? 1 : 0, dtype)
    case .tensor(let tensor): return try trace.builder.cast(trace.value(of: tensor, at: site), to: dtype)
    }
  }

  /// A number of the program in the dtype of the tensor that it meets: clamped, 300 would equal a u8 of 255.
  private func wholeNumber(_ number: Int, _ dtype: DType, at site: Site) throws(Failure) -> Tensor {
    guard dtype.holds(number) else {
      throw Failure(
        "integer-overflow", "\(number) does not fit \(dtype), the dtype of the tensor that it meets", at: site,
        help: "convert the tensor: `i64(…)`")
    }
    return Tensor.number(integer: number, dtype)
  }

  func cast(_ tensor: Tensor, to dtype: DType) throws -> Tensor {
    if tensor.dtype == dtype { return tensor }
    let op = try OpTable.make("cast", [("dtype", .dtype(dtype))], operands: [tensor.type])
    return try evaluator.evaluate(op, [tensor])[0]
  }

  /// The value as a tensor: numbers become 0-d, lists of numbers or of equal tensors are stacked.
  func tensorValue(_ value: Value, meansIndex: Bool = false, at site: Site) throws(Failure) -> TensorValue {
    switch value {
    case .tensor(let tensor):
      try requireNumbers(tensor, at: site)
      if tensor.isAbstract, tensor.isNumber {
        // As a number whose value is known.
        let dtype: DType = tensor.dtype == .bool ? .bool : meansIndex && tensor.dtype == .i64 ? .i64 : .f32
        return TensorValue(abstract: TensorType(dtype, .scalar), made: site)
      }
      return try usable(tensor, at: site)
    case .int(let number):
      return TensorValue(
        meansIndex ? Tensor.number(integer: number, .i64) : Tensor.number(integer: number, .f32),
        made: site)
    case .double(let number): return TensorValue(Tensor.number(number, .f32), made: site)
    case .bool(let flag): return TensorValue(Tensor.number(flag ? 1 : 0, .bool), made: site)
    case .list(let list):
      if let tensor = try literal(list, whole: meansIndex ? .i64 : .f32, at: site) {
        let isWhole = !meansIndex && tensor.dtype == .f32 && list.isWhole
        return TensorValue(tensor, made: list.site ?? site, isWholeList: isWhole)
      }
      if let tensor = try abstractLiteral(list, whole: meansIndex ? .i64 : .f32, at: site) { return tensor }
      // A list with tensors in it: stack them.
      try requireWalkable(value, at: site)
      var rows: [TensorValue] = []
      for item in list.items { rows.append(try tensorValue(item, meansIndex: meansIndex, at: site)) }
      let result = try applyAll(
        OpTable.byName["stack"]!, rows.map { .tensor($0) }, Attributes([("axis", .int(0))]),
        list.sites(within: site), at: site, site)
      if case .tensor(let tensor) = result[0] { return tensor }
    default: break
    }
    throw Failure("bad-operand", "a tensor is needed here, got \(value.described)", at: site)
  }

  /// A nested list of host numbers as a tensor; nil where it holds tensors.
  ///
  /// - Parameters:
  ///   - whole: the dtype where all numbers are whole.
  ///   - fraction: that where some are not.
  func literal(
    _ list: ListValue, whole: DType, fraction: DType = .f32, at site: Site
  ) throws(Failure) -> Tensor? {
    if list.depth > Shape.largestRank, list.summary.isTensorLike {
      throw Failure(
        "bad-shape", "a tensor has at most \(Shape.largestRank) axes, this list is nested \(list.depth) deep", at: site)
    }
    try checkFits(elements: list.summary.leafCount, at: site)
    var sizes: [Int] = []
    var probe: Value = .list(list)
    while case .list(let inner) = probe {
      sizes.append(inner.items.count)
      guard let first = inner.items.first else { break }
      probe = first
    }
    var numbers: [Double] = []
    var integers: [Int] = []
    var isWhole = true
    var isBool = true
    var hasTensor = false
    func walk(_ value: Value, _ depth: Int) throws(Failure) {
      switch value {
      case .list(let inner):
        guard depth < sizes.count else { throw mixed() }
        guard inner.items.count == sizes[depth] else {
          throw Failure(
            "ragged-list", "the rows of this list differ in length: \(sizes[depth]) and \(inner.items.count)", at: site,
            notes: ["a tensor needs rows of equal length"])
        }
        for item in inner.items { try walk(item, depth + 1) }
        return
      case .int(let number):
        numbers.append(Double(number))
        integers.append(number)
        isBool = false
      case .double(let number):
        numbers.append(number)
        isWhole = false
        isBool = false
      case .bool(let flag):
        numbers.append(flag ? 1 : 0)
        integers.append(flag ? 1 : 0)
      case .tensor: hasTensor = true
      default:
        throw Failure("bad-operand", "a tensor cannot hold \(value.described)", at: site)
      }
      if depth != sizes.count, !hasTensor { throw mixed() }
    }
    func mixed() -> Failure {
      Failure(
        "ragged-list", "this list mixes numbers and lists", at: site,
        notes: ["a tensor needs rows of equal length"])
    }
    try walk(.list(list), 0)
    if hasTensor { return nil }
    let shape = Shape(sizes)
    guard shape.checkedElementCount == numbers.count else { throw mixed() }
    if isBool, !numbers.isEmpty { return Tensor(integers: integers, dtype: .bool, shape: shape) }
    if isWhole, whole == .i64 { return Tensor(integers: integers, dtype: .i64, shape: shape) }
    return Tensor(numbers, dtype: isWhole ? whole : fraction, shape: shape)
  }

  /// A nested list of host numbers of which an abstract run does not know some; nil for any other.
  private func abstractLiteral(_ list: ListValue, whole: DType, at site: Site) throws(Failure) -> TensorValue? {
    guard let abstract else { return nil }
    var isAbstract = false
    var areNumbers = true
    var isWhole = true
    var isBool = true
    func shape(_ value: Value) throws(Failure) -> [Int] {
      switch value {
      case .bool: return []
      case .int:
        isBool = false
        return []
      case .double:
        (isWhole, isBool) = (false, false)
        return []
      case .tensor(let tensor) where tensor.isNumber && abstract.isUnknown(value):
        isAbstract = true
        isWhole = isWhole && (tensor.dtype.isInteger || tensor.dtype == .bool)
        isBool = isBool && tensor.dtype == .bool
        return []
      case .list(let inner):
        guard let first = inner.items.first else { return [0] }
        let row = try shape(first)
        for item in inner.items.dropFirst() where try shape(item) != row && areNumbers {
          throw Failure(
            "ragged-list", "the rows of this list differ in length", at: site, notes: ["a tensor needs rows of equal length"])
        }
        return [inner.items.count] + row
      default:
        areNumbers = false
        return []
      }
    }
    let sizes = try shape(.list(list))
    guard isAbstract, areNumbers, trace?.isStep != true else { return nil }
    let dtype: DType = isBool ? .bool : isWhole ? whole : .f32
    return TensorValue(
      abstract: TensorType(dtype, Shape(sizes)), isWholeList: isWhole && dtype == .f32, made: list.site ?? site)
  }

  func hostNumber(_ tensor: Tensor) -> Value {
    switch tensor.dtype {
    case .bool: .bool(tensor.scalar != 0)
    case .i64, .i32, .u8: .int(tensor.integerScalar)
    default: .double(tensor.scalar)
    }
  }

  private func tensorValues(_ operands: [Operand]) -> [TensorValue?] {
    operands.map { if case .tensor(let tensor) = $0 { tensor } else { nil } }
  }

  // MARK: Building several nodes at once

  /// Runs `body` on a graph builder: the trace's where one records, else one that only computes.
  func build(
    _ operands: [TensorValue], at site: Site,
    _ body: (GraphBuilder, [GraphValue]) throws -> GraphValue
  ) throws -> Value {
    if let trace, trace.isRecording,
      trace.isStep || operands.contains(where: { $0.isTraced && $0.trace === trace })
    {
      trace.setOrigin(site)
      let values = try operands.map { try trace.value(of: $0, at: site) }
      let isNumber = !operands.isEmpty && operands.allSatisfy(\.isNumber)
      return trace.wrap(try body(trace.builder, values), isNumber: isNumber, made: site)
    }
    let areKnown = operands.allSatisfy { $0.tensor != nil && $0.type.elementCount <= AbstractRun.largestFolded }
    if abstract != nil, !areKnown {
      let builder = GraphBuilder()
      let result = try body(builder, operands.map { builder.input($0.type) })
      let isNumber = !operands.isEmpty && operands.allSatisfy(\.isNumber)
      return .tensor(TensorValue(abstract: result.type, isNumber: isNumber, made: site))
    }
    let builder = GraphBuilder(evaluator: evaluator)
    let values = try operands.map { operand in
      guard let tensor = operand.tensor else { throw operand.missing(at: site) }
      return builder.constant(tensor)
    }
    let result = try body(builder, values)
    guard let tensor = builder.concrete(of: result) else {
      throw InternalError("interpreter", "a computed value is missing")
    }
    return .tensor(TensorValue(tensor, made: site))
  }

  // MARK: Errors

  /// Adds the operands, their shapes and where they were made, and what would have fitted.
  func explain(
    _ error: any Error, _ operands: [TensorValue?], _ sites: [Site], op: String? = nil, at site: Site
  ) -> Failure {
    guard !(error is Failure), !(error is InternalError) else { return Failure.from(error, at: site) }
    let failure = Failure.from(
      error, at: site, op: op,
      operands: sites.indices.map { sites[$0].shortText.map { "`\($0)`" } ?? "operand \($0 + 1)" })
    guard failure.diagnostic.labels.isEmpty else { return failure }
    if failure.diagnostic.help == nil, let fitting = (error as? OpRejection)?.fitting,
      let operand = operands[fitting.operand], !operand.isNumber
    {
      failure.diagnostic.help = help(fitting.shape, for: operand, at: sites[fitting.operand])
    }
    // Of many operands the first is shown and those that differ from it.
    var shown = operands.indices.filter { operands[$0] != nil }
    if shown.count > 3, let first = shown.first.flatMap({ operands[$0]?.type }) {
      let others = shown.dropFirst().filter { operands[$0]?.type != first }
      shown = [shown[0]] + (others.isEmpty ? shown.dropFirst() : others[...]).prefix(2)
    }
    for index in shown {
      guard let operand = operands[index], !operand.isNumber else { continue }
      let isShared = sites.indices.contains { $0 != index && sites[$0] == sites[index] }
      failure.diagnostic.labels.append(
        .init(
          site: sites[index],
          text: describe(operand, at: sites[index], element: isShared ? index : nil)))
    }
    return failure
  }

  /// `make `w2` with `normal([128, 10])``, or the shape alone where it was not made by a call that names it.
  private func help(_ shape: Shape, for operand: TensorValue, at site: Site) -> String? {
    let name = site.shortText
    if let maker = operand.made?.text, maker.utf8.count <= 60, operand.made?.file.isLibrary == false {
      let compact = "[" + operand.shape.sizes.map(String.init).joined(separator: ",") + "]"
      for written in [operand.shape.description, compact] {
        let mended = substituting(shape.description, for: written, in: maker)
        if mended == maker { continue }
        return name == nil || maker == name ? "make it with `\(mended)`" : "make `\(name!)` with `\(mended)`"
      }
    }
    return name.map { "`\($0)` of shape \(shape) would fit" }
  }

  /// `w2 : f32[64, 10]     made at digits.nn:9 by `normal([64, 10])``
  ///
  /// - Parameter element: which element it is, if the site is that of a list.
  func describe(_ tensor: TensorValue, at site: Site, element: Int? = nil) -> String {
    let text = site.text
    let name = text.utf8.count <= 40 && !text.contains("\n") ? text : "this"
    var description = "\(name)\(element.map { "[\($0)]" } ?? "") : \(tensor.type)"
    if let made = tensor.made, !site.contains(made) || element != nil, !made.file.isLibrary {
      let maker = made.text.split(separator: "\n").first.map(String.init) ?? ""
      description += "   made at \(made.file.name):\(made.line)"
      if maker.utf8.count <= 60 { description += " by `\(maker)`" }
    }
    return description
  }

  /// Labels of the tensors among a call's arguments.
  func labels(_ arguments: [(value: Value, site: Site)]) -> [Diagnostic.Label] {
    arguments.compactMap { argument in
      guard case .tensor(let tensor) = argument.value, !tensor.isNumber else { return nil }
      return .init(site: argument.site, text: describe(tensor, at: argument.site))
    }
  }

  private func broadcastFailure(
    _ op: any TensorOp.Type, _ operands: [Operand], _ sites: [Site], at site: Site
  ) -> Failure {
    let tensors = operands.indices.filter { !operands[$0].isNumber }
    let shapes = tensors.map { operands[$0].shape.description }
    let failure = Failure(
      "shape-mismatch", "\(op.name): shapes \(shapes.joined(separator: " and ")) do not broadcast",
      at: site,
      notes: ["aligned at the last axis, sizes must be equal or 1"])
    for (operand, place) in zip(operands, sites) {
      if case .tensor(let tensor) = operand {
        failure.diagnostic.labels.append(.init(site: place, text: describe(tensor, at: place)))
      }
    }
    // A vector with a value per row needs an axis behind.
    if tensors.count == 2 {
      for (vector, other) in [(tensors[0], tensors[1]), (tensors[1], tensors[0])] {
        let (shape, whole) = (operands[vector].shape, operands[other].shape)
        guard shape.rank == 1, whole.rank > 1 else { continue }
        let column = Shape(shape.sizes + [Int](repeating: 1, count: whole.rank - 1))
        guard let name = sites[vector].shortText, column.broadcast(with: whole) == whole else { continue }
        let axes = [String](repeating: "none", count: whole.rank - 1).joined(separator: ", ")
        failure.diagnostic.help = "for one value per row write `\(name)[:, \(axes)]`, of shape \(column)"
      }
    }
    return failure
  }
}

extension Tensor {
  static func number(_ value: Double, _ dtype: DType) -> Tensor {
    Tensor([value], dtype: dtype, shape: .scalar)
  }

  static func number(integer value: Int, _ dtype: DType) -> Tensor {
    Tensor(integers: [value], dtype: dtype, shape: .scalar)
  }

  /// The same elements seen with more axes or larger ones: stride 0 where they repeat.
  /// - Requires: the shapes broadcast.
  func broadcast(to target: Shape) -> Tensor {
    let added = target.rank - shape.rank
    var strides = [Int](repeating: 0, count: target.rank)
    for axis in 0..<shape.rank where shape[axis] != 1 || target[axis + added] == 1 {
      strides[axis + added] = layout.strides[axis]
    }
    return Tensor(
      storage: storage, dtype: dtype,
      layout: Layout(shape: target, strides: strides, offset: layout.offset))
  }
}
